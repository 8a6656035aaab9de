#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs in the guest: makes, grows, replaces and deletes files on nxblk0, syncs each,
# and only then notes on nxblk1 what is now safe: "keep NAME HASH", or "gone NAME"
# before a file is deleted, since it may be so from then on.
#
# usage: writer.sh FILES

set -e
mkdir -p /fs
mount -o discard /dev/nxblk0 /fs
line=0

note() {
	echo "$*" >/note
	truncate -s 512 /note
	dd if=/note of=/dev/nxblk1 bs=512 seek=$line count=1 conv=fsync 2>/dev/null
	line=$((line + 1))
}

keep() {
	note "keep $1 $(sha256sum <"/fs/$1" | cut -d ' ' -f 1)"
}

for i in $(seq "$1"); do
	mkdir -p /fs/d$((i % 4))
	name=d$((i % 4))/file$i
	dd if=/dev/urandom of="/fs/$name" bs=$((i * 137 % 4000 + 100)) count=$((i % 23 + 1)) \
		conv=fsync 2>/dev/null
	keep "$name"
	old=d$(((i - 3) % 4))/file$((i - 3))
	case $((i % 5)) in
	0) # replaced by renaming: the old contents, or the new
		[ -e /fs/$old ] || continue
		note "gone $old"
		dd if=/dev/urandom of=/fs/new bs=3000 count=3 conv=fsync 2>/dev/null
		mv /fs/new /fs/$old
		sync
		keep "$old"
		;;
	1) # without a promise
		dd if=/dev/urandom of="/fs/careless$i" bs=4k count=9 2>/dev/null
		;;
	2)
		[ -e /fs/$old ] || continue
		note "gone $old"
		rm /fs/$old
		sync
		;;
	esac
done
sync
