# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What several runs of tests came to.

# sum_up LOG STATUS: the last line of it all, "N passed, M failed", of the lines like it in
# LOG.  A STATUS of failure that none of these tells of is one more failed.
sum_up() {
	awk '/^[0-9]+ passed, [0-9]+ failed$/ { passed += $1; failed += $3 }
		END { printf "%d passed, %d failed\n", passed, failed + (failed == 0 && status) }' \
		status="$2" "$1"
}
