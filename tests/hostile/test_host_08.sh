#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# G5: the directory goes wrong and right again a thousand times a second, in ever
# new generations, while the device is bound and unbound: each binding succeeds
# whole or leaves nothing behind, and the log is not flooded.
# shellcheck source=tests/hostile/host_lib.sh
source "$(dirname "$0")/host_lib.sh"

host rogue flips
cell --socket "$tmp/rogue.sock" --timeout 200 --no-load -- sh -c '
	insmod /lib/modules/nexus_ion.ko && insmod /lib/modules/nexus_blk.ko || exit 1
	for path in /sys/bus/pci/devices/*; do
		[ "$(cat $path/vendor):$(cat $path/device)" != 0x1af4:0x1110 ] || device=${path##*/}
	done
	cd /sys/bus/pci/drivers/nexus_ion || exit 2
	bound=0
	for _ in $(seq 40); do
		[ ! -e $device ] || echo $device >unbind
		[ -z "$(ls /sys/bus/ion/devices)" ] || exit 3
		echo $device >bind 2>/dev/null && bound=$((bound + 1))
	done
	[ $bound -gt 0 ] && [ $bound -lt 40 ] || echo "bound $bound times of 40"
	# A disk that has just come is being read, and a module in use stays.
	[ ! -e $device ] || echo $device >unbind
	rmmod nexus_blk && rmmod nexus_ion || exit 4
	dmesg | wc -l
' >"$tmp/out" || fail "failed at step $?: $(<"$tmp/out")"
end_hosts
no_kernel_complaint
(($(tail -n 1 "$tmp/out") < 1000)) || fail "$(tail -n 1 "$tmp/out") lines in the kernel's log"
