#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs in the guest of the rogue host tests: reads the sector with the misdeed of
# every disk and says how that ended, "READ disk status". /expected is what the
# sector holds. The read that follows it half a second later is honest: it shows
# that the disk is well, and makes the guest look at all indices.

for path in /sys/block/nxblk*; do
	disk=${path##*/}
	rm -f /sector
	dd if=/dev/"$disk" of=/sector bs=512 skip=1024 count=1 iflag=direct 2>/dev/null &
	sleep 0.5
	result=
	dd if=/dev/"$disk" of=/dev/null bs=64k iflag=direct count=8 2>/dev/null ||
		result=-and-broken
	if wait $!; then
		cmp -s /sector /expected && result=right$result || result=wrong$result
	else
		[ -s /sector ] && result=stale$result || result=error$result
	fi
	echo "READ $disk $result"
done
