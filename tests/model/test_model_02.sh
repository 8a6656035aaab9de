#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Recovery, every execution: workers that are killed at any moment cost no
# acknowledged write and leave no ghost write; without lock, drain, quarantine,
# generation or reset id one of them does.
# timeout: 600

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

"$NEXUS_TOP/scripts/model" recovery
