#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# G3: geometry, limits and depths that make no sense: no disk and a line that
# names the value, or a disk with sane limits.
# shellcheck source=tests/hostile/host_lib.sh
source "$(dirname "$0")/host_lib.sh"

refused=(capacity-max capacity-sign capacity-odd block-zero block-one block-511
	block-513 block-8192 block-huge physical-zero physical-odd physical-small
	sectors-zero segments-zero depth-zero depth-one)
clamped=(sectors-huge segments-huge io-odd discard-nonsense serial-wild depth-huge
	features-unknown)
commit capacity-zero "${refused[@]}" "${clamped[@]}"
for name in "${refused[@]}"; do
	number "$name"
	! grep -q "^READ nxblk$REPLY " "$tmp/out" || fail "$name: there is a disk"
	kernel_says "nexus_blk ion[0-9]+-0700-$REPLY: .*(rejected|refused) \(-22\)"
done
for name in "${clamped[@]}"; do
	ends "$name" right
done
# No medium yet is no fault: a disk of size 0.
ends capacity-zero empty
