#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Two jobs on each of two disks at the same time, verified; what each disk holds
# never shows up on the other.

# shellcheck source=tests/e2e/disk_lib.sh
source "$(dirname "$0")/disk_lib.sh"

truncate -s 32M "$tmp/a" "$tmp/b"
pair_jobs nxblk0 nxblk1 >"$tmp/jobs"
cell --disk "$tmp/a" --disk "$tmp/b" --fio --put "$tmp/jobs:/jobs" -- fio --output=/out /jobs ||
	fail "fio found a difference or failed"
check_pair "$tmp/a" "$tmp/b"
