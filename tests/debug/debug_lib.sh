# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the tests of and on the debug kernel share: pieces of scripts for the guest.
# They ask for that kernel themselves, so that each can be run alone.

# shellcheck source=tests/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

export NEXUS_KERNEL=debug
NEXUS_PATIENCE=4

# For a guest: allocations may be made to fail, also those that may wait.
#
# inject N COMMAND: the N-th slab allocation of COMMAND fails, of those that functions
# of the range have a part in; its words are in /said, $injected is 0 when there were
# so many. chance PERCENT: each of them, and each of pages, fails so often, whoever
# it is for. in_function NAME, in_module NAME: the range. What kmemleak allocates for
# itself beside each of them does not count.
readonly FAULTS='
	slab=/sys/kernel/debug/failslab pages=/sys/kernel/debug/fail_page_alloc
	every() { echo "$2" >$slab/$1 && echo "$2" >$pages/$1 || exit 80; }
	every verbose 1
	every times -1
	every stacktrace-depth 32
	echo 0 >$slab/ignore-gfp-wait
	echo 0 >$pages/ignore-gfp-highmem
	echo 0 >$pages/min-order

	range() {
		every require-start $1
		every require-end $2
	}
	span() { sort /proc/kallsyms | grep -A1 " $1\$" | cut -d " " -f 1 | sed s/^/0x/; }
	set -- $(span __alloc_object)
	every reject-start $1
	every reject-end $2
	in_function() { range $(span $1); }
	in_module() {
		start=$(cat /sys/module/$1/sections/.text)
		range $start $(printf 0x%x $((start + $(cat /sys/module/$1/coresize))))
	}
	chance() {
		echo $(($1 == 0)) >$pages/ignore-gfp-wait
		every probability $1
	}

	forced() { dmesg | grep -c "forcing a failure"; }
	inject() {
		n=$1 before=$(forced)
		shift
		(
			echo $n >/proc/self/fail-nth || exit 80
			"$@"
			status=$?
			echo 0 >/proc/self/fail-nth
			exit $status
		) >/said 2>&1
		status=$?
		[ $(forced) -gt $before ]
		injected=$?
		return $status
	}
	wrong() { echo "$*"; cat /said; dmesg | tail -n 30; exit 1; }

	# works: there is a disk, and it can be read and written.
	works() {
		for _ in $(seq 600); do [ -b /dev/nxblk0 ] && break; sleep 0.1; done
		dd if=/dev/urandom of=/pattern bs=64k count=4 2>/dev/null
		dd if=/pattern of=/dev/nxblk0 bs=64k oflag=direct 2>/dev/null &&
			dd if=/dev/nxblk0 bs=64k count=4 iflag=direct 2>/dev/null | cmp - /pattern ||
			wrong "no disk: $*"
	}
	# sweep COMMAND: it with 1, 2, and so on, up to the first that is not injected; that
	# may be one whose failure the kernel keeps quiet about, so some more are looked at.
	# After the first ten, ever fewer.
	sweep() {
		n=1 quiet=0 count=0
		while [ $quiet -lt 4 ]; do
			"$@"
			quiet=$((quiet + 1))
			[ $injected != 0 ] || { quiet=0 count=$((count + 1)); }
			n=$((n + 1 + n / 10))
		done
	}
'

# inject_into CHECK [CELL-OPTION...]: $tmp/guest.sh in a guest without a host, and in one
# with a host, $where says which; each time CHECK judges $tmp/out. What the kernel itself says with a trace
# when an allocation fails is no complaint, nor that an interrupt goes whose entry in /proc
# there was no memory for.
inject_into() {
	local check=$1 where
	shift
	COMPLAINTS=${COMPLAINTS/|Call Trace/}
	EXCUSED='WARNING: .* remove_proc_entry\+'
	printf '%s\n' "$FAULTS" >"$tmp/faults.sh"
	printf '%s\n' "$SCAN_FOR_LEAKS" >"$tmp/scan.sh"
	for where in --direct --size=32M; do
		cell "$where" "$@" --put "$tmp/guest.sh:/guest.sh" --put "$tmp/faults.sh:/faults.sh" \
			--put "$tmp/scan.sh:/scan.sh" -- env where="$where" sh /guest.sh >"$tmp/out" ||
			fail "$where: status $?: $(<"$tmp/out")"
		cat "$tmp/out"
		no_kernel_complaint
		"$check" || fail "$where: hardly an allocation was made to fail"
	done
}
