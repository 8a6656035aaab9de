#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# G1 to G3 and G5 to G9 under KASAN and lockdep: what these scripts of tests/hostile say of
# a cell holds in a User-Mode Linux, and none of its checkers has anything to say.
# shellcheck source=tests/uml/host_lib.sh
source "$(dirname "$0")/host_lib.sh"

planned uml-misdeeds 61 61
for case in 01 02 03 04 07 11 13 17; do
	echo "# test_host_$case"
	# shellcheck source=/dev/null
	source "$NEXUS_TOP/tests/hostile/test_host_$case.sh"
	ran uml-misdeeds "$committed"
done
