#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# fio writes with checksums and verifies every block: sequential and random, 512
# bytes to 1 MiB, depth 1 to 64.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

cat >"$tmp/jobs" <<'JOBS'
[global]
filename=/dev/nxblk0
ioengine=libaio
direct=1
verify=crc32c
verify_fatal=1
verify_dump=0
thread
size=8M
stonewall

[sequential-512-1]
rw=write
bs=512
size=1M

[sequential-64k-16]
rw=write
bs=64k
iodepth=16

[sequential-1m-64]
rw=write
bs=1M
iodepth=64
size=48M

[random-512-32]
rw=randwrite
bs=512
iodepth=32
size=2M

[random-4k-64]
rw=randwrite
bs=4k
iodepth=64
size=16M

[random-128k-8]
rw=randwrite
bs=128k
iodepth=8
size=16M

[random-1m-4]
rw=randwrite
bs=1M
iodepth=4
size=32M

[mixed-sizes-32]
rw=randrw
bsrange=512-1M
bs_unaligned=0
blockalign=512
iodepth=32
size=32M
JOBS

cell --size 64M --fio --put "$tmp/jobs:/jobs" -- fio --output=/out /jobs ||
	fail "fio found a difference or failed"
