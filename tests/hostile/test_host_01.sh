#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# G1: answers with an unknown status, an error, a wrong length: an error at the
# reader, never stale bytes. Answers of other generations: dropped and counted.
# shellcheck source=tests/hostile/host_lib.sh
source "$(dirname "$0")/host_lib.sh"

errors=(status-unknown status-ioerr status-nospc status-timeout
	done-short done-zero done-long done-huge)
commit "${errors[@]}" other-generation
for name in "${errors[@]}"; do
	ends "$name" error
done
never_latches "${errors[@]}" other-generation
kernel_says 'I/O error, dev nxblk0, sector 1024 op 0x0'
ends other-generation right
number other-generation
grep -q "nxblk$REPLY/nexus/stale_answers:4$" "$tmp/out" ||
	fail "stale answers: $(grep stale_answers "$tmp/out" | tr '\n' ' ')"
