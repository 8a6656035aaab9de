#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# G9: what the guest stored in its record is overwritten before the host has seen it:
# a reset, a refusal, an acknowledgement. The guest says it again, or resets, and what
# waited meanwhile is done.
# shellcheck source=tests/hostile/host_lib.sh
source "$(dirname "$0")/host_lib.sh"

commit reset-erased refusal-erased ack-erased
for name in reset-erased refusal-erased ack-erased; do
	ends "$name" right
	number "$name"
	grep -q "^SYNC nxblk$REPLY right$" "$tmp/out" || fail "$name: the disk does not come back"
	grep -q "^channel $REPLY is at rest" "$logs/rogue.log" || fail "$name: not done"
done
kernel_says 'offer [0-9]* refused'
kernel_says 'the host does not take the acknowledgement'
