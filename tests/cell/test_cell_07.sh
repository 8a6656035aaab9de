#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A guest whose kernel never gets to process 1 of ours is switched off and on,
# three times at most; then the time is up. One that comes up is left alone.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

# Process 1 is somebody else and says nothing: as silent as a hung kernel.
NEXUS_BOOT_SECONDS=4 expect 124 cell --direct --timeout 10 \
	--append rdinit=/bin/busybox --append -- --append sleep --append 1000 -- true 2>"$tmp/err"
(($(grep -c 'off and on, try' "$tmp/err") == 2)) || fail "not tried three times: $(<"$tmp/err")"
[[ -e $cell_logs/console.hung-1.log && -e $cell_logs/console.hung-2.log ]] ||
	fail "the logs of the hung kernels are gone"

cell --direct -- echo well 2>"$tmp/err" | grep -qx well || fail "a good guest failed"
! grep 'off and on' "$tmp/err" || fail "a good guest was switched off"
