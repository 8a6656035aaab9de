#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The host stops, and at once, while its heartbeat still counts as alive, the
# driver is unbound from a mounted ext4 with much dirty data: the removal begins
# to write it, notices that nothing is answered, and goes on without. Bounded
# under the policy that waits for ever, too. Both modules unload.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

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
[ $took -le 20 ] || { echo "unbind took $took s"; exit 4; }
[ ! -e /sys/block/nxblk0 ] || exit 5
umount -l /mnt
for i in $(seq 50); do rmmod nexus_blk 2>/dev/null && break; sleep 0.2; done
rmmod nexus_ion || exit 6
dmesg | grep "requests ended unanswered"
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
	--tools fs --put "$tmp/guest.sh:/guest.sh" --timeout 120 -- sh /guest.sh \
	</dev/null >&"$pipe_w" 2>&1
guest=$REPLY
close_fd "$pipe_w"
while read -r -u "$pipe_r" line; do
	echo "guest: $line"
	[[ $line != stop-now* ]] || everybody STOP
done
wait "$guest" || fail "step $?"
cell_logs=$logs/cell
no_kernel_complaint
