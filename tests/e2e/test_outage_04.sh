#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The daemon is killed and stays away for longer than the outage bound: writes
# fail then, and not before; when another comes, the disk works again.

# shellcheck source=tests/e2e/outage_lib.sh
source "$(dirname "$0")/outage_lib.sh"

cat >"$tmp/guest.sh" <<'GUEST'
now() { cut -d. -f1 /proc/uptime; }
write() { dd if=/pattern of=/dev/nxblk0 bs=64k count=4 oflag=direct 2>/dev/null; }

echo 3 >/sys/block/nxblk0/nexus/outage_timeout || exit 1
head -c 262144 /dev/urandom >/pattern && write || exit 2
echo kill-now
begin=$(now)
while write; do :; done
[ $(($(now) - begin)) -ge 2 ] || exit 3
echo return-now
for _ in $(seq 200); do write && break; sleep 0.1; done
dd if=/dev/nxblk0 of=/back bs=64k count=4 iflag=direct 2>/dev/null && cmp /pattern /back || exit 4
GUEST

run_guest
