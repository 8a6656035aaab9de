#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The two other outage policies, with a host that stops for 12 s. "requeue": a
# write waits, and succeeds when the host goes on. "fail": it ends with an error
# as soon as the silence is noticed, and a change from the one to the other holds
# for what is waiting already.

# shellcheck source=tests/e2e/outage_lib.sh
source "$(dirname "$0")/outage_lib.sh"

cat >"$tmp/guest.sh" <<'EOF'
nexus=/sys/block/nxblk0/nexus
write() { tr '\000' "$1" </dev/zero | dd of=/dev/nxblk0 bs=64k count=1 iflag=fullblock oflag=direct 2>/dev/null; }
now() { cut -d. -f1 /proc/uptime; }
live() { for i in $(seq 200); do [ "$(cat $nexus/state)" = live ] && return; sleep 0.1; done; exit 90; }

echo requeue >$nexus/outage_timeout || exit 1
echo stop-now
sleep 1
begin=$(now)
(sleep 12; echo continue-now) &
write a || exit 2
[ $(($(now) - begin)) -ge 10 ] || exit 3
wait
live

echo fail >$nexus/outage_timeout || exit 4
echo stop-now
sleep 1
begin=$(now)
write b && exit 5
[ $(($(now) - begin)) -le 12 ] || exit 6
echo continue-now
sleep 1
live
write c || exit 7

echo requeue >$nexus/outage_timeout || exit 8
echo stop-now
sleep 1
(write d; echo $? >/status) &
sleep 12
[ ! -e /status ] || exit 9
echo 2 >$nexus/outage_timeout
sleep 2
[ -e /status ] && [ "$(cat /status)" != 0 ] || exit 10
echo continue-now
sleep 1
live
write e || exit 11
dd if=/dev/nxblk0 bs=64k count=1 iflag=direct 2>/dev/null | tr -d e | wc -c | grep -qx 0 || exit 12
[ "$(tr -s ' ' </sys/block/nxblk0/inflight)" = " 0 0" ] || exit 13
EOF

run_guest
only e
