#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 300 1800
#
# C5: QEMU is killed while its guest has writes under way; rumpk goes on, and the next
# QEMU on the same socket finds what was synced, and nothing comes late.

# shellcheck source=tests/e2e/reset_lib.sh
source "$(dirname "$0")/reset_lib.sh"

planned qemu-kills 3 50
KILLS=$REPLY

qemu_of() {
	pgrep -P "$1" -f "^qemu-system-x86_64 .*$socket"
}

# told N: the guest is at life N.
told() {
	[[ -e /proc/$guest ]] || fail "the guest ended early: $(<"$tmp/out")"
	grep -q -x "life $1" "$tmp/out"
}

plan_lives wait $((KILLS + 1))
for ((i = 1; i <= KILLS; i++)); do
	start "$NEXUS_TOP/scripts/cell" --logs "$logs/cell" "${life_args[@]}" </dev/null \
		>"$tmp/out" 2>"$logs/cell.err"
	guest=$REPLY
	wait_until 120 told "$i"
	kill -KILL "$(qemu_of "$guest")"
	! wait "$guest" || fail "the cell did not notice"
	ran qemu-kills "$i"
done
cell --timeout 200 "${life_args[@]}" >"$tmp/out" || fail "the guest ended with $?: $(<"$tmp/out")"
no_kernel_complaint
told_last=$(tail -n 1 "$tmp/out")
[[ $told_last == "life $((KILLS + 1))" ]] || fail "the last life: $told_last"
stop_rumpk || fail "SIGTERM: exit status $?"
