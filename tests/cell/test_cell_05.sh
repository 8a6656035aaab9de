#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Cells side by side do not meet: each writes its own, on disks of its own.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

pids=()
for i in 1 2 3 4; do
	truncate -s 8M "$tmp/first$i" "$tmp/second$i"
	cell --disk "$tmp/first$i" --disk "$tmp/second$i" --smp 1 --logs "$logs/cell-$i" \
		--put "$tmp/first$i:/zero" -- sh -c "
		yes $i-first | dd of=/dev/nxblk0 bs=1M count=8 iflag=fullblock &&
		yes $i-second | dd of=/dev/nxblk1 bs=1M count=8 iflag=fullblock
	" 2>/dev/null &
	pids+=($!)
done
for pid in "${pids[@]}"; do
	wait "$pid" || fail "a cell ended with $?"
done
for i in 1 2 3 4; do
	for disk in first second; do
		cmp <(yes "$i-$disk" 2>/dev/null | head -c 8M) "$tmp/$disk$i" || fail "disk $disk$i"
	done
done
