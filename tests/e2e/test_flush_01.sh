#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# FLUSH, FUA, DISCARD and WRITE_ZEROES as negotiated arrive at the daemon, and
# discarded or zeroed blocks leave their neighbours alone.

# shellcheck source=tests/e2e/disk_lib.sh
source "$(dirname "$0")/disk_lib.sh"

head -c 16M /dev/urandom >"$tmp/image"
cp "$tmp/image" "$tmp/before"
cell --disk "$tmp/image" --tools fs -- sh -c "$EXTENSIONS" sh nxblk0 >"$tmp/out" ||
	fail "the guest failed at step $?"
[[ $(<"$tmp/out") == "write back" ]] || fail "the disk says: $(<"$tmp/out")"
check_extensions "$tmp/before" "$tmp/image" 0
