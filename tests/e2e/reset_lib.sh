# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# A guest that lives several times on the same disks, of a rumpk that goes on:
#
#	life 1: write, sync, note --- flood ... reset, panic, or killed with its QEMU
#	life 2: what was synced is there; what is written now stays; ... flood ...
#
# $tmp/life.sh END does one life. It says "life N" when its flood is under way; then it
# ends by END, unless there are as many as $LIVES.

# shellcheck source=tests/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

socket=$tmp/ion.sock
truncate -s 8M "$tmp/image"
truncate -s 1M "$tmp/notebook"
start_rumpk "$socket" --disk "file=$tmp/image" --disk "file=$tmp/notebook"

cat >"$tmp/life.sh" <<'GUEST'
wrong() { echo "wrong: life $n: $*"; exit 1; }
until [ -b /dev/nxblk1 ]; do sleep 0.1; done
life() { yes "life $1" | head -c $2; }
n=$(dd if=/dev/nxblk1 bs=512 count=1 iflag=direct 2>/dev/null | tr -d '\000')
if [ -n "$n" ]; then
	life $n 1048576 >/synced
	dd if=/dev/nxblk0 bs=64k count=16 iflag=direct 2>/dev/null | cmp - /synced || wrong "synced data was lost"
fi
n=$((n + 1))
# The former life's flood was under way; nothing of it may land on this.
life $n 4194304 >/flood
flood() { dd if=/flood of=/dev/nxblk0 bs=64k seek=16 oflag=direct conv=notrunc 2>/dev/null; }
stays() { dd if=/dev/nxblk0 bs=64k skip=16 count=64 iflag=direct 2>/dev/null | cmp - /flood || wrong "an old write came late"; }
flood && stays || wrong "not written"
life $n 1048576 >/synced
dd if=/synced of=/dev/nxblk0 bs=64k conv=fsync,notrunc 2>/dev/null || wrong "not synced"
stays
echo $n | dd of=/dev/nxblk1 bs=512 conv=sync,fsync,notrunc 2>/dev/null || wrong "not noted"
for i in 1 2 3 4 5 6; do
	while flood; do :; done &
done
until awk '{ exit !$2 }' /sys/block/nxblk0/inflight; do :; done
echo "life $n"
[ $n -lt $LIVES ] || exit 0
case $1 in
wait) sleep 1000 ;;
panic) echo c >/proc/sysrq-trigger ;;
# By turns without a warning, and in order, as far as the drivers.
reset) [ $((n % 2)) = 0 ] && reboot -f || echo b >/proc/sysrq-trigger ;;
esac
sleep 1000
GUEST

# plan_lives END LIVES: sets life_args, for a cell whose machine lives on after a reset.
plan_lives() {
	# shellcheck disable=SC2034
	life_args=(--socket "$socket" --put "$tmp/life.sh:/life.sh"
		--qemu-arg -action --qemu-arg reboot=reset -- env "LIVES=$2" sh /life.sh "$1")
}

# noted: which life was the last that noted its number.
noted() {
	head -c 512 "$tmp/notebook" | tr -d '\000'
}
