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
host_pid=''

# serve [OPTIONS [OPTIONS]]: start rumpk with two fresh images; OPTIONS are those
# of --disk for the first and the second, with their comma.
serve() {
	local i ready status=0
	build_hostile
	build_rumpk
	for i in 0 1; do
		head -c $((IMAGE_MIB << 20)) /dev/zero |
			tr '\0' "$i" >"$work/image$i"
	done
	sync -f "$work"
	mkfifo "$work/ready"
	exec {ready}<>"$work/ready"
	"$rumpk" --socket "$work/ion.sock" --disk "file=$work/image0${1-}" \
		--disk "file=$work/image1${2-}" --ready-fd "$ready" \
		</dev/null 2>"$work/rumpk.log" &
	host_pid=$!
	read -r -t 30 -u "$ready" _ || status=1
	exec {ready}>&-
	((status == 0)) || bad "rumpk did not start: $(tail -n 1 "$work/rumpk.log")"
	read_stats
}

# The numbers of the newest stats line of the first channel, in stats_now.
read_stats() {
	local lines before tries word
	before=$(grep -c 'channel=0 stats' "$work/rumpk.log")
	kill -USR1 "$host_pid"
	for ((tries = 0; tries < 100; tries++)); do
		lines=$(grep -c 'channel=0 stats' "$work/rumpk.log")
		((lines == before)) || break
		sleep 0.05
	done
	((lines > before)) || bad "rumpk prints no stats"
	stats_now=()
	for word in $(grep 'channel=0 stats' "$work/rumpk.log" | tail -n 1); do
		[[ $word != *=* ]] || stats_now[${word%%=*}]=${word#*=}
	done
}
declare -A stats_now

# The images but for their last MiB.
body() {
	head -c $(((IMAGE_MIB - 1) << 20)) "$work/image0"
	head -c $(((IMAGE_MIB - 1) << 20)) "$work/image1"
}

# attack NAME: run it, compare what rumpk counted with what it must have.
attack() {
	local name=$1 out word key
	local -A before=()
	read_stats
	for key in "${!stats_now[@]}"; do
		before[$key]=${stats_now[$key]}
	done
	# shellcheck disable=SC2046
	out=$(timeout 120 "$rogue_guest" "$work/ion.sock" "$name" "$host_pid" \
		$(pgrep -P "$host_pid") 2>&1) || bad "$name: ${out:-status $?}"
	read_stats
	for word in $(sed -n 's/^expect: //p' <<<"$out"); do
		key=${word%%=*}
		((stats_now[$key] - before[$key] == ${word#*=})) ||
			bad "$name: $key grew by $((stats_now[$key] - before[$key])), not ${word#*=}"
	done
	grep -q '^expect: ' <<<"$out" || bad "$name: no tally"
	note "$name: $(sed -n 's/^expect: //p' <<<"$out")"
}

# logged PATTERN: rumpk said so on the first channel.
logged() {
	grep -q -E "channel=0 .*$1" "$work/rumpk.log" ||
		bad "rumpk's log has no line with \"$1\""
}

body_sum() {
	body | sha256sum
}

# unharmed COMMAND [ARG...]: it leaves all but the last MiB of both images alone.
unharmed() {
	local before
	before=$(body_sum)
	"$@"
	[[ $(body_sum) == "$before" ]] || bad "$*: an image has changed"
}

# The daemon is in order to its end.
stop() {
	local status=0
	kill -TERM "$host_pid"
	wait "$host_pid" || status=$?
	((status == 0)) || bad "rumpk ended with $status: $(tail -n 1 "$work/rumpk.log")"
	! grep -E 'runtime error|AddressSanitizer|LeakSanitizer' "$work/rumpk.log" >&2 ||
		bad "a sanitizer found something"
	rm -f "$work"/{rumpk.log,ready,image0,image1}
}

finish() {
	stop
	good
}
