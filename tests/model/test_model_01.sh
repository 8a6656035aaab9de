#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The ring and its doorbell on a weak memory, every execution: no entry is lost,
# doubled or torn and no wake-up lost, and without any one barrier something is.
# timeout: 600

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

"$NEXUS_TOP/scripts/model" ring_ops ring channel
