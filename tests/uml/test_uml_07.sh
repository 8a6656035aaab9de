#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# G11, G8 under KASAN: requests on the guest's own pages that a host keeps, stopped or
# alive, and a removal with dirty data on a slow one: test_host_09 and 10, here.
# shellcheck source=tests/uml/host_lib.sh
source "$(dirname "$0")/host_lib.sh"

planned uml-held 3 3
for case in 09 10; do
	echo "# test_host_$case"
	# shellcheck source=/dev/null
	source "$NEXUS_TOP/tests/hostile/test_host_$case.sh"
	ran uml-held "$committed"
done
