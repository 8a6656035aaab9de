# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# A guest that says when its host is to stop, and when to go on.
#
#	$tmp/guest.sh, in a cell --- "stop-now" ---> this script: SIGSTOP to all of rumpk
#	                         --- "continue-now" ----------->  SIGCONT
#	                         --- "kill-now" --------------->  SIGKILL
#	                         --- "return-now" ------------->  rumpk again

# shellcheck source=tests/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

truncate -s "${image_size:-64M}" "$tmp/image"
socket=$tmp/ion.sock
start_rumpk "$socket" --disk "file=$tmp/image"
# It ends in order only when it is not stopped.
on_exit eval 'resume_rumpk 2>/dev/null'

obey() {
	case $1 in
	stop-now*) pause_rumpk ;;
	continue-now*) resume_rumpk ;;
	kill-now*) expect 137 stop_rumpk KILL ;;
	return-now*) start_rumpk "$socket" --disk "file=$tmp/image" ;;
	esac
}

# run_guest [CELL-OPTION...]: to its end, which must be good. The script is told how many
# times as long as else to be patient.
run_guest() {
	converse obey --socket "$socket" --put "$tmp/guest.sh:/guest.sh" --timeout 200 "$@" \
		-- sh /guest.sh "$NEXUS_PATIENCE"
	no_kernel_complaint
}

# only LETTER: what was in the ring when the host stopped has been written before
# what is there now, not after.
only() {
	tr -d "$1" <"$tmp/image" | tr -d '\000' | wc -c | grep -qx 0 ||
		fail "an old write came late"
}
