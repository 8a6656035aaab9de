#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 300 1800
#
# Both modules are loaded and unloaded again and again, with a disk that is written and
# read in between, and never in the wrong order. Each time takes no longer than it
# may, and the kernel's memory is no less in the end.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

planned module-loads 50 500
LOADS=$REPLY

cell --size 16M --no-load --timeout $((200 + LOADS * 3)) -- sh -c '
	now() { cut -d " " -f 1 /proc/uptime | tr -d .; }
	kernel_kb() { awk "/^(SUnreclaim|VmallocUsed|Percpu|KernelStack):/ { n += \$2 } END { print n }" /proc/meminfo; }
	begun=$(now)
	for i in $(seq '"$LOADS"'); do
		start=$(now)
		insmod /lib/modules/nexus_ion.ko && insmod /lib/modules/nexus_blk.ko || exit 1
		until [ -b /dev/nxblk0 ]; do
			[ $(($(now) - start)) -le 1000 ] || exit 2
		done
		head -c 65536 /dev/nxblk0 >/found
		[ $i = 1 ] || cmp /found /last || exit 3
		head -c 65536 /dev/urandom >/last
		dd if=/last of=/dev/nxblk0 bs=64k conv=fsync 2>/dev/null || exit 4
		! rmmod nexus_ion 2>/dev/null || exit 5
		[ -b /dev/nxblk0 ] || exit 6
		rmmod nexus_blk && rmmod nexus_ion || exit 7
		[ $(($(now) - start)) -le 2000 ] || exit 8
		# The first rounds fill caches.
		[ $i != 10 ] || before=$(kernel_kb)
	done
	echo "$i $(($(kernel_kb) - before)) $((($(now) - begun) / i))"
' >"$tmp/out" || fail "failed at step $?"
no_kernel_complaint
read -r count grown each <"$tmp/out"
ran module-loads "$count"
echo "$((each * 10)) ms each, $grown KiB more in the end"
((grown < 1024)) || fail "$grown KiB of the kernel's memory are gone"
