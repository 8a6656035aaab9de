#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# G1, G2, G3, G5, G6, G8 under KASAN and lockdep: what test_host_01 to 04 and 07 say of
# a cell holds in a User-Mode Linux, and none of its checkers has anything to say.
# shellcheck source=tests/uml/host_lib.sh
source "$(dirname "$0")/host_lib.sh"

planned uml-misdeeds 58 58
for case in 01 02 03 04 07 11 13; do
	echo "# test_host_$case"
	# shellcheck source=/dev/null
	source "$NEXUS_TOP/tests/hostile/test_host_$case.sh"
	ran uml-misdeeds "$committed"
done
