#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 300 1200
#
# D1: the operation log over the death of those who write it. A guest writes files to
# nxblk0, syncs each, and notes on nxblk1 what it may rely on, while the worker is
# killed again and again, and once all of rumpk. The guest sees nothing of it; the log
# can be read from end to end, and tells of every worker; and of each power cut, made
# from all of it, every promise is kept.
#
# shellcheck source=tests/durability/cut_lib.sh
source "$(dirname "$0")/cut_lib.sh"

readonly FILES=60
planned log-cuts 100 1000
readonly CUTS=$REPLY
planned log-kills 20 20
readonly KILLS=$REPLY
socket=$tmp/ion.sock

serve() {
	start_rumpk "$socket" --op-log "$tmp/log" --disk "file=$tmp/disk" --disk "file=$tmp/notes"
}

written() {
	[[ -e /proc/$guest ]] || fail "the guest ended early: $(<"$tmp/out")"
	(($(stat -c %s "$tmp/log") > $1))
}

another_worker() {
	local now
	now=$(worker_pid) && [[ $now != "$1" ]]
}

make_base
cp --sparse=always "$tmp/base" "$tmp/disk"
truncate -s 1M "$tmp/notes"
serve
start "$NEXUS_TOP/scripts/cell" --logs "$logs/cell" --socket "$socket" --timeout 250 \
	--put "$here/writer.sh:/writer.sh" -- sh /writer.sh "$FILES" </dev/null >"$tmp/out" 2>&1
guest=$REPLY
cell_logs=$logs/cell
wait_until 120 written 20000
for ((i = 0; i < KILLS; i++)); do
	pid=$(worker_pid) || fail "kill $i: no worker"
	size=$(stat -c %s "$tmp/log")
	if ((i == KILLS / 2)); then
		stop_rumpk KILL || true
		serve
	else
		kill -KILL "$pid"
		wait_until 5 another_worker "$pid"
	fi
	wait_until 20 written "$size"
	ran log-kills $((i + 1))
done
wait "$guest" || fail "the guest ended with $?: $(<"$tmp/out")"
no_kernel_complaint
! grep -a 'I/O error' "$cell_logs/console.log" || fail "the guest saw an error"
stop_rumpk || fail "SIGTERM: exit status $?"
! grep -E 'the operation log ends here|--op-log' "$logs/rumpk.log" | grep -v 'cut off' ||
	fail "the log has an end"

lives=$("$powercut" "$tmp/log" lives 0 0)
((lives == KILLS + 1)) || fail "the log tells of $lives lives of the disk, not $((KILLS + 1))"
mapfile -t cuts < <("$powercut" "$tmp/log" cuts 0 "$CUTS")
((${#cuts[@]} == CUTS)) || fail "${#cuts[@]} cuts instead of $CUTS"
relied=0
for ((i = 0; i < CUTS; i++)); do
	# One in four without anything that no sync had made safe.
	cut_image "${cuts[i]}" $((i % 4 ? i : 0)) "$tmp/image"
	judge "${cuts[i]}" "$tmp/image"
	ran log-cuts $((i + 1))
done
((relied > CUTS)) || fail "only $relied promises were looked at"
echo "$relied promises kept, over $KILLS kills"
