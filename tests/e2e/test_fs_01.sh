#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# ext4: made and filled in the guest, checked on the host; then mounted again in
# another guest, which finds every file as it was.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

truncate -s 128M "$tmp/image"
cell --disk "$tmp/image" --tools fs -- sh -c '
	mkfs.ext4 -q /dev/nxblk0 && mkdir -p /mnt && mount -t ext4 /dev/nxblk0 /mnt &&
	for i in $(seq 200); do
		mkdir -p /mnt/$((i % 7)) &&
		head -c $((i * 977)) /dev/urandom >/mnt/$((i % 7))/$i || exit 1
	done
	cd /mnt && find . -type f | sort | xargs sha256sum && cd / && umount /mnt
' >"$tmp/written" || fail "the guest ended with $?"
[[ $(wc -l <"$tmp/written") == 200 ]] || fail "not 200 files were written"

e2fsck -fn "$tmp/image" >"$tmp/e2fsck" 2>&1 || fail "e2fsck: $(<"$tmp/e2fsck")"

cell --disk "$tmp/image" --ro -- sh -c '
	mkdir -p /mnt && mount -t ext4 -o ro /dev/nxblk0 /mnt && cd /mnt &&
	find . -type f | sort | xargs sha256sum
' >"$tmp/read" || fail "the second guest ended with $?"
cmp "$tmp/written" "$tmp/read" || fail "the second guest found other files"
