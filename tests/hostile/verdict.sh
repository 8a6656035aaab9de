# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154
#
# Misdeeds and what came of them, wherever they were committed: against a cell
# (host_lib.sh), or inside a User-Mode Linux (tests/uml/host_lib.sh). Either provides
#
#   host NAME MISDEED...   a rogue host, with a disk for each and an honest one
#   visit [OPTION...]      a guest that runs $visitor there; leaves what it said in
#                          $tmp/out, its kernel in $tmp/dmesg, its host in
#                          $logs/rogue.log
#
# Sourced after tests/common.sh.

misdeeds=()
: >"$tmp/outage"

# probe [OPTION...]: a visit that probes each disk.
probe() {
	visitor=$NEXUS_TOP/tests/hostile/host_probe.sh
	visit "$@"
	told_of "${#misdeeds[@]}" right
}

# commit MISDEED...: probe disks that do these, and an honest one.
commit() {
	misdeeds=("$@")
	host rogue "$@"
	probe
}

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
