#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Resizing at run time: growing, shrinking, to and fro under load. What was cut
# off reads zero when it comes back, the rest stays.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

cat >"$tmp/resize.sh" <<'EOF'
mb=/sys/module/nexus_blk/parameters/loopback_mb
resize() {
	echo $1 >$mb || exit 80
	for i in $(seq 50); do
		[ "$(cat /sys/block/nxblk0/size)" = $(($1 * 2048)) ] && return
		sleep 0.1
	done
	echo "still $(cat /sys/block/nxblk0/size) sectors, not $1 MiB"
	exit 81
}

head -c 8388608 /dev/urandom >/pattern
dd if=/pattern of=/dev/nxblk0 bs=1M conv=fsync 2>/dev/null || exit 1
resize 128
dd if=/pattern of=/dev/nxblk0 bs=1M seek=120 conv=fsync 2>/dev/null || exit 2
resize 4
dd if=/pattern of=/dev/nxblk0 bs=1M count=1 seek=4 oflag=direct 2>/dev/null && exit 3
resize 64
echo 3 >/proc/sys/vm/drop_caches
[ "$(dd if=/dev/nxblk0 bs=1M count=4 2>/dev/null | sha256sum)" = "$(head -c 4194304 /pattern | sha256sum)" ] || exit 4
dd if=/dev/nxblk0 bs=1M skip=4 2>/dev/null | tr -d '\000' | wc -c | grep -qx 0 || exit 5

# Under load: I/O inside the smallest size goes on.
(for n in $(seq 60); do
	dd if=/pattern of=/dev/nxblk0 bs=64k count=64 oflag=direct 2>/dev/null || exit 1
done) &
writer=$!
while kill -0 $writer 2>/dev/null; do
	echo 200 >$mb
	echo 10 >$mb
done
wait $writer || exit 6
resize 16
[ "$(dd if=/dev/nxblk0 bs=1M count=4 iflag=direct 2>/dev/null | sha256sum)" = "$(head -c 4194304 /pattern | sha256sum)" ] || exit 7
EOF

cell --direct --put "$tmp/resize.sh:/resize.sh" -- sh /resize.sh || fail "step $?"
no_kernel_complaint
