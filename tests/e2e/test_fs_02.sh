#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# xfs: made, filled, mounted again and checked with xfs_repair -n, on a disk with
# 4096-byte blocks.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

cell --size 512M --block-size 4096 --tools fs -- sh -c '
	mkfs.xfs -q /dev/nxblk0 && mkdir -p /mnt && mount -t xfs /dev/nxblk0 /mnt || exit 1
	for i in $(seq 100); do
		head -c $((i * 7919)) /dev/urandom >/mnt/$i || exit 1
	done
	(cd /mnt && sha256sum * >/sums) && umount /mnt &&
	xfs_repair -n /dev/nxblk0 >/repair 2>&1 || { cat /repair; exit 1; }
	mount -t xfs /dev/nxblk0 /mnt && cd /mnt && sha256sum -c /sums | grep -c OK
' >"$tmp/out" || fail "the guest ended with $?: $(tail -n 5 "$tmp/out")"
[[ $(tail -n 1 "$tmp/out") == 100 ]] || fail "not all files came back: $(<"$tmp/out")"
