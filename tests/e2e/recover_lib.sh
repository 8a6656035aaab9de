# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# A guest that writes at depth 32 and verifies every byte, round after round, and what
# is done to its rumpk meanwhile:
#
#	guest: fio randwrite, verify ... randwrite, verify --------> status 0
#	host:    kill worker ... kill worker ... "stop" on nxblk1

# shellcheck source=tests/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

IMAGE_MIB=64
socket=$tmp/ion.sock
truncate -s ${IMAGE_MIB}M "$tmp/image"
# Ends the load when it says so: nothing else of the host's has to reach the guest.
truncate -s 1M "$tmp/word"

serve() {
	start_rumpk "$socket" --disk "file=$tmp/image" --disk "file=$tmp/word,ro"
}

# In the guest. Each round writes every block once, and reads them all; with a seed of
# its own, so that what an earlier one left is no right answer.
cat >"$tmp/load.sh" <<SCRIPT
round=0
until [ "\$(dd if=/dev/nxblk1 bs=4k count=1 iflag=direct 2>/dev/null | head -c 4)" = stop ]; do
	round=\$((round + 1))
	fio --name=w --filename=/dev/nxblk0 --ioengine=libaio --direct=1 --thread \\
		--rw=randwrite --bs=4k --iodepth=32 --size=${IMAGE_MIB}M --randseed=\$round \\
		--verify=crc32c --verify_fatal=1 --verify_backlog=4096 --rate_iops=3000 \\
		--output=/out || { cat /out; dmesg | tail -n 20; exit 1; }
	echo "verified round \$round"
done
SCRIPT

# begin_load SECONDS: returns when it is under way, and it ends after so long by force.
begin_load() {
	start "$NEXUS_TOP/scripts/cell" --logs "$logs/cell" --socket "$socket" --fio \
		--put "$tmp/load.sh:/load.sh" --timeout "$1" -- sh /load.sh </dev/null >"$tmp/out" 2>&1
	guest=$REPLY
	wait_until 90 has_written 500
}

# has_written N: more than N since the beginning.
has_written() {
	[[ -e /proc/$guest ]] || fail "the guest ended early: $(<"$tmp/out")"
	(($(rumpk_stat_now writes) >= $1))
}

# goes_on: requests are answered again. The guest may be between two rounds, with none,
# so that this says nothing of how fast: see lives_after.
goes_on() {
	local requests
	requests=$(rumpk_stat_now requests)
	wait_until 60 has_moved_on "$requests"
}

has_moved_on() {
	[[ -e /proc/$guest ]] || fail "the guest ended early: $(<"$tmp/out")"
	(($(rumpk_stat_now requests) > $1))
}

# lives_after GENERATION: the guest has taken a newer one.
lives_after() {
	(($(live_generation) > $1))
}

# The guest has seen nothing of it.
end_load() {
	printf stop | dd of="$tmp/word" conv=notrunc 2>/dev/null
	wait "$guest" || fail "the guest ended with $?: $(<"$tmp/out")"
	cell_logs=$logs/cell
	grep -q '^verified round' "$tmp/out" || fail "the guest has verified nothing"
	no_kernel_complaint
	! grep -a 'I/O error' "$cell_logs/console.log" || fail "the guest saw an error"
}

# another_worker PID: one serves that is not PID.
another_worker() {
	local now
	now=$(worker_pid) && [[ $now != "$1" ]]
}

# runs PID: it does, or could; the dead wait for whoever is their parent now.
runs() {
	[[ $(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) == [^ZX] ]]
}

# live_generation: the newest one that the log tells of.
live_generation() {
	sed -n 's/.*channel=0 live generation=\([0-9]*\).*/\1/p' "$logs/rumpk.log" | tail -n 1
}
