# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
#
# The rogue host inside a User-Mode Linux, behind a loopback window, for the very
# scripts of tests/hostile: they take the host_lib.sh that lies beside the test.
#
#   rogue_peer: tests/hostile/misdeed.c --- window in the kernel's memory
#   nexus_ion, nexus_blk -------------------'

[[ -z ${uml_host-} ]] || return 0
uml_host=loaded

# shellcheck source=tests/uml/uml_lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/uml_lib.sh"
# shellcheck source=tests/hostile/verdict.sh
source "$NEXUS_TOP/tests/hostile/verdict.sh"

committed=0
host_pids=()

# Begins every script that runs with a rogue host; $list is what it does.
readonly LOAD='
	insmod /modules/nexus_ion.ko && insmod /modules/nexus_blk.ko transport=ion || exit 101
	insmod /modules/rogue_peer.ko misdeeds=$list || exit 102'

# host NAME MISDEED...: the one that the next guest is about.
host() {
	shift
	uml_hosts=("$@")
	list=$(IFS=, && echo "$*")
}

# It has come and gone with the guest.
end_hosts() {
	:
}

no_kernel_complaint() {
	uml_is_quiet
}

# visit: as tests/hostile/host_lib.sh has it; its options are for a cell.
visit() {
	uml_root
	printf '\1\4\0\0\0\0\0\0%.0s' {1..64} >"$tmp/root/expected"
	cp "$visitor" "$tmp/root/visitor.sh"
	cp "$tmp/outage" "$tmp/root/outage"
	uml 200 <<-RUN || fail "the guest ended with $?: $(tail -n 3 "$tmp/out")"
		list=$list
		$LOAD
		sh /visitor.sh || exit
		grep . /sys/block/nxblk*/nexus/stale_answers /sys/block/nxblk*/nexus/rescued || exit 104
		rmmod nexus_blk && rmmod rogue_peer && rmmod nexus_ion && echo UNLOADED
	RUN
	grep -q '^UNLOADED$' "$tmp/out" || fail "the modules do not unload"
	uml_is_quiet
	: >"$tmp/outage"
	committed=$((committed + ${#uml_hosts[@]}))
}

# converse COMMAND [--put FILE:PATH]... -- GUEST...: what the guest asks of its host
# it gets from inside, since the host is in there with it; other options, and COMMAND,
# are for a host outside.
converse() {
	uml_root
	shift
	while [[ $1 != -- ]]; do
		# The rogue host is one more module here, and holds nexus_ion.
		[[ $1 != --put ]] ||
			sed 's/rmmod nexus_ion/rmmod rogue_peer \&\& &/' "${2%%:*}" >"$tmp/root${2#*:}"
		shift 2
	done
	shift
	uml 200 <<-RUN || fail "step $?: $(tail -n 22 "$tmp/out")"
		list=$list
		$LOAD
		cd /sys/module/rogue_peer/parameters
		($*; echo \$? >/tmp/ended) | while read -r line; do
			echo "guest: \$line"
			case \$line in
			stop-now*) echo Y >stopped ;;
			continue-now*) echo N >stopped ;;
			answer-now*) echo Y >told ;;
			esac
		done
		exit \$(cat /tmp/ended)
	RUN
	committed=$((committed + ${#uml_hosts[@]}))
}
