#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# H2: segments and segment tables that are wrong. INVAL, nothing moves.
# shellcheck source=tests/hostile/guest_lib.sh
source "$(dirname "$0")/guest_lib.sh"

serve
attack segment
attack segment-count
attack indirect
finish
