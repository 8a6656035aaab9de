#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The image of a disk grows and shrinks by command while the guest reads: Linux has
# the new size, what lies within both is untouched, and the file is as long as it says.
# A command that is refused changes neither.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

export RUMPK_CONTROL=$tmp/control
ctl() {
	"$NEXUS_BUILD/host/rumpkctl" "$@"
}

head -c 16M /dev/urandom >"$tmp/image"
expected=$(head -c 8M "$tmp/image" | sha256sum)
start_rumpk "$tmp/ion.sock" --disk "file=$tmp/image" --control "$RUMPK_CONTROL"

hear() {
	case $1 in
	32768)
		[[ $(ctl --json resize "$tmp/image" 32M) == *'"size":33554432,"before":16777216}' ]] ||
			fail "resize was answered otherwise"
		;;
	65536)
		expect 1 ctl resize 0 8M 2>"$tmp/refused"
		grep -q 'takes shrink: true (Denied)' "$tmp/refused" || fail "$(<"$tmp/refused")"
		expect 1 ctl resize 0 513 --shrink
		expect 2 ctl resize 0
		[[ $(stat -c %s "$tmp/image") == $((32 << 20)) ]] || fail "it was resized all the same"
		ctl resize --shrink nxblk0 8M
		[[ $(stat -c %s "$tmp/image") == $((8 << 20)) ]] || fail "the file was not cut"
		[[ $(ctl --json disks) == *'"size":8388608,'* ]] || fail "the size is not shown"
		;;
	esac
}

converse hear --socket "$tmp/ion.sock" --timeout 120 -- sh -c '
	dd if=/dev/nxblk0 of=/dev/null bs=4k 2>/dev/null
	for size in 32768 65536 16384; do
		until [ "$(cat /sys/block/nxblk0/size)" = $size ]; do
			dd if=/dev/nxblk0 of=/dev/null bs=64k count=16 iflag=direct 2>/dev/null
		done
		echo $size
	done
	[ "$(head -c 8388608 /dev/nxblk0 | sha256sum)" = "'"$expected"'" ] || exit 1
'
no_kernel_complaint
