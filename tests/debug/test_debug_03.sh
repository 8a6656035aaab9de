#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 400
#
# Allocations that loading the modules and binding a window and its disk make fail,
# one after the other: what was asked for fails with an error, or does without it; nothing
# stays behind, nothing is leaked, and the next time it works.

# shellcheck source=tests/debug/debug_lib.sh
source "$(dirname "$0")/debug_lib.sh"

cat >"$tmp/guest.sh" <<'GUEST'
. /faults.sh

# insmod tries the other system call when the first one fails: that has to succeed.
load() {
	inject $n exec insmod /lib/modules/nexus_blk.ko || wrong "allocation $n: not loaded afterwards"
	rmmod nexus_blk || wrong "allocation $n: does not unload"
}

bind() { echo $device >$driver/bind; }

rebind() {
	echo $device >$driver/unbind || wrong "$device: not bound before $n"
	inject $n bind || {
		# ENOMEM, or what PCI makes of it: EBUSY of a resource, ENODEV of MSI-X.
		grep -q "write error: " /said || wrong "$device, allocation $n: no error"
		bind || wrong "$device, allocation $n: not bound afterwards"
	}
}

binds() { # MODULE DRIVER DEVICE
	in_module $1
	driver=/sys/bus/$2 device=$3
	sweep rebind
	echo "binding $device: $count"
	works "$device"
}

insmod /lib/modules/nexus_ion.ko || wrong "nexus_ion does not load"
# What loading allocates is the same whatever the window is.
[ $where != --direct ] || {
	in_function do_init_module
	sweep load
	echo "loading nexus_blk: $count"
}
insmod /lib/modules/nexus_blk.ko || wrong "nexus_blk does not load any more"
works loaded
binds nexus_blk ion/drivers/nexus_blk $(basename /sys/bus/ion/devices/ion*-0700-0)
for path in /sys/bus/pci/drivers/nexus_ion/0000:*; do
	[ ! -e $path ] || binds nexus_ion pci/drivers/nexus_ion ${path##*/}
done
rmmod nexus_blk && rmmod nexus_ion || wrong "the modules do not unload"
. /scan.sh
GUEST

# A disk is made by a work item, which test_debug_04 is for: its binding allocates little.
enough() {
	! awk '/^(loading|binding) / && $NF < (/ ion/ ? 1 : 10)' "$tmp/out" | grep .
}
inject_into enough --no-load
