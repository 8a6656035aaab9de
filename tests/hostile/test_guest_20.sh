#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# H9: the whole window overwritten with random bytes, a hundred times, while the host
# has writes of both channels: both latch, within a second; a new handshake repairs
# them, and the next guest finds a window in order.
# shellcheck source=tests/hostile/guest_lib.sh
source "$(dirname "$0")/guest_lib.sh"

serve
attack random-window
# Whoever comes next.
attack wrap
finish
