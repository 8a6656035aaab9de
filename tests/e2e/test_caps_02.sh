#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A capability file that cannot be used: rumpk does not start, says in one line what
# is wrong where, and leaves nothing behind.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"
umask 022

truncate -s 1M "$tmp/image"

# refused PATTERN OPTION...: status 2, one line.
refused() {
	local pattern=$1 out status=0
	shift
	out=$(timeout 30 "$rumpk" --socket "$tmp/s" --disk "file=$tmp/image" "$@" 2>&1) || status=$?
	((status == 2)) || fail "status $status: $*: $out"
	[[ $out == *"$pattern"* && $out != *$'\n'* ]] || fail "$*: $out"
	[[ ! -e $tmp/s && ! -e $tmp/s.keeper ]] || fail "$*: a socket was left"
}

# says PATTERN TEXT
says() {
	printf '%b' "$2" >"$tmp/caps"
	refused "--caps $tmp/caps, $1" --caps "$tmp/caps"
}

says 'line 1: rwx: must be none or r[m]|rw[d][m][:FIRST-LAST]' '0 rwx\n'
says 'line 3: 1: must be the number of a disk, from 0 to 0' '# a\n\n1 rw\n'
says 'line 2: 0: was named in line 1 already' '0 rw\n0 none\n'
says 'line 1: 0: a capability must follow' '0\n'
says 'line 1: +: nothing may follow a capability' '0 rw + 1 rw'
says 'line 1: r?w: must be' '0 r\0000w\n'
says 'line 2: ends without a newline: each line must have one' '# a\n0 rw'
truncate -s 65537 "$tmp/caps"
refused 'must have at most 65536 bytes' --caps "$tmp/caps"
refused 'No such file or directory' --caps "$tmp/none"
refused 'must be a regular file' --caps "$tmp"
refused 'must be a regular file' --caps /dev/null
mkfifo "$tmp/fifo"
refused 'must be a regular file' --caps "$tmp/fifo"
refused 'must be a path' --caps ''
refused 'given twice' --caps "$tmp/caps" --caps "$tmp/caps"

echo '0 rw' >"$tmp/caps"
refused '--disk number 2 with cap=: with --caps FILE' --caps "$tmp/caps" --disk mem=1M,cap=r
truncate -s 1M "$tmp/ram"
refused 'data=zerocopy: needs the right m' --caps "$tmp/caps" --ram "$tmp/ram" \
	--qmp "$tmp/qmp" --disk mem=1M,data=zerocopy
