#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Two jobs on each of two disks at the same time, verified; what each disk holds
# never shows up on the other.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

truncate -s 32M "$tmp/a" "$tmp/b"
cat >"$tmp/jobs" <<'JOBS'
[global]
ioengine=libaio
direct=1
rw=randwrite
bs=4k
iodepth=16
verify=pattern
verify_fatal=1
thread
size=8M

[a0]
filename=/dev/nxblk0
verify_pattern=0xa0a0a0a0
[a1]
filename=/dev/nxblk0
offset=16M
verify_pattern=0xa0a0a0a0
[b0]
filename=/dev/nxblk1
verify_pattern=0xb1b1b1b1
[b1]
filename=/dev/nxblk1
offset=16M
verify_pattern=0xb1b1b1b1
JOBS

cell --disk "$tmp/a" --disk "$tmp/b" --fio --put "$tmp/jobs:/jobs" -- fio --output=/out /jobs ||
	fail "fio found a difference or failed"

for disk in a:'\240' b:'\261'; do
	other=$(tr -d "\\000${disk#*:}" <"$tmp/${disk%%:*}" | wc -c)
	((other == 0)) || fail "$other foreign bytes on disk ${disk%%:*}"
	same=$(tr -d '\000' <"$tmp/${disk%%:*}" | wc -c)
	((same == 16 << 20)) || fail "$same bytes of the pattern on disk ${disk%%:*}"
done
