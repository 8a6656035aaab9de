#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Nothing is leaked: both ways of the data, bindings to and fro, and the modules in
# and out, on a window of their own and on that of a host; then kmemleak looks.

# shellcheck source=tests/debug/debug_lib.sh
source "$(dirname "$0")/debug_lib.sh"

cat >"$tmp/guest.sh" <<GUEST
await() { for _ in \$(seq 600); do [ -b /dev/nxblk0 ] && [ -e /sys/block/nxblk0/nexus ] && return; sleep 0.1; done; exit 90; }
# Whoever looks for partitions on a disk that has just come holds the module.
unload() { for _ in \$(seq 100); do rmmod nexus_blk 2>/dev/null; rmmod nexus_ion 2>/dev/null && return; sleep 0.1; done; exit 8; }
for round in 1 2 3; do
	insmod /lib/modules/nexus_ion.ko && insmod /lib/modules/nexus_blk.ko || exit 1
	await
	device=\$(basename /sys/bus/ion/drivers/nexus_blk/ion*)
	for least in 0 4294967295; do
		echo \$least >/sys/block/nxblk0/nexus/zero_copy_min || exit 2
		dd if=/dev/urandom of=/dev/nxblk0 bs=256k count=16 oflag=direct 2>/dev/null || exit 3
		dd if=/dev/nxblk0 of=/dev/null bs=256k count=16 iflag=direct 2>/dev/null || exit 4
		dd if=/dev/urandom of=/dev/nxblk0 bs=4k count=64 2>/dev/null || exit 5
		echo \$device >/sys/bus/ion/drivers/nexus_blk/unbind || exit 6
		echo \$device >/sys/bus/ion/drivers/nexus_blk/bind || exit 7
		await
	done
	unload
done
$SCAN_FOR_LEAKS
GUEST

for where in --direct --size=32M; do
	cell "$where" --no-load --put "$tmp/guest.sh:/guest.sh" -- sh /guest.sh ||
		fail "$where: step $?"
	no_kernel_complaint
done
