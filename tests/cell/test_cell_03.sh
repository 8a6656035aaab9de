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
refuses 'come after the disk' --ro --size 1M -- true
refuses 'no --disk' --direct --disk /dev/null -- true
refuses 'cannot serve' --hal mem --disk /dev/null -- true
refuses 'MODULE.PARAMETER' --module-arg x -- true
refuses '/not/there' --disk /not/there -- true
refuses "$tmp" --disk "$tmp" -- true

refuses 'come after the disk' --format raw --size 1M -- true
refuses '--format wants one of' --hal virtio --format vmdk -- true
refuses 'wants --hal virtio' --format qcow2 -- true
refuses 'wants --hal virtio' --hal mem --size 1M --format qcow2 -- true
refuses 'no host that' --direct --hal virtio -- true
refuses 'no host that' --direct --format raw -- true
refuses 'no host that' --direct --data bounce -- true
refuses '--data wants one of' --data copy -- true
refuses 'that listens there' --socket x --data auto -- true
refuses '--cap wants' --cap rd -- true
refuses 'no --disk, --nbd or' --direct --nbd nbd://localhost/ -- true
refuses 'that listens there' --socket x --hal virtio -- true
refuses 'that listens there' --socket x --nbd nbd://localhost -- true
refuses 'only the device at /x' --vhost-socket /x --format raw -- true
refuses 'does not know the size of the device at /x' --vhost-socket /x --peer -- true
for uri in http://x nbd:localhost:1 nbds://localhost/ nbd:// nbd://h:p/ nbd://h/%4 nbd+unix:///x \
	'nbd+unix:///?socket=' 'nbd+unix:///%zz?socket=/x'; do
	refuses '--nbd wants nbd://' --nbd "$uri" -- true
done
refuses '/not/there' --vhost-socket /not/there -- true
refuses 'storage daemon.*/not/there' --hal virtio --disk /not/there -- true
refuses 'storage daemon.*/not/there' --nbd 'nbd+unix:///?socket=%2fnot/there' -- true
head -c 1M /dev/urandom >"$tmp/junk"
refuses "cannot open $tmp/junk" --hal virtio --disk "$tmp/junk" --format qcow2 -- true
qemu-img create -q -f qcow2 -F raw -b "$tmp/junk" "$tmp/overlay"
# As images of old are: the extension of the header that names the format goes.
at=$(grep -obUaP '\xe2\x79\x2a\xca' "$tmp/overlay" | head -n 1)
printf '\0\0\0\0' | dd of="$tmp/overlay" bs=1 seek="${at%%:*}" conv=notrunc status=none
refuses 'what format its backing file' --hal virtio --disk "$tmp/overlay" --format qcow2 -- true
# Nor one that lies deeper.
qemu-img create -q -f qcow2 -b "$tmp/overlay" -F qcow2 "$tmp/top"
refuses 'what format its backing file' --hal virtio --disk "$tmp/top" --format qcow2 -- true
refuses 'QEMU ended with' --qemu-arg -bogus -- true

expect 124 cell --timeout 8 -- sleep 100
grep -q . "$cell_logs/console.log" || fail "no logs of a timeout"
expect 125 cell --direct -- sh -c 'echo c >/proc/sysrq-trigger; sleep 10' 2>"$tmp/err"
grep -q 'kernel failed' "$tmp/err" || fail "a panic says $(<"$tmp/err")"
# A kernel that has complained and goes on costs the status, and not the files.
expect 125 cell --direct --get /etc/passwd:"$tmp/passwd" -- \
	sh -c 'echo "BUG: planted" >/dev/kmsg' 2>"$tmp/err"
grep -q 'kernel failed.*BUG: planted' "$tmp/err" || fail "a complaint says $(<"$tmp/err")"
[[ -s $tmp/passwd ]] || fail "a complaint of the kernel cost the files"
expect 125 cell --direct -- reboot -f
expect 141 bash -o pipefail -c '"$0" --direct -- yes | head -n 1' "$NEXUS_TOP/scripts/cell"

[[ -z $(ls -A "$TMPDIR") ]] || fail "left in \$TMPDIR: $(ls -A "$TMPDIR")"
