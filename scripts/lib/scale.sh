# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# How often the tests do a thing: NEXUS_SCALE=tier1, the default and for every
# change, or full.  Sourced after base.sh.

NEXUS_SCALE=${NEXUS_SCALE:-tier1}
export NEXUS_SCALE
[[ $NEXUS_SCALE == tier1 || $NEXUS_SCALE == full ]] ||
	die 2 "NEXUS_SCALE=$NEXUS_SCALE: must be tier1 or full"

# scaled TIER1 FULL: sets REPLY to the one that holds.
scaled() {
	REPLY=$1
	[[ $NEXUS_SCALE != full ]] || REPLY=$2
}
