# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# A rumpk built with sanitizers, two disks, and a rogue guest in user space on
# its socket. No virtual machine.
#
#   rogue_guest --ivshmem socket--> rumpk --> image 0 (the victim's)
#        \------- window --------/       \--> image 1 (must never notice)
#
# The images' last MiB is where the rogue guest verifies that a disk works; all
# before it must stay as it is.

# shellcheck source=tests/hostile/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

IMAGE_MIB=32
rumpk=$peers/rumpk/rumpk
counters=(requests inval range unsupp perm ro ioerr stale latches)
declare -A before=()

# What else rumpk is started with.
serve_args=()

# serve [OPTIONS]: start rumpk with two fresh images; OPTIONS are those of --disk
# for the first, with their comma.
serve() {
	local i
	for i in 0 1; do
		head -c $((IMAGE_MIB << 20)) /dev/zero | tr '\0' "$i" >"$tmp/image$i"
	done
	: >"$logs/rumpk.log"
	start_rumpk "$tmp/ion.sock" --disk "file=$tmp/image0${1-}" --disk "file=$tmp/image1" \
		"${serve_args[@]}"
}

read_counters() {
	local key
	rumpk_stat_now requests >/dev/null
	for key in "${counters[@]}"; do
		before[$key]=$(stat_of "$logs/rumpk.log" "$key")
	done
}

# What rumpk counted since read_counters is what the rogue guest says.
compare_counters() {
	local name=$1 word key now
	shift
	rumpk_stat_now requests >/dev/null
	for word; do
		key=${word%%=*}
		now=$(stat_of "$logs/rumpk.log" "$key")
		((now - before[$key] == ${word#*=})) ||
			fail "$name: $key grew by $((now - before[$key])), not ${word#*=}"
	done
}

# rogue NAME: one attack, after which both channels were seen to work.
rogue() {
	local out words
	read_counters
	# shellcheck disable=SC2046
	out=$(timeout 120 "$rogue_guest" "$tmp/ion.sock" "$1" "$rumpk_pid" \
		$(pgrep -P "$rumpk_pid") 2>&1) || fail "$1: ${out:-status $?}"
	words=$(sed -n 's/^expect: //p' <<<"$out")
	[[ -n $words ]] || fail "$1: no tally: $out"
	# shellcheck disable=SC2086
	compare_counters "$1" $words
	note "$1: $words"
}

body_sum() {
	cat <(head -c $(((IMAGE_MIB - 1) << 20)) "$tmp/image0") \
		<(head -c $(((IMAGE_MIB - 1) << 20)) "$tmp/image1") | sha256sum
}

# attack NAME...: each leaves all but the last MiB of both images alone.
attack() {
	local sum name
	for name; do
		sum=$(body_sum)
		rogue "$name"
		[[ $(body_sum) == "$sum" ]] || fail "$name: an image has changed"
	done
}

# logged PATTERN: rumpk said so on the first channel.
logged() {
	grep -q -E "channel=0 .*$1" "$logs/rumpk.log" ||
		fail "rumpk's log has no line with \"$1\""
}

# The daemon is in order to its end.
finish() {
	stop_rumpk || fail "rumpk ended with $?: $(tail -n 1 "$logs/rumpk.log")"
	! grep -E 'runtime error|Sanitizer' "$logs/rumpk.log" ||
		fail "a sanitizer found something"
}
