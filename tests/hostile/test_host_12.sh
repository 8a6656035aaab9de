#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# G6: a storm of doorbells on every vector, as many as the host can ring. The guest
# lives, what it writes and reads on the storming channel and on an honest one is
# right, and the modules unload while it storms.
# shellcheck source=tests/hostile/host_lib.sh
source "$(dirname "$0")/host_lib.sh"

cat >"$tmp/visitor.sh" <<'GUEST'
interrupts() { awk '/nexus_ion/ { for (i = 2; i <= NF && $i ~ /^[0-9]+$/; i++) n += $i } END { print n + 0 }' /proc/interrupts; }
dd if=/dev/nxblk0 of=/dev/null bs=512 skip=1024 count=1 iflag=direct 2>/dev/null || exit 1
before=$(interrupts)
for disk in nxblk0 nxblk1; do
	for _ in 1 2; do
		head -c 1048576 /dev/urandom >/pattern
		dd if=/pattern of=/dev/$disk bs=4k oflag=direct 2>/dev/null || exit 2
		dd if=/dev/$disk bs=4k iflag=direct 2>/dev/null | cmp - /pattern || exit 3
	done
done
echo "INTERRUPTS $(($(interrupts) - before))"
cat /sys/block/nxblk*/inflight
GUEST
visitor=$tmp/visitor.sh
misdeeds=(storm)
host rogue storm
visit
never_latches storm

grep -c '^ *0 *0$' "$tmp/out" | grep -qx 2 || fail "something is still in flight: $(<"$tmp/out")"
rung=$(sed -n 's/^storm of \([0-9]*\) doorbells$/\1/p' "$logs/rogue.log")
came=$(sed -n 's/^INTERRUPTS //p' "$tmp/out")
echo "$rung doorbells, $came interrupts"
# Two thousand requests need no more than one each, and the host rings for these too.
((${came:-0} > 5000 && ${rung:-0} > came)) || fail "that was no storm"
