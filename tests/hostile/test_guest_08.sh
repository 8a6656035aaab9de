#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# H7: a read-only image, a capability without WRITE, one with a range. RO and
# PERM; the image keeps its bytes and its time, and an audit line says so.
# shellcheck source=tests/hostile/guest_lib.sh
source "$(dirname "$0")/guest_lib.sh"

# refused_on OPTIONS ATTACK STATUS
refused_on() {
	local before
	serve "$1"
	before=$(stat -c %y "$work/image0")
	unharmed attack "$2"
	[[ $(stat -c %y "$work/image0") == "$before" ]] ||
		bad "$2: the image's time has changed"
	logged "refused generation=.* status=$3 reason="
	stop
}

refused_on ,ro,cap=rwd read-only RO
refused_on ,ro no-write-right PERM
refused_on ,cap=r no-write-right PERM
serve ,cap=rw:0-99
unharmed attack outside-grant
logged 'refused generation=.* status=PERM reason='
finish
