# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
#
# The cell's disks: what rumpk is told of them, the files they need, and the
# raw disks that carry a root, tools and a peer to compare with.  Sourced by
# scripts/cell.

# Parallel lists, one entry a disk that rumpk serves.
disk_kinds=()   # file, size, nbd or vhost: what the source is
disk_sources=() # a path, the size of a fresh image, a URI or a socket
disk_formats=() # raw, qcow2, or nothing when not told
disk_attrs=()   # ",ro,bs=4096", as rumpk wants it
# What came before any disk belongs to the default one.
early_attrs=
early_format=

# add_disk KIND SOURCE
add_disk() {
	[[ -z $early_attrs$early_format ]] || usage_error "a disk's options come after the disk"
	disk_kinds+=("$1")
	disk_sources+=("$2")
	disk_formats+=("")
	disk_attrs+=("")
}

add_disk_attr() {
	if ((${#disk_attrs[@]} == 0)); then
		early_attrs+=$1
	else
		disk_attrs[-1]+=$1
	fi
}

set_disk_format() {
	if ((${#disk_formats[@]} == 0)); then
		early_format=$1
	else
		disk_formats[-1]=$1
	fi
}

default_disk() {
	local attrs=$early_attrs format=$early_format
	((${#disk_attrs[@]} == 0)) || return 0
	early_attrs='' early_format=''
	add_disk size $((64 << 20))
	disk_attrs=("$attrs")
	disk_formats=("$format")
}

# disk_has INDEX ATTRIBUTE
disk_has() {
	[[ ${disk_attrs[$1]}, == *",$2,"* ]]
}

# is_stored INDEX: is it a disk that a storage daemon of ours serves?
is_stored() {
	case ${disk_kinds[$1]} in
	nbd) ;;
	vhost) return 1 ;;
	*) [[ $hal == virtio ]] ;;
	esac
}

check_cap() {
	[[ $1 =~ ^(none|r(wd?)?m?(:[0-9]+-[0-9]+)?)$ ]] ||
		usage_error "--cap wants none or r[m]|rw[d][m][:FIRST-LAST], not \"$1\""
}

# The size of the first disk, for those that are made to its measure.
first_disk_size() {
	if [[ ${disk_kinds[0]} == size ]]; then
		REPLY=${disk_sources[0]}
	elif is_stored 0; then
		virtual_size 0
	else
		REPLY=$(stat -L -c %s -- "${disk_sources[0]}") ||
			die 125 "cannot tell the size of ${disk_sources[0]}"
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

# disk_source INDEX: sets REPLY to what rumpk is told that a disk is.
disk_source() {
	local source=${disk_sources[$1]}
	if is_stored "$1"; then
		store_disk "$1"
		REPLY=vhost=${REPLY//,/,,}
		return
	fi
	case ${disk_kinds[$1]} in
	file) REPLY=file=${source//,/,,} ;;
	vhost) REPLY=vhost=${source//,/,,} ;;
	*)
		if [[ $hal == mem ]]; then
			REPLY=mem=$source
		else
			fresh_image "nxblk$1" "$source"
			REPLY=file=${REPLY//,/,,}
		fi
		;;
	esac
}

# Appends what rumpk is to serve to rumpk_args.
describe_disks() {
	local i way=
	[[ $data != zerocopy ]] || way=,data=zerocopy
	for ((i = 0; i < ${#disk_attrs[@]}; i++)); do
		disk_source "$i"
		rumpk_args+=(--disk "$REPLY${disk_attrs[i]}$way")
		# A disk that the cell may not even ask about does not appear.
		[[ $load == no ]] || disk_has "$i" cap=none || conf "wait=/dev/nxblk$i"
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
