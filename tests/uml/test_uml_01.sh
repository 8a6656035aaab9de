#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The checkers of the User-Mode Linux are on duty: each sees the fault that is planted
# for it, and there is nothing to see when the modules come and go.
# shellcheck source=tests/uml/uml_lib.sh
source "$(dirname "$0")/uml_lib.sh"

# sees FAULT PATTERN
sees() {
	uml 60 <<-RUN || fail "$1: the guest ended with $?: $(<"$tmp/out")"
		insmod /modules/plant.ko fault=$1
	RUN
	grep -q -a -E "$2" "$uml_console" || fail "$1 went unseen: $uml_console"
	uml_complaints >/dev/null || fail "$1 would pass for quiet"
}

sees use-after-free 'KASAN: slab-use-after-free in plant_'
sees beyond-vmalloc 'KASAN: vmalloc-out-of-bounds in plant_'
sees bounds 'UBSAN: array-index-out-of-bounds in .*plant.c'
sees shift 'UBSAN: shift-out-of-bounds in .*plant.c'
sees inversion 'WARNING: possible circular locking dependency'
sees sleep 'BUG: scheduling while atomic|BUG: sleeping function called'
sees object 'ODEBUG: init active'
sees leak 'kmemleak: [0-9]* new suspected memory leaks'

uml 60 <<-RUN || fail "the guest ended with $?: $(<"$tmp/out")"
	for _ in 1 2 3; do
		insmod /modules/nexus_ion.ko && insmod /modules/nexus_blk.ko || exit 1
		until opens nxblk0; do sleep 0.1; done
		$NO_ZERO_COPY nxblk0
		dd if=/dev/urandom of=/tmp/data bs=1M count=8 2>/dev/null || exit 2
		dd if=/tmp/data of=/dev/nxblk0 bs=1M conv=fsync 2>/dev/null || exit 3
		dd if=/dev/nxblk0 of=/tmp/back bs=256k count=32 iflag=direct 2>/dev/null || exit 4
		cmp /tmp/data /tmp/back || exit 5
		rmmod nexus_blk && rmmod nexus_ion || exit 6
	done
RUN
uml_is_quiet
