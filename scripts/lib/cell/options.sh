# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2034,SC2154
#
# What the caller wants: the options of scripts/cell, and which of them cannot go
# together.  Sourced by scripts/cell.

usage() {
	cat <<'TEXT'
Usage: cell [OPTION...] -- COMMAND [ARG...]

Boots a guest beside a fresh rumpk, waits until its disks are there, and runs
COMMAND in it: these very arguments, no shell, no input.  Its output comes live.

Disks (without any: one of 64M):
  --disk FILE           serve FILE; repeatable
  --size SIZE           serve a fresh sparse image, a number with K, M, G or T
  --nbd URI             serve an export of an NBD server, nbd://HOST[:PORT]/NAME
                        or nbd+unix:///NAME?socket=PATH
  --vhost-socket PATH   serve the vhost-user-blk device that listens there
and of the disk before them:
  --format raw|qcow2    of the image (raw); never guessed
  --ro                  read-only
  --strict              no extensions, every write durable when answered
  --block-size 512|4096 its logical block
  --cap SPEC            what the cell may do: none, or r|rw[d][:FIRST-LAST], with m after
                        the letters for its own pages, zero copy
The host side:
  --hal file|mem|virtio images are opened by rumpk (file, the default), are memory,
                        or are served by a QEMU storage daemon, which is started
  --data bounce|zerocopy|auto
                        how data reaches the guest's pages: copied from the window,
                        without a copy, or as the guest sees fit (the default)
  --window SIZE         size of the shared window
  --socket PATH         attach to a rumpk that already listens there
  --rumpk-arg ARG       one more argument for rumpk; repeatable
  --direct              no rumpk: the in-memory valve of the modules themselves
The guest:
  --smp N, --mem SIZE   processors (2) and memory (512M, 1G for debug kernels)
  --kernel VERSION      a series (6.1, 6.12) or exact Debian version; debug or kcsan: a
                        kernel that looks for bugs, built when it is not there
  --rootfs DIR          a Debian tree as userland; writable, DIR stays as it is
  --fio, --tools fs     fio; e2fsprogs and xfsprogs
  --peer                also a virtio-blk disk /dev/vda of the first one's size
  --no-load             leave loading the modules to COMMAND
  --module-arg MODULE.PARAMETER=VALUE
  --append ARG          one more argument for the kernel; repeatable
  --qemu-arg ARG        one more argument for QEMU; repeatable
  --accel auto|kvm|tcg
  --interactive         COMMAND gets this terminal, and no time limit
Files, as cp would place them; without a place, / in the guest and . here:
  --put FILE[:PATH]     a file or directory into the guest, before; repeatable
  --get PATH[:FILE]     one out of it, afterwards; repeatable
The run:
  --timeout SECONDS     600 by default
  --logs DIR            keep the logs there, whatever happens

Exit status: COMMAND's own, 128 and the number of the signal that killed it, 124
when time is up, 125 when the cell itself failed.
TEXT
}

usage_error() {
	die 125 "$* (cell --help tells more)"
}

accel=auto append=() data='' direct=no hal=file interactive=no kernel=$NEXUS_KERNEL load=yes
logs='' mem='' module_args=() peer=no qemu_extra=() rootfs=''
rumpk_extra=() smp=2 socket='' timeout=$((600 * NEXUS_PATIENCE)) tools=no window='' command=()

want_size() {
	parse_size "$2" || usage_error "$1 wants a size such as 64M, not \"$2\""
}

want_number() {
	[[ $2 =~ ^[1-9][0-9]{0,8}$ ]] || usage_error "$1 wants a positive number, not \"$2\""
}

want_one_of() {
	local option=$1 value=$2 word
	shift 2
	for word; do
		[[ $value != "$word" ]] || return 0
	done
	usage_error "$option wants one of: $*; not \"$value\""
}

# Options that stand alone.  Fails for any other.
parse_flag() {
	case $1 in
	--ro) add_disk_attr ,ro ;;
	--strict) add_disk_attr ,strict ;;
	--direct) direct=yes ;;
	--fio) tools=yes ;;
	--peer) peer=yes ;;
	--no-load) load=no ;;
	--interactive) interactive=yes ;;
	--help)
		usage
		exit 0
		;;
	*) return 1 ;;
	esac
}

# Options with a value.  Fails for any other.
parse_valued() {
	local option=$1 value=$2
	case $option in
	--disk) add_disk file "$(realpath -m -s -- "$value")" ;;
	--size) want_size "$@" && add_disk size "$REPLY" ;;
	--nbd) want_nbd "$value" && add_disk nbd "$value" ;;
	--vhost-socket) add_disk vhost "$(realpath -m -s -- "$value")" ;;
	--format) want_one_of "$@" raw qcow2 && set_disk_format "$value" ;;
	--block-size) want_one_of "$@" 512 4096 && add_disk_attr ",bs=$value" ;;
	--cap) check_cap "$value" && add_disk_attr ",cap=$value" ;;
	--hal) want_one_of "$@" file mem virtio && hal=$value ;;
	--data) want_one_of "$@" bounce zerocopy auto && data=$value ;;
	--window) want_size "$@" && window=$REPLY ;;
	--socket) socket=$(realpath -m -s -- "$value") ;;
	--rumpk-arg) rumpk_extra+=("$value") ;;
	--smp) want_number "$@" && smp=$value ;;
	--mem) want_size "$@" && mem=$REPLY ;;
	--kernel) kernel=$value ;;
	--rootfs) rootfs=$value ;;
	--tools) want_one_of "$@" fs && tools=yes ;;
	--module-arg) parse_module_arg "$value" ;;
	--append) append+=("$value") ;;
	--qemu-arg) qemu_extra+=("$value") ;;
	--accel) want_one_of "$@" auto kvm tcg && accel=$value ;;
	--put) put_orders+=("$value") ;;
	--get) get_orders+=("$value") ;;
	--timeout) want_number "$@" && timeout=$((value * NEXUS_PATIENCE)) ;;
	--logs) logs=$value ;;
	*) return 1 ;;
	esac
}

want_nbd() {
	parse_nbd "$1" || usage_error "--nbd wants nbd://HOST[:PORT]/NAME or" \
		"nbd+unix:///NAME?socket=PATH, not \"$1\""
}

parse_module_arg() {
	[[ $1 =~ ^[A-Za-z0-9_]+\.[A-Za-z0-9_]+=. ]] ||
		usage_error "--module-arg wants MODULE.PARAMETER=VALUE, not \"$1\""
	module_args+=("$1")
}

parse() {
	local option
	while (($#)); do
		option=$1
		shift
		if [[ $option == -- ]]; then
			command=("$@")
			return
		elif parse_flag "$option"; then
			continue
		elif [[ $option == --*=* ]]; then
			parse_valued "${option%%=*}" "${option#*=}" ||
				usage_error "unknown option $option"
		elif [[ $option != --* ]]; then
			usage_error "\"--\" comes before the command (at \"$option\")"
		else
			(($#)) || parse_valued "$option" '' || usage_error "unknown option $option"
			(($#)) || usage_error "$option wants a value"
			parse_valued "$option" "$1" || usage_error "unknown option $option"
			shift
		fi
	done
}

# The modules' own disk is one, in memory, and has no authority to be narrowed.
check_direct_disk() {
	((${#disk_kinds[@]} == 1)) && [[ ${disk_kinds[0]} == size ]] ||
		usage_error "--direct has one disk, in the guest's memory: no" \
			"--disk, --nbd or --vhost-socket"
	[[ $hal != virtio && -z ${disk_formats[0]}$data ]] ||
		usage_error "--direct has no host that --hal virtio, --format or --data could mean"
	[[ ${disk_attrs[0]} != *,strict* && ${disk_attrs[0]} != *,cap=* ]] ||
		usage_error "--direct: --strict and --cap want a rumpk"
}

# check_disk INDEX
check_disk() {
	local kind=${disk_kinds[$1]} source=${disk_sources[$1]} format=${disk_formats[$1]}
	[[ $hal != mem || $kind != file ]] || usage_error "--hal mem cannot serve the file $source"
	[[ $kind != vhost || -z $format ]] ||
		usage_error "--format: only the device at $source knows what it serves"
	[[ $format != qcow2 ]] || is_stored "$1" ||
		usage_error "--format qcow2 wants --hal virtio: rumpk itself opens raw images alone"
}

check_socket() {
	[[ -z $window$data$early_attrs$early_format && $hal != virtio ]] &&
		((${#disk_kinds[@]} + ${#rumpk_extra[@]} == 0)) ||
		usage_error "--socket: disks and window are those of the rumpk that listens there"
	[[ $peer == no ]] || usage_error "--socket: --peer does not know the disk's size"
}

# A debug kernel boots in half a minute, alone; and every byte has a shadow there.
kernel_defaults() {
	local size=$((512 << 20)) seconds=60
	case $kernel in
	debug | kcsan) size=$((1 << 30)) seconds=200 ;;
	esac
	mem=${mem:-$size}
	boot_seconds=${NEXUS_BOOT_SECONDS:-$seconds}
}

# What cannot go together, before anything is started.
check_options() {
	local i
	((${#command[@]})) || usage_error "no command"
	kernel_defaults
	if [[ $direct == yes ]]; then
		[[ -z $socket$window ]] && ((${#rumpk_extra[@]} == 0)) ||
			usage_error "--direct has no rumpk that --socket, --window or --rumpk-arg could mean"
	fi
	if [[ -n $socket ]]; then
		check_socket
		return
	fi
	default_disk
	[[ $direct == no ]] || check_direct_disk
	data=${data:-auto}
	for ((i = 0; i < ${#disk_kinds[@]}; i++)); do
		check_disk "$i"
	done
	[[ $peer == no || ${disk_kinds[0]} != vhost ]] ||
		usage_error "--peer does not know the size of the device at ${disk_sources[0]}"
}
