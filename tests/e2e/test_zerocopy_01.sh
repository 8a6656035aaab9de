#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A guest is reset while a device that is slow, since it is stopped, has reads into
# the guest's own pages:
#
#	QEMU (paused) <-QMP-> rumpk -- qemu-storage-daemon (SIGSTOP)
#
# The machine is reset when the reads have ended, and not before. The guest that
# boots then fills its memory, touches no disk, and finds it unchanged three times;
# nor does the host find more of the disk in it.
# It learns by its serial line what it is to do next, so that nothing but the kernel
# itself is needed; a guest cannot tell its first boot from its second.

# shellcheck source=tests/e2e/virtio_lib.sh
source "$(dirname "$0")/virtio_lib.sh"
# shellcheck source=scripts/lib/cell/qemu.sh
source "$NEXUS_TOP/scripts/lib/cell/qemu.sh"

# shellcheck disable=SC2034
accel=auto qemu_args=()
readonly READS=12
console=$logs/console.log
: >"$console"

kernel_dir=$("$NEXUS_TOP/scripts/kernel")
"$NEXUS_TOP/scripts/build" >"$logs/build.log" 2>&1 || fail "the build failed"

# The first process of both boots, in one more archive behind the cell's own.
mkdir "$tmp/root"
cat >"$tmp/root/reset" <<'EOF'
#!/bin/sh
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
exec </dev/ttyS0 >/dev/ttyS0 2>&1
stty -echo
say() {
	echo "$@"
	read -r order
}
first_boot() {
	insmod /lib/modules/nexus_ion.ko && insmod /lib/modules/nexus_blk.ko
	while [ ! -b /dev/nxblk0 ]; do sleep 0.1; done
	say ATTACHED
	for i in $(seq $1); do
		dd if=/dev/nxblk0 of=/dev/null bs=1M count=1 skip=$i iflag=direct &
	done
	say READING
	echo b >/proc/sysrq-trigger
}
say BOOTED
[ "${order% *}" != first ] || first_boot "${order#* }"
mount -t tmpfs -o size=90% fill /mnt
dd if=/dev/zero of=/mnt/fill bs=1M count=144 2>/dev/null
for i in 1 2 3; do say "SUM $(sha256sum </mnt/fill)"; done
echo o >/proc/sysrq-trigger
sleep 1000
EOF
chmod +x "$tmp/root/reset"
(cd "$tmp/root" && echo reset | cpio --quiet -o -H newc -R 0:0 | gzip -n) |
	cat "$NEXUS_BUILD/cell/$(<"$kernel_dir/release").img" - >"$tmp/initramfs"

readonly MARK='what the device writes'
{ yes "$MARK" || true; } | head -c 32M >"$tmp/disk"
start_daemon disk
private_directory /dev/shm
ram=$REPLY/ram
truncate -s 256M "$ram"
rumpk_args=(--disk "vhost=$tmp/disk.sock,data=zerocopy" --ram "$ram" --qmp "$tmp/qmp.sock")
line=$("$rumpk" --socket "$tmp/ion.sock" "${rumpk_args[@]}" --print-qemu-args)
start_rumpk "$tmp/ion.sock" "${rumpk_args[@]}"

choose_accel
eval "words=($line)"
make_pipe "$tmp/orders"
# shellcheck disable=SC2154
start qemu-system-x86_64 -machine q35 -nodefaults -no-user-config -display none -m 256M -smp 1,maxcpus=2 \
	-kernel "$kernel_dir/vmlinuz" -initrd "$tmp/initramfs" \
	-append "console=ttyS0 tsc=reliable no_timer_check loglevel=1 rdinit=/reset" \
	-chardev "stdio,id=console,signal=off,logfile=$console" -serial chardev:console \
	"${qemu_args[@]}" "${words[@]}" <&"$pipe_r" >/dev/null 2>"$logs/qemu.log"
qemu=$REPLY

# heard N TEXT: the guest has said it so many times, or more.
heard() {
	is_running "$qemu" || fail "QEMU has ended: $(<"$logs/qemu.log")"
	(($(grep -a -c "^$2" "$console") >= $1))
}

order() {
	echo "$1" >&"$pipe_w"
}

# Stopped, the device gets no read of the search for partitions but one, at most.
wait_until 120 heard 1 BOOTED
order "first $((READS + 2))"
wait_until 60 heard 1 ATTACHED
# shellcheck disable=SC2154
kill -STOP "${daemon_pid[disk]}"
before=$(rumpk_stat_now zero_copy)
order read
wait_until 60 heard 1 READING
all_taken() {
	(($(rumpk_stat_now zero_copy) > before + READS))
}
wait_until 30 all_taken
order reset

# A rumpk that does not wait is to be found out by what the device writes later.
waits() {
	said 1 'in flight, the guest.s machine waits'
}
waits_or_resets() {
	waits || heard 2 BOOTED
}
disk_in_ram() {
	grep -a -c -x -F "$MARK" "$ram" || true
}
wait_until 120 waits_or_resets
if heard 2 BOOTED; then
	order second
	wait_until 60 heard 1 SUM
	count=$(disk_in_ram)
	kill -CONT "${daemon_pid[disk]}"
	is_overwritten() {
		(($(disk_in_ram) > count))
	}
	wait_until 20 is_overwritten
	fail "the reset did not wait: $count lines of the disk were in the next guest's memory, and now $(disk_in_ram)"
fi
kill -CONT "${daemon_pid[disk]}"
wait_until 120 heard 2 BOOTED
order second
wait_until 60 heard 1 SUM
count=$(disk_in_ram)
for i in 1 2 3; do
	wait_until 60 heard "$i" SUM
	order again
done
sums=$(grep -a '^SUM' "$console" | tr -d '\r')
(($(sort -u <<<"$sums" | wc -l) == 1)) || fail "something was written into the guest that booted: $sums"
(($(disk_in_ram) <= count)) || fail "the device wrote into the guest that booted"

status=0
wait "$qemu" || status=$?
((status == 0)) || fail "QEMU ended with $status: $(<"$logs/qemu.log")"
stop_rumpk || fail "rumpk ended with $?"
(($(stat_of "$logs/rumpk.log" zero_copy_bytes) >= READS << 20)) || fail "not all reads were carried out"
(($(stat_of "$logs/rumpk.log" ioerr) == 0)) || fail "a read failed"
