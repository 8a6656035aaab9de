#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A qcow2 image that comes from elsewhere, compressed, on top of another one, with
# a snapshot and an ext4 in it; and devices that somebody else runs, at
# --vhost-socket: a LUKS image, and one that its export does not let be written.
# The files are those that the host put there; written to, both stay sound.

# shellcheck source=tests/e2e/disk_lib.sh
source "$(dirname "$0")/disk_lib.sh"

tree() {
	mkdir -p "$1/dir"
	for i in $(seq 60); do
		head -c $((i * 1777)) /dev/urandom >"$1/dir/$i"
	done
	(cd "$1" && find . -type f | sort | xargs sha256sum) >"$1.sums"
	truncate -s 64M "$1.raw"
	mke2fs -q -F -t ext4 -d "$1" "$1.raw"
}

tree "$tmp/strange"
tree "$tmp/secret"
qemu-img convert -c -f raw -O qcow2 "$tmp/strange.raw" "$tmp/base"
qemu-img create -q -f qcow2 -F qcow2 -b "$tmp/base" -o cluster_size=4k "$tmp/image"
qemu-img snapshot -c before "$tmp/image"
printf 'pass phrase' >"$tmp/key"
secret=secret,id=key,file=${tmp//,/,,}/key
luks=driver=luks,file.filename=${tmp//,/,,}/luks,key-secret=key
# QEMU measures the processor for the key's sake, and now and then gives up.
make_luks() {
	qemu-img create -q -f luks --object "$secret" -o key-secret=key,iter-time=10 "$tmp/luks" 64M
}
wait_until 100 make_luks
qemu-img convert -n --object "$secret" --image-opts "driver=raw,file.filename=${tmp//,/,,}/secret.raw" \
	--target-image-opts "$luks"
base=$(sha256sum <"$tmp/base")

start qemu-storage-daemon --pidfile "$tmp/pid" --object "$secret" \
	--blockdev "driver=file,node-name=store,filename=$tmp/luks" \
	--blockdev driver=luks,node-name=disk,file=store,key-secret=key \
	--export "type=vhost-user-blk,id=luks,node-name=disk,writable=on,addr.type=unix,addr.path=$tmp/luks.sock" \
	--blockdev "driver=file,node-name=file,filename=$tmp/strange.raw,read-only=on" \
	--blockdev driver=raw,node-name=fixed,file=file,read-only=on \
	--export "type=vhost-user-blk,id=fixed,node-name=fixed,addr.type=unix,addr.path=$tmp/fixed.sock" \
	</dev/null >"$logs/storage.log" 2>&1
daemon=$REPLY
wait_until 20 test -e "$tmp/pid"

# The last disk is the device's to be read-only; nobody told rumpk.
cell --hal virtio --disk "$tmp/image" --format qcow2 --vhost-socket "$tmp/luks.sock" \
	--vhost-socket "$tmp/fixed.sock" -- sh -c '
	for disk in nxblk0 nxblk1; do
		(set -- $disk; '"$READ_EXT4"') && mount -t ext4 /dev/$disk /mnt &&
		seq 100000 >/mnt/from-the-guest && umount /mnt || exit 1
	done
	(set -- nxblk2; '"$READ_ONLY"') || exit 2
' >"$tmp/out" || fail "the guest failed at step $?"
cat "$tmp/strange.sums" "$tmp/secret.sums" | cmp - "$tmp/out" || fail "the guest found other files"
no_kernel_complaint

kill -0 "$daemon" || fail "the cell ended a daemon that is not its own"
stop "$daemon" TERM 30 || fail "the storage daemon ended with $?"
qemu-img check -q -f qcow2 "$tmp/image" || fail "the qcow2 image is damaged"
[[ $(sha256sum <"$tmp/base") == "$base" ]] || fail "what lies under the image has changed"
qemu-img convert -f qcow2 -O raw "$tmp/image" "$tmp/image.raw"
qemu-img convert --image-opts --object "$secret" -O raw "$luks" "$tmp/luks.raw"
for image in image luks; do
	e2fsck -fn "$tmp/$image.raw" >"$tmp/e2fsck" 2>&1 || fail "e2fsck: $(<"$tmp/e2fsck")"
	debugfs -R 'cat /from-the-guest' "$tmp/$image.raw" 2>/dev/null | cmp - <(seq 100000) ||
		fail "$image is not what the guest wrote"
done
# The snapshot is what was there before.
qemu-img convert -f qcow2 -l before -O raw "$tmp/image" "$tmp/snapshot.raw"
cmp "$tmp/snapshot.raw" "$tmp/strange.raw" || fail "the snapshot has changed"
