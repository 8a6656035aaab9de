# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# A private apt root: packages are looked up and downloaded as a fresh Debian 12
# machine would see them, whatever other suites, pins and hooks this one has,
# and nothing of the system's own apt state is read for writing or changed.
# Sourced after base.sh.

APT_ROOT=$NEXUS_CACHE/apt

# The system's mirrors, as apt itself understands its source files, narrowed to
# bookworm's main: of a fresh machine these are three lines.
apt_private_sources() {
	local found

	found=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
		'Created-By: Packages' |
		awk '$2 ~ /^bookworm(-updates|-security)?$/ && $3 == "main" {
			print "deb", $1, $2, $3 }' | sort -u)
	[[ $found == *" bookworm "* ]] ||
		die 1 "apt's sources have no bookworm main to take packages from"
	printf '%s\n' "$found"
}

# Only how to reach a mirror (proxies, certificates) is taken over from the
# system's configuration: no hooks, no pins, no default release.
apt_private_conf() {
	apt-config dump | grep '^Acquire::' | grep -v '::IndexTargets'
	cat <<-CONF
		Acquire::Languages "none";
		APT::Architecture "amd64";
		APT::Architectures { "amd64"; };
		APT::Sandbox::User "";
		APT::Install-Recommends "false";
		Dir::State "$APT_ROOT/state";
		Dir::State::status "$APT_ROOT/state/status";
		Dir::Cache "$APT_ROOT/cache";
		Dir::Etc::sourcelist "$APT_ROOT/sources.list";
		Dir::Etc::sourceparts "$APT_ROOT/none";
		Dir::Etc::preferences "$APT_ROOT/none/preferences";
		Dir::Etc::preferencesparts "$APT_ROOT/none";
		Dir::Etc::parts "$APT_ROOT/none";
		Dir::Etc::main "$APT_ROOT/none/apt.conf";
		Dir::Etc::trusted "$APT_ROOT/none/trusted.gpg";
		Dir::Etc::trustedparts "$APT_ROOT/trusted";
	CONF
}

apt_private_setup() {
	local key

	mkdir -p "$APT_ROOT"/{none,trusted,state/lists/partial,cache/archives/partial}
	: >"$APT_ROOT/state/status"
	for key in /etc/apt/trusted.gpg.d/*.{asc,gpg} \
		/usr/share/keyrings/debian-archive-keyring.gpg; do
		[[ ! -e $key ]] || ln -sf "$key" "$APT_ROOT/trusted/"
	done
	# Read before APT_CONFIG hides the system's view.
	apt_private_sources >"$APT_ROOT/sources.list"
	apt_private_conf >"$APT_ROOT/apt.conf"
}

# apt_private COMMAND [ARG...]: run an apt tool inside the private root, which nobody
# makes anew meanwhile.
apt_private() {
	APT_CONFIG=$APT_ROOT/apt.conf flock -s "$APT_ROOT/.lock" "$@"
}

# apt_private_update: fresh package lists, or a failure.
apt_private_update() {
	with_lock "$APT_ROOT/.lock" apt_private_renew
}

apt_private_renew() {
	apt_private_setup
	APT_CONFIG=$APT_ROOT/apt.conf apt-get -qq -o Acquire::Retries=3 --error-on=any update
}

# apt_private_unpack DIR PACKAGE[=VERSION]...: download and unpack there,
# installing nothing.
apt_private_unpack() {
	local dir=$1 debs deb
	shift
	debs=$(mktemp -d "$APT_ROOT/debs.XXXXXX")
	mkdir -p "$dir"
	(cd "$debs" && apt_private apt-get -qq -o Acquire::Retries=3 download "$@") || {
		rm -rf "$debs"
		return 1
	}
	for deb in "$debs"/*.deb; do
		# A tree that has merged /bin, /lib and so on stays merged.
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$dir" --keep-directory-symlink
	done
	rm -rf "$debs"
}
