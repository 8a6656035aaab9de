#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# H5: a thread flips fields of requests while the host takes them. Each effect is
# that of one of the two values.
# shellcheck source=tests/hostile/guest_lib.sh
source "$(dirname "$0")/guest_lib.sh"

serve
for name in race-lba race-count race-length race-operation race-address race-table; do
	rogue $name
done
finish
