#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
# Every misdeed of tests/hostile/misdeed.c under KASAN and lockdep, each in a window of
# its own beside an honest disk, with reads, writes and flushes that are still waiting
# when the window is taken away: the honest disk serves, everything ends, everything
# unloads. What else must come of each misdeed is for the other tests.
# shellcheck source=tests/uml/host_lib.sh
source "$(dirname "$0")/host_lib.sh"

mapfile -t names < <(sed -n 's/^\t{ \.name = "\([^"]*\)".*/\1/p' "$NEXUS_TOP/tests/hostile/misdeed.c")
planned uml-removals 99 99
((${#names[@]} == REPLY)) || fail "there are ${#names[@]} misdeeds, not $REPLY"
uml_root
printf '\1\4\0\0\0\0\0\0%.0s' {1..64} >"$tmp/root/expected"
uml 500 <<-RUN || fail "the guest ended with $?: $(tail -n 3 "$tmp/out")"
	$NODE
	wrong() { echo "\$name: \$*"; exit 1; }
	honest() {
		dd if=/dev/\$1 of=/tmp/sector bs=512 skip=1024 count=1 iflag=direct 2>/dev/null &&
			cmp -s /tmp/sector /expected
	}
	load() {
		while [ -e /tmp/go ]; do
			dd if=/tmp/\$1 of=/dev/null bs=512 skip=1024 count=1 iflag=direct
			dd if=/dev/zero of=/tmp/\$1 bs=64k count=4 conv=fsync
			blkdiscard -o 8192 -l 8192 /tmp/\$1
			sleep 0.02
		done >/dev/null 2>&1
	}
	insmod /modules/nexus_ion.ko && insmod /modules/nexus_blk.ko transport=ion || exit 1
	for name in ${names[*]}; do
		insmod /modules/rogue_peer.ko misdeeds=\$name || wrong "no rogue host"
		sleep 0.2
		touch /tmp/go
		if [ -b /dev/nxblk0 ]; then
			node nxblk0
			load nxblk0 &
			load nxblk0 &
		fi
		sleep 0.3
		case \$name in
		flips | noise) ;;
		*) [ ! -b /dev/nxblk1 ] || honest nxblk1 || wrong "the honest disk does not serve" ;;
		esac
		rm /tmp/go
		begin=\$(cut -d. -f1 /proc/uptime)
		rmmod rogue_peer || wrong "does not unload"
		[ \$((\$(cut -d. -f1 /proc/uptime) - begin)) -le 130 ] || wrong "took too long"
		wait
		[ -z "\$(ls /sys/bus/ion/devices)" ] || wrong "something is left"
		echo removed \$name
	done
	rmmod nexus_blk && rmmod nexus_ion || exit 6
RUN
uml_is_quiet
ran uml-removals "$(grep -c '^removed ' "$tmp/out")"
