#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The disk goes while requests on their own pages are under way, again and again,
# and the module with it: users see errors, no page is leaked, and what was
# written before is there afterwards.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

cat >"$tmp/unload.sh" <<'GUEST'
driver=/sys/bus/ion/drivers/nexus_blk
nexus=/sys/block/nxblk0/nexus
wait_for() { for _ in $(seq 100); do [ -e $nexus ] && [ -b /dev/nxblk0 ] && return; sleep 0.1; done; exit 90; }
# Until its disk has gone. A writer may come just then and make a file of that name,
# which could be read and written for ever.
reader() { while [ -b /dev/nxblk0 ] && dd if=/dev/nxblk0 of=/dev/null bs=256k count=32 iflag=direct 2>/dev/null; do :; done; }
writer() { while [ -b /dev/nxblk0 ] && dd if=/dev/zero of=/dev/nxblk0 bs=128k count=32 seek=100 oflag=direct 2>/dev/null; do :; done; }
busy() { for _ in $(seq 100); do [ "$(cat $nexus/zero_copy)" -gt $1 ] && return; sleep 0.1; done; exit 91; }

head -c 4194304 /dev/urandom >/pattern
insmod /lib/modules/nexus_ion.ko || exit 1
for round in 1 2 3; do
	insmod /lib/modules/nexus_blk.ko || exit 2
	wait_for
	device=$(basename $driver/ion*)
	dd if=/pattern of=/dev/nxblk0 bs=1M oflag=direct 2>/dev/null || exit 3
	for _ in 1 2 3 4; do
		echo 0 >$nexus/zero_copy_min || exit 4
		reader & r1=$!
		reader & r2=$!
		writer & w=$!
		busy 200
		echo $device >$driver/unbind || exit 5
		wait $r1 $r2 $w
		[ ! -e /sys/block/nxblk0 ] || exit 6
		rm -f /dev/nxblk0
		echo $device >$driver/bind || exit 7
		wait_for
		[ "$(cat $nexus/leaked_pages)" = 0 ] || exit 8
		dd if=/dev/nxblk0 bs=1M count=4 iflag=direct 2>/dev/null | cmp - /pattern || exit 9
	done
	rmmod nexus_blk || exit 10
done
rmmod nexus_ion || exit 11
! dmesg | grep "ended unanswered\|leaked\|not drained" || exit 12
GUEST

cell --direct --no-load --put "$tmp/unload.sh:/unload.sh" -- sh /unload.sh || fail "step $?"
no_kernel_complaint
