#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Capabilities: without one there is no disk; one with a range lets nothing
# outside it be read or written, and every refusal is counted.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

cell --size 8M --cap none -- sh -c '! test -e /dev/nxblk0' ||
	fail "a cell without a capability has a disk"
(($(rumpk_stat perm) > 0)) || fail "no refusal was counted"

# Sectors 2048 to 4095 alone: the second MiB of eight.
head -c 8M /dev/urandom >"$tmp/image"
cp "$tmp/image" "$tmp/expected"
dd if=/dev/zero of="$tmp/expected" bs=1M seek=1 count=1 conv=notrunc status=none
cell --disk "$tmp/image" --cap rw:2048-4095 -- sh -c '
	at() { dd if=/dev/zero of=/dev/nxblk0 bs=512 seek=$1 count=$2 oflag=direct 2>/dev/null; }
	dd if=/dev/zero of=/dev/nxblk0 bs=1M seek=1 count=1 oflag=direct 2>/dev/null || exit 1
	! at 2047 1 && ! at 2047 2 && ! at 4096 1 && ! at 4095 2 && ! at 0 1 || exit 2
	dd if=/dev/nxblk0 of=/dev/null bs=512 skip=4095 count=1 iflag=direct 2>/dev/null || exit 3
	! dd if=/dev/nxblk0 of=/dev/null bs=512 skip=4096 count=1 iflag=direct 2>/dev/null
' || fail "the range was not held (step $?)"
cmp "$tmp/image" "$tmp/expected" || fail "the image changed outside the range"
(($(rumpk_stat perm) > 0)) || fail "no refusal was counted"
