#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Read-only from the start, and turned at run time: Linux says so, and the driver
# refuses writes by itself, those of a process that opened the disk before too.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

cat >"$tmp/ro.sh" <<'EOF'
ro=/sys/module/nexus_blk/parameters/loopback_ro
becomes() { for i in $(seq 50); do [ "$(cat /sys/block/nxblk0/ro)" = $1 ] && return; sleep 0.1; done; exit 90; }
write() { dd if=/dev/zero bs=4k count=1 oflag=direct "$@" 2>/dev/null; }

becomes 1
write of=/dev/nxblk0 && exit 1
dd if=/dev/nxblk0 of=/dev/null bs=1M 2>/dev/null || exit 2
echo 0 >$ro
becomes 0
write of=/dev/nxblk0 || exit 3
exec 3>/dev/nxblk0
# Dirty from before: no check of open() or write() stands in its way later.
dd if=/dev/urandom bs=4k count=1 2>/dev/null >&3 || exit 4
before=$(cat /sys/block/nxblk0/nexus/requests)
echo 1 >$ro
becomes 1
dd if=/dev/urandom bs=4k count=1 seek=1 2>/dev/null >&3 && exit 5
sync
exec 3>&-
# Refused here already, not by the valve, which would do so too.
[ "$(cat /sys/block/nxblk0/nexus/requests)" = "$before" ] || exit 8
echo 3 >/proc/sys/vm/drop_caches
dd if=/dev/nxblk0 bs=4k count=1 iflag=direct 2>/dev/null | tr -d '\000' | wc -c | grep -qx 0 || exit 6
[ "$(cat /sys/block/nxblk0/inflight | tr -s ' ')" = " 0 0" ] || exit 7
exit 0
EOF

cell --direct --module-arg nexus_blk.loopback_ro=1 --put "$tmp/ro.sh:/ro.sh" -- sh /ro.sh ||
	fail "step $?"
no_kernel_complaint
