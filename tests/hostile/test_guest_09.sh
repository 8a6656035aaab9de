#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Requests with several faults get the status of the first check; no slot of the
# CSpace but the granted one opens anything.
# shellcheck source=tests/hostile/guest_lib.sh
source "$(dirname "$0")/guest_lib.sh"

serve
attack order
attack slot
logged 'refused generation=.* status=PERM reason='
finish
