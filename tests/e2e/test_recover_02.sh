#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 300 1800
#
# The worker is stopped under verified writes: after 5 s of silence its supervisor
# kills it, and another one goes on. What the guest writes then stays; the stopped
# worker never runs again.

# shellcheck source=tests/e2e/recover_lib.sh
source "$(dirname "$0")/recover_lib.sh"

planned sigstops 3 20
STOPS=$REPLY

serve
begin_load $((180 + STOPS * 30))
for ((i = 1; i <= STOPS; i++)); do
	pid=$(worker_pid)
	kill -STOP "$pid"
	# Five seconds, and as many again for a machine that is busy.
	wait_until 15 another_worker "$pid"
	! kill -CONT "$pid" 2>/dev/null || fail "the stopped worker is still there"
	goes_on
	(($(grep -c "worker (pid $pid) silent for [0-9]* ms, .*: killed" "$logs/rumpk.log") == 1)) ||
		fail "round $i: the log does not say why it was killed"
	ran sigstops "$i"
done
end_load
stop_rumpk || fail "SIGTERM: exit status $?"
