#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# G9: the whole window is overwritten by noise, many seeds a second, under load.
#
#	window 1: nxblk0, nxblk1   noise --------> repaired   noise --> unbound, unloaded
#	window 2: another disk     fio, every byte verified
#
# The guest lives, and the disk of the other window notices nothing. When the window
# is right again both disks are, without anybody's help. Under noise the driver is
# unbound in bounded time.

# shellcheck source=tests/hostile/host_lib.sh
source "$(dirname "$0")/host_lib.sh"

cat >"$tmp/guest.sh" <<'GUEST'
wrong() { echo "wrong: $*"; grep . /sys/block/nxblk*/nexus/state; dmesg | tail -n 30; exit 1; }
state() { cat /sys/block/$1/nexus/state 2>/dev/null; }
now() { cut -d . -f 1 /proc/uptime; }
# until SECONDS COMMAND
until_so() {
	end=$(($(now) + $1)); shift
	until "$@"; do
		[ $(now) -lt $end ] || wrong "in vain: $*"
		sleep 0.1
	done
}
all_three() { [ -b /dev/nxblk0 ] && [ -b /dev/nxblk1 ] && [ -b /dev/nxblk2 ]; }
# Once the window is right again the disk is twice as large.
repaired() { [ "$(cat /sys/block/nxblk0/size)" = 4096 ]; }
live() { [ "$(state nxblk0)" = live ] && [ "$(state nxblk1)" = live ]; }
load() {
	rm -f /enough
	for disk in $spoilt; do
		while [ ! -e /enough ]; do
			dd if=/dev/$disk of=/dev/null bs=16k count=32 iflag=direct
			dd if=/pattern of=/dev/$disk bs=4k count=32 oflag=direct
		done 2>/dev/null &
	done
	# Begins it.
	dd if=/dev/nxblk0 of=/dev/null bs=512 skip=1024 count=1 iflag=direct 2>/dev/null
}
verify() {
	fio --name=w --filename=/dev/$good --ioengine=libaio --direct=1 --thread --rw=randwrite \
		--bs=4k --iodepth=16 --size=$1 --verify=crc32c --verify_fatal=1 --output=/out ||
		{ cat /out; wrong "the other window's disk"; }
}

until_so 60 all_three
# The windows may be found in either order; its size tells the good one.
for path in /sys/block/nxblk*; do
	if [ "$(cat $path/size)" = 65536 ]; then
		good=${path##*/}
	else
		spoilt="$spoilt ${path##*/}"
		echo 2 >$path/nexus/outage_timeout
	fi
done
[ "$spoilt" = " nxblk0 nxblk1" ] || wrong "the good window came first: $good"
# Short of the sector at which the noise begins.
head -c 524288 /dev/urandom >/pattern
load
verify 16M
echo repair-now
until_so 60 repaired
until_so 60 live
touch /enough
wait
until_so 60 live
for disk in nxblk0 nxblk1; do
	dd if=/pattern of=/dev/$disk bs=64k oflag=direct 2>/dev/null || wrong "$disk cannot be written"
	dd if=/dev/$disk bs=64k count=8 iflag=direct 2>/dev/null | cmp - /pattern || wrong "$disk is not what was written"
done
load
verify 4M
start=$(now)
for device in $(ls -d /sys/block/nxblk0/device /sys/block/nxblk1/device); do
	basename $(readlink -f $device) >/sys/bus/ion/drivers/nexus_blk/unbind || wrong "not unbound"
done
echo "unbound after $(($(now) - start)) s"
[ $(($(now) - start)) -le 130 ] || wrong "not bounded"
touch /enough
wait
verify 4M
rmmod nexus_blk && rmmod nexus_ion || wrong "the modules do not unload"
GUEST

obey() {
	[[ $1 != repair-now* ]] || kill -USR1 "${host_pids[0]}"
}

truncate -s 32M "$tmp/image"
start_rumpk "$tmp/good.sock" --disk "file=$tmp/image"
host rogue noise
converse obey --socket "$tmp/rogue.sock" --fio --put "$tmp/guest.sh:/guest.sh" --timeout 280 \
	--qemu-arg -chardev --qemu-arg "socket,id=good,path=$tmp/good.sock" \
	--qemu-arg -device --qemu-arg "ivshmem-doorbell,chardev=good,vectors=8" -- sh /guest.sh
no_kernel_complaint
end_hosts
seeds=$(sed -n 's/^noise of \([0-9]*\) seeds$/\1/p' "$logs/rogue.log" | sort -n | head -n 1)
((${seeds:-0} >= 100)) || fail "only ${seeds:-0} seeds"
