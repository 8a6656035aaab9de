# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Child processes that never outlive the script, and directories that never
# outlive it either, even when it is killed with SIGKILL.  Sourced after
# base.sh; start_janitor comes before anything else here.
#
# Two nets.  Every child asks the kernel to be killed when the script dies.
# Beside that a janitor in a session of its own waits for the script's end of a
# pipe to close; it knows all pids and directories.

# Descriptors of ours that no child is to hold, lest a pipe never ends.
own_fds=()

start_janitor() {
	# shellcheck disable=SC2034
	exec {janitor_fd}> >(exec setsid "$NEXUS_TOP/scripts/janitor" >/dev/null 2>&1)
	janitor_pid=$!
	# A pipe that nothing ever comes through: see nap().
	exec {nap_fd}<> <(:)
	own_fds+=("$janitor_fd" "$nap_fd")
}

# Returns when everything recorded is gone.
dismiss_janitor() {
	exec {janitor_fd}>&-
	wait "$janitor_pid" || true
}

# private_directory PARENT: sets REPLY to a new directory that will not stay.
# Announced before it is made, so that there is no moment to be killed between.
private_directory() {
	printf -v REPLY '%s/nexus-%s.%d.%08x%08x' "$1" "${0##*/}" $$ "$SRANDOM" "$SRANDOM"
	printf 'dir %s\0' "$REPLY" >&"$janitor_fd"
	mkdir -m 700 "$REPLY"
}

# make_pipe FIFO: sets pipe_r and pipe_w to the ends of a pipe that others can
# open by name.  Read-write is the one way to open a FIFO without waiting.
make_pipe() {
	local both
	mkfifo -m 600 "$1"
	exec {both}<>"$1"
	# shellcheck disable=SC2094
	exec {pipe_r}<"$1" {pipe_w}>"$1"
	exec {both}>&-
	own_fds+=("$pipe_r" "$pipe_w")
}

close_fd() {
	local fd=$1 other kept=()
	exec {fd}>&-
	for other in "${own_fds[@]}"; do
		((other == fd)) || kept+=("$other")
	done
	own_fds=("${kept[@]}")
}

# What start() runs in the child: ask for the signal, and then see whether the
# parent died before that was asked.
readonly START_SCRIPT='[[ $PPID == "$0" ]] || exit 125; exec "$@"'

# start [--keep FD] COMMAND [ARG...]: run it in the background; sets REPLY to its
# pid.  The caller's redirections are the child's; of our own descriptors it gets
# FD alone.
start() {
	local fd stat keep=
	if [[ $1 == --keep ]]; then
		keep=$2
		shift 2
	fi
	(
		for fd in "${own_fds[@]}"; do
			[[ $fd == "$keep" ]] || exec {fd}>&-
		done
		exec setpriv --pdeathsig KILL -- bash -c "$START_SCRIPT" $$ "$@"
	) <&0 &
	REPLY=$!
	read -r stat <"/proc/$REPLY/stat" || return 0
	read -r -a stat <<<"${stat##*) }"
	printf 'pid %d %s\0' "$REPLY" "${stat[19]}" >&"$janitor_fd"
}

# Bash's "wait -n" can miss a child that ended just before it, and then waits for
# ever; "wait PID" cannot.  So who may end first is looked at, now and then.  While
# bash runs a trap it does not collect children: one that has ended is a zombie
# then, and could still be sent signals.
is_running() {
	local stat
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null && [[ ${stat##*) } != Z* ]]
}

# A tenth of a second, without a process for it.
nap() {
	read -r -t 0.1 -u "$nap_fd" || true
}

# stop PID SIGNAL SECONDS: end a child of ours, in the end by force.  Returns
# its status.
stop() {
	local pid=$1 deadline=$((SECONDS + $3))
	kill "-$2" "$pid" 2>/dev/null || true
	while is_running "$pid" && ((SECONDS <= deadline)); do
		nap
	done
	kill -KILL "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null
}
