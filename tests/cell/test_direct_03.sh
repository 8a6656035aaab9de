#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Loading and unloading, twenty times, with dirty data that the unload has to
# write, and with a device that is unbound and bound again in between.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

cell --direct --no-load -- sh -c '
	wait_for() { for i in $(seq 50); do [ -b /dev/nxblk0 ] && return; sleep 0.1; done; exit 90; }
	insmod /lib/modules/nexus_ion.ko || exit 1
	for n in $(seq 20); do
		insmod /lib/modules/nexus_blk.ko || exit 2
		wait_for
		# No sync: the data is dirty when the module goes.
		dd if=/dev/urandom of=/dev/nxblk0 bs=64k count=16 2>/dev/null || exit 3
		rmmod nexus_blk || exit 4
	done
	insmod /lib/modules/nexus_blk.ko || exit 5
	wait_for
	head -c 1048576 /dev/urandom >/pattern
	driver=/sys/bus/ion/drivers/nexus_blk
	device=$(basename $driver/ion*)
	for n in $(seq 10); do
		# Unbinding a disk with dirty data writes it: the valve keeps it.
		dd if=/pattern of=/dev/nxblk0 bs=64k seek=$n 2>/dev/null || exit 6
		echo $device >$driver/unbind || exit 7
		[ ! -e /sys/block/nxblk0 ] || exit 8
		echo $device >$driver/bind || exit 9
		wait_for
		dd if=/dev/nxblk0 bs=64k skip=$n count=16 2>/dev/null | cmp - /pattern || exit 10
	done
	# While it is open the module stays.
	exec 3</dev/nxblk0
	rmmod nexus_blk 2>/dev/null && exit 11
	exec 3<&-
	rmmod nexus_blk || exit 12
	rmmod nexus_ion || exit 13
' || fail "step $?"
no_kernel_complaint
