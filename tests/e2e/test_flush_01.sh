#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# FLUSH, FUA, DISCARD and WRITE_ZEROES as negotiated arrive at the daemon, and
# discarded or zeroed blocks leave their neighbours alone.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

head -c 16M /dev/urandom >"$tmp/image"
cp "$tmp/image" "$tmp/expected"
dd if=/dev/zero of="$tmp/expected" bs=64k seek=3 count=2 conv=notrunc status=none

cell --disk "$tmp/image" --tools fs -- sh -c '
	cat /sys/block/nxblk0/queue/write_cache
	blkdiscard -z -o 196608 -l 131072 /dev/nxblk0 || exit 1
	dd if=/dev/nxblk0 of=/head bs=64k count=1 2>/dev/null &&
	dd if=/head of=/dev/nxblk0 bs=64k oflag=direct conv=fsync 2>/dev/null &&
	fio --name=fua --filename=/dev/nxblk0 --offset=12M --rw=write --bs=4k --size=64k \
		--direct=1 --sync=dsync --thread >/out || exit 2
	blkdiscard -o 8388608 -l 1048576 /dev/nxblk0
' >"$tmp/out" || fail "the guest failed at step $?"
[[ $(<"$tmp/out") == "write back" ]] || fail "the disk says: $(<"$tmp/out")"

for counter in flushes fua discards write_zeroes; do
	(($(rumpk_stat "$counter") > 0)) || fail "$counter is 0"
done
cmp -n $((8 << 20)) "$tmp/image" "$tmp/expected" || fail "zeroing touched a neighbour"
cmp -i $((9 << 20)) -n $((3 << 20)) "$tmp/image" "$tmp/expected" &&
	cmp -i $((13 << 20)) "$tmp/image" "$tmp/expected" || fail "discarding touched a neighbour"
