#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The host stops, and at once, while its heartbeat still counts as alive, the
# driver is unbound from a mounted ext4 with much dirty data: the removal begins
# to write it, notices that nothing is answered, and goes on without. Bounded
# under the policy that waits for ever, too. Both modules unload.

# shellcheck source=tests/e2e/outage_lib.sh
source "$(dirname "$0")/outage_lib.sh"

cat >"$tmp/guest.sh" <<'EOF'
now() { cut -d. -f1 /proc/uptime; }

echo requeue >/sys/block/nxblk0/nexus/outage_timeout || exit 1
mkfs.ext4 -q /dev/nxblk0 && mkdir -p /mnt && mount -t ext4 /dev/nxblk0 /mnt || exit 2
dd if=/dev/zero of=/mnt/file bs=1M count=20 2>/dev/null
echo stop-now
sleep 1
begin=$(now)
echo ion0-0700-0 >/sys/bus/ion/drivers/nexus_blk/unbind || exit 3
took=$(($(now) - begin))
[ $took -le $((20 * $1)) ] || { echo "unbind took $took s"; exit 4; }
[ ! -e /sys/block/nxblk0 ] || exit 5
umount -l /mnt
for i in $(seq 50); do rmmod nexus_blk 2>/dev/null && break; sleep 0.2; done
rmmod nexus_ion || exit 6
dmesg | grep "requests ended unanswered"
EOF

run_guest --tools fs
