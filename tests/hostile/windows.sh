# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154
# shellcheck disable=SC2034
#
# Windows that a guest refuses, and what its kernel says to each: sourced after
# verdict.sh.

rejected=(version length length-zero required guest-region directory-count
	directory-outside overlap-rings overlap-data ring-outside ring-wraps ring-shape
	queue-number repeated)
# No ION windows at all, or too short for one.
ignored=(magic short)

# refused_windows PROVIDER: $tmp/dmesg says so of each, in one line.
refused_windows() {
	local count text
	count=$(grep -c -a "nexus_ion: $1: window rejected: " "$tmp/dmesg")
	((count == ${#rejected[@]})) || fail "$count windows rejected, not ${#rejected[@]}"
	count=$(grep -c -a "nexus_ion: $1: no ION window: " "$tmp/dmesg")
	((count == ${#ignored[@]})) || fail "$count windows ignored, not ${#ignored[@]}"
	for text in 'ABI major version, must be 1, is 0x2' 'window length, must not exceed' \
		'window length, must be 4 MiB' 'required features, not all known' \
		'guest region, must follow' 'directory count, must be' \
		'directory offset, must be' 'directory entry 1: request ring, must be' \
		'directory entry 1: data area, must be' \
		'directory entry 0: response ring, must be' \
		'directory entry 0: request ring, must be' \
		'directory entry 0: queue, must be below' 'kind and instance, must not repeat'; do
		kernel_says "window rejected: .*$text"
	done
	kernel_says 'no ION window: magic 0x494f4e53'
	kernel_says 'no ION window: 1048576 bytes'
}
