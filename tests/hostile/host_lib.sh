# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# A rogue host, and a cell that attaches to it with the real modules.
#
#   rogue_host --ivshmem socket--> QEMU: nexus_ion, nexus_blk
#      disk 0: first misdeed, disk 1: second, ... the last disk: honest
#
# One boot does for many misdeeds, for each has a disk, and so a channel, of its
# own: that none disturbs another is part of every test.

# shellcheck source=tests/hostile/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# shellcheck source=tests/hostile/verdict.sh
source "$(dirname "${BASH_SOURCE[0]}")/verdict.sh"

host_pids=()

is_ready() {
	grep -q '^ready$' "$1"
}

# host NAME MISDEED...: a rogue host at $tmp/NAME.sock, its words in $logs/NAME.log.
host() {
	local name=$1
	shift
	: >"$logs/$name.log"
	start "$rogue_host" "$tmp/$name.sock" "$@" </dev/null >"$logs/$name.log" 2>&1
	host_pids+=("$REPLY")
	wait_until 10 is_ready "$logs/$name.log"
}

# end_hosts: each ends in order.
end_hosts() {
	local pid
	for pid in "${host_pids[@]}"; do
		stop "$pid" TERM 10 || fail "a rogue host ended with $?"
	done
	host_pids=()
}

# visit [OPTION...]: boot a cell on the rogue host, have it run $visitor, unload. The
# guest's words are in $tmp/out, its kernel's in $tmp/dmesg.
visit() {
	printf '\1\4\0\0\0\0\0\0%.0s' {1..64} >"$tmp/expected"
	cell --socket "$tmp/rogue.sock" --timeout 200 --get /dmesg:"$tmp/dmesg" \
		--put "$visitor:/visitor.sh" --put "$tmp/expected:/expected" \
		--put "$tmp/outage:/outage" \
		"$@" -- sh -c '
		sh /visitor.sh &&
		grep . /sys/block/nxblk*/nexus/stale_answers /sys/block/nxblk*/nexus/rescued &&
		rmmod nexus_blk && rmmod nexus_ion && echo UNLOADED
		dmesg >/dmesg' >"$tmp/out" || fail "the guest ended with $?: $(tail -n 3 "$tmp/out")"
	end_hosts
	cp "$tmp/out" "$tmp/dmesg" "$logs"
	grep -q '^UNLOADED$' "$tmp/out" || fail "the modules do not unload"
	no_kernel_complaint
}
