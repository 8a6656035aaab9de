#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A capability is revoked under random writes at depth 32:
#
#	guest: fio ------------------------> errors; then nothing; then all is well
#	host:       revoke   kill worker   grant
#
# After the answer to the revocation the image keeps its bytes and its time, also when
# the worker dies. After the grant the same disk works on.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

export RUMPK_CONTROL=$tmp/control
ctl() {
	"$NEXUS_BUILD/host/rumpkctl" "$@"
}

truncate -s 64M "$tmp/image"
start_rumpk "$tmp/ion.sock" --disk "file=$tmp/image" --control "$RUMPK_CONTROL"

state_of_image() {
	sha256sum <"$tmp/image"
	stat -c %y "$tmp/image"
}

has_written() {
	(($(rumpk_stat_now writes) >= $1))
}

another_worker() {
	local now
	now=$(worker_pid) && [[ $now != "$1" ]]
}

kill_worker() {
	local worker
	worker=$(worker_pid)
	kill -KILL "$worker"
	wait_until 10 another_worker "$worker"
}

revoke() {
	# The writes are going on: fio says nothing before it ends.
	wait_until 60 has_written 500
	[[ $(ctl --json revoke 0) == '{"disk":0,"cap":"none","drained":true,"in_flight":0}' ]] ||
		fail "revoke was answered otherwise"
	sum=$(state_of_image)
	kill_worker
	[[ $(ctl --json caps) == *'"cap":"none"'* ]] || fail "the worker's death gave it back"
}

hear() {
	case $1 in
	begins) revoke ;;
	failed)
		(($(rumpk_stat_now perm) > 0)) || fail "no refusal was counted"
		grep -q 'channel=0 refused generation=.* status=PERM reason="no capability' \
			"$logs/rumpk.log" || fail "no refusal was written down"
		# Of a disk that the guest knows to be refused, too.
		kill_worker
		;;
	refused)
		[[ $(state_of_image) == "$sum" ]] || fail "the image has changed"
		ctl grant nxblk0 rwdm
		;;
	esac
}

converse hear --socket "$tmp/ion.sock" --fio --timeout 200 -- sh -c '
	echo begins
	! fio --name=w --filename=/dev/nxblk0 --ioengine=libaio --direct=1 --thread \
		--rw=randwrite --bs=4k --iodepth=32 --size=64M --time_based --runtime=100 \
		--rate_iops=2000 --output=/out || exit 1
	grep -q -i "remote i/o error\|EREMOTEIO\|err=121" /out || { cat /out; exit 2; }
	nexus=/sys/block/nxblk0/nexus
	until [ "$(cat $nexus/state)" = refused ]; do sleep 0.1; done
	generation=$(cat $nexus/generation)
	echo failed
	until [ "$(cat $nexus/generation)" != "$generation" ]; do sleep 0.1; done
	! dd if=/dev/zero of=/dev/nxblk0 bs=4k count=1 oflag=direct 2>/dev/null || exit 3
	! dd if=/dev/nxblk0 of=/dev/null bs=4k count=1 iflag=direct 2>/dev/null || exit 4
	echo refused
	until dd if=/dev/urandom of=/dev/nxblk0 bs=4k count=64 oflag=direct 2>/dev/null; do
		sleep 0.1
	done
	[ "$(cat /sys/block/nxblk0/inflight | tr -d " ")" = 00 ] || exit 5
	fio --name=v --filename=/dev/nxblk0 --ioengine=libaio --direct=1 --thread \
		--rw=randwrite --bs=4k --iodepth=32 --size=4M --verify=crc32c \
		--verify_fatal=1 --output=/out || { cat /out; exit 6; }
'
no_kernel_complaint
