# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Kernels with a configuration of our own, built from Debian's linux-source.
# Sourced after base.sh and apt.sh by a script that has two functions: cached prints the
# directory of the newest kernel that the cache has, and fails when there is none; build
# VERSION puts one there.

# kernel_once LOCK SERIES any|newest|cached: print the kernel's directory; with "newest",
# and with "any" where there is none, after a build from the newest linux-source-SERIES
# on offer.
kernel_once() {
	if [[ $3 == newest ]] || { [[ $3 == any ]] && ! cached >/dev/null; }; then
		with_lock "$1" kernel_build_newest "$2" "$3"
	fi
	cached
}

kernel_build_newest() {
	local version
	# Another one may have built it while this one waited for the lock.
	[[ $2 == newest ]] || ! cached >/dev/null || return 0
	apt_private_update || die 1 "no package lists for linux-source-$1 (is there a network?)"
	version=$(apt_private apt-cache madison "linux-source-$1" |
		awk -F '|' '$3 !~ / Sources *$/ { gsub(/ /, "", $2); print $2 }' |
		sort -V | tail -n 1)
	[[ -n $version ]] || die 1 "Debian 12 offers no linux-source-$1"
	build "$version"
}

# kernel_source_unpack SERIES VERSION DIR: the tree itself becomes DIR.
kernel_source_unpack() {
	local temp=$3.package
	apt_private_unpack "$temp" "linux-source-$1=$2"
	mkdir -p "$3"
	tar -xJf "$temp/usr/src/linux-source-$1.tar.xz" -C "$3" --strip-components=1
	rm -rf "$temp"
}

# kernel_configure TREE FRAGMENT [MAKEARG...]: tinyconfig and FRAGMENT, in TREE.  A
# line that misses something it depends on goes without a word, and a checker that
# is not there finds nothing: that is a failure.
kernel_configure() {
	local tree=$1 fragment=$2 lost
	shift 2
	make -s -C "$tree" "$@" tinyconfig >/dev/null
	cat "$fragment" >>"$tree/.config"
	# What a line of tinyconfig said before is not worth a warning.
	KCONFIG_WARN_UNKNOWN_SYMBOLS=1 make -s -C "$tree" "$@" olddefconfig >/dev/null 2>&1
	lost=$(grep -E '^(CONFIG_|# CONFIG_.* is not set$)' "$fragment" |
		grep -vxFf "$tree/.config" || true)
	[[ -z $lost ]] ||
		die 1 "${fragment##*/} asks for what this kernel does not have: ${lost//$'\n'/, }"
}

# kernel_prune TREE ARCH...: of a tree that was built, leave what modules are built
# with, which is a tenth of it.
kernel_prune() {
	local tree=$1 arch keep
	shift
	keep=(Makefile Module.symvers .config scripts include)
	for arch; do
		keep+=("arch/$arch")
	done
	mkdir "$tree.kept"
	(cd "$tree" && tar -c --exclude='*.a' --exclude='arch/*.o' \
		--exclude='.*.cmd' "${keep[@]}") | tar -x -C "$tree.kept"
	rm -rf "$tree"
	mv "$tree.kept" "$tree"
}
