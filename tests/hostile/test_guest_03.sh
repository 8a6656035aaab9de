#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# H3: tags at and above the depth, a tag that is in flight, other generations.
# shellcheck source=tests/hostile/guest_lib.sh
source "$(dirname "$0")/guest_lib.sh"

serve
attack tag
attack duplicate
attack stale
logged 'older generation, dropped'
finish
