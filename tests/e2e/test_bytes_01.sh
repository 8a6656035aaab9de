#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the guest writes is what the host's image holds, byte for byte, and the
# reverse: it reads pattern A, which the host made, and then writes pattern B
# over it, which the host compares.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

head -c 32M /dev/urandom >"$tmp/image"
head -c 32M /dev/urandom >"$tmp/pattern"
expected=$(sha256sum <"$tmp/image")

cell --disk "$tmp/image" --put "$tmp/pattern:/pattern" -- sh -c '
	sha256sum </dev/nxblk0 &&
	dd if=/pattern of=/dev/nxblk0 bs=1M conv=fsync 2>/dev/null
' >"$tmp/read" || fail "the guest ended with $?"

[[ $(<"$tmp/read") == "$expected" ]] || fail "the guest read something else"
cmp "$tmp/image" "$tmp/pattern" || fail "the image is not what the guest wrote"
