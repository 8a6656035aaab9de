#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The host stops (SIGSTOP) with writes under way, for longer than the outage
# bound of 3 s: they end with an error, later ones at once. When it goes on, so
# does the disk: the newest data is there, no request is left over.
#
#	guest: write A ---------------> error   error   wait   write B, read B
#	host:  STOP ....................................CONT

# shellcheck source=tests/e2e/outage_lib.sh
source "$(dirname "$0")/outage_lib.sh"

cat >"$tmp/guest.sh" <<'EOF'
nexus=/sys/block/nxblk0/nexus
write() { tr '\000' "$1" </dev/zero | dd of=/dev/nxblk0 bs=64k count=16 iflag=fullblock oflag=direct 2>/dev/null; }
now() { cut -d. -f1 /proc/uptime; }

echo 3 >$nexus/outage_timeout || exit 1
write a || exit 2
echo stop-now
sleep 2
begin=$(now)
write b && exit 3
took=$(($(now) - begin))
[ $took -ge 3 ] && [ $took -le $((20 * $1)) ] || { echo "the first error took $took s"; exit 4; }
[ "$(cat $nexus/state)" = failing ] || exit 5
begin=$(now)
write c && exit 6
[ $(($(now) - begin)) -le 1 ] || exit 7
[ "$(tr -s ' ' </sys/block/nxblk0/inflight)" = " 0 0" ] || exit 8
echo continue-now
for i in $(seq 200); do [ "$(cat $nexus/state)" = live ] && break; sleep 0.1; done
[ "$(cat $nexus/state)" = live ] || { dmesg | tail; exit 9; }
write d || exit 10
dd if=/dev/nxblk0 bs=64k count=16 iflag=direct 2>/dev/null | tr -d d | wc -c | grep -qx 0 || exit 11
sleep 3
dd if=/dev/nxblk0 bs=64k count=16 iflag=direct 2>/dev/null | tr -d d | wc -c | grep -qx 0 || exit 12
[ "$(tr -s ' ' </sys/block/nxblk0/inflight)" = " 0 0" ] || exit 13
EOF

run_guest
only d
