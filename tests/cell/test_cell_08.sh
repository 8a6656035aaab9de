#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The storage daemon of a cell lives as long as the cell: an image is whole when
# the cell has ended, nothing is left of one that was killed at whatever moment,
# and a cell whose daemon dies fails and says so.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

export TMPDIR=$tmp/t
mkdir "$TMPDIR"

# Every process of a cell names the run directory in its arguments.
processes() {
	local file
	local -a words
	for file in /proc/[0-9]*/cmdline; do
		{ mapfile -d '' words <"$file"; } 2>/dev/null || continue
		[[ ${words[*]} != $1*"$TMPDIR"* ]] || echo "$file"
	done
}

nothing_left() {
	[[ -z $(ls -A "$TMPDIR") && -z $(processes '') ]]
}

head -c 20M /dev/urandom >"$tmp/pattern"
qemu-img create -q -f qcow2 "$tmp/image" 20M
cell --hal virtio --disk "$tmp/image" --format qcow2 --size 3M --format qcow2 --peer \
	--put "$tmp/pattern:/pattern" -- sh -c '
	cat /sys/block/nxblk0/size /sys/block/nxblk1/size /sys/block/vda/size
	dd if=/pattern of=/dev/nxblk0 bs=1M 2>/dev/null
' >"$tmp/out" || fail "the guest ended with $?"
nothing_left || fail "left behind: $(ls -A "$TMPDIR") $(processes '')"
[[ $(<"$tmp/out") == $'40960\n6144\n40960' ]] || fail "the disks are of other sizes: $(<"$tmp/out")"
qemu-img compare -q -f raw -F qcow2 "$tmp/pattern" "$tmp/image" ||
	fail "the image is not what the guest wrote"
qemu-img check -q -f qcow2 "$tmp/image" || fail "the image is not whole"

for when in KILL:0.3 KILL:1 KILL:3 TERM:1 TERM:4 INT:2; do
	# What a shell puts in the background ignores SIGINT.
	env --default-signal=INT "$NEXUS_TOP/scripts/cell" --hal virtio --size 1G --format qcow2 -- \
		dd if=/dev/urandom of=/dev/nxblk0 bs=1M >"$tmp/out" 2>&1 &
	pid=$!
	sleep "${when#*:}"
	kill "-${when%:*}" "$pid"
	wait "$pid" 2>/dev/null || true
	wait_until 20 nothing_left
done

"$NEXUS_TOP/scripts/cell" --logs "$logs/killed" --hal virtio -- \
	sh -c 'echo ready; sleep 100' >"$tmp/ready" 2>"$tmp/err" &
pid=$!
wait_until 60 grep -q -s ready "$tmp/ready"
daemon=$(processes qemu-storage-daemon)
kill -KILL "$(basename "$(dirname "$daemon")")"
expect 125 wait "$pid"
grep -q 'the storage daemon ended with 137' "$tmp/err" || fail "it says: $(<"$tmp/err")"
nothing_left || fail "left behind: $(ls -A "$TMPDIR") $(processes '')"
