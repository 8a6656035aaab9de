#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# One request of 1 MiB travels as one BLK_REQ: eight of them are eight WRITEs
# and eight READs in the host's counters, and nothing else moves data.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

cell --size 16M -- sh -c '
	cat /sys/block/nxblk0/queue/max_hw_sectors_kb
	echo 1024 >/sys/block/nxblk0/queue/max_sectors_kb
	dd if=/dev/urandom of=/pattern bs=1M count=8 2>/dev/null
	dd if=/pattern of=/dev/nxblk0 bs=1M count=8 oflag=direct 2>/dev/null
	dd if=/dev/nxblk0 of=/back bs=1M count=8 skip=8 iflag=direct 2>/dev/null
	dd if=/dev/nxblk0 of=/back bs=1M count=8 iflag=direct 2>/dev/null
	cmp /pattern /back
' >"$tmp/out" || fail "the guest ended with $?"

(($(head -n 1 "$tmp/out") >= 1024)) || fail "max_hw_sectors_kb is $(<"$tmp/out")"
[[ $(rumpk_stat writes) == 8 ]] ||
	fail "8 writes of 1 MiB were $(rumpk_stat writes) BLK_REQ"
[[ $(rumpk_stat written_bytes) == $((8 << 20)) ]] ||
	fail "$(rumpk_stat written_bytes) bytes written"
# The kernel's look for a partition table comes on top of the sixteen.
reads=$(rumpk_stat reads)
((reads >= 16 && reads <= 24)) || fail "16 reads of 1 MiB were $reads BLK_REQ"
