#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# G8: WRITE_ZEROES and DISCARD are refused although they were offered, and requests
# for want of authority. Zeroes are written instead, a discard does nothing, and what
# is refused is an error; no neighbour is touched.
# shellcheck source=tests/hostile/host_lib.sh
source "$(dirname "$0")/host_lib.sh"

cat >"$tmp/visitor.sh" <<'GUEST'
# Sectors 256 to 511 of a disk, and those around them, in a file each.
take() {
	dd if=/dev/$1 of=/inner bs=128k skip=1 count=1 iflag=direct 2>/dev/null &&
		{ dd if=/dev/$1 bs=128k count=1 iflag=direct && dd if=/dev/$1 bs=256k skip=1 count=1 iflag=direct; } >/outer 2>/dev/null
}
inner() {
	if cmp -s /inner /zeroes; then echo zero; elif cmp -s /inner /inner.was; then echo kept; else echo spoilt; fi
}
told() {
	take $2 && cmp -s /outer /outer.was && echo "$1 $2 $3 $(inner)" || echo "$1 $2 neighbours are damaged"
}
head -c 131072 /dev/zero >/zeroes
take nxblk0 && mv /inner /inner.was && mv /outer /outer.was || exit 1
for disk in nxblk0 nxblk1 nxblk2 nxblk3 nxblk4; do
	result=done
	blkdiscard -o 131072 -l 131072 /dev/$disk 2>/dev/null || result=failed
	told DISCARD $disk $result
	# The second time it is known that the host does not want it.
	for try in first again; do
		dd if=/inner.was of=/dev/$disk bs=128k seek=1 oflag=direct 2>/dev/null
		result=done
		blkdiscard -z -o 131072 -l 131072 /dev/$disk 2>/dev/null || result=failed
		told "ZERO-$try" $disk $result
	done
	result=done
	dd if=/inner.was of=/dev/$disk bs=128k seek=1 oflag=direct 2>/dev/null || result=failed
	told WRITE $disk $result
	result=done
	dd if=/dev/$disk of=/dev/null bs=512 skip=1024 count=1 iflag=direct 2>/dev/null || result=failed
	echo "READ $disk $result"
done
GUEST
visitor=$tmp/visitor.sh
misdeeds=(zeroes-unsupp discard-unsupp write-perm status-perm status-ro)

# says WHAT MISDEED RESULT
says() {
	number "$2"
	grep -q -x "$1 nxblk$REPLY $3" "$tmp/out" ||
		fail "$2: $(grep "^$1 nxblk$REPLY " "$tmp/out" || echo "$1: nothing"), not $3"
}

# 6.1 writes zeroes itself after whatever error, newer kernels only after the one that
# says that the host does not want it.
judge() {
	for try in first again; do
		says "ZERO-$try" zeroes-unsupp 'done zero'
		says "ZERO-$try" discard-unsupp 'done zero'
	done
	says DISCARD zeroes-unsupp 'done zero'
	says DISCARD discard-unsupp '\(done\|failed\) kept'
	for name in zeroes-unsupp discard-unsupp; do
		says WRITE "$name" 'done kept'
		says READ "$name" 'done'
	done
	says WRITE write-perm 'failed kept'
	says ZERO-first write-perm 'failed kept'
	says READ write-perm 'done'
	for name in status-perm status-ro; do
		says READ "$name" failed
		says WRITE "$name" 'done kept'
	done
}
for kernel in 6.1 6.12; do
	host rogue "${misdeeds[@]}"
	visit --tools fs --kernel $kernel
	judge
done
