#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# 4096-byte logical blocks: Linux knows, does nothing smaller, and the bytes are
# right; identity (serial, UUID) is shown.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

head -c 8M /dev/urandom >"$tmp/image"
cp "$tmp/image" "$tmp/expected"
head -c 12288 /dev/urandom >"$tmp/pattern"
dd if="$tmp/pattern" of="$tmp/expected" bs=4096 seek=5 conv=notrunc status=none

cell --disk "$tmp/image" --block-size 4096 --fio --put "$tmp/pattern:/pattern" -- sh -c '
	cat /sys/block/nxblk0/queue/logical_block_size
	! fio --name=small --filename=/dev/nxblk0 --direct=1 --rw=write --bs=512 --size=4k \
		--thread >/out 2>&1 &&
	dd if=/pattern of=/dev/nxblk0 bs=4096 seek=5 oflag=direct 2>/dev/null &&
	test "$(tr -d - </sys/block/nxblk0/nexus/uuid | wc -c)" -ge 32
' >"$tmp/out" || fail "the guest ended with $?"
[[ $(<"$tmp/out") == 4096 ]] || fail "the logical block is $(<"$tmp/out")"
cmp "$tmp/image" "$tmp/expected" || fail "the image is not what was written"
