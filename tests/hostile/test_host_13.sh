#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# G7: a hundred times a second the disk has another capacity, nothing among them,
# while it is written and read: I/O fails where there is no disk, and what is there in
# the end was always there. Linux is told ten times a second at most.
# shellcheck source=tests/hostile/host_lib.sh
source "$(dirname "$0")/host_lib.sh"

cat >"$tmp/visitor.sh" <<'GUEST'
uptime() { cut -d ' ' -f 1 /proc/uptime | tr -d . | sed 's/^0*//'; }
size=/sys/block/nxblk0/size
head -c 1048576 /dev/urandom >/pattern
dd if=/pattern of=/dev/nxblk0 bs=64k oflag=direct 2>/dev/null || exit 1
start=$(uptime)
dd if=/dev/nxblk0 of=/dev/null bs=512 skip=1024 count=1 iflag=direct 2>/dev/null
while [ "$(cat $size)" = 2048 ]; do :; done
failed=0
while [ "$(cat $size)" != 2048 ]; do
	dd if=/pattern of=/dev/nxblk0 bs=64k oflag=direct 2>/dev/null || failed=$((failed + 1))
	dd if=/dev/nxblk0 of=/dev/null bs=16k iflag=direct 2>/dev/null || failed=$((failed + 1))
done
echo "TOOK $(($(uptime) - start))"
echo "FAILED $failed"
dd if=/dev/nxblk0 bs=64k iflag=direct 2>/dev/null | cmp - /pattern || exit 2
dd if=/pattern of=/dev/nxblk1 bs=64k oflag=direct 2>/dev/null || exit 3
dd if=/dev/nxblk1 bs=64k iflag=direct 2>/dev/null | cmp - /pattern || exit 4
GUEST
visitor=$tmp/visitor.sh
host rogue capacity-flips
visit

took=$(sed -n 's/^TOOK //p' "$tmp/out")
changes=$(sed -n 's/^channel 0 is at rest, asked \([0-9]*\) times$/\1/p' "$logs/rogue.log")
failed=$(sed -n 's/^FAILED //p' "$tmp/out")
echo "asked $changes times in $took hundredths of a second, $failed of the guest's passes failed"
((failed > 0)) || fail "a disk without a medium takes data"
((changes >= 10)) || fail "the guest did not follow"
# Once to begin with, and once more at either end.
((changes <= took / 10 + 3)) || fail "the host decides how often the guest is told"
