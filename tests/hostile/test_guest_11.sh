#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# H2, with guest-physical segments: outside the cell's RAM, in its holes, across
# its ends, without the right or the feature. INVAL, UNSUPP or a latch; neither
# image nor RAM changes.
# shellcheck source=tests/hostile/guest_lib.sh
source "$(dirname "$0")/guest_lib.sh"

start "$peers/monitor" "$tmp/qmp.sock"
wait_until 10 test -S "$tmp/qmp.sock"
serve_args=(--ram "$tmp/ram" --qmp "$tmp/qmp.sock")
head -c $((4 << 20)) /dev/zero | tr '\0' R >"$tmp/ram"
ram_sum=$(sha256sum <"$tmp/ram")

# attack_ram NAME...: as attack; the RAM stays as it is, too.
attack_ram() {
	attack "$@"
	[[ $(sha256sum <"$tmp/ram") == "$ram_sum" ]] || fail "$*: the RAM has changed"
}

serve
attack_ram outside-ram gpa-not-accepted
logged "refused generation=.* status=INVAL reason=\"segment outside the cell's RAM\""
finish
serve ,cap=rwd
attack_ram gpa-not-offered
finish
