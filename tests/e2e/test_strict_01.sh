#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The strict valve offers no extension: Linux sees a write-through disk without
# discard and write-zeroes, no FLUSH arrives, and the data does.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

head -c 4M /dev/urandom >"$tmp/pattern"
truncate -s 16M "$tmp/image"
cell --disk "$tmp/image" --strict --put "$tmp/pattern:/pattern" -- sh -c '
	cd /sys/block/nxblk0/queue &&
	cat write_cache discard_max_bytes write_zeroes_max_bytes &&
	dd if=/pattern of=/dev/nxblk0 bs=64k conv=fsync 2>/dev/null
' >"$tmp/out" || fail "the guest ended with $?"
[[ $(<"$tmp/out") == $'write through\n0\n0' ]] || fail "the disk says: $(<"$tmp/out")"
cmp -n $((4 << 20)) "$tmp/image" "$tmp/pattern" || fail "the image is not what was written"
for counter in flushes fua discards write_zeroes; do
	[[ $(rumpk_stat "$counter") == 0 ]] || fail "$counter is not 0"
done
