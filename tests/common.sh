# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What test scripts share.  A test begins with
#
#	source "$(dirname "$0")/../common.sh"
#
# and then has $tmp, a directory of its own that goes when it ends, $logs, one
# that stays, and the functions below.  It passes when it gets to its end: every
# command that fails ends it (set -e).  No process that it has started by these
# functions outlives it.

# shellcheck source=scripts/lib/base.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib/base.sh"
# shellcheck source=scripts/lib/children.sh
source "$NEXUS_TOP/scripts/lib/children.sh"
# shellcheck source=scripts/lib/scale.sh
source "$NEXUS_TOP/scripts/lib/scale.sh"

logs=${NEXUS_LOGS:-$NEXUS_BUILD/test-logs/$(basename "$0" .sh)}
rumpk=$NEXUS_BUILD/host/rumpk
rumpk_pid=
cell_count=0
cell_logs=

rm -rf -- "$logs"
mkdir -p "$logs"
start_janitor
private_directory "$(realpath "${TMPDIR:-/tmp}")"
tmp=$REPLY

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

skip() {
	echo "$*" >&2
	exit 77
}

# on_exit COMMAND [ARG...]: run it when the test ends, the last one first.
exit_commands=()
on_exit() {
	exit_commands+=("$(printf '%q ' "$@")")
}

# planned NAME TIER1 FULL: this test does NAME so many times, as $NEXUS_SCALE has it.
# Sets REPLY.  A line of its own that begins with it, and numbers: scripts/run-tests
# reads the plan there, so that a test which never ran is seen to be missing.
declare -A plan_of=() ran_of=()
planned() {
	counted "$2" "$3"
	plan_of[$1]=$REPLY
	ran_of[$1]=0
	echo "planned: $1 $REPLY"
}

# ran NAME COUNT: so many so far; in the script's own shell, where it has happened.
ran() {
	[[ -v plan_of[$1] ]] || fail "$1 was not planned"
	ran_of[$1]=$(($2))
	# Of a test that is killed this is what is known.
	echo "${ran_of[$1]}" >"$logs/ran.$1"
}

# What was planned and not run fails a test that thinks it has passed.
tally() {
	local name short=0
	for name in "${!plan_of[@]}"; do
		echo "ran: $name ${ran_of[$name]} of ${plan_of[$name]}"
		((ran_of[$name] >= plan_of[$name])) || short=1
	done
	return "$short"
}

# Set by a test that makes the guest's kernel complain.
complaints_are_wanted=no

test_ended() {
	local status=$? i
	trap - EXIT
	set +e
	((status == 77)) || tally || ((status)) || status=1
	((status)) || [[ $complaints_are_wanted == yes ]] || no_late_complaint || status=1
	for ((i = ${#exit_commands[@]} - 1; i >= 0; i--)); do
		eval "${exit_commands[i]}"
	done
	dismiss_janitor
	exit "$status"
}
trap test_ended EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

# cell [OPTION...] -- COMMAND...: scripts/cell.  Sets cell_logs to where the logs
# of this one are.
cell() {
	local REPLY
	cell_count=$((cell_count + 1))
	cell_logs=$logs/cell-$cell_count
	scaled 600 3600
	setpriv --pdeathsig KILL -- "$NEXUS_TOP/scripts/cell" --timeout "$REPLY" \
		--logs "$cell_logs" "$@" \
		{janitor_fd}>&-
}

# converse COMMAND [CELL-ARG...]: a cell, and COMMAND with each line that it says.
converse() {
	local guest line said hear=$1
	shift
	make_pipe "$tmp/said"
	cell_count=$((cell_count + 1))
	cell_logs=$logs/cell-$cell_count
	start --keep "$pipe_w" "$NEXUS_TOP/scripts/cell" --logs "$cell_logs" "$@" \
		</dev/null >&"$pipe_w" 2>&1
	guest=$REPLY
	close_fd "$pipe_w"
	said=$pipe_r
	while read -r -u "$said" line; do
		echo "guest: $line"
		"$hear" "$line"
	done
	wait "$guest" || fail "step $?"
}

# expect STATUS COMMAND [ARG...]: run it and insist on how it ends.
expect() {
	local wanted=$1 status=0
	shift
	"$@" || status=$?
	((status == wanted)) || fail "status $status instead of $wanted: $*"
}

# wait_until SECONDS COMMAND [ARG...]: until it succeeds; for what announces itself by
# no event.
wait_until() {
	local end=$((SECONDS + $1 * NEXUS_PATIENCE))
	shift
	until "$@"; do
		((SECONDS < end)) || fail "in vain: $*"
		sleep 0.1
	done
}

# start_rumpk SOCKET [ARG...]: returns when it listens; sets rumpk_pid.  Its log is
# $logs/rumpk.log, one for all that follow each other in a test.
start_rumpk() {
	local socket=$1
	shift
	make_pipe "$tmp/ready.$SRANDOM"
	start --keep "$pipe_w" "$rumpk" --socket "$socket" "$@" --ready-fd "$pipe_w" \
		</dev/null >>"$logs/rumpk.log" 2>&1
	rumpk_pid=$REPLY
	close_fd "$pipe_w"
	read -r -t 30 -u "$pipe_r" _ || fail "rumpk did not start: $(tail -n 1 "$logs/rumpk.log")"
	close_fd "$pipe_r"
}

# stop_rumpk [SIGNAL]: end it and return its status.
stop_rumpk() {
	local pid=$rumpk_pid
	rumpk_pid=
	[[ -n $pid && -e /proc/$pid ]] || return 0
	stop "$pid" "${1:-TERM}" 30
}
on_exit stop_rumpk

# worker_pid: of the process that serves for start_rumpk's; status 1 when there is none.
worker_pid() {
	pgrep -P "$rumpk_pid" -x rumpk-worker
}

# A worker that alone is stopped is killed, so its supervisor is stopped first.
pause_rumpk() {
	kill -STOP "$rumpk_pid"
	kill -STOP "$(worker_pid)"
}

resume_rumpk() {
	kill -CONT "$(worker_pid)"
	kill -CONT "$rumpk_pid"
}

# stat_of LOG COUNTER [CHANNEL]: its last value in a rumpk's log.
stat_of() {
	sed -n "s/^rumpk: info: channel=${3:-0} stats.* $2=\([0-9]*\).*/\1/p" "$1" | tail -n 1
}

# rumpk_stat COUNTER [CHANNEL]: what it came to in the last cell.
rumpk_stat() {
	stat_of "$cell_logs/rumpk.log" "$@"
}

stats_lines() {
	grep -c 'channel=0 stats' "$logs/rumpk.log" || true
}

more_stats_than() {
	(($(stats_lines) > $1))
}

# rumpk_stat_now COUNTER [CHANNEL]: its value now, of start_rumpk's daemon.
rumpk_stat_now() {
	local before
	before=$(stats_lines)
	kill -USR1 "$rumpk_pid"
	wait_until 10 more_stats_than "$before"
	stat_of "$logs/rumpk.log" "$@"
}

# complaints CONSOLE: what a guest's kernel complained about, or status 1. KCSAN sees
# the whole kernel's data races: only those count that our modules have a part in.
complaints() {
	case $NEXUS_KERNEL in
	kcsan) awk -f "$NEXUS_TOP/tests/debug/races.awk" "$1" ;;
	*) cat "$1" ;;
	esac | grep -a -E "$COMPLAINTS" | grep -a -v -E "${EXCUSED:-^$}"
}
COMPLAINTS='WARNING:|BUG:|Oops|Call Trace|UBSAN|KASAN|INFO: task|INFO: trying|INFO: lockdep'
COMPLAINTS+='|detected stalls|self-detected stall|kmemleak: .* suspected|corruption'

# For a guest whose modules have gone: kmemleak looks, where there is one, for what
# they have left. It trusts nothing that is younger than five seconds, and believes
# no change of contents before its second look.
# shellcheck disable=SC2034
readonly SCAN_FOR_LEAKS='
	[ ! -e /sys/kernel/debug/kmemleak ] || {
		sleep 6
		echo scan >/sys/kernel/debug/kmemleak
		echo scan >/sys/kernel/debug/kmemleak
		cat /sys/kernel/debug/kmemleak
	}
'

# The kernel of the last cell had nothing to complain about.
no_kernel_complaint() {
	! complaints "$cell_logs/console.log" || fail "the guest's kernel complained"
}

# On a debug kernel that holds for all cells, whether a test asks or not.
no_late_complaint() {
	local console
	[[ $NEXUS_KERNEL == @(debug|kcsan) ]] || return 0
	while read -r console; do
		! complaints "$console" || {
			echo "FAILED: a guest's kernel complained: $console" >&2
			return 1
		}
	done < <(find "$logs" -name 'console*.log')
}
