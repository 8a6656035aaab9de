# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# QEMU's storage daemons, one an image, which can be killed and started again:
#
#	rumpk -- $tmp/NAME.sock -- qemu-storage-daemon -- $tmp/NAME (raw or qcow2)

# shellcheck source=tests/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

command -v qemu-storage-daemon >/dev/null || skip "there is no qemu-storage-daemon"

declare -A daemon_pid=()

# start_daemon NAME [OPTION...]: DAEMON_FORMAT, DAEMON_TOP (node that is exported)
# and DAEMON_WRITABLE may say otherwise than raw, disk, on.
start_daemon() {
	local name=$1 format=${DAEMON_FORMAT:-raw} top=${DAEMON_TOP:-disk} writable=${DAEMON_WRITABLE:-on}
	shift
	# A new one makes its own; until then nobody is to be found there.
	rm -f "$tmp/$name.sock"
	start qemu-storage-daemon \
		--blockdev "driver=file,node-name=file,filename=$tmp/$name" \
		--blockdev "driver=$format,node-name=disk,file=file" "$@" \
		--export "type=vhost-user-blk,id=export,node-name=$top,writable=$writable,addr.type=unix,addr.path=$tmp/$name.sock" \
		</dev/null >>"$logs/daemon-$name.log" 2>&1
	daemon_pid[$name]=$REPLY
	wait_until 20 test -S "$tmp/$name.sock"
}

# kill_daemon NAME: as a power cut ends it.
kill_daemon() {
	stop "${daemon_pid[$1]}" KILL 10 || true
	unset "daemon_pid[$1]"
}

# said N TEXT: rumpk has said it so many times, or more.
said() {
	(($(grep -c -- "$2" "$logs/rumpk.log") >= $1))
}

# start_fio SECONDS SIZE...: a guest on $socket, for so long at most, in which fio writes at
# random so much to each disk, with 32 requests under way, and verifies it. Sets guest.
start_fio() {
	local seconds=$1 size disk=0
	shift
	printf '%s\n' '[global]' ioengine=libaio direct=1 thread rw=randwrite bsrange=4k-64k \
		iodepth=32 verify=crc32c verify_fatal=1 verify_dump=0 >"$tmp/jobs"
	for size; do
		printf '%s\n' "[nxblk$disk]" "filename=/dev/nxblk$disk" "size=$size" >>"$tmp/jobs"
		disk=$((disk + 1))
	done
	cell_logs=$logs/cell
	start "$NEXUS_TOP/scripts/cell" --logs "$cell_logs" --socket "$socket" --timeout "$seconds" \
		--fio --put "$tmp/jobs:/jobs" -- fio --output=/out /jobs </dev/null >"$tmp/out" 2>&1
	guest=$REPLY
}

# end_fio: no request failed, and every byte is right.
end_fio() {
	wait "$guest" || fail "fio found a difference, or failed: $(<"$tmp/out")"
	no_kernel_complaint
}
