#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The faults of plant.ko, one for each checker of the debug kernel: each is named in the
# kernel's log, and a test in whose guest that happens fails.

# shellcheck source=tests/debug/debug_lib.sh
source "$(dirname "$0")/debug_lib.sh"

complaints_are_wanted=yes
expect 125 cell --direct --no-load -- sh -c '
	for fault in inversion sleep shift use-after-free leak; do
		insmod /lib/modules/plant.ko fault=$fault || exit 1
		rmmod plant || exit 2
	done
	'"$SCAN_FOR_LEAKS"

named() {
	grep -q -a -E "$1" "$cell_logs/console.log" || fail "the kernel does not say \"$1\""
}
named 'BUG: KASAN: slab-use-after-free in plant_'
named 'UBSAN: shift-out-of-bounds in .*plant.c'
named 'BUG: sleeping function called|BUG: scheduling while atomic: insmod'
named 'WARNING: possible (circular locking|recursive locking)'
named 'kmemleak: [0-9]+ new suspected memory leak'
(no_kernel_complaint) >"$tmp/judged" 2>&1 && fail "no complaint was found in all that"
(no_late_complaint) >"$tmp/judged" 2>&1 && fail "no complaint would be found when a test ends"
exit 0
