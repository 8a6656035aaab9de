#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The exchange across the boundary over qcow2 without a copy: the storage daemon
# itself reads and writes the guest's pages, and neither the module nor rumpk
# copies a byte.

# shellcheck source=tests/e2e/storage_lib.sh
source "$(dirname "$0")/storage_lib.sh"

# no_copy CHANNEL BYTES
no_copy() {
	(($(rumpk_stat zero_copy_bytes "$1") > $2)) || fail "disk $1: $(rumpk_stat zero_copy_bytes "$1") bytes without a copy"
	[[ $(rumpk_stat copied_bytes "$1") == 0 ]] || fail "disk $1: rumpk copied $(rumpk_stat copied_bytes "$1") bytes"
}

# shellcheck disable=SC2034
format=qcow2
exchange_bytes --data zerocopy
no_copy 0 $((32 << 20))
no_copy 1 $((100 << 20))
exchange_files --data zerocopy
