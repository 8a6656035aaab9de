#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A capability file, read again at SIGHUP while the guest writes: it takes away, it
# gives back, it brings up a disk that it had not named, and with a fault in it
# nothing changes. The file's bytes are the image's when WRITE is gone.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

head -c 8M /dev/zero >"$tmp/image"
head -c 8M /dev/urandom >"$tmp/other"
umask 022
caps=$tmp/caps
echo '0 rw:0-8191   # the first half' >"$caps"
start_rumpk "$tmp/ion.sock" --disk "file=$tmp/image" --disk "file=$tmp/other" --caps "$caps" \
	--control "$tmp/control"

# caps LINE...: the file says this now.
caps() {
	printf '%s\n' "$@" >"$caps"
	kill -HUP "$rumpk_pid"
}

logged() {
	grep -q -F -e "$1" "$logs/rumpk.log"
}

# The disks' capabilities as rumpk has them, one a line.
held() {
	"$NEXUS_BUILD/host/rumpkctl" --socket "$tmp/control" --json caps | grep -o '"cap":"[^"]*"'
}

hear() {
	local held
	case $1 in
	writes)
		held=$(held)
		caps '0 rw' '1 rw' '0 r'
		wait_until 10 logged "--caps $caps, line 3: 0: was named in line 1 already"
		wait_until 10 logged "--caps $caps: what was granted before stays"
		rm "$caps"
		kill -HUP "$rumpk_pid"
		wait_until 10 logged "--caps $caps: No such file or directory"
		[[ $(held) == "$held" ]] || fail "a fault in the file has changed what was granted: $(held)"
		caps '0 r'
		wait_until 10 logged "channel=0 --caps $caps: capability now r"
		;;
	read-only)
		sum=$(sha256sum <"$tmp/image"; stat -c %y "$tmp/image")
		;;
	refused)
		[[ $(sha256sum <"$tmp/image"; stat -c %y "$tmp/image") == "$sum" ]] ||
			fail "the image has changed"
		caps '0 rwd' 'nxblk1 r'
		;;
	esac
}

other=$(sha256sum <"$tmp/other")
converse hear --socket "$tmp/ion.sock" --timeout 200 -- sh -c '
	at() { dd if=/dev/urandom of=/dev/nxblk0 bs=4k seek=$1 count=1 oflag=direct 2>/dev/null; }
	wait_for() { until [ "$(cat /sys/block/$1)" = $2 ]; do sleep 0.05; done; }
	! test -e /dev/nxblk1 || exit 1
	at 5 || exit 2
	! at 1024 || exit 3
	echo writes
	wait_for nxblk0/ro 1
	echo read-only
	! at 5 || exit 4
	dd if=/dev/nxblk0 of=/dev/null bs=4k count=1 skip=5 iflag=direct 2>/dev/null || exit 5
	echo refused
	wait_for nxblk0/ro 0
	at 5 && at 1024 || exit 6
	wait_for nxblk1/ro 1
	[ "$(sha256sum </dev/nxblk1)" = "'"$other"'" ] || exit 7
'
no_kernel_complaint
