# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
#
# What scripts/soak does to guest and rumpk: the plan, and each action.  Sourced after
# tests/common.sh.

# Each so many times of a hundred.
declare -A WEIGHT=([kill]=30 [restart]=14 [stop]=6 [pause]=10 [reset]=10 [fill]=10 [resize]=10 [revoke]=10)
readonly IMAGE_MIB=16 ROOM_MIB=24
declare -A planned_of=() run_of=()
plan=() boot=1 image_mib=$IMAGE_MIB looked_at=0
explained_errors=()
socket=$tmp/ion.sock
small=$tmp/small
image=$small/image

# pick: sets REPLY to an action, by weight.
pick() {
	local name sum=0 dice
	for name in "${!WEIGHT[@]}"; do
		sum=$((sum + WEIGHT[$name]))
	done
	dice=$((RANDOM % sum))
	while read -r name; do
		((dice -= WEIGHT[$name])) || true
		((dice >= 0)) || break
	done < <(printf '%s\n' "${!WEIGHT[@]}" | sort)
	REPLY=$name
}

# make_plan SEED COUNT: sets plan to lines "NAME TENTHS NUMBER": after such a pause,
# with such a number. Begins with each action once, as far as it goes.
make_plan() {
	local names i
	RANDOM=$1
	mapfile -t names < <(printf '%s\n' "${!WEIGHT[@]}" | sort)
	for ((i = 0; i < $2; i++)); do
		if ((${#names[@]})); then
			REPLY=${names[RANDOM % ${#names[@]}]}
			mapfile -t names < <(printf '%s\n' "${names[@]}" | grep -v -x "$REPLY")
			[[ -n ${names[0]-} ]] || names=()
		else
			pick
		fi
		plan+=("$REPLY $((RANDOM % 60)) $RANDOM")
		planned_of[$REPLY]=$((${planned_of[$REPLY]-0} + 1))
	done
	printf '%s\n' "${plan[@]}" >"$logs/plan"
}

# What is left of the plan has failed.
print_tally() {
	local name missing=0
	for name in $(printf '%s\n' "${!planned_of[@]}" | sort); do
		echo "planned and run: soak $name ${run_of[$name]-0} of ${planned_of[$name]}"
		((${run_of[$name]-0} == planned_of[$name])) || missing=1
	done
	return "$missing"
}

make_image() {
	mkdir "$small"
	mount -t tmpfs -o "size=${ROOM_MIB}m" soak "$small"
	on_exit umount -l "$small"
	truncate -s ${IMAGE_MIB}M "$image"
	truncate -s 1M "$tmp/word"
}

serve() {
	start_rumpk "$socket" --control "$tmp/control.sock" --disk "file=$image" \
		--disk "file=$tmp/word,ro"
}

control() {
	"$NEXUS_BUILD/host/rumpkctl" --socket "$tmp/control.sock" "$@" >>"$logs/control.log" 2>&1 ||
		fail "rumpkctl $*: $(tail -n 1 "$logs/control.log")"
}

# say_word TEXT: to the guest, on a disk that it only reads.
say_word() {
	printf '%-16s\0' "$1" | dd of="$tmp/word" conv=notrunc 2>/dev/null
}

# The history is long: what it says since some place of it is looked at.
history_end() {
	stat -c %s "$history"
}

# heard_since PLACE EXPRESSION: a whole line of it, said after that.
heard_since() {
	# "grep -q" would end tail by a signal, and with it the whole pipe in failure.
	# shellcheck disable=SC2143
	[[ -n $(tail -c +$(($1 + 1)) "$history" | grep -a -m 1 -x "$2 \.") ]] && return
	is_running "$guest" ||
		fail "the guest has ended: $(grep -a '^bad' "$history" || tail -n 3 "$logs/cell.err")"
	return 1
}

# hear SECONDS PLACE EXPRESSION
hear() {
	wait_until "$1" heard_since "$2" "$3"
}

goes_on() {
	hear 60 "$(history_end)" 'a .*'
}

# count_of EXPRESSION: lines of the history that begin so.
count_of() {
	grep -a -c "^$1 .*\.$" "$history" || true
}

live_generation() {
	sed -n 's/.*channel=0 live generation=\([0-9]*\).*/\1/p' "$logs/rumpk.log" | tail -n 1
}

lives_after() {
	(($(live_generation) > $1))
}

# only_explained_errors PLACE: none since then but of the kinds that an action makes.
only_explained_errors() {
	local kinds
	kinds=$(tail -c +$(($1 + 1)) "$history" | sed -n 's/^e \([a-z]*\) [0-9]* \([0-9]*\) \.$/\1 \2/p' |
		sort -u | grep -v -x -E "$(printf '%s\n' none "${explained_errors[@]}")") || return 0
	fail "the guest saw errors that nothing explains: errno of ${kinds//$'\n'/, }"
}

# act NAME TENTHS NUMBER: and wait until the guest goes on.
act() {
	local began_ms place
	read -r -t "$(($2 / 10)).$(($2 % 10))" -u "$nap_fd" || true
	place=$looked_at
	goes_on
	began_ms=${EPOCHREALTIME//[.,]/}
	"do_$1" "$3"
	goes_on
	looked_at=$(history_end)
	only_explained_errors "$place"
	run_of[$1]=$((${run_of[$1]-0} + 1))
	printf '%(%T)T %d/%d %s %s: %d ms\n' -1 $((step + 1)) ${#plan[@]} "$1" "$REPLY" \
		$(((${EPOCHREALTIME//[.,]/} - began_ms) / 1000))
}

do_kill() {
	local generation
	generation=$(live_generation)
	REPLY="worker $(worker_pid)"
	kill -KILL "$(worker_pid)"
	wait_until 5 lives_after "$generation"
}

do_restart() {
	local what=supervisor
	if (($1 % 2)); then
		what='supervisor and worker'
		kill -KILL "$(worker_pid)"
	fi
	expect 137 stop_rumpk KILL
	serve
	REPLY=$what
}

another_worker() {
	local now
	now=$(worker_pid) && [[ $now != "$1" ]]
}

# Alone, it is found to be silent, and killed.
do_stop() {
	local pid
	pid=$(worker_pid)
	kill -STOP "$pid"
	wait_until 30 another_worker "$pid"
	REPLY="worker $pid"
}

# Both, for less than the guest's patience.
do_pause() {
	local seconds=$((1 + $1 % 8))
	pause_rumpk
	read -r -t "$seconds" -u "$nap_fd" || true
	resume_rumpk
	REPLY="of all for $seconds s"
}

# An emulated machine can hang while its kernel boots; then it is reset again.
do_reset() {
	local try end place booted=no
	place=$(history_end)
	boot=$((boot + 1))
	say_word "boot $boot"
	for ((try = 1; try <= 3; try++)); do
		echo system_reset >"$tmp/monitor.in"
		end=$((SECONDS + 60))
		until heard_since "$place" "boot $boot" && booted=yes || ((SECONDS >= end)); do
			nap
		done
		[[ $booted == no ]] || break
	done
	[[ $booted == yes ]] || fail "the guest did not boot again"
	hear 120 "$place" writes
	REPLY="boot $boot, try $try"
}

# Until a write has failed for it.
do_fill() {
	local place
	place=$(history_end)
	explained_errors+=('(write|zero) 28')
	! cat /dev/zero >"$small/filler" 2>/dev/null
	hear 60 "$place" 'e [a-z]* [0-9]* 28'
	rm "$small/filler"
	REPLY="the image's filesystem"
}

# To one of three sizes that it has not now; never below what is checked.
do_resize() {
	local sizes=(16 20 24) size place
	size=${sizes[$1 % 3]}
	((size != image_mib)) || size=${sizes[($1 + 1) % 3]}
	place=$(history_end)
	control resize nxblk0 "${size}M" --shrink
	hear 30 "$place" "s $((size * 2048))"
	image_mib=$size
	REPLY="to $size MiB"
}

# Until an operation has failed for it. Of a flush Linux is told an I/O error.
do_revoke() {
	local place
	place=$(history_end)
	explained_errors+=('[a-z]* 121' 'flush 5')
	control revoke nxblk0
	hear 30 "$place" 'e [a-z]* [0-9]* 121'
	control grant nxblk0 rwd
	REPLY='and grant all rights'
}
