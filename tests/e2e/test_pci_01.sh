#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The window's PCI device is removed and found again: idle, with dirty data, under
# I/O, and with a host that is stopped. With a live host nothing is lost; a stopped
# one holds nobody up, and the disk is there when it goes on.

# shellcheck source=tests/e2e/outage_lib.sh
source "$(dirname "$0")/outage_lib.sh"

cat >"$tmp/guest.sh" <<'GUEST'
wrong() { echo "wrong: $*"; dmesg | tail -n 20; exit 1; }
now() { cut -d . -f 1 /proc/uptime; }
for path in /sys/bus/pci/devices/*; do
	[ "$(cat $path/vendor):$(cat $path/device)" != 0x1af4:0x1110 ] || device=$path
done
remove() {
	echo 1 >$device/remove
	[ ! -e $device ] && [ ! -e /sys/block/nxblk0 ] && [ -z "$(ls /sys/bus/ion/devices)" ] ||
		wrong "$1: something is left"
}
rescan() {
	echo 1 >/sys/bus/pci/rescan
	[ -e $device ] || wrong "$1: not found again"
	for _ in $(seq 100); do
		[ ! -b /dev/nxblk0 ] || return 0
		sleep 0.1
	done
	wrong "$1: no disk"
}
same() { dd if=/dev/nxblk0 bs=64k count=64 iflag=direct 2>/dev/null | cmp - /pattern || wrong "$1"; }

head -c 4194304 /dev/urandom >/pattern
dd if=/pattern of=/dev/nxblk0 bs=64k conv=fsync 2>/dev/null || wrong "not written"
remove idle && rescan idle && same "idle: lost"

head -c 4194304 /dev/urandom >/pattern
# While somebody has the disk open for writing, nothing is written by closing it.
exec 3>>/dev/nxblk0
dd if=/pattern of=/dev/nxblk0 bs=64k conv=notrunc 2>/dev/null
remove dirty
exec 3>&-
rescan dirty && same "dirty: lost"

for round in $(seq 5); do
	for part in 0 1 2 3; do
		dd if=/pattern of=/dev/nxblk0 bs=16k skip=$((part * 64)) seek=$((part * 64)) \
			oflag=direct 2>/dev/null &
		while dd if=/dev/nxblk0 of=/dev/null bs=64k iflag=direct 2>/dev/null; do :; done &
	done
	until awk '{ exit !($1 + $2) }' /sys/block/nxblk0/inflight; do :; done
	remove busy && wait
	# Who opened it a moment too late has made a file.
	rm -f /dev/nxblk0
	rescan busy
done
dd if=/pattern of=/dev/nxblk0 bs=64k conv=fsync 2>/dev/null || wrong "busy: not written"
same "busy: lost"

exec 3<>/dev/nxblk0
dd bs=64k count=64 <&3 of=/dev/null 2>/dev/null
while dd if=/dev/zero bs=64k count=1 conv=fsync 2>/dev/null; do :; done >&3 &
echo stop-now
while [ "$(cat /sys/bus/ion/devices/ion0-0700-0/host_alive)" = 1 ]; do
	sleep 0.2
done
start=$(now)
remove silent
[ $(($(now) - start)) -le 30 ] || wrong "silent: took $(($(now) - start)) s"
wait
exec 3>&-
echo 1 >/sys/bus/pci/rescan
[ -e $device ] && [ ! -e /dev/nxblk0 ] || wrong "silent: a disk without a host"
echo continue-now
rescan "silent, and back" && same "silent: what was written before is lost"
rmmod nexus_blk && rmmod nexus_ion || wrong "the modules do not unload"
GUEST

run_guest
