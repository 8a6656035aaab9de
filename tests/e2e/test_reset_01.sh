#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 300 7200
#
# C5: a guest with writes under way is reset, again and again; rumpk goes on. What it
# had synced is there, and no write of its former life lands after the new handshake.
# The same when it panics.
#
#	life 1: write, sync, note --- flood ... reset
#	life 2: what was synced is there; what is written now stays; ... flood ... reset

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

planned guest-resets 5 200
RESETS=$REPLY

socket=$tmp/ion.sock
truncate -s 8M "$tmp/image"
truncate -s 1M "$tmp/notebook"
start_rumpk "$socket" --disk "file=$tmp/image" --disk "file=$tmp/notebook"

cat >"$tmp/life.sh" <<'GUEST'
wrong() { echo "wrong: life $n: $*"; exit 1; }
until [ -b /dev/nxblk1 ]; do sleep 0.1; done
life() { yes "life $1" | head -c $2; }
n=$(dd if=/dev/nxblk1 bs=512 count=1 iflag=direct 2>/dev/null | tr -d '\000')
if [ -n "$n" ]; then
	life $n 1048576 >/synced
	dd if=/dev/nxblk0 bs=64k count=16 iflag=direct 2>/dev/null | cmp - /synced || wrong "synced data was lost"
fi
n=$((n + 1))
# The former life's flood was under way; nothing of it may land on this.
life $n 4194304 >/flood
flood() { dd if=/flood of=/dev/nxblk0 bs=64k seek=16 oflag=direct conv=notrunc 2>/dev/null; }
stays() { dd if=/dev/nxblk0 bs=64k skip=16 count=64 iflag=direct 2>/dev/null | cmp - /flood || wrong "an old write came late"; }
flood && stays || wrong "not written"
life $n 1048576 >/synced
dd if=/synced of=/dev/nxblk0 bs=64k conv=fsync,notrunc 2>/dev/null || wrong "not synced"
stays
echo $n | dd of=/dev/nxblk1 bs=512 conv=sync,fsync,notrunc 2>/dev/null || wrong "not noted"
for i in 1 2 3 4 5 6; do
	while flood; do :; done &
done
until awk '{ exit !$2 }' /sys/block/nxblk0/inflight; do :; done
echo "life $n"
[ $n -lt $LIVES ] || exit 0
case $1 in
panic) echo c >/proc/sysrq-trigger ;;
# By turns without a warning, and in order, as far as the drivers.
reset) [ $((n % 2)) = 0 ] && reboot -f || echo b >/proc/sysrq-trigger ;;
esac
sleep 1000
GUEST

# plan_lives END LIVES: sets life_args, for a cell whose machine lives on after a reset.
plan_lives() {
	life_args=(--socket "$socket" --put "$tmp/life.sh:/life.sh"
		--qemu-arg -action --qemu-arg reboot=reset -- env "LIVES=$2" sh /life.sh "$1")
}

# noted: which life was the last that noted its number.
noted() {
	head -c 512 "$tmp/notebook" | tr -d '\000'
}

plan_lives reset $((RESETS + 1))
cell --timeout $((100 + RESETS * 30)) "${life_args[@]}" >"$tmp/out" || fail "the guest ended with $?: $(tail -n 2 "$tmp/out")"
no_kernel_complaint
ran guest-resets $(($(noted) - 1))

# A panic is a failure to scripts/cell, as it should be.
plan_lives panic $((RESETS + 3))
expect 125 cell --timeout 200 "${life_args[@]}" >"$tmp/out" 2>"$logs/panic.err"
grep -q 'Kernel panic - not syncing: sysrq' "$logs/panic.err" || fail "no panic: $(<"$logs/panic.err")"
(($(noted) == RESETS + 3)) || fail "after a panic: $(<"$tmp/out")"
stop_rumpk || fail "SIGTERM: exit status $?"
