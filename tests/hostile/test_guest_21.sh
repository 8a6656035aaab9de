#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 120
# H11: the window lies in a file, and another process truncates it while a guest is
# served. The worker says so and dies; its successors say so and end before they touch
# it, one a second at most; the supervisor and the keeper live. When the file has its
# size again the next one serves, and a guest's new handshake works; so does a rumpk
# that is started anew.
# shellcheck source=tests/hostile/guest_lib.sh
source "$(dirname "$0")/guest_lib.sh"

window=$tmp/window
serve_args=(--window-file "$window")
serve
size=$(stat -c %s "$window")

deaths() {
	grep -c 'rumpk: warn: .*worker (pid .*; the next one in' "$logs/rumpk.log" || true
}

lines() {
	grep -c "$1" "$logs/rumpk.log" || true
}

# CPU of supervisor and workers that have ended, in ticks.
cpu() {
	awk '{ print $14 + $15 + $16 + $17 }' "/proc/$rumpk_pid/stat"
}

said() {
	(($(lines "$1") >= $2))
}

died() {
	(($(deaths) >= $1))
}

keeper_runs() {
	pgrep -f "^$rumpk --socket $tmp/ion.sock " | while read -r pid; do
		[[ $(<"/proc/$pid/comm") != ion-keeper ]] || echo "$pid"
	done
}

attack wrap
keeper=$(keeper_runs)
[[ -n $keeper ]] || fail "no keeper"
# All of it, and all but the host's own region.
round=0
for left in 0 65536; do
	round=$((round + 1))
	dead=$(deaths)
	truncate -s "$left" "$window"
	wait_until 20 said "memory is gone: the window's or the RAM's file was truncated" $round
	# Past the first ones, which follow at once.
	wait_until 30 died $((dead + 12))
	dead=$(deaths) ticks=$(cpu) start=$SECONDS
	wait_until 30 died $((dead + 4))
	((SECONDS - start >= 2)) || fail "four workers in less than two seconds"
	(($(cpu) - ticks < $(getconf CLK_TCK) * (SECONDS - start) / 2)) || fail "the supervisor spins"
	said "the window's file was truncated, and must have $size bytes again" 10
	[[ -e /proc/$rumpk_pid && $(keeper_runs) == "$keeper" ]] || fail "supervisor or keeper ended"
	serving=$(lines 'serves in place')
	truncate -s "$size" "$window"
	wait_until 20 said 'serves in place' $((serving + 1))
	attack wrap
	said "memory is gone" $round && ! said "memory is gone" $((round + 1)) ||
		fail "more than one line of one truncation"
done
finish
