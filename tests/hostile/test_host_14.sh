#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# G7: a disk under a mounted ext4 becomes read-only and writable again, five times a
# second. Writes in between fail, at the guest already, and the filesystem does with
# that what it was told to; what had been synced is there, and the filesystem whole.
# shellcheck source=tests/hostile/host_lib.sh
source "$(dirname "$0")/host_lib.sh"

cat >"$tmp/visitor.sh" <<'GUEST'
size=/sys/block/nxblk0/size
mkfs.ext4 -q /dev/nxblk0 && mkdir -p /mnt && mount -t ext4 /dev/nxblk0 /mnt || exit 1
head -c 1048576 /dev/urandom >/pattern
cp /pattern /mnt/before && sync /mnt/before || exit 2
before=$(cat $size)
dd if=/dev/nxblk0 of=/dev/null bs=512 skip=1024 count=1 iflag=direct 2>/dev/null || exit 3
failed=0
while [ "$(cat $size)" = "$before" ]; do
	dd if=/pattern of=/mnt/new bs=64k conv=fsync 2>/dev/null || failed=$((failed + 1))
done
echo "FAILED $failed"
umount /mnt
# ext4 has noted that there were errors: that, and the journal, is all to repair.
e2fsck -p /dev/nxblk0 >/fsck 2>&1 || [ $? -le 1 ] || { cat /fsck; exit 4; }
e2fsck -fn /dev/nxblk0 >/fsck 2>&1 || { cat /fsck; exit 5; }
mount -t ext4 /dev/nxblk0 /mnt && cmp /pattern /mnt/before || exit 6
dd if=/pattern of=/mnt/new bs=64k conv=fsync 2>/dev/null && cmp /pattern /mnt/new || exit 7
umount /mnt
GUEST
visitor=$tmp/visitor.sh
host rogue read-only-flips
visit --tools fs

grep -q '^channel 0 is at rest' "$logs/rogue.log" || fail "the disk still changes"
! grep -q '^FAILED 0$' "$tmp/out" || fail "a disk that is read-only takes data"
kernel_says 'nxblk0: now read-only'
kernel_says 'nxblk0: now writable'
