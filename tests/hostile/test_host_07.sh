#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# G5, G6, G8: a host that rings no doorbell, latches for nothing, starts anew with a
# generation that goes on or back, refuses the FLUSH that it offered.
# shellcheck source=tests/hostile/host_lib.sh
source "$(dirname "$0")/host_lib.sh"

commit mute host-latch restart restart-back flush-unsupp
for name in mute host-latch restart restart-back; do
	ends "$name" right
done
never_latches mute host-latch restart restart-back flush-unsupp
number mute
rescued=$(sed -n "s/.*nxblk$REPLY\/nexus\/rescued:\([0-9]*\)$/\1/p" "$tmp/out")
((${rescued:-0} > 0)) || fail "no answer came by the safety poll: \"$rescued\""
kernel_says 'doorbells get lost, answers come by the safety poll'
kernel_says 'latched by the host reason=request-producer-index'
number flush-unsupp
grep -q "^SYNC nxblk$REPLY error$" "$tmp/out" ||
	fail "a refused FLUSH looks like success: $(grep ^SYNC "$tmp/out" | tr '\n' ' ')"
number mute
grep -q "^SYNC nxblk$REPLY right$" "$tmp/out" || fail "an honest disk cannot be written"
(($(sed -n 's/^guest heartbeat //p' "$logs/rogue.log") >= 3)) ||
	fail "the guest's heartbeat stands still"
