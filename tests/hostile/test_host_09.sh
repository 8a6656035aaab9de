#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A request on the guest's own pages, and a host that has it and does not answer: the
# bound of an outage ends what was bounced, and holds what was not, up to its drain
# or its answer; until then nothing new is issued. Only a removal ends it, and keeps
# the pages when nobody has drained it.
#
#	guest: own, copied --> error -       held -  error   live    own -  unbind
#	host:  STOP .................................CONT     drain   STOP ........CONT

# shellcheck source=tests/hostile/host_lib.sh
source "$(dirname "$0")/host_lib.sh"

cat >"$tmp/guest.sh" <<'GUEST'
never=4294967295
driver=/sys/bus/ion/drivers/nexus_blk
wrong() { echo "$*"; dmesg | tail -n 20; exit 1; }
await() { for _ in $(seq 300); do "$@" && return; sleep 0.1; done; wrong "in vain: $*"; }
# Its node is there a moment before it can be opened.
opens() { (: </dev/$disk) 2>/dev/null; }
choose() { disk=$1 nexus=/sys/block/$1/nexus; }
is() { [ "$(cat $nexus/$1 2>/dev/null)" = "$2" ]; }
# Announces how it ended in /ended.NAME.
read_as() { # NAME BLOCK
	rm -f /ended.$1
	(dd if=/dev/$disk of=/dev/null bs=$2 count=1 skip=1 iflag=direct 2>/dev/null; echo $? >/ended.$1) &
}
own_pages() { # NAME BLOCK: returns when the request has been issued
	before=$(cat $nexus/zero_copy)
	echo 0 >$nexus/zero_copy_min
	read_as $1 $2
	await is zero_copy $((before + 1))
	echo $never >$nexus/zero_copy_min
}
ended_badly() { await [ -s /ended.$1 ]; [ "$(cat /ended.$1)" != 0 ] || wrong "$1 succeeded"; }
ended_well() { await [ -s /ended.$1 ]; [ "$(cat /ended.$1)" = 0 ] || wrong "$1 failed"; }
pending() { [ ! -e /ended.$1 ] || wrong "$1 ended"; }
said() { dmesg | grep -c "$disk: $1"; }
now() { cut -d. -f1 /proc/uptime; }
works() { read_as works 65536; ended_well works; }
idle() { [ "$(tr -s ' ' </sys/block/$disk/inflight)" = " 0 0" ]; }

# The host stops. What was bounced ends at the bound, what was not is held.
choose nxblk0
is zero_copy_min $never || wrong "the host's advice is not taken"
works
is zero_copy 0 || wrong "against the host's advice"
echo 3 >$nexus/outage_timeout
echo stop-now
sleep 1
own_pages own 4096
read_as copied 4096
ended_badly copied
is state failing || wrong "not failing"
is held 1 || wrong "$(cat $nexus/held) held"
sleep 8
pending own
is held 1 || wrong "held no more"
[ "$(said '1 zero-copy requests held')" = 1 ] || wrong "not said once"
[ "$(said '1 requests ended unanswered')" = 1 ] || wrong "the other one was not ended alone"
echo continue-now
ended_badly own
await is state live
is held 0 && idle || wrong "something is left"
works

# The host denies INFO while it has one: nothing is asked of it meanwhile, and the
# answer is taken when it comes.
choose nxblk1
own_pages own 4096
await is state refused
is held 1 || wrong "$(cat $nexus/held) held while INFO is denied"
read_as copied 4096
ended_badly copied
sleep 3
pending own
is state refused || wrong "revived with a request held"
echo answer-now
ended_well own
await is state live
is held 0 && is latches 0 && idle || wrong "something is left of the denial"
works

# Removed while one is held by a host that is alive: ended at once, drained, and
# nothing is leaked.
own_pages own 65536
await is state refused
is held 1 || wrong "$(cat $nexus/held) held before the removal"
begin=$(now)
echo ion0-0700-1 >$driver/unbind
ended_badly own
[ $(($(now) - begin)) -le 20 ] || wrong "unbind took $(($(now) - begin)) s"
dmesg | grep "pages leaked" && wrong "leaked although drained"
echo ion0-0700-1 >$driver/bind
await is state live
await opens
is leaked_pages 0 || wrong "$(cat $nexus/leaked_pages) pages leaked although drained"
works

# Removed while it is stopped.
choose nxblk0
own_pages own 65536
echo stop-now
sleep 1
begin=$(now)
echo ion0-0700-0 >$driver/unbind
ended_badly own
[ $(($(now) - begin)) -le 20 ] || wrong "unbind took $(($(now) - begin)) s"
[ "$(said '16 pages leaked')" = 1 ] || wrong "16 pages were not leaked"
echo continue-now
echo ion0-0700-0 >$driver/bind
await is state live
await opens
is leaked_pages 16 || wrong "$(cat $nexus/leaked_pages) pages leaked"
works
rmmod nexus_blk && rmmod nexus_ion || wrong "the modules do not unload"
echo UNLOADED
GUEST

obey() {
	case $1 in
	stop-now*) kill -STOP "${host_pids[0]}" ;;
	continue-now*) kill -CONT "${host_pids[0]}" ;;
	answer-now*) kill -USR1 "${host_pids[0]}" ;;
	esac
}

host rogue zero-copy zero-copy-denied
# It ends in order only when it is not stopped.
on_exit eval 'kill -CONT "${host_pids[@]}" 2>/dev/null'
converse obey --socket "$tmp/rogue.sock" --put "$tmp/guest.sh:/guest.sh" --timeout 200 -- sh /guest.sh
no_kernel_complaint
end_hosts
# One INFO for each of the two requests, and nothing more while they were held.
[[ $(grep -c '^channel 1 denies op' "$logs/rogue.log") == 2 ]] ||
	fail "asked for something while a request was held: $(grep denies "$logs/rogue.log" | tr '\n' ' ')"
