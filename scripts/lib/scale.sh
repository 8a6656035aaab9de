# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# How often the tests do a thing: NEXUS_SCALE=tier1, the default and for every
# change, tier2, a fifth of that, since a debug kernel takes its time, or full.
# Sourced after base.sh.

NEXUS_SCALE=${NEXUS_SCALE:-tier1}
export NEXUS_SCALE
[[ $NEXUS_SCALE == @(tier1|tier2|full) ]] ||
	die 2 "NEXUS_SCALE=$NEXUS_SCALE: must be tier1, tier2 or full"

# counted TIER1 FULL: sets REPLY to how often.
counted() {
	case $NEXUS_SCALE in
	tier1) REPLY=$1 ;;
	tier2) REPLY=$((($1 + 4) / 5)) ;;
	full) REPLY=$2 ;;
	esac
}

# scaled TIER1 FULL: sets REPLY to the limit that holds.
scaled() {
	REPLY=$1
	[[ $NEXUS_SCALE != full ]] || REPLY=$2
}
