#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A host that is alive and slow: the driver is unbound with dirty data, and the
# first write of it is not answered for ten seconds. It is waited for.
#
#	guest: dirty --> unbind --> WRITE            ended well, nothing lost
#	host:                         kept ... 10 s --> answer

# shellcheck source=tests/hostile/host_lib.sh
source "$(dirname "$0")/host_lib.sh"

cat >"$tmp/guest.sh" <<'GUEST'
wrong() { echo "$*"; dmesg | tail -n 20; exit 1; }
# While somebody has the disk open for writing, nothing is written by closing it.
exec 3>>/dev/nxblk0
dd if=/expected of=/dev/nxblk0 bs=512 seek=1024 count=1 conv=notrunc 2>/dev/null
(echo ion0-0700-0 >/sys/bus/ion/drivers/nexus_blk/unbind; echo $? >/unbound) &
sleep 10
[ ! -e /unbound ] || wrong "not waited for"
exec 3>&-
echo answer-now
for _ in $(seq 300); do
	[ ! -s /unbound ] || break
	sleep 0.1
done
[ -s /unbound ] || wrong "not unbound"
dmesg | grep -E "ended unanswered|page write|does not answer" && wrong "dirty data was thrown away"
rmmod nexus_blk && rmmod nexus_ion || wrong "the modules do not unload"
GUEST

obey() {
	[[ $1 != answer-now* ]] || kill -USR1 "${host_pids[0]}"
}

printf '\1\4\0\0\0\0\0\0%.0s' {1..64} >"$tmp/expected"
host rogue slow
converse obey --socket "$tmp/rogue.sock" --put "$tmp/guest.sh:/guest.sh" \
	--put "$tmp/expected:/expected" --timeout 200 -- sh /guest.sh
no_kernel_complaint
end_hosts
grep -q '^channel 0 keeps tag' "$logs/rogue.log" || fail "no write came before the unbind"
grep -q '^channel 0 answers what it kept' "$logs/rogue.log" || fail "nothing was answered"
