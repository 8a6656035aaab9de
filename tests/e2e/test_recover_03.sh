#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 300 5400
#
# Supervisor and worker die together under verified writes, and rumpk is started
# again: the guest goes on, with no error. No worker outlives its supervisor, also
# one that is stopped; counters and generations go on where they were.

# shellcheck source=tests/e2e/recover_lib.sh
source "$(dirname "$0")/recover_lib.sh"

planned supervisor-restarts 5 200
RESTARTS=$REPLY
ways=(both supervisor stopped)

serve
begin_load $((180 + RESTARTS * 15))
for ((i = 0; i < RESTARTS; i++)); do
	how=${ways[i % 3]}
	pid=$(worker_pid)
	writes=$(rumpk_stat_now writes)
	generation=$(live_generation)
	case $how in
	both) kill -KILL "$pid" ;;
	stopped) kill -STOP "$pid" ;;
	esac
	expect 137 stop_rumpk KILL
	serve
	goes_on
	! runs "$pid" || fail "$how: a worker outlived its supervisor"
	(($(rumpk_stat_now writes) >= writes)) || fail "$how: the counters went back"
	(($(live_generation) > generation)) || fail "$how: no new generation"
	ran supervisor-restarts $((i + 1))
done
end_load
stop_rumpk || fail "SIGTERM: exit status $?"
