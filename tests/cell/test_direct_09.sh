#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
#
# Zero copy: the same verified load with all requests on their own pages, with
# none, and with buffers that do not fit; what went which way, by exact counters.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

cat >"$tmp/zero_copy.sh" <<'GUEST'
nexus=/sys/block/nxblk0/nexus
never=4294967295
megabytes=$1
wrong() { echo "$*"; exit 1; }

# since: the counters from now on. moved COUNTER VALUE: what it has gone up by.
counters="requests copied_bytes zero_copy zero_copy_bytes zero_copy_bounced"
since() { for c in $counters; do read -r "before_$c" <$nexus/$c; done; }
moved() {
	read -r now <$nexus/$1
	eval "now=\$((now - before_$1))"
	[ $now -eq $2 ] || wrong "$3: $1 went up by $now, not by $2"
}
threshold() { echo $1 >$nexus/zero_copy_min || wrong "zero_copy_min $1 refused"; }

# The setting.
[ "$(cat $nexus/zero_copy_min)" = 16384 ] || wrong "starts at $(cat $nexus/zero_copy_min)"
for value in 1 65536 $never 0; do
	threshold $value
	[ "$(cat $nexus/zero_copy_min)" = $value ] || wrong "not $value"
done
for value in -1 abc 1.5 16k 4294967296 ""; do
	echo "$value" >$nexus/zero_copy_min 2>/dev/null && wrong "'$value' taken"
done
[ "$(cat $nexus/zero_copy_min)" = 0 ] || wrong "changed by what was refused"

# exchange BLOCK COUNT: write random bytes, read them back past every cache.
exchange() {
	head -c $(($1 * $2)) /dev/urandom >/pattern
	since
	dd if=/pattern of=/dev/nxblk0 bs=$1 count=$2 seek=3 oflag=direct 2>/dev/null || wrong "write by $1"
	dd if=/dev/nxblk0 of=/back bs=$1 count=$2 skip=3 iflag=direct 2>/dev/null || wrong "read by $1"
	cmp /pattern /back || wrong "another content by $1"
	moved requests $((2 * $2)) $1
}

# all_copied BLOCK COUNT, none_copied BLOCK COUNT: and how many bytes that is.
all_copied() {
	exchange $1 $2
	moved copied_bytes $((2 * $1 * $2)) $1
	moved zero_copy 0 $1
	moved zero_copy_bytes 0 $1
	moved zero_copy_bounced 0 $1
}
none_copied() {
	exchange $1 $2
	moved copied_bytes 0 $1
	moved zero_copy $((2 * $2)) $1
	moved zero_copy_bytes $((2 * $1 * $2)) $1
	moved zero_copy_bounced 0 $1
}
for block in 512 4096 12288 65536 1048576; do
	threshold 0
	none_copied $block 7
	threshold $never
	all_copied $block 7
done
threshold 65536
all_copied 65024 3
none_copied 65536 3

# load NAME OPTION...: verified by fio.
load() {
	name=$1
	shift
	fio --name="$name" --filename=/dev/nxblk0 --thread --direct=1 --ioengine=libaio \
		--verify=crc32c --verify_fatal=1 --size=${megabytes}m --minimal "$@" >/dev/null ||
		wrong "fio $name failed with zero_copy_min=$(cat $nexus/zero_copy_min)"
}
for value in 0 16384 $never; do
	threshold $value
	load mixed --rw=randwrite --bsrange=512-1m --blockalign=512 --iodepth=16
	load small --rw=randrw --bs=4k --iodepth=32
	load odd-sectors --rw=randwrite --bsrange=512-256k --blockalign=512 --iodepth=16 --iomem_align=512
	load odd-bytes --rw=randwrite --bsrange=512-256k --blockalign=512 --iodepth=16 --iomem_align=4
	load odd-words --rw=randwrite --bsrange=512-256k --blockalign=512 --iodepth=16 --iomem_align=2
	load fua --rw=randwrite --bs=32k --iodepth=4 --sync=dsync --io_size=2m
	dd if=/dev/urandom of=/pattern bs=1M count=8 2>/dev/null
	dd if=/pattern of=/dev/nxblk0 bs=1M seek=40 conv=fsync 2>/dev/null || wrong "buffered write"
	echo 3 >/proc/sys/vm/drop_caches
	dd if=/dev/nxblk0 bs=1M skip=40 count=8 2>/dev/null | cmp - /pattern || wrong "buffered read"
done

# No segment begins 2 bytes into a page: bounced, and counted.
threshold 0
since
fio --name=misfit --filename=/dev/nxblk0 --thread --direct=1 --ioengine=psync --rw=read \
	--bs=8k --size=64k --iomem_align=2 --minimal >/dev/null || wrong "fio misfit failed"
moved requests 8 misfit
moved zero_copy 0 misfit
moved zero_copy_bounced 8 misfit
moved copied_bytes 65536 misfit

[ "$(cat $nexus/latches)" = 0 ] || wrong "latched"
[ "$(cat $nexus/held)" = 0 ] && [ "$(cat $nexus/leaked_pages)" = 0 ] || wrong "held or leaked"
[ "$(tr -s ' ' </sys/block/nxblk0/inflight)" = " 0 0" ] || wrong "requests are left"
GUEST

cell --direct --fio --put "$tmp/zero_copy.sh:/zero_copy.sh" -- sh /zero_copy.sh $((16 / NEXUS_PATIENCE)) || fail "see above"
no_kernel_complaint
