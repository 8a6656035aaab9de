#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The strict valve offers no extension: Linux sees a write-through disk without
# discard and write-zeroes, no FLUSH arrives, and the data does.

# shellcheck source=tests/e2e/disk_lib.sh
source "$(dirname "$0")/disk_lib.sh"

head -c 4M /dev/urandom >"$tmp/pattern"
truncate -s 16M "$tmp/image"
cell --disk "$tmp/image" --strict --put "$tmp/pattern:/pattern" -- sh -c "$STRICT" sh nxblk0 \
	>"$tmp/out" || fail "the guest ended with $?"
check_strict "$(<"$tmp/out")" 0
cmp -n $((4 << 20)) "$tmp/image" "$tmp/pattern" || fail "the image is not what was written"
