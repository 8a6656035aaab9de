#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
#
# D1: power cuts. A guest writes files to nxblk0, syncs each, and notes on nxblk1
# what it may rely on; rumpk logs what it had its storage do. From the log:
#
#   for each of 200 cuts, at every sync and elsewhere,
#     an image of what was surely on the medium, and of any part of the rest
#       journal replayed, e2fsck finds no fault, and each file that had been noted
#       before the cut is there, whole
#   20 of the images are mounted by a guest, and used
#
# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

readonly CUTS=200 MOUNTED=20 FILES=90
powercut=$NEXUS_BUILD/tests/durability/powercut
here=$NEXUS_TOP/tests/durability

truncate -s 24M "$tmp/base"
mke2fs -q -F -t ext4 -b 1024 "$tmp/base"
cp --sparse=always "$tmp/base" "$tmp/disk"
cell --disk "$tmp/disk" --size 1M --rumpk-arg --op-log --rumpk-arg "$tmp/log" \
	--put "$here/writer.sh:/writer.sh" -- sh /writer.sh "$FILES"
no_kernel_complaint
mapfile -t cuts < <("$powercut" "$tmp/log" cuts 0 "$CUTS")
((${#cuts[@]} == CUTS)) || fail "${#cuts[@]} cuts instead of $CUTS"

# relied_on CUT: "NAME HASH" of each file that has to be there.
relied_on() {
	"$powercut" "$tmp/log" lines 1 "$1" | awk '
		$1 == "keep" { hash[$2] = $3 }
		$1 == "gone" { delete hash[$2] }
		END { for (name in hash) print name, hash[name] }'
}

# cut_image CUT SEED FILE
cut_image() {
	cp --sparse=always "$tmp/base" "$3"
	"$powercut" "$tmp/log" image 0 "$1" "$2" "$3"
}

# judge CUT FILE: after recovery, as the host sees it.
judge() {
	local name hash found
	rm -rf "$tmp/files"
	mkdir "$tmp/files"
	e2fsck -E journal_only -y "$2" >"$logs/e2fsck.log" 2>&1 || (($? == 1)) ||
		fail "cut $1: the journal cannot be replayed"
	e2fsck -fn "$2" >"$logs/e2fsck.log" 2>&1 || fail "cut $1: e2fsck finds fault"
	debugfs -R "rdump / $tmp/files" "$2" >"$logs/debugfs.log" 2>&1
	while read -r name hash; do
		found=$(sha256sum <"$tmp/files/$name") || found=none
		[[ ${found%% *} == "$hash" ]] || fail "cut $1: $name was promised, and is not there"
		relied=$((relied + 1))
	done < <(relied_on "$1")
}

relied=0
for ((i = 0; i < CUTS; i++)); do
	# One in four without anything that no sync had made safe.
	seed=$((i % 4 ? i : 0))
	cut_image "${cuts[i]}" "$seed" "$tmp/image"
	judge "${cuts[i]}" "$tmp/image"
done
((relied > CUTS)) || fail "only $relied promises were looked at"

# What a guest makes of them: mounts ten at a time, and writes.
cat >"$tmp/mount.sh" <<'SCRIPT'
set -e
mkdir /fs
for path in /sys/block/nxblk*; do
	mount -t ext4 "/dev/${path##*/}" /fs
	while read -r name hash; do
		[ "$(sha256sum <"/fs/$name" | cut -d ' ' -f 1)" = "$hash" ]
	done <"/relied-${path##*/}"
	dd if=/dev/urandom of=/fs/after bs=64k count=4 conv=fsync 2>/dev/null
	umount /fs
	echo "MOUNTED ${path##*/}"
done
SCRIPT
for ((i = 0; i < MOUNTED; i += 10)); do
	disks=()
	for ((j = 0; j < 10; j++)); do
		cut=${cuts[(i + j) * CUTS / MOUNTED]}
		cut_image "$cut" $((i + j + 1000)) "$tmp/image$j"
		relied_on "$cut" >"$tmp/relied$j"
		disks+=(--disk "$tmp/image$j" --put "$tmp/relied$j:/relied-nxblk$j")
	done
	cell "${disks[@]}" --put "$tmp/mount.sh:/mount.sh" -- sh /mount.sh >"$tmp/out"
	(($(grep -c ^MOUNTED "$tmp/out") == 10)) || fail "not all images were mounted"
	no_kernel_complaint
	for ((j = 0; j < 10; j++)); do
		e2fsck -fn "$tmp/image$j" >"$logs/e2fsck.log" 2>&1 || fail "image $j: e2fsck finds fault"
	done
done
echo "$CUTS cuts of $CUTS, $relied promises kept, $MOUNTED images mounted of $MOUNTED"
