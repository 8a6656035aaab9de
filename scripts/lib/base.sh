# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What every tool of this project starts with: strict mode, where the tree and
# the cache are, and one way to speak and to give up.  Sourced, never run.

set -euo pipefail
export LC_ALL=C
# depmod, mke2fs and others are there, and not in the path of an ordinary user.
export PATH=$PATH:/usr/sbin:/sbin

NEXUS_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
NEXUS_BUILD=${NEXUS_BUILD:-$NEXUS_TOP/build}
NEXUS_CACHE=${NEXUS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/nexus-block}
export NEXUS_TOP NEXUS_BUILD NEXUS_CACHE

# The kernel of guests that ask for none, and how many times as long everything
# that waits for a guest is to wait: the checkers of a debug kernel take time.
export NEXUS_KERNEL=${NEXUS_KERNEL:-6.1} NEXUS_PATIENCE=${NEXUS_PATIENCE:-1}

say() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
}

# die STATUS TEXT: one clear line, and out.
die() {
	local status=$1
	shift
	say "$*"
	exit "$status"
}

# with_lock FILE COMMAND [ARG...]: run COMMAND while holding FILE's lock.  A
# failure of it ends the script, and with that the lock; call it where "set -e"
# holds, since "||" and "if" would let COMMAND run on after its first failure.
with_lock() {
	local file=$1 fd status
	shift
	mkdir -p "$(dirname "$file")"
	exec {fd}>>"$file"
	flock "$fd"
	"$@"
	status=$?
	exec {fd}>&-
	return "$status"
}

# publish TEMP FINAL: make a finished directory or file appear at once and
# whole.  Whoever finds FINAL may use it without any lock.
publish() {
	if [[ -e $2 ]]; then
		rm -rf -- "$1"
	else
		mv -T -- "$1" "$2"
	fi
}
