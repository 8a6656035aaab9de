#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# ext4: made and filled in the guest, checked on the host; then mounted again in
# another guest, which finds every file as it was.

# shellcheck source=tests/e2e/disk_lib.sh
source "$(dirname "$0")/disk_lib.sh"

truncate -s 128M "$tmp/image"
cell --disk "$tmp/image" --tools fs -- sh -c "$FILL_EXT4" sh nxblk0 >"$tmp/written" ||
	fail "the guest ended with $?"
[[ $(wc -l <"$tmp/written") == 200 ]] || fail "not 200 files were written"

e2fsck -fn "$tmp/image" >"$tmp/e2fsck" 2>&1 || fail "e2fsck: $(<"$tmp/e2fsck")"

cell --disk "$tmp/image" --ro -- sh -c "$READ_EXT4" sh nxblk0 >"$tmp/read" ||
	fail "the second guest ended with $?"
cmp "$tmp/written" "$tmp/read" || fail "the second guest found other files"
