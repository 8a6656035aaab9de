# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What is tried on a disk whatever lies behind it: scripts for the guest, which
# take the disk's name as their argument, fio's jobs, and what the host then finds
# in a raw image.

# shellcheck source=tests/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

# FLUSH, FUA, DISCARD and WRITE_ZEROES as negotiated, on a disk of 16 MiB.
# shellcheck disable=SC2034
readonly EXTENSIONS='
	disk=/dev/$1
	cat "/sys/block/$1/queue/write_cache"
	blkdiscard -z -o 196608 -l 131072 $disk || exit 1
	dd if=$disk of=/head bs=64k count=1 2>/dev/null &&
	dd if=/head of=$disk bs=64k oflag=direct conv=fsync 2>/dev/null &&
	fio --name=fua --filename=$disk --offset=12M --rw=write --bs=4k --size=64k \
		--direct=1 --sync=dsync --thread >/out || exit 2
	blkdiscard -o 8388608 -l 1048576 $disk
'

# check_extensions BEFORE AFTER CHANNEL: all arrived, none touched a neighbour.
check_extensions() {
	local counter
	dd if=/dev/zero of="$1" bs=64k seek=3 count=2 conv=notrunc status=none
	for counter in flushes fua discards write_zeroes; do
		(($(rumpk_stat "$counter" "$3") > 0)) || fail "$counter is 0"
	done
	cmp -n $((8 << 20)) "$2" "$1" || fail "zeroing touched a neighbour"
	cmp -i $((9 << 20)) -n $((3 << 20)) "$2" "$1" &&
		cmp -i $((13 << 20)) "$2" "$1" || fail "discarding touched a neighbour"
}

# What a strict disk says of itself, and a write.
# shellcheck disable=SC2034
readonly STRICT='
	cd "/sys/block/$1/queue" &&
	cat write_cache discard_max_bytes write_zeroes_max_bytes &&
	dd if=/pattern of="/dev/$1" bs=64k conv=fsync 2>/dev/null
'

# check_strict WORDS CHANNEL
check_strict() {
	local counter
	[[ $1 == $'write through\n0\n0' ]] || fail "the disk says: $1"
	for counter in flushes fua discards write_zeroes; do
		[[ $(rumpk_stat "$counter" "$2") == 0 ]] || fail "$counter is not 0"
	done
}

# A disk that is read-only for Linux, and refuses all the same.
# shellcheck disable=SC2034
readonly READ_ONLY='
	[ "$(cat "/sys/block/$1/ro")" = 1 ] || exit 1
	! dd if=/dev/zero of="/dev/$1" bs=4k count=1 oflag=direct 2>/dev/null &&
	! dd if=/dev/zero of="/dev/$1" bs=4k count=1 conv=fsync 2>/dev/null &&
	dd if="/dev/$1" of=/dev/null bs=1M 2>/dev/null
'

# ext4, made and filled; prints the hash of every file.
# shellcheck disable=SC2034
readonly FILL_EXT4='
	mkfs.ext4 -q "/dev/$1" && mkdir -p /mnt && mount -t ext4 "/dev/$1" /mnt &&
	for i in $(seq 200); do
		mkdir -p /mnt/$((i % 7)) &&
		head -c $((i * 977)) /dev/urandom >/mnt/$((i % 7))/$i || exit 1
	done
	cd /mnt && find . -type f | sort | xargs sha256sum && cd / && umount /mnt
'

# Prints the hash of every file of a filesystem that is there.
# shellcheck disable=SC2034
readonly READ_EXT4='
	mkdir -p /mnt && mount -t ext4 -o ro "/dev/$1" /mnt && cd /mnt &&
	find . -path ./lost+found -prune -o -type f -print | sort | xargs sha256sum &&
	cd / && umount /mnt
'

# verify_jobs DISK: writes with checksums, each block verified: sequential and
# random, 512 bytes to 1 MiB, depth 1 to 64.  Needs 64 MiB.
verify_jobs() {
	cat <<-JOBS
		[global]
		filename=/dev/$1
		ioengine=libaio
		direct=1
		verify=crc32c
		verify_fatal=1
		verify_dump=0
		thread
		size=8M
		stonewall

		[sequential-512-1]
		rw=write
		bs=512
		size=1M

		[sequential-64k-16]
		rw=write
		bs=64k
		iodepth=16

		[sequential-1m-64]
		rw=write
		bs=1M
		iodepth=64
		size=48M

		[random-512-32]
		rw=randwrite
		bs=512
		iodepth=32
		size=2M

		[random-4k-64]
		rw=randwrite
		bs=4k
		iodepth=64
		size=16M

		[random-128k-8]
		rw=randwrite
		bs=128k
		iodepth=8
		size=16M

		[random-1m-4]
		rw=randwrite
		bs=1M
		iodepth=4
		size=32M

		[mixed-sizes-32]
		rw=randrw
		bsrange=512-1M
		bs_unaligned=0
		blockalign=512
		iodepth=32
		size=32M
	JOBS
}

# pair_jobs A B: two jobs on each of two disks of 32 MiB at the same time.
pair_jobs() {
	cat <<-JOBS
		[global]
		ioengine=libaio
		direct=1
		rw=randwrite
		bs=4k
		iodepth=16
		verify=pattern
		verify_fatal=1
		thread
		size=8M

		[a0]
		filename=/dev/$1
		verify_pattern=0xa0a0a0a0
		[a1]
		filename=/dev/$1
		offset=16M
		verify_pattern=0xa0a0a0a0
		[b0]
		filename=/dev/$2
		verify_pattern=0xb1b1b1b1
		[b1]
		filename=/dev/$2
		offset=16M
		verify_pattern=0xb1b1b1b1
	JOBS
}

# check_pair A B: what one disk holds never shows up on the other.
check_pair() {
	local disk other same
	for disk in "\\240:$1" "\\261:$2"; do
		other=$(tr -d "\\000${disk%%:*}" <"${disk#*:}" | wc -c)
		((other == 0)) || fail "$other foreign bytes on disk ${disk#*:}"
		same=$(tr -d '\000' <"${disk#*:}" | wc -c)
		((same == 16 << 20)) || fail "$same bytes of the pattern on disk ${disk#*:}"
	done
}
