#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A module with one bug for each checker of the debug kernel: each is named in the
# kernel's log, and a test in whose guest that happens fails.

# shellcheck source=tests/debug/debug_lib.sh
source "$(dirname "$0")/debug_lib.sh"

complaints_are_wanted=yes
expect 125 cell --direct --no-load -- sh -c '
	for bug in lock-order sleep undefined after-free leak; do
		insmod /lib/modules/debug_bug.ko bug=$bug || exit 1
		rmmod debug_bug || exit 2
	done
	'"$SCAN_FOR_LEAKS"

named() {
	grep -q -a -E "$1" "$cell_logs/console.log" || fail "the kernel does not say \"$1\""
}
named 'BUG: KASAN: slab-use-after-free in debug_bug_'
named 'UBSAN: shift-out-of-bounds in .*debug_bug.c'
named 'BUG: sleeping function called|BUG: scheduling while atomic: insmod'
named 'WARNING: possible (circular locking|recursive locking)'
named 'kmemleak: [0-9]+ new suspected memory leak'
(no_kernel_complaint) >"$tmp/judged" 2>&1 && fail "no complaint was found in all that"
(no_late_complaint) >"$tmp/judged" 2>&1 && fail "no complaint would be found when a test ends"
exit 0
