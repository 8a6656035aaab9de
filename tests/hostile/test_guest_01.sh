#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# H1: sector numbers and counts that are wrong. RANGE and INVAL, nothing moves.
# shellcheck source=tests/hostile/guest_lib.sh
source "$(dirname "$0")/guest_lib.sh"

serve
attack lba
attack count
logged 'refused generation=.* tag=1 op=2 status=RANGE reason='
logged 'refused generation=.* tag=1 op=2 status=INVAL reason='
finish
