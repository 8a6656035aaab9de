#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A cell runs exactly the arguments it was given, without a shell and without
# input; both outputs come apart and to the byte; the status is the command's.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

arguments=('a  b' '' $'two\nlines' '*' '$HOME' "it's" $'\xff\x01\t' -- '')
printf '<%s>' "${arguments[@]}" >"$tmp/expected"
cell -- printf '<%s>' "${arguments[@]}" >"$tmp/out"
cmp "$tmp/expected" "$tmp/out" || fail "the arguments arrived changed"

head -c 3000000 /dev/urandom >"$tmp/random"
cell --put "$tmp/random" -- sh -c 'cat; cat /random; tac /random >&2; exit 7' \
	>"$tmp/out" 2>"$tmp/err" && fail "the status was lost"
[[ $? == 7 ]] || fail "a status of 7 did not arrive"
cmp "$tmp/random" "$tmp/out" || fail "standard output is not to the byte"
tac "$tmp/random" | cmp - "$tmp/err" || fail "standard error is not to the byte"

expect 137 cell --direct -- sh -c 'kill -KILL $$'
expect 139 cell --direct -- sh -c 'kill -SEGV $$'
expect 127 cell --direct -- no-such-command
