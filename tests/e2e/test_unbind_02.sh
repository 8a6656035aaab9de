#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A host that is stopped cannot hold the guest: with writes in flight the driver
# is unbound, and both modules are unloaded, within a bounded time.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

truncate -s 32M "$tmp/image"
socket=$tmp/ion.sock
start_rumpk "$socket" --disk "file=$tmp/image"

start "$NEXUS_TOP/scripts/cell" --logs "$logs/cell" --socket "$socket" --timeout 120 -- sh -c '
	while [ -b /dev/nxblk0 ] && dd if=/dev/zero of=/dev/nxblk0 bs=64k conv=fsync 2>/dev/null; do :; done &
	echo writing
	# The host stops now; nothing is answered any more.
	while [ "$(cat /sys/bus/ion/devices/ion0-0700-0/host_alive)" = 1 ]; do
		sleep 0.2
	done
	start=$(cut -d . -f 1 /proc/uptime)
	echo ion0-0700-0 >/sys/bus/ion/drivers/nexus_blk/unbind || exit 1
	kill %1 && wait
	rmmod nexus_blk && rmmod nexus_ion || exit 1
	took=$(($(cut -d . -f 1 /proc/uptime) - start))
	[ $took -le 15 ] || { echo "took $took s"; exit 2; }
	echo gone
' </dev/null >"$tmp/out"
guest=$REPLY
wait_until 60 grep -q writing "$tmp/out"
pause_rumpk
status=0
wait "$guest" || status=$?
resume_rumpk
((status == 0)) || fail "the guest ended with $status: $(<"$tmp/out")"
grep -q gone "$tmp/out" || fail "not unloaded: $(<"$tmp/out")"
cell_logs=$logs/cell
no_kernel_complaint
