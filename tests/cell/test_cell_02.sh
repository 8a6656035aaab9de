#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Files and directories go into a cell and come out of it unchanged, whatever
# they are called and whatever they hold.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"
cd "$tmp"

head -c 200000000 /dev/urandom >big
: >empty
printf 'x' >'odd  name,'$'\n''here'
chmod 751 big
mkdir -p 'tree/sub dir/deeper'
cp /bin/true 'tree/sub dir/deeper/program'
ln -s 'sub dir/deeper/program' tree/link
: >tree/empty

mkdir out
cell --mem 1G --put big --put "empty:/new/place/" --put 'odd  name,'$'\n''here:/odd' --put tree:/x/tree \
	--get /big:out/ --get /new/place/empty:out/empty --get /odd:out/odd --get x/tree:out/tree \
	--get /proc/version:out/version --get /dev/nxblk0:out/disk -- sh -c '
	test -x /big && test "$(readlink /x/tree/link)" = "sub dir/deeper/program" &&
	printf mark >/dev/nxblk0
' || fail "the guest ended with $?"

cmp big out/big || fail "a big file changed"
[[ $(stat -c %a out/big) == 751 ]] || fail "a mode changed"
[[ -e out/empty && ! -s out/empty ]] || fail "an empty file did not come back"
[[ $(<out/odd) == x ]] || fail "a file of an odd name did not come back"
diff -r --no-dereference tree out/tree || fail "a tree changed"
grep -q Linux out/version || fail "a file without a size did not come back"
[[ $(stat -c %s out/disk) == $((64 << 20)) && $(head -c 4 out/disk) == mark ]] ||
	fail "the disk's contents did not come back"

expect 125 cell --direct --get /not/there -- true
expect 3 cell --direct --get /not/there -- sh -c 'exit 3'
expect 125 cell --direct --put "$tmp/not-there" -- true
