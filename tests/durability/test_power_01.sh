#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 300 10800
#
# D1: power cuts. A guest writes files to nxblk0, syncs each, and notes on nxblk1
# what it may rely on; rumpk logs what it had its storage do. From the log, and from
# another one after every 1,000 cuts:
#
#   for each cut, at every sync and elsewhere,
#     an image of what was surely on the medium, and of any part of the rest
#       journal replayed, e2fsck finds no fault, and each file that had been noted
#       before the cut is there, whole
#   20 of the images of each log are mounted by a guest, and used
#
# shellcheck source=tests/durability/cut_lib.sh
source "$(dirname "$0")/cut_lib.sh"

readonly FILES=90 CUTS_OF_LOG=1000 MOUNTED_OF_LOG=20 MOUNTED_AT_ONCE=10
planned power-cuts 200 10000
readonly CUTS=$REPLY
planned mounted-images 20 200

# record_log N: sets cuts to N places in it.
record_log() {
	cp --sparse=always "$tmp/base" "$tmp/disk"
	rm -f "$tmp/log"
	cell --disk "$tmp/disk" --size 1M --rumpk-arg --op-log --rumpk-arg "$tmp/log" \
		--put "$here/writer.sh:/writer.sh" -- sh /writer.sh "$FILES"
	no_kernel_complaint
	mapfile -t cuts < <("$powercut" "$tmp/log" cuts 0 "$1")
	((${#cuts[@]} == $1)) || fail "${#cuts[@]} cuts instead of $1"
}

# What a guest makes of them.
cat >"$tmp/mount.sh" <<'SCRIPT'
set -e
mkdir /fs
for path in /sys/block/nxblk*; do
	mount -t ext4 "/dev/${path##*/}" /fs
	[ ! -s "/relied-${path##*/}" ] || (cd /fs && sha256sum -c "/relied-${path##*/}" >/checked)
	dd if=/dev/urandom of=/fs/after bs=64k count=4 conv=fsync 2>/dev/null
	umount /fs
	echo "MOUNTED ${path##*/}"
done
SCRIPT

# mount_images CUT...: each in a guest, all in one.
mount_images() {
	local disks=() j
	for ((j = 0; j < $#; j++)); do
		cut_image "${@:j + 1:1}" $((seed + j + 1)) "$tmp/image$j"
		relied_on "${@:j + 1:1}" >"$tmp/relied$j"
		disks+=(--disk "$tmp/image$j" --put "$tmp/relied$j:/relied-nxblk$j")
	done
	cell "${disks[@]}" --put "$tmp/mount.sh:/mount.sh" -- sh /mount.sh >"$tmp/out"
	(($(grep -c ^MOUNTED "$tmp/out") == $#)) || fail "not all images were mounted"
	no_kernel_complaint
	for ((j = 0; j < $#; j++)); do
		e2fsck -fn "$tmp/image$j" >"$logs/e2fsck.log" 2>&1 || fail "image $j: e2fsck finds fault"
	done
	mounted=$((mounted + $#))
	ran mounted-images "$mounted"
}

make_base
seed=0 relied=0 mounted=0
for ((done = 0; done < CUTS; done += ${#cuts[@]})); do
	record_log $((CUTS - done < CUTS_OF_LOG ? CUTS - done : CUTS_OF_LOG))
	for ((i = 0; i < ${#cuts[@]}; i++)); do
		seed=$((done + i))
		# One in four without anything that no sync had made safe.
		cut_image "${cuts[i]}" $((seed % 4 ? seed : 0)) "$tmp/image"
		judge "${cuts[i]}" "$tmp/image"
		ran power-cuts $((seed + 1))
	done
	some=()
	for ((i = 0; i < MOUNTED_OF_LOG; i++)); do
		some+=("${cuts[i * ${#cuts[@]} / MOUNTED_OF_LOG]}")
	done
	for ((i = 0; i < MOUNTED_OF_LOG; i += MOUNTED_AT_ONCE)); do
		mount_images "${some[@]:i:MOUNTED_AT_ONCE}"
	done
done
((relied > CUTS)) || fail "only $relied promises were looked at"
echo "$relied promises kept"
