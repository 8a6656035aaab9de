#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The exchange across the boundary over raw images without a copy: what
# test_virtio_14 does over qcow2.

# shellcheck source=tests/e2e/storage_lib.sh
source "$(dirname "$0")/storage_lib.sh"

# shellcheck disable=SC2034
format=raw
exchange_bytes --data zerocopy
(($(rumpk_stat zero_copy_bytes 1) > 100 << 20)) ||
	fail "$(rumpk_stat zero_copy_bytes 1) bytes without a copy"
[[ $(rumpk_stat copied_bytes 1) == 0 ]] || fail "rumpk copied $(rumpk_stat copied_bytes 1) bytes"
