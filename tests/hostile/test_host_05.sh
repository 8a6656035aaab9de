#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# G4: windows with a wrong magic, version, length, region or directory, each on an
# ivshmem device of its own beside a good one. Each wrong one is refused with one
# clear line and gives no disk; the good one works.
# shellcheck source=tests/hostile/host_lib.sh
source "$(dirname "$0")/host_lib.sh"

rejected=(version length length-zero required guest-region directory-count
	directory-outside overlap-rings overlap-data ring-outside ring-wraps ring-shape
	queue-number repeated)
ignored=(magic short)
devices=()
for name in "${rejected[@]}" "${ignored[@]}"; do
	host "$name" "$name"
	devices+=(--qemu-arg -chardev --qemu-arg "socket,id=r-$name,path=$tmp/$name.sock"
		--qemu-arg -device --qemu-arg "ivshmem-doorbell,chardev=r-$name,vectors=8")
done
host rogue none
misdeeds=(none)
probe "${devices[@]}"

count=$(grep -c -a 'nexus_ion: ivshmem: window rejected: ' "$tmp/dmesg")
((count == ${#rejected[@]})) || fail "$count windows rejected, not ${#rejected[@]}"
count=$(grep -c -a 'nexus_ion: ivshmem: no ION window: ' "$tmp/dmesg")
((count == ${#ignored[@]})) || fail "$count windows ignored, not ${#ignored[@]}"
for text in 'ABI major version, must be 1, is 0x2' 'window length, must not exceed' \
	'window length, must be 4 MiB' 'required features, not all known' \
	'guest region, must follow' 'directory count, must be' 'directory offset, must be' \
	'directory entry 1: request ring, must be' 'directory entry 1: data area, must be' \
	'directory entry 0: response ring, must be' 'directory entry 0: request ring, must be' \
	'directory entry 0: queue, must be below' 'kind and instance, must not repeat'; do
	kernel_says "window rejected: .*$text"
done
kernel_says 'no ION window: magic 0x494f4e53'
kernel_says 'no ION window: 1048576 bytes'
[[ $(grep -c '^READ' "$tmp/out") == 2 ]] || fail "there are disks of rejected windows"
for name in "${rejected[@]}" magic; do
	grep -q '^guest region untouched$' "$logs/$name.log" ||
		fail "$name: the guest stored something into a window that it rejects"
done
