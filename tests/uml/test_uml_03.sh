#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# G4 under KASAN: each wrong window is refused with one clear line, gives no disk and
# is not written to, and is gone for good; the disk of the good window beside it works
# all the time. A window that is somebody else's has not a byte changed.
# shellcheck source=tests/uml/host_lib.sh
source "$(dirname "$0")/host_lib.sh"
# shellcheck source=tests/hostile/windows.sh
source "$NEXUS_TOP/tests/hostile/windows.sh"

windows=("${rejected[@]}" "${ignored[@]}" foreign)
planned uml-windows 17 17
uml 120 <<-RUN || fail "the guest ended with $?: $(tail -n 3 "$tmp/out")"
	insmod /modules/nexus_ion.ko && insmod /modules/nexus_blk.ko transport=loopback || exit 1
	until opens nxblk0; do sleep 0.1; done
	$NO_ZERO_COPY nxblk0
	for name in ${windows[*]}; do
		insmod /modules/rogue_peer.ko misdeeds=\$name || exit 2
		dd if=/dev/zero of=/dev/nxblk0 bs=64k count=4 conv=fsync 2>/dev/null || exit 3
		[ "\$(ls -d /sys/block/nxblk*)" = /sys/block/nxblk0 ] || exit 4
		rmmod rogue_peer || exit 5
		echo refused \$name
	done
	rmmod nexus_blk && rmmod nexus_ion || exit 6
RUN
uml_is_quiet
ran uml-windows "$(grep -c '^refused ' "$tmp/out")"
# Of the one that is somebody else's its first bytes are random.
sed -i '/no ION window: magic 0x[^4]/d' "$tmp/dmesg"
refused_windows loopback
(($(grep -c '^the window was refused (-19)$' "$logs/rogue.log") == ${#windows[@]})) ||
	fail "not every window was refused"
# One that is too short is not looked into, and a wrong length is written to by nobody.
(($(grep -c '^guest region untouched$' "$logs/rogue.log") == ${#rejected[@]} + 1)) ||
	fail "the guest stored something into a window that it rejects"
grep -q '^window untouched$' "$logs/rogue.log" || fail "the foreign window was written to"
