#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The image grows and shrinks while the guest reads and writes; SIGHUP makes the
# daemon look, Linux follows, and what lies within both sizes is untouched.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

head -c 16M /dev/urandom >"$tmp/image"
expected=$(head -c 8M "$tmp/image" | sha256sum)
socket=$tmp/ion.sock
start_rumpk "$socket" --disk "file=$tmp/image"

# Says each new size in sectors, and ends at the third.
start "$NEXUS_TOP/scripts/cell" --logs "$logs/cell" --socket "$socket" --timeout 120 -- sh -c '
	dd if=/dev/nxblk0 of=/dev/null bs=4k 2>/dev/null
	old=0
	for size in 32768 65536 16384; do
		until [ "$(cat /sys/block/nxblk0/size)" = $size ]; do
			dd if=/dev/nxblk0 of=/dev/null bs=64k count=16 iflag=direct 2>/dev/null
		done
		echo $size
	done
	head -c 8388608 /dev/nxblk0 | sha256sum
' </dev/null >"$tmp/out"
guest=$REPLY
wait_until 60 grep -q '^32768$' "$tmp/out"
truncate -s 32M "$tmp/image"
kill -HUP "$rumpk_pid"
wait_until 30 grep -q '^65536$' "$tmp/out"
truncate -s 8M "$tmp/image"
kill -HUP "$rumpk_pid"
wait "$guest" || fail "the guest ended with $?: $(<"$tmp/out")"
[[ $(tail -n 1 "$tmp/out") == "$expected" ]] || fail "the first 8 MiB have changed"
