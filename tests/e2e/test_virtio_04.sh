#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Who sent a write is killed while a slow device has it, and somebody else comes to
# the same device: the old write must not land after a newer one.
#
# First two programs of the host, of which the first one writes A and is killed,
# and the second one writes B.  Then rumpk itself, under fio in a guest: a rumpk
# that comes again may take a fenced disk.

# shellcheck source=tests/e2e/virtio_lib.sh
source "$(dirname "$0")/virtio_lib.sh"

rumpk_blk=$NEXUS_BUILD/host/rumpk-blk

# slow BYTES: a second.
slow() {
	DAEMON_TOP=slow start_daemon image --object "throttle-group,id=writes,x-bps-write=$1" \
		--blockdev driver=throttle,node-name=slow,throttle-group=writes,file=disk
}

# begins_with LETTER
begins_with() {
	[[ $(head -c 1 "$tmp/image" | tr -d '\000') == "$1" ]]
}

truncate -s 64M "$tmp/image"
slow $((4 << 20))
head -c 32M /dev/zero | tr '\000' A >"$tmp/A"
head -c 32M /dev/zero | tr '\000' B >"$tmp/B"
start "$rumpk_blk" --socket "$tmp/image.sock" --timeout 60 write --lba 0 <"$tmp/A"
writer=$REPLY
wait_until 30 begins_with A
stop "$writer" KILL 10 || true
head -c 4M "$tmp/B" | "$rumpk_blk" --socket "$tmp/image.sock" --timeout 60 write --lba 0
# The device ends: whatever it still had, it has done, or never will.
stop "${daemon_pid[image]}" TERM 30 || fail "the storage daemon ended with $?"
cmp -n $((4 << 20)) "$tmp/image" "$tmp/B" || fail "an old write came late"

slow $((4 << 20))
socket=$tmp/ion.sock
start_rumpk "$socket" --disk "vhost=$tmp/image.sock,fence=lock"
start_fio 200 48M
has_written() {
	(($(rumpk_stat_now written_bytes) > $1))
}
for ((i = 0; i < 2; i++)); do
	wait_until 120 has_written $((4 << 20))
	expect 137 stop_rumpk KILL
	start_rumpk "$socket" --disk "vhost=$tmp/image.sock,fence=lock"
done
wait_until 120 has_written $((4 << 20))
end_fio
expect 0 stop_rumpk
