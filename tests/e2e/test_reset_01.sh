#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 300 7200
#
# C5: a guest with writes under way is reset, again and again; rumpk goes on. What it
# had synced is there, and no write of its former life lands after the new handshake.
# The same when it panics.

# shellcheck source=tests/e2e/reset_lib.sh
source "$(dirname "$0")/reset_lib.sh"

planned guest-resets 5 200
RESETS=$REPLY

plan_lives reset $((RESETS + 1))
cell --timeout $((100 + RESETS * 30)) "${life_args[@]}" >"$tmp/out" || fail "the guest ended with $?: $(tail -n 2 "$tmp/out")"
no_kernel_complaint
ran guest-resets $(($(noted) - 1))

# A panic is a failure to scripts/cell, as it should be.
plan_lives panic $((RESETS + 3))
expect 125 cell --timeout 200 "${life_args[@]}" >"$tmp/out" 2>"$logs/panic.err"
grep -q 'Kernel panic - not syncing: sysrq' "$logs/panic.err" || fail "no panic: $(<"$logs/panic.err")"
(($(noted) == RESETS + 3)) || fail "after a panic: $(<"$tmp/out")"
stop_rumpk || fail "SIGTERM: exit status $?"
