#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# G2: the host's indices jump, go back, leave their span. The guest latches the
# channel, reads no entry, resets, and the request is done.
# shellcheck source=tests/hostile/host_lib.sh
source "$(dirname "$0")/host_lib.sh"

answers=(rsp-jump rsp-far rsp-back)
requests=(req-back req-beyond req-far)
commit "${answers[@]}" "${requests[@]}"
for name in "${answers[@]}"; do
	latches "$name" 3
done
for name in "${requests[@]}"; do
	latches "$name" 4
done
kernel_says 'latched reason=response-producer-index'
kernel_says 'latched reason=request-consumer-index'
