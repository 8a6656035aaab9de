#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# G1: answers that match no request in flight: tag at and above the depth, idle
# tag, wrong operation or cookie, twice, again after the tag was reused. The guest
# latches the channel for one reason, resets it, and the request is done.
# shellcheck source=tests/hostile/host_lib.sh
source "$(dirname "$0")/host_lib.sh"

unmatched=(tag-idle twice reused wrong-op wrong-cookie)
commit tag-at-depth tag-high "${unmatched[@]}"
latches tag-at-depth 5
latches tag-high 5
for name in "${unmatched[@]}"; do
	latches "$name" 6
done
kernel_says 'nexus_blk ion.*: channel=0 generation=[0-9]+ latched reason=response-tag'
kernel_says 'nexus_blk ion.*: channel=0 generation=[0-9]+ latched reason=response-unmatched'
