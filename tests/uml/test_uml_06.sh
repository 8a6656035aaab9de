#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600 5700
# G9 under KASAN and lockdep: noise all over the window, from ever other seeds, while
# disks are read, written and flushed, and while they are taken away. Nothing of the
# kernel's is touched; when the window is right again the disks are, without a reboot.
# shellcheck source=tests/uml/host_lib.sh
source "$(dirname "$0")/host_lib.sh"

planned uml-noise 300 20000
SEEDS=$REPLY
host rogue noise none
uml_root
scaled 550 5400
uml "$REPLY" <<-RUN || fail "the guest ended with $?: $(tail -n 3 "$tmp/out")"
	$NODE
	wrong() { echo "seed \$seed: \$*"; exit 1; }
	await() { for _ in \$(seq 1200); do "\$@" && return; sleep 0.1; done; wrong "in vain: \$*"; }
	load() {
		while [ -e /tmp/go ]; do
			dd if=/tmp/\$1 of=/dev/null bs=4k skip=3 count=1 iflag=direct
			dd if=/dev/zero of=/tmp/\$1 bs=64k count=4 conv=fsync
			cat /sys/block/\$1/nexus/* /sys/bus/ion/devices/*/[a-z]*
			sleep 0.02
		done >/dev/null 2>&1
	}
	rounds=/sys/module/rogue_peer/parameters/rounds
	noisy() { [ \$(cat \$rounds) -ge 50 ]; }
	begun() {
		[ \$(cat \$rounds) -gt 0 ] ||
			timeout 2 dd if=/tmp/nxblk0 of=/dev/null bs=512 skip=1024 count=1 iflag=direct 2>/dev/null
		[ \$(cat \$rounds) -gt 0 ]
	}
	reads() { timeout 5 dd if=/tmp/\$1 of=/dev/null bs=64k count=8 iflag=direct 2>/dev/null; }
	insmod /modules/nexus_ion.ko && insmod /modules/nexus_blk.ko transport=ion || exit 101
	for seed in \$(seq 1 50 $SEEDS); do
		insmod /modules/rogue_peer.ko misdeeds=noise,none seed=\$seed most=50 || exit 102
		touch /tmp/go
		for disk in nxblk0 nxblk1 nxblk2; do
			await opens \$disk
			node \$disk
			echo 2 >/sys/block/\$disk/nexus/outage_timeout
			load \$disk &
		done
		await begun
		await noisy
		# Every other time it is taken away as it is.
		if [ \$((seed / 50 % 2)) = 0 ]; then
			echo Y >/sys/module/rogue_peer/parameters/told
			await reads nxblk1
			await reads nxblk2
		fi
		rm /tmp/go
		rmmod rogue_peer || wrong "does not unload"
		wait
		[ -z "\$(ls /sys/bus/ion/devices)" ] || wrong "something is left"
	done
	rmmod nexus_blk && rmmod nexus_ion || exit 103
RUN
uml_is_quiet
ran uml-noise "$(sed -n 's/^noise of \([0-9]*\) seeds$/\1/p' "$logs/rogue.log" | paste -sd + | bc)"
