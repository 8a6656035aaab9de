# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034
#
# A User-Mode Linux with both modules: a kernel that is a process of this machine, with
# KASAN, lockdep and the others of guest/uml.config on duty. Its root is a directory
# of the test, its clock skips whatever is slept, so that ten seconds of waiting cost
# nothing and a slow machine changes no outcome.

# shellcheck source=tests/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

uml_kernel=$("$NEXUS_TOP/scripts/kernel" uml)
uml_modules=$("$NEXUS_TOP/scripts/modules" uml)
uml_count=0

# NO_ZERO_COPY DISK, in a script: the in-memory valve knows RAM by its resources, and
# this kernel has none.
# The disk's node is there a moment before its link in /sys/block is.
readonly NO_ZERO_COPY='
	no_zero_copy() {
		until [ -e /sys/block/$1/nexus ]; do sleep 0.1; done
		echo 4294967295 >/sys/block/$1/nexus/zero_copy_min
	}
	no_zero_copy'

# node DISK, in a script: one at /tmp/DISK that stays when the disk goes.  Who writes to
# a name in /dev that has just gone makes a file, which then is in the disk's way.
readonly NODE='node() { rm -f /tmp/$1; mknod /tmp/$1 b $(tr : " " </sys/block/$1/dev); }'

# uml_root: $tmp/root, with busybox, every module, the command "opens DISK" and a first
# process that runs /run.sh; what that prints is /out, its status /status.
uml_root() {
	local root=$tmp/root
	[[ ! -e $root ]] || return 0
	mkdir -p "$root"/{bin,dev,proc,sys,mnt,tmp,modules}
	cp /bin/busybox "$root/bin/"
	while read -r applet; do
		[[ $applet == busybox ]] || ln -s busybox "$root/bin/$applet"
	done < <(/bin/busybox --list)
	find "$uml_modules" -name '*.ko' -exec cp -t "$root/modules" {} +
	# A disk's node is there a moment before it can be opened, and in that moment this
	# kernel lets another process run.
	cat >"$root/bin/opens" <<-'OPENS'
		#!/bin/sh
		(: <"/dev/$1") 2>/dev/null
	OPENS
	chmod +x "$root/bin/opens"
	cat >"$root/init" <<-'INIT'
		#!/bin/sh
		export PATH=/bin
		mount -t proc proc /proc
		mount -t sysfs sys /sys
		mount -t debugfs debug /sys/kernel/debug
		mount -t tmpfs tmp /tmp
		echo 60 >/proc/sys/kernel/hung_task_timeout_secs
		cd /tmp
		sh /run.sh >/out 2>&1
		echo $? >/status
		# What was lost a moment ago may still lie in some register or stack.
		echo scan >/sys/kernel/debug/kmemleak
		sleep 10
		echo scan >/sys/kernel/debug/kmemleak
		cat /sys/kernel/debug/kmemleak >/leaks
		dmesg >/dmesg
		poweroff -f
	INIT
	chmod +x "$root/init"
}

# uml SECONDS: run what comes by standard input as the shell script of a fresh one,
# for so long of this machine's time at most. Sets $tmp/out, $tmp/dmesg and
# $logs/console.N.log; returns the script's status.
uml() {
	local root=$tmp/root pid
	uml_root
	rm -f "$root"/{out,status,dmesg}
	cat >"$root/run.sh"
	uml_count=$((uml_count + 1))
	uml_console=$logs/console-$uml_count.log
	HOME=$tmp TMPDIR=$tmp start "$uml_kernel/linux" mem=512M time-travel uml_dir="$tmp/" \
		rootfstype=hostfs root=/dev/root rootflags="$root" rw init=/init \
		con=null con0=null,fd:1 ignore_loglevel kasan_multi_shot </dev/null >"$uml_console" 2>&1
	pid=$REPLY
	uml_await "$pid" "$1"
	cp "$root"/out "$root"/dmesg "$logs/" 2>/dev/null || true
	[[ -s $root/status ]] || fail "User-Mode Linux died: $(tail -n 3 "$uml_console")"
	cp "$root/out" "$root/dmesg" "$tmp/"
	sed -n 's/^\[[^]]*\] rogue_peer: //p' "$uml_console" >"$logs/rogue.log"
	return "$(<"$root/status")"
}

uml_await() {
	local end=$((SECONDS + $2))
	while is_running "$1"; do
		((SECONDS < end)) || {
			stop "$1" KILL 0 || true
			fail "User-Mode Linux was not through in $2 s: $(tail -n 3 "$uml_console")"
		}
		nap
	done
	wait "$1" || true
}

# What any of the checkers has to say begins with one of these.
uml_complaints() {
	grep -a -E 'WARNING:|BUG:|Oops|Call Trace|UBSAN|KASAN:|INFO: |ODEBUG|kmemleak: .*leaks|DEBUG_LOCKS|Kernel panic|corrupt' \
		"$uml_console"
}

uml_is_quiet() {
	! uml_complaints >"$logs/complaints" ||
		fail "the kernel complained: $(head -n 3 "$logs/complaints") ($uml_console)"
}
