#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A read-only disk is read-only on both sides: Linux says so and refuses writes,
# and the image keeps its bytes and its time.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

head -c 8M /dev/urandom >"$tmp/image"
touch -d '2001-02-03 04:05:06' "$tmp/image"
expected=$(sha256sum <"$tmp/image"; stat -c %y "$tmp/image")

for option in --ro --cap=r; do
	cell --disk "$tmp/image" "$option" -- sh -c '
		cat /sys/block/nxblk0/ro
		! dd if=/dev/zero of=/dev/nxblk0 bs=4k count=1 oflag=direct 2>/dev/null &&
		! dd if=/dev/zero of=/dev/nxblk0 bs=4k count=1 conv=fsync 2>/dev/null &&
		dd if=/dev/nxblk0 of=/dev/null bs=1M 2>/dev/null
	' >"$tmp/out" || fail "$option: a write went through, or a read did not"
	[[ $(<"$tmp/out") == 1 ]] || fail "$option: Linux does not call the disk read-only"
	[[ $(sha256sum <"$tmp/image"; stat -c %y "$tmp/image") == "$expected" ]] ||
		fail "$option: the image has changed"
done
