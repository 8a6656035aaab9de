#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The transport knows nothing of blocks: a second client, which echoes numbers
# over three channels of two devices, is served without nexus_blk being there.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

cell --direct --no-load -- sh -c '
	insmod /lib/modules/nexus_ion.ko || exit 1
	for i in 1 2 3; do
		insmod /lib/modules/ion_echo.ko || exit 2
		[ "$(ls /sys/bus/ion/devices | wc -l)" = 2 ] || exit 3
		rmmod ion_echo || exit 4
	done
	rmmod nexus_ion && ! lsmod | grep -q nexus
' || fail "the echo failed at step $?"
no_kernel_complaint
