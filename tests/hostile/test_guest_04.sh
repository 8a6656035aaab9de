#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# H4: indices that jump, go back or leave their span. The channel is latched for
# its one reason, no entry is read, no CPU is used; a new handshake repairs it.
# shellcheck source=tests/hostile/guest_lib.sh
source "$(dirname "$0")/guest_lib.sh"

serve
attack jump jump-far jump-back jump-at-start
logged 'latched generation=.* reason=1 '
attack consumer-ahead consumer-back consumer-far
logged 'latched generation=.* reason=2 '
finish
