#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The daemon gets SIGTERM under verified random writes and comes back, three
# times; then it is killed outright and comes back. The guest sees no error and
# every byte verifies.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

truncate -s 64M "$tmp/image"
socket=$tmp/ion.sock
start_rumpk "$socket" --disk "file=$tmp/image"

# Enough to be in the middle of it: the daemon's own count of writes.
has_written() {
	[[ -e /proc/$guest ]] || fail "the guest ended early: $(<"$tmp/out")"
	(($(rumpk_stat_now writes) >= 500))
}

start "$NEXUS_TOP/scripts/cell" --logs "$logs/cell" --socket "$socket" --fio --timeout 240 -- sh -c '
	fio --name=w --filename=/dev/nxblk0 --ioengine=libaio --direct=1 --thread \
		--rw=randwrite --bs=4k --iodepth=32 --size=32M --verify=crc32c \
		--verify_fatal=1 --rate_iops=1500 --output=/out || { cat /out; exit 1; }
' </dev/null >"$tmp/out" 2>&1
guest=$REPLY
for signal in TERM TERM TERM KILL; do
	wait_until 90 has_written
	if [[ $signal == TERM ]]; then
		stop_rumpk TERM || fail "SIGTERM: exit status $?"
	else
		expect 137 stop_rumpk KILL
	fi
	mv "$logs/rumpk.log" "$logs/rumpk-before.log"
	start_rumpk "$socket" --disk "file=$tmp/image"
done
wait "$guest" || fail "the guest ended with $?: $(<"$tmp/out")"
