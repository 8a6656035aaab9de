#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# H7: a read-only image, a capability without WRITE, one with a range. RO and
# PERM; the image keeps its bytes and its time, and an audit line says so.
# shellcheck source=tests/hostile/guest_lib.sh
source "$(dirname "$0")/guest_lib.sh"

# refused_on OPTIONS ATTACK STATUS
refused_on() {
	local stamp
	serve "$1"
	stamp=$(stat -c %y "$tmp/image0")
	attack "$2"
	[[ $(stat -c %y "$tmp/image0") == "$stamp" ]] ||
		fail "$2: the image's time has changed"
	logged "refused generation=.* status=$3 reason="
	finish
}

refused_on ,ro,cap=rwd read-only RO
refused_on ,ro no-write-right PERM
refused_on ,cap=r no-write-right PERM
serve ,cap=rw:63488-65535
attack outside-grant
logged 'refused generation=.* status=PERM reason='
finish
