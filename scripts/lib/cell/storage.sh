# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
#
# Disks that rumpk does not open itself: QEMU's storage daemon opens them, one
# process for all, and gives each to rumpk as a vhost-user-blk device.  Sourced by
# scripts/cell.
#
# Every image is two nodes there: "store<n>", where its bytes are, and "disk<n>",
# the format that they have.

storage_args=() storage_pid=''

# url_decode TEXT: sets REPLY.  Fails on a "%" that begins nothing.
url_decode() {
	local text=${1//\\/\\\\}
	[[ ! $1 =~ %([^0-9A-Fa-f]|.[^0-9A-Fa-f]|.?$) ]] || return 1
	printf -v REPLY %b "${text//%/\\x}"
}

# parse_nbd URI: sets nbd_options to what the daemon is told of server and export.
parse_nbd() {
	local name host
	if [[ $1 =~ ^nbd://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:([0-9]{1,5}))?(/([^?]*))?$ ]]; then
		name=${BASH_REMATCH[5]}
		host=${BASH_REMATCH[1]#\[}
		nbd_options=(server.type=inet "server.host=${host%\]}"
			"server.port=${BASH_REMATCH[3]:-10809}")
	elif [[ $1 =~ ^nbd\+unix:///([^?]*)\?socket=([^&]+)$ ]]; then
		name=${BASH_REMATCH[1]}
		url_decode "${BASH_REMATCH[2]}" || return 1
		nbd_options=(server.type=unix "server.path=$REPLY")
	else
		return 1
	fi
	url_decode "$name" || return 1
	[[ -z $REPLY ]] || nbd_options+=("export=$REPLY")
}

# store_options INDEX: sets store_options to where the bytes are.
store_options() {
	if [[ ${disk_kinds[$1]} == nbd ]]; then
		parse_nbd "${disk_sources[$1]}"
		store_options=(driver=nbd "${nbd_options[@]}")
	else
		store_options=(driver=file "filename=${disk_sources[$1]}")
	fi
}

# comma_list PREFIX OPTION...: sets REPLY to ",PREFIXOPTION" for each.
comma_list() {
	local prefix=$1 option list=
	shift
	for option; do
		list+=,$prefix${option//,/,,}
	done
	REPLY=$list
}

# image_info INDEX FIELD...: what is found at the image's top level of each field.
image_info() {
	local i=$1 field info
	shift
	store_options "$i"
	comma_list file. "${store_options[@]}"
	info=$(qemu-img info --output=json --image-opts \
		"driver=${disk_formats[i]:-raw}$REPLY" 2>&1) ||
		die 125 "cannot open ${disk_sources[i]}: $(tail -n 1 <<<"$info")"
	for field; do
		sed -n "s/^    \"$field\": \(.*[^,]\),*\$/\1/p" <<<"$info"
	done
}

virtual_size() {
	REPLY=$(image_info "$1" virtual-size) || exit
}

# An image on top of another one says what format that has, or the daemon would
# look for itself: a guest can write whatever it likes there.
check_backing() {
	local chain named told
	image_info "$1" backing-filename >/dev/null || exit
	chain=$(qemu-img info -U --backing-chain --output=json -f qcow2 -- "${disk_sources[$1]}") ||
		die 125 "cannot look into ${disk_sources[$1]}"
	named=$(grep -c '"backing-filename":' <<<"$chain") || true
	told=$(grep -c '"backing-filename-format":' <<<"$chain") || true
	((named == told)) ||
		die 125 "${disk_sources[$1]}: does not say what format its backing file has, or one behind it does not"
}

# A fresh image is a file from here on.
make_stored_image() {
	local bytes=${disk_sources[$1]}
	image_directory "$bytes"
	REPLY+=/nxblk$1.${disk_formats[$1]:-raw}
	qemu-img create -q -f "${disk_formats[$1]:-raw}" "$REPLY" "$bytes" \
		>"$log_dir/storage.log" 2>&1 || fail "no fresh image: $(last_line storage.log)"
	disk_kinds[$1]="file"
	disk_sources[$1]=$REPLY
}

# store_disk INDEX: the daemon will serve it; sets REPLY to the socket.
store_disk() {
	local i=$1 common=discard=unmap,read-only=off writable=on block=512
	local socket=$socket_dir/disk$i.sock format=${disk_formats[$1]:-raw}
	[[ ${disk_kinds[i]} != size ]] || make_stored_image "$i"
	[[ $format != qcow2 ]] || check_backing "$i"
	! disk_has "$i" bs=4096 || block=4096
	! disk_has "$i" ro || common=discard=ignore,read-only=on writable=off
	store_options "$i"
	comma_list '' "${store_options[@]}"
	storage_args+=(
		--blockdev "node-name=store$i,$common$REPLY"
		--blockdev "node-name=disk$i,$common,driver=$format,file=store$i"
		--export "type=vhost-user-blk,id=disk$i,node-name=disk$i,writable=$writable,logical-block-size=$block,addr.type=unix,addr.path=${socket//,/,,}"
	)
	REPLY=$socket
}

# The daemon writes its number when all its sockets listen.
start_storage() {
	local end=$((SECONDS + 30))
	((${#storage_args[@]})) || return 0
	start qemu-storage-daemon --pidfile "$run_dir/storage.pid" "${storage_args[@]}" \
		</dev/null >"$log_dir/storage.log" 2>&1
	storage_pid=$REPLY
	until [[ -e $run_dir/storage.pid ]]; do
		check_storage
		((SECONDS < end)) || fail "the storage daemon does not start: $(last_line storage.log)"
		nap
	done
}

# It has no reason to end before it is told to.
check_storage() {
	local status=0
	[[ -n $storage_pid ]] && ! is_running "$storage_pid" || return 0
	wait "$storage_pid" || status=$?
	storage_pid=
	fail "the storage daemon ended with $status: $(last_line storage.log)"
}

# Images are whole once it has gone: a qcow2 is written to until then.
stop_storage() {
	local pid=$storage_pid
	[[ -n $pid ]] || return 0
	storage_pid=
	stop "$pid" TERM 60 || fail "the storage daemon ended with $?: $(last_line storage.log)"
}
