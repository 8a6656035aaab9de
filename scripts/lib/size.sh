# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Sizes as people write them.  Sourced after base.sh.

# parse_size TEXT: sets REPLY to the bytes that a number with an optional K, M,
# G or T stands for.  Fails on anything else, on zero and on what does not fit.
parse_size() {
	local shift=0
	[[ $1 =~ ^0*([1-9][0-9]{0,14})([KMGT]?)$ ]] || return 1
	case ${BASH_REMATCH[2]} in
	K) shift=10 ;;
	M) shift=20 ;;
	G) shift=30 ;;
	T) shift=40 ;;
	esac
	((BASH_REMATCH[1] <= (1 << 62 - shift))) || return 1
	REPLY=$((BASH_REMATCH[1] << shift))
}
