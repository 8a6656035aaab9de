#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 300
#
# The storage daemon behind a disk is stopped (SIGSTOP), and goes on later. A disk
# beside it must not notice.
#
#   for 8 s: a write waits, and succeeds
#   beyond the outage bound: a write is given up, and newer data is written to the
#   same blocks once the guest can; the newest stays, at once and 10 s later
#
# shellcheck source=tests/e2e/virtio_lib.sh
source "$(dirname "$0")/virtio_lib.sh"

truncate -s 16M "$tmp/image" "$tmp/beside"
start_daemon image
socket=$tmp/ion.sock
start_rumpk "$socket" --disk "vhost=$tmp/image.sock,fence=lock" --disk "file=$tmp/beside"
# It ends in order only when it is not stopped.
on_exit eval 'kill -CONT "${daemon_pid[image]}" 2>/dev/null'

cat >"$tmp/guest.sh" <<'EOF'
nexus=/sys/block/nxblk0/nexus
write() { tr '\000' "$2" </dev/zero | dd of=/dev/$1 bs=64k count=${3:-1} iflag=fullblock oflag=direct 2>/dev/null; }
reads() { dd if=/dev/$1 bs=64k count=1 iflag=direct 2>/dev/null | tr -d $2 | wc -c | grep -qx 0; }
pending() { for i in $(seq 200); do tr -s ' ' </sys/block/nxblk0/inflight | grep -q ' 0 0' || return 0; sleep 0.1; done; exit 90; }
live() { for i in $(seq 600); do [ "$(cat $nexus/state)" = live ] && return; sleep 0.1; done; exit 91; }
beside() { for i in 1 2 3 4 5 6 7 8 9 10; do write nxblk1 $i 16 && reads nxblk1 $i || exit 92; done; }

write nxblk0 z || exit 1
echo stop-now
sleep 1
(write nxblk0 a; echo $? >/status) &
pending
beside
sleep 8
[ ! -e /status ] || exit 2
echo continue-now
wait
[ "$(cat /status)" = 0 ] && reads nxblk0 a || exit 3

echo 2 >$nexus/outage_timeout || exit 4
echo stop-now
sleep 1
write nxblk0 b && exit 5
beside
# The device still has the old one: nothing newer may pass it.
for i in $(seq 30); do
	[ "$(cat $nexus/state)" != live ] || exit 6
	sleep 0.1
done
write nxblk0 c && exit 7
echo continue-now
live
write nxblk0 d || exit 8
reads nxblk0 d || exit 9
beside
sleep 10
reads nxblk0 d || exit 10
[ "$(tr -s ' ' </sys/block/nxblk0/inflight)" = " 0 0" ] || exit 11
EOF

obey() {
	case $1 in
	stop-now*) kill -STOP "${daemon_pid[image]}" ;;
	continue-now*) kill -CONT "${daemon_pid[image]}" ;;
	esac
}

converse obey --socket "$socket" --put "$tmp/guest.sh:/guest.sh" --timeout 250 -- sh /guest.sh
no_kernel_complaint
! grep -E 'error: .*(device|silent)' "$logs/rumpk.log" || fail "rumpk took the device for dead"
! grep -q 'killed by signal' "$logs/rumpk.log" || fail "a worker died"
stop_rumpk || fail "SIGTERM: exit status $?"
head -c 65536 "$tmp/image" | tr -d d | wc -c | grep -qx 0 || fail "an old write came late"
