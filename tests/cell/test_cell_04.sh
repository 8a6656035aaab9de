#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A cell that is killed, at whatever moment, leaves no process, no file and no
# shared memory.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

export TMPDIR=$tmp/t
mkdir "$TMPDIR"
# Memory of cells, but for those that run beside this test.
shared() {
	local name
	for name in /dev/shm/nexus-cell.*; do
		[[ -e $name ]] || continue
		name=${name#*nexus-cell.}
		[[ -e /proc/${name%%.*} ]] || echo "$name"
	done
}
shared_before=$(shared)

# Every process of a cell names the run directory in its arguments.
nothing_left() {
	local file text
	[[ -z $(ls -A "$TMPDIR") ]] || return 1
	for file in /proc/[0-9]*/cmdline; do
		text=$(tr "\0" " " 2>/dev/null <"$file") || continue
		[[ $text != *"$TMPDIR"* ]] || return 1
	done
}

for signal in KILL TERM INT; do
	for moment in 0.05 0.5 1 2 4; do
		# What a shell puts in the background ignores SIGINT.
		env --default-signal=INT "$NEXUS_TOP/scripts/cell" --peer -- \
			dd if=/dev/urandom of=/dev/nxblk0 bs=1M >"$tmp/out" 2>&1 &
		pid=$!
		sleep "$moment"
		kill "-$signal" "$pid"
		wait "$pid" 2>/dev/null || true
		wait_until 10 nothing_left
	done
done
nothing_new_shared() {
	[[ -z $(comm -13 <(echo "$shared_before") <(shared)) ]]
}
wait_until 30 nothing_new_shared
