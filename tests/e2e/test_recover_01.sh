#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 300 7200
#
# The worker is killed again and again under verified writes at depth 32. Each time
# another one serves within 5 s, in a new generation; the supervisor stays; the
# guest sees no error and every byte verifies.

# shellcheck source=tests/e2e/recover_lib.sh
source "$(dirname "$0")/recover_lib.sh"

planned worker-kills 50 1000
KILLS=$REPLY

serve
begin_load $((180 + KILLS * 6))
first=$(live_generation)
for ((i = 0; i < KILLS; i++)); do
	pid=$(worker_pid) || fail "kill $i: no worker"
	generation=$(live_generation)
	kill -KILL "$pid"
	wait_until 5 lives_after "$generation"
	another_worker "$pid" || fail "kill $i: the worker is still there"
	goes_on
	ran worker-kills $((i + 1))
done
writes=$(rumpk_stat_now writes)
end_load
(($(live_generation) == first + KILLS)) ||
	fail "generation $(live_generation) after $KILLS kills, the first was $first"
(($(grep -c 'killed by signal 9 (Killed) after' "$logs/rumpk.log") == KILLS)) ||
	fail "not every death is in the log"
# Counters go on over all of them.
(($(rumpk_stat_now writes) >= writes)) || fail "the counters went back"
stop_rumpk || fail "SIGTERM: exit status $?"
