#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# H4, H8: honest rings all around 2^32, answers that nobody takes, requests that
# no doorbell announces, a storm of them, and the heartbeat.
# shellcheck source=tests/hostile/guest_lib.sh
source "$(dirname "$0")/guest_lib.sh"

serve
attack wrap flood no-doorbell storm heartbeat
finish
