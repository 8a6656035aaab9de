#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Unbinding the driver under a dirty, mounted ext4 while the host lives loses
# nothing that was written: bound again, the file is there.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

cell --size 64M --tools fs -- sh -c '
	cd /sys/bus/ion/drivers/nexus_blk
	mkfs.ext4 -q /dev/nxblk0 && mkdir -p /mnt && mount -t ext4 /dev/nxblk0 /mnt &&
	head -c 8388608 /dev/urandom >/pattern && cp /pattern /mnt/file || exit 1
	echo ion0-0700-0 >unbind || exit 2
	test ! -e /dev/nxblk0 || exit 3
	umount -l /mnt
	echo ion0-0700-0 >bind || exit 4
	for i in $(seq 100); do
		test -b /dev/nxblk0 && break
		sleep 0.1
	done
	# The journal is replayed by the mount; what was dirty must be there.
	mount -t ext4 /dev/nxblk0 /mnt && cmp /pattern /mnt/file || exit 5
	umount /mnt && e2fsck -fn /dev/nxblk0 >/out 2>&1 || { cat /out; exit 6; }
' || fail "failed at step $?"
no_kernel_complaint
