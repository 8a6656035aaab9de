#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 300
#
# C5: QEMU alone is killed while its guest writes and syncs; rumpk goes on. It ends
# what that guest had asked for before it serves the next one, which finds a file
# system in order and all that its predecessors had been told is safe.
#
# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

readonly ROUNDS=3
socket=$tmp/ion.sock

truncate -s 64M "$tmp/disk"
mke2fs -q -F -t ext4 "$tmp/disk"

cat >"$tmp/write.sh" <<'SCRIPT'
mkdir /fs && mount /dev/nxblk0 /fs || exit 1
[ ! -s /safe ] || (cd /fs && sha256sum -c /safe >/checked) || { cat /checked; exit 2; }
echo "FOUND $(grep -c OK /checked 2>/dev/null)"
[ "$1" != last ] || { umount /fs; exit 0; }
mkdir -p "/fs/$1" || exit 3
(while true; do dd if=/dev/urandom of=/fs/$1/load bs=64k count=64 2>/dev/null; done) &
i=0
while true; do
	i=$((i + 1))
	dd if=/dev/urandom of=/fs/$1/$i bs=$((i * 997 % 9000 + 1)) count=5 conv=fsync 2>/dev/null || exit 4
	echo "SAFE $(sha256sum <"/fs/$1/$i" | cut -d ' ' -f 1) $1/$i"
done
SCRIPT

told() {
	(($(grep -c ^SAFE "$1") >= 20))
}

safe_files() {
	cat "$tmp"/out* | sed -n -E 's/^SAFE ([0-9a-f]{64}) ([a-z0-9]+\/[0-9]+)\r?$/\1  \2/p'
}

kill_qemu() {
	local pid
	for pid in $(pgrep -f "$socket"); do
		[[ $(<"/proc/$pid/comm") != qemu-system-x86* ]] || kill -KILL "$pid"
	done 2>/dev/null
}

left() {
	(($(grep -c 'guest left' "$logs/rumpk.log") >= $1))
}

: >"$tmp/out0"
start_rumpk "$socket" --disk "file=$tmp/disk"
for ((round = 1; round <= ROUNDS; round++)); do
	safe_files >"$tmp/safe"
	: >"$tmp/out$round"
	cell --socket "$socket" --put "$tmp/write.sh:/write.sh" --put "$tmp/safe:/safe" \
		-- sh /write.sh "round$round" >"$tmp/out$round" 2>"$logs/cell$round.err" &
	guest=$!
	wait_until 90 told "$tmp/out$round"
	kill_qemu
	wait "$guest" || true
	wait_until 20 left "$round"
	[[ -n $(worker_pid) ]] || fail "round $round: no worker"
done
safe_files >"$tmp/safe"
cell --socket "$socket" --put "$tmp/write.sh:/write.sh" --put "$tmp/safe:/safe" \
	-- sh /write.sh last >"$tmp/last"
no_kernel_complaint
found=$(sed -n 's/^FOUND \([0-9]*\).*/\1/p' "$tmp/last")
((found == $(wc -l <"$tmp/safe") && found >= 20 * ROUNDS)) || fail "$found files were looked at"
! grep -q 'killed by signal' "$logs/rumpk.log" || fail "a worker died"
stop_rumpk || fail "SIGTERM: exit status $?"
e2fsck -fn "$tmp/disk" >"$logs/e2fsck.log" 2>&1 || fail "e2fsck finds fault"
echo "$found files of $ROUNDS guests were safe"
