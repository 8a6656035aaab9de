#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs in the guest of the rogue host tests: reads the sector with the misdeed of
# every disk and says how that ended, "READ disk status". /expected is what the
# sector holds. The reads that follow it half a second later, until it has ended, are
# honest: they show that the disk is well, and make the guest look at all indices.

# Each device has become a disk, or the kernel has said why not.
settled() {
	[ "$(dmesg | grep -c -E 'block bridge ready|rejected|refused|not answered')" -ge \
		"$(printf "%s\n" /sys/bus/ion/devices/*-0700-* | wc -l)" ]
}
for _ in $(seq 100); do
	! settled || break
	sleep 0.1
done

# How long requests may wait, "disk seconds", where it is not for the default.
while read -r disk seconds; do
	echo "$seconds" >"/sys/block/$disk/nexus/outage_timeout"
done </outage

for path in /sys/block/nxblk*; do
	disk=${path##*/}
	rm -f /sector /ended
	{
		dd if=/dev/"$disk" of=/sector bs=512 skip=1024 count=1 iflag=direct 2>/dev/null
		echo $? >/ended
	} &
	sleep 0.5
	rest=
	while true; do
		dd if=/dev/"$disk" of=/dev/null bs=64k iflag=direct count=8 2>/dev/null ||
			rest=-and-broken
		[ ! -s /ended ] || break
	done
	if [ "$(cat /ended)" != 0 ]; then
		result=error
		[ ! -s /sector ] || result=stale
	elif [ ! -s /sector ]; then
		result=empty
	elif cmp -s /sector /expected; then
		result=right
	else
		result=wrong
	fi
	echo "READ $disk $result$rest"
	dd if=/dev/zero of=/dev/"$disk" bs=4k seek=10 count=1 conv=fsync 2>/dev/null &&
		echo "SYNC $disk right" || echo "SYNC $disk error"
done
