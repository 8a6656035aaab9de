#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The driver is unbound under a mounted filesystem with dirty data, ext4 and xfs. With a
# live host nothing is lost; one that is stopped holds nobody up, and when the disk is
# back the filesystem is whole, with what had been synced.

image_size=320M
# shellcheck source=tests/e2e/outage_lib.sh
source "$(dirname "$0")/outage_lib.sh"

cat >"$tmp/guest.sh" <<'GUEST'
wrong() { echo "wrong: $*"; dmesg | tail -n 20; exit 1; }
now() { cut -d . -f 1 /proc/uptime; }
driver=/sys/bus/ion/drivers/nexus_blk
alive() { cat /sys/bus/ion/devices/ion0-0700-0/host_alive; }
bind() {
	echo ion0-0700-0 >$driver/bind || wrong "$fs: not bound"
	for _ in $(seq 100); do
		[ ! -b /dev/nxblk0 ] || return 0
		sleep 0.1
	done
	wrong "$fs: no disk"
}
whole() {
	case $fs in
	ext4) e2fsck -fn /dev/nxblk0 ;;
	xfs) xfs_repair -n /dev/nxblk0 ;;
	esac >/fsck 2>&1 || { cat /fsck; wrong "$fs: the filesystem is damaged"; }
}
remount() {
	umount /mnt
	bind
	mount -t $fs /dev/nxblk0 /mnt || wrong "$fs: not mounted again"
}
mkdir -p /mnt
head -c 8388608 /dev/urandom >/pattern
for fs in ext4 xfs; do
	case $fs in
	ext4) mkfs.ext4 -q -F /dev/nxblk0 ;;
	xfs) mkfs.xfs -q -f /dev/nxblk0 ;;
	esac || wrong "$fs: not made"
	mount -t $fs /dev/nxblk0 /mnt && cp /pattern /mnt/alive || wrong "$fs: not mounted"
	echo ion0-0700-0 >$driver/unbind || wrong "$fs: not unbound"
	[ ! -e /dev/nxblk0 ] || wrong "$fs: the disk is still there"
	remount
	cmp /pattern /mnt/alive || wrong "$fs: dirty data was lost"
	cp /pattern /mnt/synced && sync
	cp /pattern /mnt/dirty
	echo stop-now
	while [ "$(alive)" = 1 ]; do
		sleep 0.2
	done
	start=$(now)
	echo ion0-0700-0 >$driver/unbind || wrong "$fs: not unbound"
	[ $(($(now) - start)) -le 30 ] || wrong "$fs: took $(($(now) - start)) s"
	umount /mnt
	[ $(($(now) - start)) -le 60 ] || wrong "$fs: unmounted after $(($(now) - start)) s"
	echo continue-now
	remount
	cmp /pattern /mnt/synced && cmp /pattern /mnt/alive || wrong "$fs: synced data was lost"
	umount /mnt
	whole
done
rmmod nexus_blk && rmmod nexus_ion || wrong "the modules do not unload"
GUEST

run_guest --tools fs
