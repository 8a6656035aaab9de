#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# G5 under KASAN: the directory goes wrong and right again a thousand times a second
# while the window comes and goes. Each coming succeeds whole or leaves nothing behind.
# shellcheck source=tests/uml/host_lib.sh
source "$(dirname "$0")/host_lib.sh"

planned uml-bindings 40 400
uml 240 <<-RUN || fail "the guest ended with $?: $(tail -n 3 "$tmp/out")"
	insmod /modules/nexus_ion.ko && insmod /modules/nexus_blk.ko transport=ion || exit 1
	for i in \$(seq $REPLY); do
		insmod /modules/rogue_peer.ko misdeeds=flips || exit 2
		rmmod rogue_peer || exit 3
		[ -z "\$(ls /sys/bus/ion/devices)" ] || exit 4
		echo bound \$i
	done
	rmmod nexus_blk && rmmod nexus_ion || exit 5
RUN
uml_is_quiet
ran uml-bindings "$(grep -c '^bound ' "$tmp/out")"
bound=$(($(grep -c '^bound ' "$tmp/out") - $(grep -c '^the window was refused' "$logs/rogue.log" || true)))
echo "# bound $bound times"
(($(wc -l <"$tmp/dmesg") < 5000)) || fail "$(wc -l <"$tmp/dmesg") lines in the kernel's log"
