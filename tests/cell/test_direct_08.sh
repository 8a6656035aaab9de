#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
#
# Every kind of request under load, verified: sizes from 512 bytes to 1 MiB,
# depths from 1 to 64, several jobs on several queues; more at once than the
# bounce memory holds, so that requests have to wait for it; FLUSH, FUA,
# DISCARD and WRITE_ZEROES.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

cat >"$tmp/load.sh" <<'EOF'
size=$1
verify() { # NAME OPTION...
	name=$1
	shift
	fio --name="$name" --filename=/dev/nxblk0 --thread --direct=1 --ioengine=libaio \
		--verify=crc32c --verify_fatal=1 --size=${size}m --minimal "$@" >/dev/null ||
		{ echo "fio $name failed"; exit 1; }
}

# All of it through the bounce memory; test_direct_09 is about what is not.
echo 4294967295 >/sys/block/nxblk0/nexus/zero_copy_min || exit 1
verify small --rw=randrw --bs=512 --iodepth=1 --io_size=1m
verify mixed --rw=randwrite --bsrange=512-1m --bs_unaligned=0 --blockalign=512 --iodepth=16
verify deep --rw=randwrite --bs=4k --iodepth=64
# More at once than there is bounce memory.
verify large --rw=write --bs=1m --iodepth=64 --size=24m
verify jobs --rw=randwrite --bs=256k --iodepth=64 --numjobs=2 --size=24m --offset_increment=24m
verify fsync --rw=randwrite --bs=4k --iodepth=1 --fsync=1 --io_size=2m
verify fua --rw=randwrite --bs=4k --iodepth=4 --sync=dsync --io_size=2m

waits=$(cat /sys/block/nxblk0/nexus/bounce_waits)
[ "$waits" -gt 0 ] || { echo "no request ever waited for bounce memory"; exit 1; }

# DISCARD and WRITE_ZEROES hit their range, and nothing beside it.
tr '\000' 'x' </dev/zero | dd of=/dev/nxblk0 bs=1M count=4 iflag=fullblock conv=fsync 2>/dev/null
blkdiscard -o 1048576 -l 524288 /dev/nxblk0 || exit 1
fallocate -z -o 2097152 -l 65536 /dev/nxblk0 2>/dev/null || blkdiscard -z -o 2097152 -l 65536 /dev/nxblk0 2>/dev/null
echo 3 >/proc/sys/vm/drop_caches
left=$(dd if=/dev/nxblk0 bs=1M count=4 2>/dev/null | tr -d '\000' | wc -c)
[ "$left" -ge $((4194304 - 524288 - 65536)) ] && [ "$left" -le $((4194304 - 524288)) ] ||
	{ echo "$left bytes are left"; exit 1; }

[ "$(cat /sys/block/nxblk0/inflight | tr -s ' ')" = " 0 0" ] || exit 1
[ "$(cat /sys/block/nxblk0/nexus/latches)" = 0 ]
EOF

cell --direct --fio --put "$tmp/load.sh:/load.sh" -- sh /load.sh $((24 / NEXUS_PATIENCE)) || fail "see above"
no_kernel_complaint
