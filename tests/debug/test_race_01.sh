#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Two threads of a module add to one number: the kernel with KCSAN says so, and a test
# in whose guest that happens fails.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

NEXUS_KERNEL=kcsan
complaints_are_wanted=yes
cell --kernel kcsan --direct --no-load -- sh -c '
	insmod /lib/modules/plant.ko fault=race && rmmod plant
' || fail "status $?"
complaints "$cell_logs/console.log" >"$tmp/races" || fail "KCSAN did not see the race"
grep -q 'BUG: KCSAN: data-race in plant_racer' "$tmp/races" || fail "another race: $(<"$tmp/races")"
(no_late_complaint) >"$tmp/judged" 2>&1 && fail "no complaint would be found when a test ends"
exit 0
