#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# An image that grows behind QEMU's storage daemon.  An export of QEMU 7.2 has
# the size that the image had when it was made, for old and new connections; a
# newer one may tell.  So after block_resize the export is made anew, and rumpk
# finds the new size in it: by itself where there is a fence, after SIGHUP where
# there is none.

# shellcheck source=tests/e2e/virtio_lib.sh
source "$(dirname "$0")/virtio_lib.sh"

# qmp NAME COMMAND [ARGUMENTS]
qmp() {
	echo "{\"execute\": \"$2\", \"arguments\": ${3-{\}}}" >"$tmp/$1.qmp"
}

# make_daemon NAME: one that obeys qmp.
make_daemon() {
	truncate -s 16M "$tmp/$1"
	mkfifo "$tmp/$1.qmp"
	# Kept open: the daemon's monitor has no end.
	# shellcheck disable=SC2034
	exec {hold}<>"$tmp/$1.qmp"
	start qemu-storage-daemon --chardev stdio,id=qmp --monitor chardev=qmp \
		--blockdev "driver=file,node-name=file,filename=$tmp/$1" \
		--blockdev driver=raw,node-name=disk,file=file \
		<"$tmp/$1.qmp" >"$logs/daemon-$1.log" 2>&1
	qmp "$1" qmp_capabilities
	export_disk "$1"
}

export_disk() {
	qmp "$1" block-export-add "{\"type\": \"vhost-user-blk\", \"id\": \"export\", \"node-name\": \"disk\",
		\"writable\": true, \"addr\": {\"type\": \"unix\", \"path\": \"$tmp/$1.sock\"}}"
	wait_until 20 test -S "$tmp/$1.sock"
}

has_grown() {
	[[ $(stat -c %s "$tmp/$1") == 33554432 ]]
}

make_daemon fenced
make_daemon plain
start_rumpk "$tmp/ion.sock" --disk "vhost=$tmp/fenced.sock,fence=lock" --disk "vhost=$tmp/plain.sock"

for name in fenced plain; do
	qmp "$name" block_resize '{"node-name": "disk", "size": 33554432}'
	wait_until 20 has_grown "$name"
	qmp "$name" block-export-del '{"id": "export", "mode": "hard"}'
	wait_until 20 grep -q BLOCK_EXPORT_DELETED "$logs/daemon-$name.log"
	export_disk "$name"
done
wait_until 20 said 1 'channel=0 resized from 32768 to 65536 sectors'
wait_until 20 said 1 'plain.sock: the device is gone'
said 1 'channel=1 resized' && fail "a lost disk was resized"
kill -HUP "$rumpk_pid"
wait_until 20 said 1 'channel=1 reopened'
wait_until 20 said 1 'channel=1 resized from 32768 to 65536 sectors'
expect 0 stop_rumpk
