#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A read-only disk is read-only on both sides: Linux says so and refuses writes,
# and the image keeps its bytes and its time.

# shellcheck source=tests/e2e/disk_lib.sh
source "$(dirname "$0")/disk_lib.sh"

head -c 8M /dev/urandom >"$tmp/image"
touch -d '2001-02-03 04:05:06' "$tmp/image"
expected=$(sha256sum <"$tmp/image"; stat -c %y "$tmp/image")

for option in --ro --cap=r; do
	cell --disk "$tmp/image" "$option" -- sh -c "$READ_ONLY" sh nxblk0 ||
		fail "$option: not read-only, a write went through, or a read did not"
	[[ $(sha256sum <"$tmp/image"; stat -c %y "$tmp/image") == "$expected" ]] ||
		fail "$option: the image has changed"
done
