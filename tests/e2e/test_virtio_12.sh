#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Disks that an NBD server has, through the storage daemon:
#
#	nxblk0  qemu-nbd, unix socket, an export with a name
#	nxblk1  nbdkit, loopback; it writes down what it is asked for
#	nxblk2  nbdkit, unix socket, read-only; beside it an image of rumpk's own
#
# Bytes compared on the host; a flush gets as far as the server; a disk that the
# server does not let write is not written to.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

head -c 16M /dev/urandom >"$tmp/pattern"
head -c 16M /dev/urandom >"$tmp/named"
head -c 4M /dev/urandom >"$tmp/fixed"
cp "$tmp/fixed" "$tmp/own"
truncate -s 16M "$tmp/logged"
hashes=$(sha256sum "$tmp/named" "$tmp/fixed" "$tmp/own" | cut -d ' ' -f 1)

start qemu-nbd -f raw -k "$tmp/qemu.sock" -x 'a disk,1' -t "$tmp/named" </dev/null >"$logs/qemu-nbd.log" 2>&1
start nbdkit -f -i 127.0.0.1 -p 0 --filter=log file "$tmp/logged" "logfile=$tmp/log" \
	</dev/null >"$logs/nbdkit.log" 2>&1
server=$REPLY
start nbdkit -f -r -U "$tmp/fixed.sock" file "$tmp/fixed" </dev/null >"$logs/fixed.log" 2>&1

# A free port is the kernel's choice: what the server listens on.
port_of() {
	local inode
	inode=$(find "/proc/$1/fd" -lname 'socket:*' -printf '%l\n' 2>/dev/null | tr -dc '0-9\n')
	awk -v inodes="$inode" 'BEGIN { n = split(inodes, list, "\n"); for (i = 1; i <= n; i++) mine[list[i]] }
		$4 == "0A" && $10 in mine { sub(/.*:/, "", $2); print $2 }' /proc/net/tcp
}
listens() {
	port=$(port_of "$server")
	[[ -n $port && -S $tmp/qemu.sock && -S $tmp/fixed.sock ]]
}
wait_until 20 listens

cell --nbd "nbd+unix:///a%20disk%2C1?socket=$tmp/qemu.sock" --nbd "nbd://127.0.0.1:$((16#$port))" --strict \
	--nbd "nbd+unix:///?socket=$tmp/fixed.sock" --ro --disk "$tmp/own" \
	--peer --put "$tmp/pattern:/pattern" -- sh -c '
	cat /sys/block/nxblk0/size /sys/block/vda/size /sys/block/nxblk2/ro
	for disk in 0 2 3; do sha256sum </dev/nxblk$disk | cut -d " " -f 1; done
	dd if=/pattern of=/dev/nxblk0 bs=1M conv=fsync 2>/dev/null || exit 1
	dd if=/pattern of=/dev/nxblk1 bs=1M oflag=direct 2>/dev/null || exit 2
	! dd if=/pattern of=/dev/nxblk2 bs=4k count=1 oflag=direct 2>/dev/null
' >"$tmp/out" || fail "the guest failed at step $?"
[[ $(<"$tmp/out") == $'32768\n32768\n1\n'"$hashes" ]] || fail "the guest found: $(<"$tmp/out")"
for image in named logged; do
	cmp "$tmp/$image" "$tmp/pattern" || fail "$image is not what the guest wrote"
done
cmp "$tmp/fixed" "$tmp/own" || fail "what is read-only has changed"
# Durable when answered: after each write of the strict disk a flush, or it is FUA.
(($(grep -c -E ' Flush |Write .*flags=.*fua' "$tmp/log") >= $(rumpk_stat writes 1))) ||
	fail "$(rumpk_stat writes 1) strict writes, but the server saw: $(grep -c Flush "$tmp/log") flushes"
(($(rumpk_stat writes 1) >= 16)) || fail "only $(rumpk_stat writes 1) strict writes"

# Who wants to write what the server does not let be written gets no disk.
expect 125 cell --nbd "nbd+unix:///?socket=$tmp/fixed.sock" -- true 2>"$tmp/err"
grep -q 'storage daemon.*read-only' "$tmp/err" || fail "it says: $(<"$tmp/err")"
