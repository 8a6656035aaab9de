#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The in-memory valve, asked by a client that is not nexus_blk for guest-physical
# segments that are misaligned, empty, no RAM, or RAM in part: INVAL, and nothing has
# been written; what is honest works before and after. Then nexus_blk takes over.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

cell --direct -- sh -c '
	driver=/sys/bus/ion/drivers/nexus_blk
	device=$(basename $driver/ion*)
	echo $device >$driver/unbind || exit 1
	insmod /lib/modules/gpa_client.ko || { dmesg | grep gpa_client; exit 2; }
	rmmod gpa_client || exit 3
	echo $device >$driver/bind || exit 4
	for _ in $(seq 100); do [ -b /dev/nxblk0 ] && break; sleep 0.1; done
	dd if=/dev/nxblk0 of=/dev/null bs=1M count=1 iflag=direct 2>/dev/null || exit 5
' || fail "step $?"
no_kernel_complaint
