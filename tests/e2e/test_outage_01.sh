#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The host stops (SIGSTOP) with writes under way, for longer than the outage
# bound of 3 s: they end with an error, later ones at once. When it goes on, so
# does the disk: the newest data is there, no request is left over.
#
#	guest: write A ---------------> error   error   wait   write B, read B
#	host:  STOP ....................................CONT

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

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
[ $took -ge 3 ] && [ $took -le 20 ] || { echo "the first error took $took s"; exit 4; }
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

truncate -s 64M "$tmp/image"
socket=$tmp/ion.sock
start_rumpk "$socket" --disk "file=$tmp/image"

everybody() { # SIGNAL: to rumpk and its workers
	local children
	children=$(pgrep -P "$rumpk_pid" || true)
	# shellcheck disable=SC2086
	kill "-$1" "$rumpk_pid" $children
}
on_exit everybody CONT

make_pipe "$tmp/said"
start --keep "$pipe_w" "$NEXUS_TOP/scripts/cell" --logs "$logs/cell" --socket "$socket" \
	--put "$tmp/guest.sh:/guest.sh" --timeout 120 -- sh /guest.sh \
	</dev/null >&"$pipe_w" 2>&1
guest=$REPLY
close_fd "$pipe_w"
while read -r -u "$pipe_r" line; do
	echo "guest: $line"
	case $line in
	stop-now*) everybody STOP ;;
	continue-now*) everybody CONT ;;
	esac
done
wait "$guest" || fail "step $?"
cell_logs=$logs/cell
no_kernel_complaint
# What was in the ring when the host stopped has been written before, not after.
tr -d d <"$tmp/image" | tr -d '\000' | wc -c | grep -qx 0 || fail "an old write came late"
