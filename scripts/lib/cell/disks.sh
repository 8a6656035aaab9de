# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
#
# The cell's disks: what rumpk is told of them, the files they need, and the
# raw disks that carry a root, tools and a peer to compare with.  Sourced by
# scripts/cell.

# Parallel lists, one entry a disk that rumpk serves.
disk_files=() # the user's file, or nothing
disk_sizes=() # the size of a fresh one, or nothing
disk_attrs=() # ",ro,bs=4096", as rumpk wants it
# Attributes that came before any disk belong to the default one.
early_attrs=

add_disk() {
	[[ -z $early_attrs ]] || usage_error "a disk's options come after the disk"
	disk_files+=("$1")
	disk_sizes+=("$2")
	disk_attrs+=("")
}

add_disk_attr() {
	if ((${#disk_attrs[@]} == 0)); then
		early_attrs+=$1
	else
		disk_attrs[-1]+=$1
	fi
}

default_disk() {
	local attrs=$early_attrs
	((${#disk_attrs[@]} == 0)) || return 0
	early_attrs=
	add_disk '' $((64 << 20))
	disk_attrs=("$attrs")
}

check_cap() {
	[[ $1 =~ ^(none|(r|rw)d?(:[0-9]+-[0-9]+)?)$ ]] ||
		usage_error "--cap wants none or r|rw[d][:FIRST-LAST], not \"$1\""
}

# The size of the first disk, for those that are made to its measure.
first_disk_size() {
	if [[ -n ${disk_sizes[0]} ]]; then
		REPLY=${disk_sizes[0]}
	else
		REPLY=$(stat -L -c %s -- "${disk_files[0]}") ||
			die 125 "cannot tell the size of ${disk_files[0]}"
	fi
}

# The room left where a directory is, in bytes.
free_room() {
	df --output=avail -B1 -- "$1" | tail -n 1
}

# image_directory BYTES: sets REPLY to where an image of that size goes: the run
# directory, unless its file system could not hold it and the cache's has more.
image_directory() {
	local here there
	here=$(free_room "$run_dir")
	if [[ -z $spare_dir ]] && ((here < $1)); then
		there=$(free_room "$NEXUS_CACHE")
		if ((there > here)); then
			mkdir -p "$NEXUS_CACHE/run"
			private_directory "$NEXUS_CACHE/run"
			spare_dir=$REPLY
		fi
	fi
	if ((here >= $1)) || [[ -z $spare_dir ]]; then
		REPLY=$run_dir
	else
		REPLY=$spare_dir
	fi
}

# fresh_image NAME BYTES: sets REPLY to a new sparse file.
fresh_image() {
	image_directory "$2"
	REPLY+=/$1.img
	truncate -s "$2" -- "$REPLY"
}

# Appends what rumpk is to serve to rumpk_args.
describe_disks() {
	local i source
	for ((i = 0; i < ${#disk_attrs[@]}; i++)); do
		if [[ -n ${disk_files[i]} ]]; then
			source=file=${disk_files[i]//,/,,}
		elif [[ $hal == mem ]]; then
			source=mem=${disk_sizes[i]}
		else
			fresh_image "nxblk$i" "${disk_sizes[i]}"
			source=file=${REPLY//,/,,}
		fi
		rumpk_args+=(--disk "$source${disk_attrs[i]}")
		# A disk that the cell may not even ask about does not appear.
		[[ $load == no || ,${disk_attrs[i]}, == *,cap=none,* ]] || conf "wait=/dev/nxblk$i"
	done
	[[ -z $window ]] || rumpk_args+=(--window "$window")
	rumpk_args+=("${rumpk_extra[@]}")
}

# raw_disk NAME FILE [OPTION]: a plain virtio disk, found by its serial.
raw_disk() {
	qemu_args+=(
		-blockdev "driver=raw,node-name=$1,file.driver=file,file.filename=${2//,/,,}${3-}"
		-device "virtio-blk-pci,drive=$1,serial=nexus-$1,werror=report,rerror=report"
	)
}

# First of all raw disks, so that it is /dev/vda.
attach_peer() {
	first_disk_size
	fresh_image peer "$REPLY"
	raw_disk peer "$REPLY"
}

# The tree becomes an ext4 image of its own, so that it can be written to and
# stays as it was.
attach_rootfs() {
	local bytes entries image
	[[ -d $rootfs ]] || die 125 "--rootfs: $rootfs is no directory"
	bytes=$(du -s -x -B1 -- "$rootfs" | tail -n 1 | cut -f1) || die 125 "cannot read all of $rootfs"
	entries=$(find "$rootfs" -xdev -printf x | wc -c)
	fresh_image rootfs $((bytes + bytes / 4 + (2 << 30)))
	image=$REPLY
	mke2fs -q -F -t ext4 -m 0 -O ^has_journal -N $((entries * 2 + 65536)) \
		-d "$rootfs" "$image" >"$log_dir/mke2fs.log" 2>&1 ||
		die 125 "cannot make a root of $rootfs: $(tail -n 1 "$log_dir/mke2fs.log")"
	raw_disk rootfs "$image" ,cache.no-flush=on
	conf "rootfs=1"
}

attach_tools() {
	local image
	image=$("$NEXUS_TOP/scripts/tools-image") || die 125 "no image with the tools"
	raw_disk tools "$image" ,read-only=on
	conf "tools=1"
}
