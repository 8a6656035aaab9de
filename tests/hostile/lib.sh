# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the hostile tests share: a directory of their own that goes with them,
# the hostile peers, and how to end.

# shellcheck source=scripts/lib/base.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib/base.sh"
set +e

work=$(mktemp -d "${TMPDIR:-/tmp}/nexus-hostile.XXXXXX") || exit 1
rogue_guest=$NEXUS_BUILD/hostile/rogue_guest
rogue_host=$NEXUS_BUILD/hostile/rogue_host
rumpk=$NEXUS_BUILD/hostile/rumpk/rumpk

# Whatever this test started ends with it: jobs are told, then killed.
cleanup() {
	local status=$? jobs
	trap - EXIT
	jobs=$(jobs -p)
	if [[ -n $jobs ]]; then
		# shellcheck disable=SC2086
		kill $jobs 2>/dev/null
		sleep 0.2
		# shellcheck disable=SC2086
		kill -KILL $jobs 2>/dev/null
	fi
	rm -rf "$work"
	exit "$status"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

note() {
	printf '# %s\n' "$*"
}

# bad TEXT: the test has failed.
bad() {
	local log
	printf '# %s\n' "$*"
	for log in "$work"/*.log; do
		[[ ! -s $log ]] || {
			printf '# %s ends with\n' "${log##*/}"
			tail -n 15 "$log" | tr -d '\r' | sed 's/^/#   /'
		}
	done
	exit 1
}

good() {
	exit 0
}

build_hostile() {
	mkdir -p "$NEXUS_BUILD"
	flock "$NEXUS_BUILD/hostile.lock" make -s -C "$NEXUS_TOP/tests/hostile" \
		O="$NEXUS_BUILD/hostile" >"$work/build.log" 2>&1 ||
		bad "the hostile peers do not build"
	rm -f "$work/build.log"
}

# rumpk with ASan and UBSan.
build_rumpk() {
	flock "$NEXUS_BUILD/hostile.lock" make -s -C "$NEXUS_TOP/rumpk" \
		O="$NEXUS_BUILD/hostile/rumpk" SANITIZE=1 CFLAGS='-O1 -g -Wno-error' \
		>"$work/build.log" 2>&1 || bad "rumpk does not build"
	rm -f "$work/build.log"
}
