#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
# A removal with dirty data throws none of it away while the host lives, although a channel
# is down at that moment; and a live host that answers everything but one write does not
# hold it for ever, even where the operator has told requests to wait (requeue).
#
#	guest: dirty -----> unbind ---------> WRITE, unbound      bind: it is there
#	host:        latch, 100 ms ... drain ---> answer
# shellcheck source=tests/uml/host_lib.sh
source "$(dirname "$0")/host_lib.sh"

planned uml-removal 3 3

# script NAME: from stdin, behind what both begin with.
script() {
	cat - /dev/fd/3 3<&0 >"$tmp/$1" <<'GUEST'
wrong() { echo "$*"; dmesg | tail -n 20; exit 1; }
await() { for _ in $(seq 300); do "$@" && return; sleep 0.1; done; wrong "in vain: $*"; }
# Who looked for partitions in the new disk, a worker of the kernel, closes it one tick later.
unused() { [ "$(cat /sys/module/nexus_blk/refcnt)" = 0 ]; }
GUEST
}

script down.sh <<'GUEST'
nexus=/sys/block/nxblk0/nexus
await opens nxblk0
exec 3>>/dev/nxblk0
dd if=/expected of=/dev/nxblk0 bs=512 seek=8 count=1 conv=notrunc 2>/dev/null
dd if=/dev/nxblk0 of=/dev/null bs=512 skip=1024 count=1 2>/dev/null &
n=0
# Without a process for each look: it is down for a tenth of a second.
until read -r state <$nexus/state && [ "$state" = down ]; do
	n=$((n + 1))
	[ $n -lt 1000000 ] || wrong "never down"
done
echo ion0-0700-0 >/sys/bus/ion/drivers/nexus_blk/unbind || wrong "not unbound"
exec 3>&-
wait
dmesg | grep -E "ended unanswered|page write|no host" && wrong "dirty data was thrown away"
echo ion0-0700-0 >/sys/bus/ion/drivers/nexus_blk/bind || wrong "not bound"
await opens nxblk0
dd if=/dev/nxblk0 bs=512 skip=8 count=1 2>/dev/null | cmp - /expected || wrong "the write is lost"
await unused
rmmod nexus_blk && rmmod nexus_ion || wrong "the modules do not unload"
GUEST

# What else is answered during the removal: INFO, ten times a second, or a reader.
script held.sh <<'GUEST'
await opens nxblk0
# This wait is long, and wanted.
echo 0 >/proc/sys/kernel/hung_task_timeout_secs
echo requeue >/sys/block/nxblk0/nexus/outage_timeout
echo 0 >/sys/block/nxblk0/queue/read_ahead_kb
dd if=/dev/nxblk0 of=/dev/null bs=512 skip=1024 count=1 2>/dev/null || wrong "not read"
exec 3>>/dev/nxblk0
exec 4</dev/nxblk0
dd if=/expected of=/dev/nxblk0 bs=512 seek=1024 count=1 conv=notrunc 2>/dev/null
(echo ion0-0700-0 >/sys/bus/ion/drivers/nexus_blk/unbind; echo $? >/tmp/unbound) &
now() { cut -d . -f 1 /proc/uptime; }
begin=$(now)
until [ -s /tmp/unbound ]; do
	[ $(($(now) - begin)) -le $1 ] || wrong "not unbound after $1 s"
	[ $2 = 0 ] || dd bs=4k count=1 <&4 >/dev/null 2>&1
	sleep 3
done
echo "unbound after $(($(now) - begin)) s"
[ $(($(now) - begin)) -ge 59 ] || wrong "not waited for"
exec 3>&- 4<&-
dmesg | grep -q "removed, the host does not answer" || wrong "not said"
rmmod nexus_blk && rmmod nexus_ion || wrong "the modules do not unload"
GUEST

printf '\7\4\0\0\0\0\0\0%.0s' {1..64} >"$tmp/expected"
host rogue host-latch
converse true --put "$tmp/down.sh:/guest.sh" --put "$tmp/expected:/expected" -- sh /guest.sh
no_kernel_complaint
ran uml-removal "$committed"

host rogue slow-chatty
converse true --put "$tmp/held.sh:/guest.sh" --put "$tmp/expected:/expected" -- sh /guest.sh 90 0
no_kernel_complaint
ran uml-removal "$committed"
host rogue slow
converse true --put "$tmp/held.sh:/guest.sh" --put "$tmp/expected:/expected" -- sh /guest.sh 260 1
no_kernel_complaint
ran uml-removal "$committed"
