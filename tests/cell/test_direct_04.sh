#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What Linux knows of the disk: limits, identity, cache, scheduler; one request
# of 1 MiB is one BLK_REQ, by the counter.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

cat >"$tmp/limits.sh" <<'EOF'
is() { # FILE VALUE
	value=$(cat /sys/block/nxblk0/$1)
	[ "$value" = "$2" ] || { echo "$1 is $value, not $2"; exit 1; }
}
at_least() {
	value=$(cat /sys/block/nxblk0/$1)
	[ "$value" -ge "$2" ] || { echo "$1 is $value, below $2"; exit 1; }
}

is queue/logical_block_size 512
is queue/physical_block_size 4096
is queue/minimum_io_size 4096
is queue/rotational 0
is queue/write_cache "write back"
is queue/fua 1
grep -q -F "[none]" /sys/block/nxblk0/queue/scheduler || { echo "another scheduler"; exit 1; }
is queue/discard_granularity 4096
is ro 0
is serial loopback
is nexus/state live
is nexus/reason none
is nexus/outage_timeout 60
at_least queue/max_hw_sectors_kb 1024
at_least queue/max_sectors_kb 1024
at_least queue/discard_max_bytes 1048576
at_least queue/write_zeroes_max_bytes 1048576
grep -q -E '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' /sys/block/nxblk0/nexus/uuid ||
	{ echo "no UUID"; exit 1; }

before=$(cat /sys/block/nxblk0/nexus/requests)
dd if=/dev/zero of=/dev/nxblk0 bs=1M count=8 oflag=direct 2>/dev/null || exit 1
dd if=/dev/nxblk0 of=/dev/null bs=1M count=8 iflag=direct 2>/dev/null || exit 1
is nexus/requests $((before + 16))

# Setting the outage policy.
cd /sys/block/nxblk0/nexus
for value in requeue fail 1 86400; do
	echo $value >outage_timeout || { echo "$value refused"; exit 1; }
	[ "$(cat outage_timeout)" = $value ] || exit 1
done
for value in 0 -1 abc 1.5 99999999999 ""; do
	echo "$value" >outage_timeout 2>/dev/null && { echo "'$value' taken"; exit 1; }
done
[ "$(cat outage_timeout)" = 86400 ]
EOF

cell --direct --put "$tmp/limits.sh:/limits.sh" -- sh /limits.sh || fail "see above"
no_kernel_complaint
