#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# H10: handshakes with wrong terms, terms that change afterwards, an old
# generation, a thousand of them, some with requests in flight.
# shellcheck source=tests/hostile/guest_lib.sh
source "$(dirname "$0")/guest_lib.sh"

serve
attack depth features class vector state frozen generation thousand busy
finish
