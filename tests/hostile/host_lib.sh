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

host_pids=()
misdeeds=()

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
		'"$SCAN_FOR_LEAKS"'
		dmesg >/dmesg' >"$tmp/out" || fail "the guest ended with $?: $(tail -n 3 "$tmp/out")"
	end_hosts
	cp "$tmp/out" "$tmp/dmesg" "$logs"
	grep -q '^UNLOADED$' "$tmp/out" || fail "the modules do not unload"
	no_kernel_complaint
}

# probe [OPTION...]: a visit that probes each disk.
probe() {
	visitor=$peers_source/host_probe.sh
	visit "$@"
	told_of "${#misdeeds[@]}" right
}

# commit MISDEED...: probe disks that do these, and an honest one.
commit() {
	misdeeds=("$@")
	host rogue "$@"
	probe
}
peers_source=$NEXUS_TOP/tests/hostile
: >"$tmp/outage"

# bound MISDEED SECONDS: requests to its disk wait no longer than this.
bound() {
	number "$1"
	echo "nxblk$REPLY $2" >>"$tmp/outage"
}

# number MISDEED: sets REPLY to its disk's.
number() {
	for REPLY in "${!misdeeds[@]}"; do
		[[ ${misdeeds[REPLY]} != "$1" ]] || return 0
	done
	fail "$1 was not committed"
}

# told_of N RESULT: how the read of disk N's spoiled sector ended.
told_of() {
	grep -q "^READ nxblk$1 $2\$" "$tmp/out" ||
		fail "disk $1 (${misdeeds[$1]-honest}): $(grep "^READ nxblk$1 " "$tmp/out" || echo 'no such disk'), not $2"
}

# ends MISDEED RESULT
ends() {
	number "$1"
	told_of "$REPLY" "$2"
}

# latches MISDEED REASON: the guest latched this channel once, for this reason, and
# no other; then it reset it, and the read was right after all.
latches() {
	local seen
	number "$1"
	seen=$(grep "^channel $REPLY guest state LATCHED" "$logs/rogue.log" || true)
	[[ $seen == "channel $REPLY guest state LATCHED reason $2" ]] ||
		fail "$1: \"$seen\" instead of one latch with reason $2"
	told_of "$REPLY" right
}

never_latches() {
	local name
	for name; do
		number "$name"
		! grep -q "^channel $REPLY guest state LATCHED" "$logs/rogue.log" ||
			fail "$name: the guest latched the channel"
	done
}

# kernel_says PATTERN
kernel_says() {
	grep -q -a -E "$1" "$tmp/dmesg" || fail "the guest's kernel does not say \"$1\""
}
