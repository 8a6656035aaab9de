#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The smallest window, 4 MiB, with two disks: both are there and verify under
# load with requests as large as it allows; chunks run out and come back.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

cat >"$tmp/jobs" <<'JOBS'
[global]
ioengine=libaio
direct=1
rw=randwrite
bsrange=4k-1M
blockalign=4k
iodepth=64
verify=crc32c
verify_fatal=1
thread
size=24M

[a]
filename=/dev/nxblk0
[b]
filename=/dev/nxblk1
JOBS

cell --data bounce --window 4M --size 32M --size 32M --fio --put "$tmp/jobs:/jobs" -- sh -c '
	fio --output=/out /jobs || { cat /out; exit 1; }
	cat /sys/block/nxblk?/nexus/bounce_waits
' >"$tmp/out" || fail "$(<"$tmp/out")"
waits=$(sort -n "$tmp/out" | tail -n 1)
((waits > 0)) || fail "the bounce pool never ran out: $(<"$tmp/out")"
