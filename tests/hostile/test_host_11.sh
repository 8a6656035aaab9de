#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# G5: a host that goes from generation to generation a hundred times a second, with
# offers and without any: the request that waits meanwhile is done. One that never
# comes to answer it, since it starts anew (and answers others), latches, or is another
# disk each time: it ends at the bound of an outage, however often the host is back.
# shellcheck source=tests/hostile/host_lib.sh
source "$(dirname "$0")/host_lib.sh"

restless=(generation-alone generation-offered)
hopeless=(restart-always restart-others latch-always another-disk)
misdeeds=("${restless[@]}" "${hopeless[@]}")
for name in "${hopeless[@]}"; do
	bound "$name" 4
done
host rogue "${misdeeds[@]}"
probe

for name in "${restless[@]}"; do
	ends "$name" right
	number "$name"
	# It was no quiet time: more than the one handshake of a channel that is well.
	(($(grep -c "^channel $REPLY live" "$logs/rogue.log") > 3)) ||
		fail "$name: the guest did not follow"
done
# Whatever else waited for the disk then has ended with it.
ends restart-always 'error\(-and-broken\)\?'
ends restart-others 'error\(-and-broken\)\?'
ends latch-always 'error\(-and-broken\)\?'
# That the disk is another one may be seen before the answer.
ends another-disk '\(right\|error\)-and-broken'
number another-disk
grep -q "^SYNC nxblk$REPLY error$" "$tmp/out" || fail "another disk was written to"
