#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# D1: QEMU and all of rumpk are killed at once while a guest writes and syncs. What
# it had been told is safe is in the image; rumpk and a new guest go on with it.
#
# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

readonly ROUNDS=3
socket=$tmp/ion.sock

truncate -s 64M "$tmp/disk"
mke2fs -q -F -t ext4 "$tmp/disk"

cat >"$tmp/write.sh" <<'SCRIPT'
mkdir /fs && mount /dev/nxblk0 /fs && mkdir -p "/fs/$1" || exit 1
i=0
while true; do
	i=$((i + 1))
	dd if=/dev/urandom of=/fs/$1/$i bs=$((i * 997 % 9000 + 1)) count=5 conv=fsync 2>/dev/null || exit 1
	echo "SAFE $1/$i $(sha256sum <"/fs/$1/$i" | cut -d ' ' -f 1)"
done
SCRIPT

told() {
	(($(grep -c ^SAFE "$1") >= 25))
}

kill_all() {
	local pid
	for pid in $(pgrep -f "$socket"); do
		case $(<"/proc/$pid/comm") in
		rumpk | qemu-system-x86*) kill -KILL "$pid" ;;
		esac
	done 2>/dev/null
}

relied=0
for ((round = 1; round <= ROUNDS; round++)); do
	start_rumpk "$socket" --disk "file=$tmp/disk"
	cell --socket "$socket" --put "$tmp/write.sh:/write.sh" -- sh /write.sh "round$round" \
		>"$tmp/out$round" 2>"$logs/cell.err" &
	guest=$!
	wait_until 120 told "$tmp/out$round"
	kill_all
	wait "$guest" || true
	stop_rumpk KILL || true
	e2fsck -E journal_only -y "$tmp/disk" >"$logs/e2fsck.log" 2>&1 || (($? == 1)) ||
		fail "round $round: the journal cannot be replayed"
	e2fsck -fn "$tmp/disk" >"$logs/e2fsck.log" 2>&1 || fail "round $round: e2fsck finds fault"
	rm -rf "$tmp/files"
	mkdir "$tmp/files"
	debugfs -R "rdump / $tmp/files" "$tmp/disk" >"$logs/debugfs.log" 2>&1
	while read -r _ name hash; do
		found=$(sha256sum <"$tmp/files/$name") || found=none
		[[ ${found%% *} == "$hash" ]] || fail "$name was safe, and is not there"
		relied=$((relied + 1))
	done < <(cat "$tmp"/out* | grep -E '^SAFE [^ ]+ [0-9a-f]{64}$')
done
((relied >= 25 * ROUNDS)) || fail "only $relied files were looked at"
