# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash disable=SC2154
#
# The machine that a cell is.  Sourced by scripts/cell.

# A host may offer /dev/kvm and hang every guest in it: one that is itself a
# guest without nested virtualization.  The processor's flags tell.
choose_accel() {
	if [[ $accel == auto ]]; then
		accel=tcg
		if grep -q -E '^flags.*\b(vmx|svm)\b' /proc/cpuinfo && true 2>/dev/null <>/dev/kvm; then
			accel=kvm
		fi
	fi
	case $accel in
	kvm) qemu_args+=(-accel kvm -cpu host) ;;
	# Five-level page tables cost the emulator and bring nothing here.
	tcg)
		qemu_args+=(-accel "tcg,thread=multi" -cpu "max,la57=off")
		clock_args=$(clock_of_tcg) || clock_args=
		;;
	esac
}

# The emulated counter is this machine's own. A guest that measures it while the
# machine is busy can be wrong by a factor of forty, and live in fast motion.
clock_of_tcg() {
	local khz
	khz=$("$NEXUS_BUILD/cell/tsc-khz") && echo "tsc_early_khz=$khz"
}

# With one possible processor QEMU drops the guest's memory barriers, which the
# rings to the host cannot do without.  Hence two possible ones, at least.
describe_machine() {
	local text clock_args=
	choose_accel
	qemu_args+=(
		-name "guest=nexus-cell" -machine q35
		-nodefaults -no-user-config -display none -no-reboot
		-m "$((mem >> 20))M" -smp "$smp,maxcpus=$((smp < 2 ? 2 : smp))"
		-kernel "$kernel_dir/vmlinuz" -initrd "$initramfs"
		-append "console=ttyS0 tsc=reliable no_timer_check $clock_args panic=-1 oops=panic ${append[*]-}"
		-chardev "file,id=console,path=${log_dir//,/,,}/console.log" -serial chardev:console
		-device "virtio-serial-pci,id=ports"
		-fw_cfg "name=opt/nexus-block/cell,file=${run_dir//,/,,}/conf"
	)
	for text in out err; do
		qemu_args+=(-chardev "file,id=$text,path=${run_dir//,/,,}/$text")
	done
	qemu_args+=(
		-chardev "file,id=report,path=${log_dir//,/,,}/report.log"
		-device "virtserialport,bus=ports.0,nr=1,chardev=out,name=nexus.out"
		-device "virtserialport,bus=ports.0,nr=2,chardev=err,name=nexus.err"
		-device "virtserialport,bus=ports.0,nr=3,chardev=report,name=nexus.report"
	)
	if [[ $interactive == yes ]]; then
		qemu_args+=(
			-chardev "stdio,id=terminal,signal=off"
			-device "virtconsole,bus=ports.0,nr=4,chardev=terminal"
		)
	fi
}

# For zero copy the guest's RAM is a file that rumpk maps as well.  How QEMU is to
# take it, and how it lets rumpk end what is in flight before a reset, rumpk says
# itself among its arguments for QEMU.  A file on a disk would be written to it all
# the time, so that memory is preferred where there is enough of it.
share_ram() {
	local room=0
	[[ $data != bounce ]] || return 0
	[[ ! -d /dev/shm ]] || room=$(free_room /dev/shm)
	if ((room > mem)); then
		private_directory /dev/shm
	else
		image_directory "$mem"
	fi
	truncate -s $((mem >> 20 << 20)) -- "$REPLY/ram"
	rumpk_args+=(--ram "${REPLY//,/,,}/ram" --qmp "${socket_dir//,/,,}/qmp.sock,reset=quit")
}
