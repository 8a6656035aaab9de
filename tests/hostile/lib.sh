# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the hostile tests share besides tests/common.sh: the hostile peers.

# shellcheck source=tests/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

peers=$NEXUS_BUILD/tests/hostile
# shellcheck disable=SC2034
rogue_guest=$peers/rogue_guest
# shellcheck disable=SC2034
rogue_host=$peers/rogue_host

note() {
	printf '# %s\n' "$*"
}

build_peers() {
	mkdir -p "$NEXUS_BUILD/tests"
	flock "$NEXUS_BUILD/tests/hostile.lock" make -s -C "$NEXUS_TOP/tests/hostile" \
		O="$peers" >"$logs/build.log" 2>&1 || fail "the hostile peers do not build: $logs/build.log"
}
build_peers
