#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Module parameters: a wrong value is refused with one line that names it and
# says what would be right; a right one does what it says.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

cat >"$tmp/params.sh" <<'EOF'
refused() { # PARAMETER COMPLAINT
	dmesg -c >/dev/null
	if insmod /lib/modules/nexus_blk.ko "$1" 2>/dev/null; then
		echo "accepted: $1"
		rmmod nexus_blk
		exit 1
	fi
	lsmod | grep -q nexus_blk && { echo "loaded all the same: $1"; exit 1; }
	dmesg | grep -q -F "nexus_blk: $2" || { echo "no clear line: $1"; dmesg; exit 1; }
}

taken() { # STATE_OF_DISK PARAMETER...
	wanted=$1
	shift
	insmod /lib/modules/nexus_blk.ko "$@" || { echo "refused: $*"; exit 1; }
	sleep 1
	if [ -e /sys/block/nxblk0 ]; then is=disk; else is=none; fi
	[ $is = "$wanted" ] || { echo "$*: $is instead of $wanted"; exit 1; }
}

insmod /lib/modules/nexus_ion.ko || exit 1

size="must be 1 to 1048576 (MiB)"
for value in 0 -1 1048577 99999999999 64M 6.4 "" abc 0x; do
	refused "loopback_mb=$value" "loopback_mb=$value: $size"
done
for value in "" Ion memory 1 "ion,loopback"; do
	refused "transport=$value" "transport=$value: must be auto, ion or loopback"
done
for value in 0 511 513 1024 8192 4k; do
	refused "loopback_bs=$value" "loopback_bs=$value: must be 512 or 4096"
done
refused loopback_ro=2 "loopback_ro=2: must be 0 or 1"
# Without a value at all the kernel itself complains.
refused loopback_mb "\`' invalid for parameter \`loopback_mb'"

taken none transport=ion
rmmod nexus_blk || exit 1
taken disk transport=loopback loopback_mb=7
[ "$(cat /sys/block/nxblk0/size)" = $((7 * 2048)) ] || { echo "not 7 MiB"; exit 1; }
[ "$(cat /sys/module/nexus_blk/parameters/transport)" = loopback ] || exit 1
rmmod nexus_blk || exit 1
# Given twice, the last one counts, as everywhere in the kernel.
taken disk transport=ion transport=auto loopback_mb=3 loopback_mb=5
[ "$(cat /sys/block/nxblk0/size)" = $((5 * 2048)) ] || { echo "not 5 MiB"; exit 1; }
rmmod nexus_blk
EOF

cell --direct --no-load --put "$tmp/params.sh:/params.sh" -- sh /params.sh ||
	fail "see above"
no_kernel_complaint
