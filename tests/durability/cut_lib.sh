# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Power cuts made from an operation log of a guest that ran writer.sh: nxblk0 has a
# file system, nxblk1 the notes of what it may rely on.

# shellcheck source=tests/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

powercut=$NEXUS_BUILD/tests/durability/powercut
# shellcheck disable=SC2034 # for those who include this
here=$NEXUS_TOP/tests/durability

readonly FS_BLOCK=1024
make_base() {
	truncate -s 24M "$tmp/base"
	mke2fs -q -F -t ext4 -b "$FS_BLOCK" "$tmp/base"
}

# relied_on CUT: "HASH  NAME" of each file that has to be there.
relied_on() {
	"$powercut" "$tmp/log" lines 1 "$1" | awk '
		$1 == "keep" { hash[$2] = $3 }
		$1 == "gone" { delete hash[$2] }
		END { for (name in hash) print hash[name] "  " name }'
}

# cut_image CUT SEED FILE. Whole blocks of the filesystem are there or not: a superblock
# or a commit block that is half there is what ext4 does not recover from by itself, on
# any disk. e2fsck takes the group descriptors of the beginning then, and a kernel says
# that the journal is corrupt (JBD2 has mended that after 6.1).
cut_image() {
	cp --sparse=always "$tmp/base" "$3"
	"$powercut" "$tmp/log" image 0 "$1" "$2" "$3" "$FS_BLOCK"
}

# judge CUT FILE: after recovery, as the host sees it.
judge() {
	rm -rf "$tmp/files"
	mkdir "$tmp/files"
	e2fsck -E journal_only -y "$2" >"$logs/e2fsck.log" 2>&1 || (($? == 1)) ||
		fail "cut $1: the journal cannot be replayed"
	e2fsck -fn "$2" >"$logs/e2fsck.log" 2>&1 || fail "cut $1: e2fsck finds fault"
	debugfs -R "rdump / $tmp/files" "$2" >"$logs/debugfs.log" 2>&1
	relied_on "$1" >"$tmp/relied"
	[[ ! -s $tmp/relied ]] || (cd "$tmp/files" && sha256sum --quiet -c "$tmp/relied") ||
		fail "cut $1: what was promised is not there"
	relied=$((relied + $(wc -l <"$tmp/relied")))
}
