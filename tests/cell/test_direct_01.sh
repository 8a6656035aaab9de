#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The direct test: both modules loaded by hand in a guest without any window,
# blocks written, caches dropped, the same bytes read back; then the modules
# unload. All of it in BLK_REQ and BLK_RESP messages, which are counted.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

head -c 24M /dev/urandom >"$tmp/pattern"

cell --direct --no-load --put "$tmp/pattern:/pattern" -- sh -c '
	insmod /lib/modules/nexus_ion.ko || exit 1
	insmod /lib/modules/nexus_blk.ko || exit 2
	for i in 1 2 3 4 5 6 7 8 9 10; do [ -b /dev/nxblk0 ] && break; sleep 0.2; done
	[ -b /dev/nxblk0 ] || exit 3
	dmesg | grep -q "nexus_blk: block bridge ready (nxblk0 major=[0-9]*)" || exit 4
	dmesg | grep -q "nexus_blk: IN-MEMORY DISK of 64 MiB: its contents are lost" || exit 5
	[ "$(cat /sys/block/nxblk0/nexus/transport)" = loopback ] || exit 6

	dd if=/pattern of=/dev/nxblk0 bs=1M seek=3 conv=fsync 2>/dev/null || exit 7
	echo 3 >/proc/sys/vm/drop_caches
	before=$(cat /sys/block/nxblk0/nexus/requests)
	dd if=/dev/nxblk0 bs=1M skip=3 count=24 2>/dev/null | cmp - /pattern || exit 8
	[ "$(cat /sys/block/nxblk0/nexus/requests)" -gt "$before" ] || exit 9
	# What was never written reads zero.
	dd if=/dev/nxblk0 bs=1M count=3 2>/dev/null | tr -d "\000" | wc -c | grep -qx 0 || exit 10
	[ "$(cat /sys/block/nxblk0/inflight | tr -s " ")" = " 0 0" ] || exit 11

	rmmod nexus_blk && rmmod nexus_ion || exit 12
	[ ! -e /sys/block/nxblk0 ] || exit 13
' || fail "step $?"
no_kernel_complaint
