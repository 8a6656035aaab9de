#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 400
#
# One in ten allocations of nexus_blk fails, in whatever context, while disks come,
# serve, change and go, under reads and writes by both ways: these may fail, and
# after the last failure all is well again.

# shellcheck source=tests/debug/debug_lib.sh
source "$(dirname "$0")/debug_lib.sh"

cat >"$tmp/guest.sh" <<'GUEST'
. /faults.sh

driver=/sys/bus/ion/drivers/nexus_blk
device=$(basename $driver/ion*)
works before
in_module nexus_blk
for round in $(seq 12); do
	chance 10
	for least in 0 4294967295; do
		echo $least >/sys/block/nxblk0/nexus/zero_copy_min 2>/dev/null
		dd if=/dev/urandom of=/dev/nxblk0 bs=128k count=16 seek=$round oflag=direct 2>/dev/null
		dd if=/dev/nxblk0 of=/dev/null bs=4k count=64 iflag=direct 2>/dev/null
	done
	echo $device >$driver/unbind || wrong "round $round: not bound"
	for _ in $(seq 20); do echo $device 2>/dev/null >$driver/bind && break; done
	sleep 0.5
	chance 0
	# A disk whose making failed for lack of memory comes with the next binding.
	echo $device >$driver/unbind 2>/dev/null
	echo $device >$driver/bind || wrong "round $round: cannot be bound"
	works "round $round"
done
echo "$(forced) allocations failed"
rmmod nexus_blk && rmmod nexus_ion || wrong "the modules do not unload"
. /scan.sh
GUEST

enough() {
	(($(sed -n 's/^\([0-9]*\) allocations failed/\1/p' "$tmp/out") > 10))
}
inject_into enough
