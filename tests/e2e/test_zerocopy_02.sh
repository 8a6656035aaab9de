#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# That nothing is copied: a guest writes and verifies 64 MiB of its own pages, on an
# image that rumpk serves itself, and on one that a storage daemon does. No byte is
# counted as copied on either side, and of the window's data area, through which all
# would have gone otherwise, no more is touched than the one answer to INFO.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

readonly INFO_BYTES=256
readonly MIB=$((64 / NEXUS_PATIENCE))

# The window's file goes when the guest does: another name for it stays.
hear() {
	[[ $1 != begun* ]] || ln "$tmp/window" "$tmp/kept"
}

# The 8 bytes at OFFSET of the window, as a number.
word() {
	od -A n -t u8 -j "$1" -N 8 "$tmp/kept" | tr -d ' '
}

# copies_nothing HAL LARGEST: by requests that fit in as many segments as the HAL takes,
# wherever in memory their pages are.
copies_nothing() {
	local touched
	rm -f "$tmp/kept" "$tmp/said"
	converse hear --hal "$1" --data zerocopy --size ${MIB}M --fio --rumpk-arg --window-file --rumpk-arg "$tmp/window" -- sh -c '
	echo begun
	fio --name=t --filename=/dev/nxblk0 --rw=randwrite --bsrange=4k-'"$2"' --blockalign=4k --direct=1 \
		--ioengine=libaio --iodepth=16 --thread --verify=crc32c --verify_fatal=1 --output=/out || exit 1
	cd /sys/block/nxblk0/nexus && echo "copied $(cat copied_bytes) bounced $(cat zero_copy_bounced) of $(cat requests): $(cat zero_copy)"
' >"$tmp/said.all"
	no_kernel_complaint
	grep -q 'guest: copied 0 bounced 0 of' "$tmp/said.all" || fail "the module copied: $(tail -n 1 "$tmp/said.all")"
	[[ $(rumpk_stat copied_bytes) == 0 ]] || fail "rumpk copied $(rumpk_stat copied_bytes) bytes"
	(($(rumpk_stat zero_copy_bytes) >= 2 * MIB << 20)) || fail "only $(rumpk_stat zero_copy_bytes) bytes went without a copy"
	# struct ion_host_header: the data region's offset is at 48, its length at 56.
	touched=$(dd if="$tmp/kept" bs=64K iflag=skip_bytes,count_bytes skip="$(word 48)" count="$(word 56)" status=none |
	tr -d '\000' | wc -c)
	((touched > 0 && touched <= INFO_BYTES)) || fail "$touched bytes of the data area were touched"
}

copies_nothing file 1M
# The storage daemon takes 126.
copies_nothing virtio 256k
