#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# fio writes with checksums and verifies every block: sequential and random, 512
# bytes to 1 MiB, depth 1 to 64.

# shellcheck source=tests/e2e/disk_lib.sh
source "$(dirname "$0")/disk_lib.sh"

verify_jobs nxblk0 >"$tmp/jobs"
cell --size 64M --fio --put "$tmp/jobs:/jobs" -- fio --output=/out /jobs ||
	fail "fio found a difference or failed"
