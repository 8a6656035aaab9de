#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Ten unloads and reloads of both modules while the daemon lives: each time the
# disk is there within 2 s, with what was written before.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

cell --size 16M --no-load --timeout 180 -- sh -c '
	now() { cut -d " " -f 1 /proc/uptime | tr -d .; }
	for i in $(seq 10); do
		start=$(now)
		insmod /lib/modules/nexus_ion.ko && insmod /lib/modules/nexus_blk.ko || exit 1
		until [ -b /dev/nxblk0 ]; do
			[ $(($(now) - start)) -le $((200 * $1)) ] || exit 2
		done
		if [ $i -gt 1 ]; then
			head -c 65536 /dev/nxblk0 | cmp - /last || exit 3
		fi
		head -c 65536 /dev/urandom >/last
		dd if=/last of=/dev/nxblk0 bs=64k conv=fsync 2>/dev/null || exit 4
		rmmod nexus_blk && rmmod nexus_ion || exit 5
	done
	dmesg | grep -c "block bridge ready (nxblk0 major="
' sh "$NEXUS_PATIENCE" >"$tmp/out" || fail "reload failed at step $?"
[[ $(<"$tmp/out") == 10 ]] || fail "the bridge was ready $(<"$tmp/out") times, not 10"
no_kernel_complaint
(($(rumpk_stat resets) >= 10)) || fail "the daemon saw too few resets"
