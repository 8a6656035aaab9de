#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A userland of one's own: writable in the cell, untouched afterwards, with the
# usual file systems, the modules and the tools at hand.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

tree=$tmp/tree
mkdir -p "$tree"/{bin,usr/lib,proc,sys,dev,run,etc,tmp}
ln -s usr/lib "$tree/lib"
cp /bin/busybox "$tree/bin/"
for applet in sh cat ls mount grep dd touch umount mkdir; do
	ln -s busybox "$tree/bin/$applet"
done
echo mine >"$tree/etc/own"
(cd "$tree" && find . -exec stat -c '%n %i %a %Y %s' {} + | sort) >"$tmp/before"

cell --rootfs "$tree" --tools fs --size 320M --put "$tmp/before:/etc/put" --get /etc/own:"$tmp/own" -- \
	sh -c '
	set -e
	cat /etc/own /proc/version /sys/block/nxblk0/size
	grep -q . /etc/put
	grep -q " /sys/fs/cgroup cgroup2 " /proc/mounts
	echo changed >/etc/own
	mkfs.xfs -q /dev/nxblk0
	mkdir /data
	mount -t xfs /dev/nxblk0 /data
	touch /data/file
	umount /data
	modprobe null_blk
	grep -q nexus_blk /proc/modules
' >"$tmp/out" || fail "the guest ended with $?"
grep -q mine "$tmp/out" || fail "not the tree's own files"
[[ $(<"$tmp/own") == changed ]] || fail "the tree was not writable"
(cd "$tree" && find . -exec stat -c '%n %i %a %Y %s' {} + | sort) | cmp - "$tmp/before" ||
	fail "the tree itself changed"
