#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The exchange across the boundary with disks in qcow2 images, which QEMU's storage
# daemon serves: bytes and files, both ways, and what may not be written.

# shellcheck source=tests/e2e/storage_lib.sh
source "$(dirname "$0")/storage_lib.sh"

# shellcheck disable=SC2034
format=qcow2
exchange_bytes --data bounce
exchange_files --data bounce
