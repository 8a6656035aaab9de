#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# An ivshmem device that is somebody else's: its memory is the same after the
# modules have been loaded, have looked at it, and have gone; and no disk in
# memory takes its place.
# shellcheck source=tests/hostile/host_lib.sh
source "$(dirname "$0")/host_lib.sh"

host foreign foreign
cell --socket "$tmp/foreign.sock" --no-load --get /dmesg:"$tmp/dmesg" -- sh -c '
	insmod /lib/modules/nexus_ion.ko && insmod /lib/modules/nexus_blk.ko || exit 1
	sleep 3
	! ls /dev/nxblk* 2>/dev/null || exit 2
	grep -q "" /sys/bus/pci/drivers/nexus_ion/0000*/vendor 2>/dev/null && exit 3
	rmmod nexus_blk && rmmod nexus_ion || exit 4
	dmesg >/dmesg' >"$tmp/out" || fail "the guest ended with $?"
end_hosts
grep -q '^window untouched$' "$logs/foreign.log" || fail "the foreign window was written to"
kernel_says 'no ION window: magic'
no_kernel_complaint
