#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# A host that denies INFO while it has a write, and then forgets the write: that one is
# drained, and the disk is back. And a disk of 21 queues whose host drains none of 20,
# although its heart beats: it is gone as soon as if it had one.
# shellcheck source=tests/uml/host_lib.sh
source "$(dirname "$0")/host_lib.sh"

planned uml-forgetful 22 22
cat >"$tmp/lost.sh" <<'GUEST'
wrong() { echo "$*"; dmesg | tail -n 20; exit 1; }
read_one() { dd if=/dev/nxblk0 of=/dev/null bs=512 skip=8 count=1 iflag=direct 2>/dev/null; }
await() { for _ in $(seq 300); do "$@" && return; sleep 0.1; done; wrong "in vain: $*"; }
await opens nxblk0
dd if=/expected of=/dev/nxblk0 bs=512 seek=1024 count=1 oflag=direct 2>/dev/null && wrong "written"
[ "$(cat /sys/block/nxblk0/nexus/reason)" = "the host denies INFO" ] || wrong "not denied"
read_one && wrong "not refused"
await read_one
[ "$(cat /sys/block/nxblk0/nexus/state)" = live ] || wrong "not live"
# Once, since the write was lost, and not at once.
[ "$(cat /sys/block/nxblk0/nexus/latches)" = 1 ] || wrong "not drained"
rmmod nexus_blk && rmmod nexus_ion || wrong "the modules do not unload"
GUEST
printf '\7\4\0\0\0\0\0\0%.0s' {1..64} >"$tmp/expected"
host rogue lost-denied
converse true --put "$tmp/lost.sh:/guest.sh" --put "$tmp/expected:/expected" -- sh /guest.sh
no_kernel_complaint
ran uml-forgetful "$committed"

cat >"$tmp/queues.sh" <<'GUEST'
wrong() { echo "$*"; dmesg | tail -n 20; exit 1; }
[ "$(cat /sys/bus/ion/devices/ion0-0700-0/queues)" = 21 ] || wrong "not 21 queues"
now() { cut -d . -f 1 /proc/uptime; }
begin=$(now)
echo ion0-0700-0 >/sys/bus/ion/drivers/nexus_blk/unbind || wrong "not unbound"
echo "unbound after $(($(now) - begin)) s"
[ $(($(now) - begin)) -le 6 ] || wrong "each queue was waited for"
rmmod nexus_blk && rmmod nexus_ion || wrong "the modules do not unload"
GUEST
mapfile -t queues < <(yes deaf-queue | head -n 20)
host rogue none "${queues[@]}"
converse true --put "$tmp/queues.sh:/guest.sh" -- sh /guest.sh
no_kernel_complaint
ran uml-forgetful "$committed"
