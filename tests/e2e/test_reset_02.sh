#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# C5: a guest is reset while its writes are with a device that is slow, since it is
# stopped. The guest that boots gets its other disk at once, and this one when the
# device has done them, and not before: nothing of them lands on what it writes.
#
#	life 1: flood -> [daemon stopped] reset
#	life 2:          attaches, waits ... [daemon goes on] writes, which stays

# shellcheck source=tests/e2e/virtio_lib.sh
source "$(dirname "$0")/virtio_lib.sh"

cat >"$tmp/guest.sh" <<'GUEST'
wrong() { echo "wrong: life $n: $*"; exit 1; }
wait_for() {
	for _ in $(seq 300); do
		[ ! -b $1 ] || return 0
		sleep 0.1
	done
	wrong "no $1"
}
flood() { dd if=/flood of=/dev/nxblk0 bs=64k oflag=direct conv=notrunc 2>/dev/null; }
stays() { dd if=/dev/nxblk0 bs=64k count=64 iflag=direct 2>/dev/null | cmp - /flood || wrong "an old write came late"; }
insmod /lib/modules/nexus_ion.ko && insmod /lib/modules/nexus_blk.ko || wrong "no modules"
wait_for /dev/nxblk1
n=$(dd if=/dev/nxblk1 bs=512 count=1 iflag=direct 2>/dev/null | tr -d '\000')
n=$((n + 1))
echo $n | dd of=/dev/nxblk1 bs=512 conv=sync,fsync,notrunc 2>/dev/null || wrong "not noted"
yes "life $n" | head -c 4194304 >/flood
if [ $n = 1 ]; then
	wait_for /dev/nxblk0
	for i in 1 2 3 4 5 6; do
		while flood; do :; done &
	done
	echo stop-now
	# Until nothing is answered any more.
	until [ "$was" = "$(cat /sys/block/nxblk0/stat | cut -c 1-80)" ]; do
		was=$(cat /sys/block/nxblk0/stat | cut -c 1-80)
		sleep 2
	done
	echo b >/proc/sysrq-trigger
	sleep 1000
fi
sleep 3
[ ! -b /dev/nxblk0 ] || wrong "the disk came before the device had done the writes"
echo continue-now
wait_for /dev/nxblk0
flood && stays || wrong "not written"
sleep 1
stays
cat /flood >/expected
GUEST

obey() {
	case $1 in
	stop-now*) kill -STOP "${daemon_pid[disk]}" ;;
	continue-now*) kill -CONT "${daemon_pid[disk]}" ;;
	esac
}

truncate -s 8M "$tmp/disk"
truncate -s 1M "$tmp/notebook"
start_daemon disk
on_exit eval 'kill -CONT "${daemon_pid[disk]}" 2>/dev/null'
start_rumpk "$tmp/ion.sock" --disk "vhost=$tmp/disk.sock" --disk "file=$tmp/notebook"
converse obey --socket "$tmp/ion.sock" --no-load --put "$tmp/guest.sh:/guest.sh" --timeout 200 \
	--get "/expected:$tmp/expected" --qemu-arg -action --qemu-arg reboot=reset -- sh /guest.sh
no_kernel_complaint
expect 0 stop_rumpk
cmp -n $((4 << 20)) "$tmp/disk" "$tmp/expected" || fail "an old write came late"
