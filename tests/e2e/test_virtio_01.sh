#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A disk behind QEMU's storage daemon:
#
#	guest -- window -- rumpk -- vhost-user socket -- qemu-storage-daemon -- image
#
# The guest reads pattern A, which the host made, and writes pattern B over it,
# which the host compares.  The daemon is killed then: the guest gets errors,
# and goes on.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

command -v qemu-storage-daemon >/dev/null || skip "there is no qemu-storage-daemon"

head -c 16M /dev/urandom >"$tmp/image"
head -c 16M /dev/urandom >"$tmp/pattern"
expected=$(sha256sum <"$tmp/image")
device=$tmp/device.sock
socket=$tmp/ion.sock

start qemu-storage-daemon \
	--blockdev "driver=file,node-name=file,filename=$tmp/image" \
	--blockdev driver=raw,node-name=disk,file=file \
	--export "type=vhost-user-blk,id=export,node-name=disk,writable=on,addr.type=unix,addr.path=$device" \
	</dev/null >"$logs/daemon.log" 2>&1
daemon=$REPLY
wait_until 10 test -S "$device"
start_rumpk "$socket" --disk "vhost=$device"

start "$NEXUS_TOP/scripts/cell" --logs "$logs/cell" --socket "$socket" --timeout 120 \
	--put "$tmp/pattern:/pattern" -- sh -c '
	sha256sum </dev/nxblk0
	dd if=/pattern of=/dev/nxblk0 bs=1M conv=fsync 2>/dev/null && echo written
	while dd if=/dev/nxblk0 of=/dev/null bs=4k count=1 iflag=direct 2>/dev/null; do :; done
	dd if=/dev/zero of=/dev/nxblk0 bs=4k count=1 oflag=direct 2>/dev/null || echo failed
' </dev/null >"$tmp/out"
guest=$REPLY
wait_until 90 grep -q '^written$' "$tmp/out"
[[ $(head -n 1 "$tmp/out") == "$expected" ]] || fail "the guest read something else"
cmp "$tmp/image" "$tmp/pattern" || fail "the image is not what the guest wrote"

stop "$daemon" KILL 10 || true
wait "$guest" || fail "the guest ended with $?: $(<"$tmp/out")"
[[ $(tail -n 1 "$tmp/out") == failed ]] || fail "a write without a device went through"
grep -q 'the device is gone: it closed' "$logs/rumpk.log" ||
	fail "rumpk does not say that the device has gone"
cmp "$tmp/image" "$tmp/pattern" || fail "the image has changed afterwards"
# The disk cannot be made durable any more, and rumpk says so.
expect 1 stop_rumpk
