#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Blocks of 4096 bytes: Linux is told, and a filesystem works.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

cell --direct --module-arg nexus_blk.loopback_bs=4096 --tools fs -- sh -c '
	[ "$(cat /sys/block/nxblk0/queue/logical_block_size)" = 4096 ] || exit 1
	[ "$(blockdev --getss /dev/nxblk0)" = 4096 ] || exit 2
	dd if=/dev/zero of=/dev/nxblk0 bs=4096 count=1 oflag=direct 2>/dev/null || exit 3
	mkfs.ext4 -q /dev/nxblk0 || exit 4
	mkdir -p /mnt && mount -t ext4 /dev/nxblk0 /mnt || exit 5
	cp -r /lib/modules /mnt/ && sync || exit 6
	umount /mnt && echo 3 >/proc/sys/vm/drop_caches
	e2fsck -fn /dev/nxblk0 >/dev/null || exit 7
	mount -t ext4 /dev/nxblk0 /mnt && diff -r /lib/modules /mnt/modules || exit 8
	umount /mnt
' || fail "step $?"
no_kernel_complaint
