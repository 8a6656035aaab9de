#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# G4: windows with a wrong magic, version, length, region or directory, each on an
# ivshmem device of its own beside a good one. Each wrong one is refused with one
# clear line and gives no disk; the good one works.
# shellcheck source=tests/hostile/host_lib.sh
source "$(dirname "$0")/host_lib.sh"

# shellcheck source=tests/hostile/windows.sh
source "$NEXUS_TOP/tests/hostile/windows.sh"

devices=()
for name in "${rejected[@]}" "${ignored[@]}"; do
	host "$name" "$name"
	devices+=(--qemu-arg -chardev --qemu-arg "socket,id=r-$name,path=$tmp/$name.sock"
		--qemu-arg -device --qemu-arg "ivshmem-doorbell,chardev=r-$name,vectors=8")
done
host rogue none
misdeeds=(none)
probe "${devices[@]}"

refused_windows ivshmem
[[ $(grep -c '^READ' "$tmp/out") == 2 ]] || fail "there are disks of rejected windows"
for name in "${rejected[@]}" magic; do
	grep -q '^guest region untouched$' "$logs/$name.log" ||
		fail "$name: the guest stored something into a window that it rejects"
done
