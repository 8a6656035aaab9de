#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The death of a storage daemon without a fence: what the guest asks for then
# fails, also when there is another daemon at the same place, and also a flush;
# until an operator says that the former one has ended (SIGHUP).  A disk beside
# it is served all the time.  At its death 32 verified writes are under way.

# shellcheck source=tests/e2e/virtio_lib.sh
source "$(dirname "$0")/virtio_lib.sh"

cat >"$tmp/guest.sh" <<'EOS'
put() { tr '\000' "$1" </dev/zero | dd of=/dev/nxblk0 bs=64k count=1 seek="$2" iflag=fullblock oflag=direct conv=fsync 2>/dev/null; }
get() { dd if=/dev/nxblk0 bs=64k count=1 skip="$2" iflag=direct 2>/dev/null | tr -d "$1" | wc -c | grep -qx 0; }
beside() { dd if=/dev/nxblk1 of=/dev/null bs=64k count=16 iflag=direct 2>/dev/null; }
put a 0 || exit 1
check() { fio --name=t --filename=/dev/nxblk0 --offset=4M --size=8M --rw=randwrite --bs=4k --iodepth=32 --ioengine=libaio --direct=1 --thread --verify=crc32c --verify_fatal=1 "$@"; }
check --time_based --runtime=120 >/fio 2>&1 &
fio=$!
for i in $(seq 300); do [ "$(cat /sys/block/nxblk0/nexus/requests)" -gt 500 ] && break; sleep 0.1; done
echo kill-now
wait $fio && exit 10
for i in $(seq 300); do put b 1 || break; sleep 0.1; done
put b 1 && exit 2
dd if=/dev/nxblk0 of=/dev/null bs=64k count=1 iflag=direct 2>/dev/null && exit 3
beside || exit 4
echo return-now
sleep 1
put b 1 && exit 5
echo reopen-now
for i in $(seq 300); do put c 1 && break; sleep 0.1; done
get a 0 && get c 1 || exit 6
put d 2 && get d 2 || exit 7
check >/fio 2>&1 || exit 11
beside || exit 8
[ "$(tr -s ' ' </sys/block/nxblk0/inflight)" = " 0 0" ] || exit 9
echo good
EOS

truncate -s 16M "$tmp/image" "$tmp/beside"
start_daemon image
socket=$tmp/ion.sock
start_rumpk "$socket" --disk "vhost=$tmp/image.sock" --disk "file=$tmp/beside"

make_pipe "$tmp/said"
start --keep "$pipe_w" "$NEXUS_TOP/scripts/cell" --logs "$logs/cell" --socket "$socket" \
	--put "$tmp/guest.sh:/guest.sh" --fio --timeout 200 -- sh /guest.sh </dev/null >&"$pipe_w" 2>&1
guest=$REPLY
close_fd "$pipe_w"
last=
while read -r -u "$pipe_r" line; do
	echo "guest: $line"
	last=$line
	case $line in
	kill-now*) kill_daemon image ;;
	return-now*) start_daemon image ;;
	reopen-now*) kill -HUP "$rumpk_pid" ;;
	esac
done
wait "$guest" || fail "step $?"
[[ $last == good* ]] || fail "the guest said \"$last\" last"
said 1 'its requests fail until it is reopened' || fail "rumpk does not say that the device has gone"
said 1 'channel=0 reopened' || fail "rumpk does not say that it was reopened"
# Nobody is there: it stays as it is, with one line.
kill_daemon image
rm "$tmp/image.sock"
wait_until 20 said 2 'its requests fail until it is reopened'
kill -HUP "$rumpk_pid"
wait_until 20 said 1 'not reopened: No such file or directory'
expect 1 stop_rumpk
for ((i = 0; i < 3; i++)); do
	letters=(a c d)
	dd if="$tmp/image" bs=64k skip=$i count=1 2>/dev/null | tr -d "${letters[i]}" | wc -c | grep -qx 0 ||
		fail "what was flushed is not in the image"
done
