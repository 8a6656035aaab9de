#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# H6: unknown operations, extensions that were not negotiated, unknown flags,
# reserved fields. UNSUPP and INVAL, nothing moves.
# shellcheck source=tests/hostile/guest_lib.sh
source "$(dirname "$0")/guest_lib.sh"

serve
attack operation unnegotiated flags
finish
