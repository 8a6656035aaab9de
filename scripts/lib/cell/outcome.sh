# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154
#
# How a run went, and what of it stays.  Sourced by scripts/cell.

# fail TEXT: the cell itself cannot go on.
fail() {
	say "$*"
	keep_logs
	exit 125
}

# The logs of a failure stay, the newest twenty of them.
keep_logs() {
	local store=$NEXUS_CACHE/logs
	if [[ -z $logs ]]; then
		mkdir -p "$store"
		find "$store" -mindepth 1 -maxdepth 1 -printf '%T@ %p\0' | sort -z -rn |
			tail -z -n +20 | cut -z -d ' ' -f 2- | xargs -0 -r rm -rf --
		logs=$store/$(date +%Y%m%d-%H%M%S)-$$
		cp -r "$log_dir" "$logs"
	fi
	say "logs are in $logs"
}

# A line from the end of a log, to say in one line what went wrong.
last_line() {
	tail -n 1 "$log_dir/$1" 2>/dev/null
}

has_reported() {
	grep -q -s -a "^$1" "$log_dir/report.log"
}

# The value of the last report of a kind, or nothing.
reported() {
	sed -n "s/^$1 //p" "$log_dir/report.log" | tail -n 1
}

# KCSAN reports the races of the kernel itself as well: those are not the guest's end.
panic_line() {
	grep -a -m 1 -P 'Kernel panic|BUG: (?!KCSAN)|Oops:|general protection fault' \
		"$log_dir/console.log" | tr -d '\r'
}

timed_out() {
	local status
	status=$(reported exit)
	if [[ -n $status ]]; then
		say "the command ended with $status, but the guest did not switch off within $timeout s"
	elif has_reported ready; then
		say "the command did not end within $timeout s"
	else
		say "the guest was not ready within $timeout s"
	fi
	keep_logs
	exit 124
}

# Sets guest_status, or fails with what kept the guest from ending well.  Of a guest
# that went on after its kernel's complaint, the files say more about it.
judge_guest() {
	local failed panic qemu_status=$1
	failed=$(reported failed)
	[[ -z $failed ]] || fail "the guest: $failed"
	if panic=$(panic_line); then
		! has_reported 'done' || collect_gets || true
		fail "the guest's kernel failed: $panic"
	fi
	guest_status=$(reported exit)
	if [[ -z $guest_status ]] || ! has_reported 'done'; then
		((qemu_status == 0)) || fail "QEMU ended with $qemu_status: $(last_line qemu.log)"
		fail "the guest ended before the command did: $(last_line console.log)"
	fi
}

