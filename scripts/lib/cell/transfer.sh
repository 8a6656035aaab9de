# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
#
# Files into the cell and out of it; guest/transfer.c is the other side.
# Sourced by scripts/cell.

put_orders=()
get_orders=()

# The guest never needs all of it: the file stays sparse.
readonly GET_DISK_BYTES=$((256 << 30))
# How much will come is not known before; room for this much is looked for.
readonly GET_ROOM_WANTED=$((1 << 30))

# split_order ORDER: sets order_from and order_to.  The first colon divides.
split_order() {
	order_from=${1%%:*}
	order_to=
	[[ $1 != *:* ]] || order_to=${1#*:}
	[[ -n $order_from ]] || usage_error "no name before the colon in \"$1\""
}

# Where in the guest a file goes that was given no place, or only a directory.
guest_place() {
	local base
	base=$(basename -- "$1")
	case $2 in
	'') REPLY=/$base ;;
	*/) REPLY=$2$base ;;
	*) REPLY=$2 ;;
	esac
}

# put_one IMAGE ORDER: append to the image, padded to whole sectors.
put_one() {
	local image=$1 kind=f start end mode
	split_order "$2"
	start=$(stat -c %s "$image")
	mode=$(stat -L -c %a -- "$order_from" 2>/dev/null) || die 125 "--put: no $order_from"
	if [[ -d $order_from ]]; then
		kind=d
		tar -c --numeric-owner -C "$order_from" . >>"$image"
	else
		cat -- "$order_from" >>"$image"
	fi || die 125 "--put: cannot read $order_from"
	end=$(stat -c %s "$image")
	truncate -s $(((end + 511) / 512 * 512)) "$image"
	guest_place "$(realpath -s -- "$order_from")" "$order_to"
	conf "put=$kind $start $((end - start)) $mode $REPLY"
}

# occupied PATH: bytes on the disk, of all below it.
occupied() {
	local bytes
	IFS=$'\t' read -r bytes _ < <(du -s -B1 -- "$1" 2>/dev/null) || true
	echo "${bytes:-0}"
}

attach_puts() {
	local image order bytes=0
	((${#put_orders[@]})) || return 0
	for order in "${put_orders[@]}"; do
		split_order "$order"
		bytes=$((bytes + $(occupied "$order_from")))
	done
	image_directory "$bytes"
	image=$REPLY/put.img
	: >"$image"
	for order in "${put_orders[@]}"; do
		put_one "$image" "$order"
	done
	# A disk of no sectors at all would be no disk.
	truncate -s '>4096' "$image"
	raw_disk put "$image" ,read-only=on
}

attach_gets() {
	local order
	((${#get_orders[@]})) || return 0
	for order in "${get_orders[@]}"; do
		split_order "$order"
		conf "get=$order_from"
	done
	image_directory "$GET_ROOM_WANTED"
	get_image=$REPLY/get.img
	truncate -s "$GET_DISK_BYTES" "$get_image"
	raw_disk get "$get_image" ,cache.no-flush=on
}

# host_place GUESTPATH FILE: sets REPLY, as cp would choose it.
host_place() {
	local base
	base=$(basename -- "$1")
	REPLY=${2:-$base}
	[[ ! -d $REPLY ]] || REPLY=${REPLY%/}/$base
}

# get_one PATH FILE KIND OFFSET LENGTH MODE: the bytes of one answer.
get_one() {
	local path=$1 file=$2 kind=$3 offset=$4 length=$5 mode=$6
	local -a bytes=(dd "if=$get_image" bs=1M status=none
		"iflag=skip_bytes,count_bytes" "skip=$offset" "count=$length")

	if [[ $kind == d ]]; then
		# A directory's contents go into one that is there.
		REPLY=${file:-$(basename -- "$path")}
		mkdir -p -- "$REPLY" && "${bytes[@]}" | tar -x -C "$REPLY"
		return
	fi
	host_place "$path" "$file"
	if [[ ! -d $(dirname -- "$REPLY") ]]; then
		say "--get: there is no directory $(dirname -- "$REPLY")"
		return 1
	fi
	"${bytes[@]}" >"$REPLY" || return 1
	[[ ! -f $REPLY ]] || chmod "$mode" -- "$REPLY"
}

# Whatever the guest has brought; fails if any of it is missing.
collect_gets() {
	local i answer bad=0
	local -a answers
	mapfile -t answers < <(grep -a -E '^(no)?get ' "$log_dir/report.log")
	for ((i = 0; i < ${#get_orders[@]}; i++)); do
		split_order "${get_orders[i]}"
		answer=${answers[i]:-noget nothing was reported}
		if [[ $answer == noget* ]]; then
			say "--get: $order_from: ${answer#noget }"
			bad=1
			continue
		fi
		# shellcheck disable=SC2086
		get_one "$order_from" "$order_to" ${answer#get } || {
			say "--get: cannot write $order_from to the host"
			bad=1
		}
	done
	return "$bad"
}
