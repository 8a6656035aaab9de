#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The same modules, built for and run on Linux 6.12: bytes both ways, a
# file system, discard and flush, unload.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

head -c 64M /dev/urandom >"$tmp/image"
expected=$(sha256sum <"$tmp/image")
cell --kernel 6.12 --disk "$tmp/image" --tools fs -- sh -c '
	uname -r | grep -q "^6\.12\." || exit 1
	sha256sum </dev/nxblk0 &&
	mkfs.ext4 -q /dev/nxblk0 && mkdir -p /mnt && mount -t ext4 /dev/nxblk0 /mnt &&
	head -c 8388608 /dev/urandom >/mnt/file && sha256sum </mnt/file && umount /mnt &&
	rmmod nexus_blk && rmmod nexus_ion
' >"$tmp/out" || fail "the guest ended with $?"
[[ $(head -n 1 "$tmp/out") == "$expected" ]] || fail "the guest read something else"
e2fsck -fn "$tmp/image" >"$tmp/e2fsck" 2>&1 || fail "e2fsck: $(<"$tmp/e2fsck")"
debugfs -R "cat /file" "$tmp/image" 2>/dev/null >"$tmp/file"
[[ $(sha256sum <"$tmp/file") == "$(tail -n 1 "$tmp/out")" ]] || fail "the file differs on the host"
no_kernel_complaint
