#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What is the cell's own failure is 125 with one clear line and the logs, time
# that is up is 124, and nothing of either stays in $TMPDIR.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

export TMPDIR=$tmp/t
mkdir "$TMPDIR"

# refuses PATTERN OPTION...: at once, with a line that matches.
refuses() {
	local pattern=$1 status=0
	shift
	"$NEXUS_TOP/scripts/cell" "$@" 2>"$tmp/err" || status=$?
	((status == 125)) || fail "$*: ends with $status"
	grep -q -E -e "$pattern" "$tmp/err" || fail "$*: says $(<"$tmp/err")"
}

refuses 'no command' --size 1M
refuses 'no command' --size 1M --
refuses 'unknown option --bogus' --bogus -- true
refuses 'unknown option --bogus' --bogus=1 -- true
refuses '"--" comes before' true
refuses '--size wants a size' --size 12Q -- true
refuses '--size wants a size' --size 0 -- true
refuses '--size wants a size' --size -1M -- true
refuses '--size wants a size' --size 99999999999T -- true
refuses '--size wants a' --size
refuses '--block-size wants one of' --block-size 1024 -- true
refuses '--cap wants' --cap x -- true
refuses '--smp wants' --smp 0 -- true
refuses '--timeout wants' --timeout soon -- true
refuses '--hal' --hal tape -- true
refuses 'not available yet' --hal virtio -- true
refuses 'come after the disk' --ro --size 1M -- true
refuses 'no --disk' --direct --disk /dev/null -- true
refuses 'cannot serve' --hal mem --disk /dev/null -- true
refuses 'MODULE.PARAMETER' --module-arg x -- true
refuses '/not/there' --disk /not/there -- true
refuses "$tmp" --disk "$tmp" -- true
refuses 'QEMU ended with' --qemu-arg -bogus -- true

expect 124 cell --timeout 8 -- sleep 100
grep -q . "$cell_logs/console.log" || fail "no logs of a timeout"
expect 125 cell --direct -- sh -c 'echo c >/proc/sysrq-trigger; sleep 10' 2>"$tmp/err"
grep -q 'kernel failed' "$tmp/err" || fail "a panic says $(<"$tmp/err")"
expect 125 cell --direct -- reboot -f
expect 141 bash -o pipefail -c '"$0" --direct -- yes | head -n 1' "$NEXUS_TOP/scripts/cell"

[[ -z $(ls -A "$TMPDIR") ]] || fail "left in \$TMPDIR: $(ls -A "$TMPDIR")"
