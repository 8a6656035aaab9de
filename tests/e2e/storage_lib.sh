# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
#
# The exchange across the boundary, over a storage daemon:
#
#	guest -- window -- rumpk -- vhost-user socket -- qemu-storage-daemon -- image
#
# on images of one format, with qemu-img as the judge of what they hold.

# shellcheck source=tests/e2e/disk_lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/disk_lib.sh"

# image NAME SIZE [SOURCE]: a new one, blank or with what a raw file holds.
image() {
	qemu-img create -q -f "$format" "$tmp/$1" "$2"
	[[ -z ${3-} ]] || qemu-img convert -n -f raw -O "$format" "$3" "$tmp/$1"
}

# raw_of NAME: sets REPLY to what an image holds.
raw_of() {
	REPLY=$tmp/$1.raw
	qemu-img convert -f "$format" -O raw "$tmp/$1" "$REPLY"
}

whole() {
	[[ $format != qcow2 ]] || qemu-img check -q -f qcow2 "$tmp/$1" ||
		fail "the image $1 is damaged"
}

# exchange_bytes [OPTION...]: both ways, verified by fio, two disks at once,
# zeroed, discarded, flushed.
exchange_bytes() {
	local disk disks=()
	head -c 16M /dev/urandom >"$tmp/pattern"
	head -c 16M /dev/urandom >"$tmp/before"
	image read 16M "$tmp/before"
	image fio 64M
	image a 32M
	image b 32M
	image extended 16M "$tmp/before"
	for disk in read fio a b extended; do
		disks+=(--disk "$tmp/$disk" --format "$format")
	done
	verify_jobs nxblk1 >"$tmp/verify"
	pair_jobs nxblk2 nxblk3 >"$tmp/pair"
	cell --hal virtio "$@" "${disks[@]}" --tools fs --put "$tmp/pattern:/pattern" \
		--put "$tmp/verify:/verify" --put "$tmp/pair:/pair" -- sh -c '
		sha256sum </dev/nxblk0 &&
		dd if=/pattern of=/dev/nxblk0 bs=1M conv=fsync 2>/dev/null || exit 10
		fio --output=/out /verify || exit 11
		fio --output=/out /pair || exit 12
		'"$EXTENSIONS" sh nxblk4 >"$tmp/out" || fail "the guest failed at step $?"
	[[ $(head -n 1 "$tmp/out") == "$(sha256sum <"$tmp/before")" ]] || fail "the guest read something else"
	[[ $(tail -n 1 "$tmp/out") == "write back" ]] || fail "the disk says: $(<"$tmp/out")"
	for disk in read fio a b extended; do
		whole "$disk"
	done
	qemu-img compare -q -f raw -F "$format" "$tmp/pattern" "$tmp/read" ||
		fail "the image is not what the guest wrote"
	raw_of a && raw_of b
	check_pair "$tmp/a.raw" "$tmp/b.raw"
	raw_of extended
	check_extensions "$tmp/before" "$REPLY" 4
	no_kernel_complaint
}

# exchange_files [OPTION...]: ext4 on blocks of 4096 bytes, and a strict disk; then
# the same read-only, by the export and by the capability.
exchange_files() {
	image fs 96M
	image strict 16M
	head -c 4M /dev/urandom >"$tmp/pattern"
	cell --hal virtio "$@" --disk "$tmp/fs" --format "$format" --block-size 4096 \
		--disk "$tmp/strict" --format "$format" --strict --tools fs \
		--put "$tmp/pattern:/pattern" -- sh -c '
		cat /sys/block/nxblk0/queue/logical_block_size
		(set -- nxblk1; '"$STRICT"') || exit 10
		'"$FILL_EXT4" sh nxblk0 >"$tmp/out" || fail "the guest failed at step $?"
	[[ $(head -n 1 "$tmp/out") == 4096 ]] || fail "the logical block is $(head -n 1 "$tmp/out")"
	check_strict "$(sed -n 2,4p "$tmp/out")" 1
	tail -n +5 "$tmp/out" >"$tmp/written"
	[[ $(wc -l <"$tmp/written") == 200 ]] || fail "not 200 files were written"
	whole fs && raw_of fs
	e2fsck -fn "$REPLY" >"$tmp/e2fsck" 2>&1 || fail "e2fsck: $(<"$tmp/e2fsck")"
	whole strict && raw_of strict
	cmp -n $((4 << 20)) "$REPLY" "$tmp/pattern" || fail "the strict image is not what was written"
	no_kernel_complaint

	sha256sum "$tmp/fs" "$tmp/strict" >"$tmp/sums"
	cell --hal virtio "$@" --disk "$tmp/fs" --format "$format" --block-size 4096 --ro \
		--disk "$tmp/strict" --format "$format" --cap rm -- sh -c '
		(set -- nxblk1; '"$READ_ONLY"') && (set -- nxblk0; '"$READ_ONLY"') || exit 10
		'"$READ_EXT4" sh nxblk0 >"$tmp/read" || fail "the second guest failed at step $?"
	cmp "$tmp/written" "$tmp/read" || fail "the second guest found other files"
	sha256sum --status -c "$tmp/sums" || fail "a read-only image has changed"
}
