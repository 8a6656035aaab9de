#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# H7: a capability is revoked while 32 writes wait in the ring. All get PERM, and what
# follows; the image keeps its bytes and its time, and an audit line says so. The worker
# is stopped meanwhile, so that none of them was judged before.
# shellcheck source=tests/hostile/guest_lib.sh
source "$(dirname "$0")/guest_lib.sh"

serve_args=(--control "$tmp/control")
serve
ctl="$peers/rumpk/rumpkctl --socket $tmp/control"
ROGUE_WORKER=$(worker_pid)
# Later than that the guest writes to the last MiB, as after each attack.
export ROGUE_WORKER ROGUE_REVOKE="$ctl revoke --no-drain 0" \
	ROGUE_GRANT="stat -c %y $tmp/image0 >$tmp/stamp && $ctl grant 0 rwdm"

stamp=$(stat -c %y "$tmp/image0")
attack revoked
[[ $(<"$tmp/stamp") == "$stamp" ]] || fail "the image's time has changed"
logged 'control: uid=.* revoke: capability now none, before rwdm'
logged 'refused generation=.* status=PERM reason='
finish
