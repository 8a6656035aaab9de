#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# rumpk-blk, without a guest, against QEMU's storage daemon: the same bytes as in
# the image, limits, refusals, errors.

# shellcheck source=tests/e2e/virtio_lib.sh
source "$(dirname "$0")/virtio_lib.sh"

rumpk_blk=$NEXUS_BUILD/host/rumpk-blk

blk() {
	"$rumpk_blk" --socket "$tmp/image.sock" --timeout 20 "$@"
}

# refuses STATUS TEXT ARG...: with that status and one line that has the text.
refuses() {
	local wanted=$1 text=$2 status=0
	shift 2
	"$rumpk_blk" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null || status=$?
	((status == wanted)) || fail "status $status instead of $wanted: $*"
	[[ $(wc -l <"$tmp/err") == 1 ]] || fail "not one line: $(<"$tmp/err")"
	grep -q -F -- "$text" "$tmp/err" || fail "\"$text\" is not in: $(<"$tmp/err")"
	[[ ! -s $tmp/out ]] || fail "output in spite of an error: $*"
}

head -c 4M /dev/urandom >"$tmp/image"
cp "$tmp/image" "$tmp/copy"
start_daemon image

blk info >"$tmp/info"
grep -qx 'capacity: 8192 sectors, 4194304 bytes' "$tmp/info" || fail "capacity: $(<"$tmp/info")"
grep -qx 'block size: 512' "$tmp/info" || fail "block size: $(<"$tmp/info")"
grep -qx 'read-only: no' "$tmp/info" || fail "read-only: $(<"$tmp/info")"
blk read --lba 0 --count 8192 | cmp - "$tmp/copy" || fail "read something else"
blk read --lba 5 --count 7 --output "$tmp/part"
cmp -n 3584 "$tmp/part" "$tmp/copy" 0 2560 || fail "read another part"
[[ $(stat -c %s "$tmp/part") == 3584 ]] || fail "not 7 sectors"
blk check >"$tmp/out"
grep -qx '4194304 bytes read, 0 bytes cannot be read' "$tmp/out" || fail "check: $(<"$tmp/out")"

head -c 1536000 /dev/urandom >"$tmp/new"
blk write --lba 9 <"$tmp/new"
dd if="$tmp/new" of="$tmp/copy" bs=512 seek=9 conv=notrunc 2>/dev/null
cmp "$tmp/image" "$tmp/copy" || fail "wrote something else"

# What does not fit is refused whole.
s=(--socket "$tmp/image.sock")
expect 1 blk write --lba 8191 <"$tmp/new" 2>/dev/null
expect 1 blk write --lba 0 < <(head -c 700 "$tmp/new") 2>/dev/null
expect 1 blk write --lba 0 < <(head -c 5M /dev/zero) 2>/dev/null
cmp "$tmp/image" "$tmp/copy" || fail "a refused write has written"
refuses 1 "must be whole blocks" "${s[@]}" write --lba 0
refuses 1 "the disk has 8192" "${s[@]}" read --lba 8192 --count 1
refuses 1 "the disk has 8192" "${s[@]}" read --lba 1 --count 18446744073709551615
refuses 2 "--socket PATH is missing" info
refuses 2 "a command is missing" "${s[@]}"
refuses 2 "erase" "${s[@]}" erase
refuses 2 "--count is missing" "${s[@]}" read --lba 0
refuses 2 "1k" "${s[@]}" read --lba 1k --count 1
refuses 2 "--count 0" "${s[@]}" read --lba 0 --count 0
refuses 2 "--timeout 0" "${s[@]}" --timeout 0 info
refuses 2 "--lba: not for info" "${s[@]}" info --lba 0
refuses 2 "given twice" "${s[@]}" read --lba 0 --lba 0 --count 1
refuses 2 "more: no such argument" "${s[@]}" info more
refuses 2 "--sock: unknown" --sock "$tmp/image.sock" info
refuses 1 "No such file" --socket "$tmp/nothing" --timeout 1 info
refuses 1 "Connection refused" --socket "$tmp/image" --timeout 1 info

# A device that does not answer is not waited for.
kill -STOP "${daemon_pid[image]}"
refuses 1 "it does not answer" "${s[@]}" --timeout 1 info
kill -CONT "${daemon_pid[image]}"
kill_daemon image

DAEMON_WRITABLE=off start_daemon image
blk info | grep -qx 'read-only: yes' || fail "it is not read-only"
refuses 1 "is read-only" "${s[@]}" write --lba 0
kill_daemon image

# Sector 4097 cannot be read.
DAEMON_TOP=bad start_daemon image --blockdev \
	driver=blkdebug,node-name=bad,image=disk,inject-error.0.event=none,inject-error.0.iotype=read,inject-error.0.sector=4097
expect 1 blk check >"$tmp/out" 2>"$tmp/err"
grep -qx '4193792 bytes read, 512 bytes cannot be read' "$tmp/out" || fail "check: $(<"$tmp/out")"
grep -q 'read at sector 4097: Input/output error' "$tmp/err" || fail "check: $(<"$tmp/err")"
expect 1 blk read --lba 4097 --count 1 >/dev/null 2>&1
blk read --lba 4098 --count 1 | cmp - <(dd if="$tmp/copy" bs=512 skip=4098 count=1 2>/dev/null) ||
	fail "the sector after it"
cmp "$tmp/image" "$tmp/copy" || fail "the image has changed"

"$rumpk_blk" --help | grep -q '^Usage: rumpk-blk ' || fail "no help"
"$rumpk_blk" --version | grep -q '^rumpk-blk [0-9]' || fail "no version"
