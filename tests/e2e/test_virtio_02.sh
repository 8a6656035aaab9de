#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The storage daemons of two fenced disks, raw and qcow2, are killed and started
# again, several times, while fio writes with 32 requests under way:
#
#	guest, fio -- rumpk --+-- qemu-storage-daemon, kill -9 -- raw
#	                      +-- qemu-storage-daemon, kill -9 -- qcow2
#
# No request fails, and in the end every byte verifies: what was acknowledged has
# outlived the daemon, its metadata included, and what was not was done again.

# shellcheck source=tests/e2e/virtio_lib.sh
source "$(dirname "$0")/virtio_lib.sh"

readonly DEATHS=4

# Slow, so that there is always something under way.
start_both() {
	local slow=(--object "throttle-group,id=writes,x-iops-write=400"
		--blockdev "driver=throttle,node-name=slow,throttle-group=writes,file=disk")
	DAEMON_TOP=slow start_daemon raw "${slow[@]}"
	DAEMON_TOP=slow DAEMON_FORMAT=qcow2 start_daemon qcow2 "${slow[@]}"
}

truncate -s 96M "$tmp/raw"
qemu-img create -q -f qcow2 "$tmp/qcow2" 96M
start_both
socket=$tmp/ion.sock
start_rumpk "$socket" --disk "vhost=$tmp/raw.sock,fence=lock" \
	--disk "vhost=$tmp/qcow2.sock,fence=lock,reconnect=120"

start_fio 250 96M 96M

has_written() {
	(($(rumpk_stat_now written_bytes 0) > $1 && $(rumpk_stat_now written_bytes 1) > $2))
}

for ((i = 1; i <= DEATHS; i++)); do
	wait_until 120 has_written $((i << 23)) $((i << 23))
	kill_daemon raw
	kill_daemon qcow2
	wait_until 20 said $((2 * i)) 'the device is gone: it closed'
	start_both
	wait_until 20 said $((2 * i)) "served by the device's successor"
done
is_running "$guest" || fail "fio had ended before all daemons had died"
end_fio
grep -a 'I/O error' "$logs/cell/console.log" && fail "a request failed"
[[ $(rumpk_stat_now ioerr 0) == 0 && $(rumpk_stat_now ioerr 1) == 0 ]] || fail "rumpk answered with errors"
# Some death came while the daemon had many requests.
grep -q 'gets [1-9][0-9] requests again' "$logs/rumpk.log" || fail "no request was given again"
expect 0 stop_rumpk
kill_daemon qcow2
qemu-img check -q -f qcow2 "$tmp/qcow2" || (($? == 3)) || fail "the qcow2 image is damaged"
