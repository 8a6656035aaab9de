#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# G7 under KASAN and lockdep: a disk that changes its size a hundred times a second, to
# zero and back, and one that is read-only every other time, below a mounted filesystem
# that is written to; and afterwards both are as good as new.
# shellcheck source=tests/uml/host_lib.sh
source "$(dirname "$0")/host_lib.sh"

planned uml-changes 2 2
uml_root
truncate -s 8M "$tmp/root/image"
mke2fs -q -F -t ext4 -O ^has_journal "$tmp/root/image"
uml 250 <<-'RUN' || fail "the guest ended with $?: $(tail -n 3 "$tmp/out")"
	await() { for _ in $(seq 600); do "$@" && return; sleep 0.1; done; echo "in vain: $*"; exit 1; }
	trigger() { dd if=/dev/$1 of=/dev/null bs=512 skip=1024 count=1 iflag=direct 2>/dev/null; }
	whole() { [ "$(cat /sys/block/nxblk0/size)" = 2048 ]; }
	# Which it becomes when it changes no more.
	doubled() { [ "$(cat /sys/block/nxblk1/size)" = 65536 ]; }
	insmod /modules/nexus_ion.ko && insmod /modules/nexus_blk.ko transport=ion || exit 101
	insmod /modules/rogue_peer.ko misdeeds=capacity-flips,read-only-flips || exit 102
	for disk in nxblk0 nxblk1 nxblk2; do
		await opens $disk
	done
	dd if=/image of=/dev/nxblk1 bs=64k conv=fsync 2>/dev/null || exit 103
	mount -t ext4 /dev/nxblk1 /mnt || exit 104
	touch /tmp/go
	(while [ -e /tmp/go ]; do
		dd if=/dev/zero of=/mnt/file bs=64k count=8 conv=fsync
		cat /mnt/file
		rm -f /mnt/file
	done >/dev/null 2>&1) &
	(while [ -e /tmp/go ]; do
		dd if=/dev/zero of=/dev/nxblk0 bs=64k count=16 conv=fsync,notrunc
		dd if=/dev/nxblk0 of=/dev/null bs=16k iflag=direct
	done >/dev/null 2>&1) &
	trigger nxblk0
	trigger nxblk1
	sleep 6
	rm /tmp/go
	wait
	umount /mnt || exit 105
	await whole
	await doubled
	for disk in nxblk0 nxblk1 nxblk2; do
		dd if=/dev/zero of=/dev/$disk bs=64k count=16 oflag=direct 2>/dev/null || exit 106
		dd if=/dev/$disk of=/dev/null bs=64k count=16 iflag=direct 2>/dev/null || exit 107
	done
	rmmod nexus_blk && rmmod rogue_peer && rmmod nexus_ion || exit 108
RUN
uml_is_quiet
ran uml-changes "$(grep -c '^channel [01] is at rest' "$logs/rogue.log")"
