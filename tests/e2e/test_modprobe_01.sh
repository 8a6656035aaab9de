#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# modprobe finds both modules by what the devices are: the PCI identity leads to
# nexus_ion, the channel kind to nexus_blk.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

cell --size 8M --no-load -- sh -c '
	for device in /sys/bus/pci/devices/*; do
		case $(cat $device/vendor):$(cat $device/device) in
		0x1af4:0x1110) modprobe "$(cat $device/modalias)" || exit 1 ;;
		esac
	done
	for i in $(seq 100); do
		test -e /sys/bus/ion/devices/ion0-0700-0 && break
		sleep 0.1
	done
	modprobe "$(cat /sys/bus/ion/devices/ion0-0700-0/modalias)" || exit 2
	for i in $(seq 100); do
		test -b /dev/nxblk0 && exit 0
		sleep 0.1
	done
	exit 3
' || fail "a module was not found, or did not bind (step $?)"
