/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A whole rumpk between a simulated guest and a device in memory: blocks go
 * through, what the device says of itself gets to the guest, and neither its end
 * nor rumpk's does harm.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rumpk/unix.h"
#include "rumpk/util.h"
#define DAEMON_EXEC
#include "daemon.h"
#include "sim_guest.h"
#include "virtio_device.h"
#include "worker_of.h"

#define ALL (~0ull)
#define DEPTH 64

static char dir[64];
static char device_path[80];
static char socket_path[80];
static char log_path[80];
static char spec[128];
static bool beside;
static int listener;
static pid_t pid;
static bool logged;
static struct sim_guest g;

/* Its descriptor for daemon_ready(). */
static int daemon_spawn(void)
{
	const char *args[10] = { "--socket", socket_path, "--disk", spec };
	unsigned int n = 4;
	int ready;

	if (logged) {
		args[n++] = "--op-log";
		args[n++] = log_path;
	}
	if (beside) {
		args[n++] = "--disk";
		args[n++] = "mem=1M";
	}
	pid = daemon_fork(args, NULL, &ready);
	return ready;
}

static void fence(void)
{
	dev.features |= 1ull << VIRTIO_BLK_F_CONFIG_WCE;
	strcat(spec, ",fence=lock");
}

/* A rumpk with a device, and a guest of it. */
static void start(void)
{
	int ready = daemon_spawn();

	device_accept(listener);
	daemon_ready(ready);
	assert_int_equal(sim_connect(&g, socket_path, 1 + beside, 2 + beside), 0);
	assert_int_equal(sim_bind(&g, 0), 0);
	assert_int_equal(sim_attach(&g, ALL, DEPTH), 0);
}

static int setup(void **state)
{
	strcpy(dir, "/dev/shm/rumpk-unit-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(device_path, sizeof(device_path), "%s/device", dir);
	snprintf(socket_path, sizeof(socket_path), "%s/s", dir);
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	logged = false;
	beside = false;
	snprintf(spec, sizeof(spec), "vhost=%s", device_path);
	listener = unix_listen(device_path, SOCK_STREAM);
	assert_true(listener >= 0);
	device_reset();
	memset(&g, 0, sizeof(g));
	return 0;
}

static int teardown(void **state)
{
	if (g.base)
		sim_disconnect(&g);
	if (pid)
		daemon_end(&pid, SIGTERM);
	device_end();
	close(listener);
	unlink(device_path);
	unlink(log_path);
	daemon_wait_keeper(socket_path);
	return rmdir(dir);
}

static void blocks_go_through(void **state)
{
	struct nxblk_config config;
	uint64_t i;

	start();
	assert_int_equal(sim_info(&g, &config), NXBLK_S_OK);
	assert_int_equal(config.capacity, BYTES / 512);
	for (i = 0; i < 200; i++) {
		memset(sim_data(&g), (int)i, 4096);
		assert_int_equal(sim_rw(&g, NXBLK_OP_WRITE, i * 8, 8,
					i % 2 ? NXBLK_REQ_FUA : 0),
				 NXBLK_S_OK);
		assert_int_equal(dev.disk[i * 4096 + 4095], i);
		memset(dev.disk + i * 4096, (int)i + 1, 4096);
		assert_int_equal(sim_rw(&g, NXBLK_OP_READ, i * 8, 8, 0),
				 NXBLK_S_OK);
		assert_int_equal(sim_data(&g)[4095], (i + 1) & 0xff);
	}
	assert_int_equal(sim_simple(&g, NXBLK_OP_FLUSH, 0, 0, 0), NXBLK_S_OK);
	assert_int_equal(sim_simple(&g, NXBLK_OP_WRITE_ZEROES, 0, 8, 0),
			 NXBLK_S_OK);
	assert_int_equal(dev.disk[0], 0);
	assert_int_equal(dev.disk[4095], 0);
	assert_int_equal(daemon_end(&pid, SIGTERM), 0);
}

/* No event tells of an answer that comes late; it is not left lying about. */
static void naps_while_a_device_works(void **state)
{
	uint64_t begun;
	int i;

	start();
	dev.misdeed = SLOW;
	begun = now_ms();
	for (i = 0; i < 40; i++)
		assert_int_equal(sim_rw(&g, NXBLK_OP_READ, 0, 8, 0), NXBLK_S_OK);
	/* Without a nap each would be found by the next look, after 100 ms. */
	assert_in_range(now_ms() - begun, 200, 3500);
}

/* The command line says nothing of it. */
static void read_only_medium(void **state)
{
	struct nxblk_config config;

	dev.features |= 1 << 5;
	start();
	assert_int_equal(sim_info(&g, &config), NXBLK_S_OK);
	assert_true(config.flags & NXBLK_CFG_READ_ONLY);
	assert_int_equal(sim_rw(&g, NXBLK_OP_WRITE, 0, 8, 0), NXBLK_S_RO);
	assert_int_equal(sim_rw(&g, NXBLK_OP_READ, 0, 8, 0), NXBLK_S_OK);
}

static void device_resizes(void **state)
{
	const uint32_t message[3] = { 2, 1, 0 };
	struct nxblk_config config = { 0 };
	int i;

	start();
	dev.config.capacity = BYTES / 1024;
	assert_int_equal(send(dev.backend, message, 12, 0), 12);
	for (i = 0; i < 500 && config.capacity != BYTES / 1024; i++) {
		usleep(10000);
		assert_int_equal(sim_info(&g, &config), NXBLK_S_OK);
	}
	assert_int_equal(config.capacity, BYTES / 1024);
	assert_int_equal(sim_rw(&g, NXBLK_OP_READ, BYTES / 1024, 8, 0),
			 NXBLK_S_RANGE);
}

/* Also of a request that it has. */
static void device_goes_away(void **state)
{
	start();
	assert_int_equal(sim_rw(&g, NXBLK_OP_WRITE, 0, 8, 0), NXBLK_S_OK);
	dev.misdeed = HANG_UP;
	while (sim_rw(&g, NXBLK_OP_READ, 0, 8, 0) == NXBLK_S_OK)
		;
	assert_int_equal(sim_rw(&g, NXBLK_OP_READ, 0, 8, 0), NXBLK_S_IOERR);
	assert_int_equal(sim_simple(&g, NXBLK_OP_FLUSH, 0, 0, 0), NXBLK_S_IOERR);
	/* Nothing can be made durable any more. */
	assert_int_equal(daemon_end(&pid, SIGTERM), 1);
}

static void device_is_rejected(void **state)
{
	int ready;

	dev.config.capacity = 0;
	ready = daemon_spawn();
	device_accept(listener);
	assert_int_equal(daemon_never_ready(&pid, ready), 2);
}

static void no_device(void **state)
{
	unlink(device_path);
	assert_int_equal(daemon_never_ready(&pid, daemon_spawn()), 2);
}

/* What the former rumpk sent may still be written: the disk stays away. */
static void comes_back_without_it(void **state)
{
	start();
	daemon_end(&pid, SIGKILL);
	assert_int_equal(daemon_never_ready(&pid, daemon_spawn()), 2);
	fcntl(listener, F_SETFL, O_NONBLOCK);
	assert_int_equal(accept(listener, NULL, NULL), -1);
}

/* What is sent while the device is away is answered after all. */
static void successor_serves(void **state)
{
	struct nxblk_req req;
	struct nxblk_resp rsp;

	fence();
	start();
	memset(sim_data(&g), 0x77, 4096);
	assert_int_equal(sim_rw(&g, NXBLK_OP_WRITE, 0, 8, 0), NXBLK_S_OK);
	device_end();
	sim_prepare(&g, &req, NXBLK_OP_FLUSH, 1);
	sim_send(&g, &req);
	assert_int_not_equal(sim_answer(&g, &rsp, 300), 0);
	device_accept(listener);
	assert_int_equal(sim_answer(&g, &rsp, 10000), 0);
	assert_int_equal(rsp.status, NXBLK_S_OK);
	assert_int_equal(sim_rw(&g, NXBLK_OP_READ, 0, 8, 0), NXBLK_S_OK);
	assert_int_equal(sim_data(&g)[4095], 0x77);
	assert_int_equal(sim_simple(&g, NXBLK_OP_FLUSH, 0, 0, 0), NXBLK_S_OK);
}

static void reopened_by_an_operator(void **state)
{
	struct nxblk_config config = { 0 };

	start();
	device_end();
	while (sim_rw(&g, NXBLK_OP_READ, 0, 8, 0) == NXBLK_S_OK)
		;
	assert_int_equal(sim_simple(&g, NXBLK_OP_FLUSH, 0, 0, 0), NXBLK_S_IOERR);
	dev.config.capacity /= 2;
	assert_int_equal(kill(pid, SIGHUP), 0);
	device_accept(listener);
	while (sim_rw(&g, NXBLK_OP_READ, 0, 8, 0) != NXBLK_S_OK)
		usleep(1000);
	assert_int_equal(sim_simple(&g, NXBLK_OP_FLUSH, 0, 0, 0), NXBLK_S_OK);
	assert_int_equal(sim_info(&g, &config), NXBLK_S_OK);
	assert_int_equal(config.capacity, BYTES / 1024);
	assert_int_equal(daemon_end(&pid, SIGTERM), 0);
}

/* Its failure is the device's, and taken back with it. */
static void reopened_after_a_flush(void **state)
{
	uint64_t until = now_ms() + 10000;
	struct nxblk_req req;
	struct nxblk_resp rsp;

	start();
	dev.misdeed = SILENT;
	sim_prepare(&g, &req, NXBLK_OP_FLUSH, 1);
	sim_send(&g, &req);
	assert_int_not_equal(sim_answer(&g, &rsp, 300), 0);
	device_end();
	assert_int_equal(sim_answer(&g, &rsp, 10000), 0);
	assert_int_equal(rsp.status, NXBLK_S_IOERR);
	dev.misdeed = NONE;
	assert_int_equal(kill(pid, SIGHUP), 0);
	device_accept(listener);
	while (sim_rw(&g, NXBLK_OP_READ, 0, 8, 0) != NXBLK_S_OK)
		assert_true(now_ms() < until);
	assert_int_equal(sim_simple(&g, NXBLK_OP_FLUSH, 0, 0, 0), NXBLK_S_OK);
}

static void reopened_below_a_log(void **state)
{
	logged = true;
	reopened_by_an_operator(state);
}

/* With a fence what the former rumpk sent is over when the device answers. */
static void comes_back_with_it(void **state)
{
	struct nxblk_config before;
	struct nxblk_config after;
	int ready;

	fence();
	start();
	assert_int_equal(sim_info(&g, &before), NXBLK_S_OK);
	daemon_end(&pid, SIGKILL);
	device_end();
	ready = daemon_spawn();
	device_accept(listener);
	daemon_ready(ready);
	assert_int_equal(sim_wait_offer(&g, 5000), 0);
	sim_ack(&g, NXBLK_F_FLUSH, DEPTH);
	assert_true(sim_wait_state(&g, ION_HOST_LIVE, 5000));
	assert_int_equal(sim_info(&g, &after), NXBLK_S_OK);
	assert_memory_equal(&after, &before, sizeof(after));
	assert_int_equal(sim_rw(&g, NXBLK_OP_WRITE, 0, 8, 0), NXBLK_S_OK);
}

/* Another device at the same path is another disk. */
static void comes_back_to_another(void **state)
{
	int ready;

	fence();
	start();
	daemon_end(&pid, SIGKILL);
	device_end();
	memcpy(dev.id, "another", 8);
	ready = daemon_spawn();
	device_accept(listener);
	assert_int_equal(daemon_never_ready(&pid, ready), 2);
}

/* A disk beside the device's, which must not wait for anything of it. */
static void start_beside(struct sim_guest *other)
{
	beside = true;
	start();
	*other = g;
	assert_int_equal(sim_bind(other, 1), 0);
	assert_int_equal(sim_attach(other, ALL, DEPTH), 0);
	memset(sim_data(&g), 0x33, 4096);
	assert_int_equal(sim_rw(&g, NXBLK_OP_WRITE, 0, 8, 0), NXBLK_S_OK);
	memset(sim_data(other), 0x44, 4096);
	assert_int_equal(sim_rw(other, NXBLK_OP_WRITE, 0, 8, 0), NXBLK_S_OK);
}

static void worker_dies(struct sim_guest *other)
{
	uint64_t until = now_ms() + 5000;

	assert_int_equal(kill(worker_of(pid), SIGKILL), 0);
	while (!ion_guest_lost(&other->end))
		assert_true(now_ms() < until);
	daemon_follow(other, DEPTH);
	assert_int_equal(sim_rw(other, NXBLK_OP_READ, 0, 8, 0), NXBLK_S_OK);
	assert_int_equal(sim_data(other)[4095], 0x44);
	assert_int_equal(sim_rw(other, NXBLK_OP_WRITE, 0, 8, 0), NXBLK_S_OK);
}

/* What it sent may still be written, and nothing says until when. */
static void worker_dies_without_a_fence(void **state)
{
	struct nxblk_config config = { 0 };
	struct sim_guest other;
	int i;

	start_beside(&other);
	for (i = 0; i < 2; i++) {
		worker_dies(&other);
		daemon_follow(&g, DEPTH);
		assert_int_equal(sim_rw(&g, NXBLK_OP_READ, 0, 8, 0),
				 NXBLK_S_IOERR);
		assert_int_equal(sim_rw(&g, NXBLK_OP_WRITE, 0, 8, 0),
				 NXBLK_S_IOERR);
		assert_int_equal(sim_simple(&g, NXBLK_OP_FLUSH, 0, 0, 0),
				 NXBLK_S_IOERR);
		assert_int_equal(sim_info(&g, &config), NXBLK_S_OK);
		assert_int_equal(config.capacity, BYTES / 512);
	}
	fcntl(listener, F_SETFL, O_NONBLOCK);
	assert_int_equal(accept(listener, NULL, NULL), -1);
	fcntl(listener, F_SETFL, 0);
	device_end();
	assert_int_equal(kill(pid, SIGHUP), 0);
	device_accept(listener);
	while (sim_rw(&g, NXBLK_OP_READ, 0, 8, 0) != NXBLK_S_OK)
		usleep(1000);
	assert_int_equal(sim_data(&g)[4095], 0x33);
	assert_int_equal(sim_rw(&g, NXBLK_OP_WRITE, 0, 8, 0), NXBLK_S_OK);
	assert_int_equal(sim_simple(&g, NXBLK_OP_FLUSH, 0, 0, 0), NXBLK_S_OK);
	assert_int_equal(sim_rw(&other, NXBLK_OP_READ, 0, 8, 0), NXBLK_S_OK);
}

/* Another device is another disk, for an operator too. */
static void worker_dies_and_another_device_comes(void **state)
{
	struct sim_guest other;
	int i;

	start_beside(&other);
	worker_dies(&other);
	daemon_follow(&g, DEPTH);
	device_end();
	memcpy(dev.id, "another", 8);
	assert_int_equal(kill(pid, SIGHUP), 0);
	device_accept(listener);
	for (i = 0; i < 100; i++)
		assert_int_equal(sim_rw(&g, NXBLK_OP_READ, 0, 8, 0),
				 NXBLK_S_IOERR);
}

static bool all_are(const uint8_t *bytes, uint8_t byte)
{
	return bytes[0] == byte && !memcmp(bytes, bytes + 1, 4095);
}

/* Its QEMU is killed, with writes that a slow device has and has not begun. */
static void guest_dies_at_load(void **state)
{
	struct nxblk_req req;
	int i;

	start();
	memset(sim_data(&g), 0x0d, 4096);
	dev.misdeed = SILENT;
	for (i = 0; i < 32; i++) {
		sim_prepare(&g, &req, NXBLK_OP_WRITE, (uint16_t)i);
		req.lba = 8;
		req.count = 8;
		req.nseg = 1;
		req.seg[0].addr = g.dir.data.offset;
		req.seg[0].len = 4096;
		sim_send(&g, &req);
	}
	usleep(50000);
	sim_disconnect(&g);
	assert_int_equal(sim_connect(&g, socket_path, 1, 2), 0);
	assert_int_equal(sim_bind(&g, 0), 0);
	ion_guest_reset(&g.end, 77);
	sim_ring(&g);
	assert_int_equal(sim_wait_offer(&g, 500), -ETIMEDOUT);
	assert_true(all_are(dev.disk + 4096, 0));
	dev.misdeed = NONE;
	assert_int_equal(sim_wait_offer(&g, 10000), 0);
	/* All of it is over, and nothing of it comes later. */
	assert_true(all_are(dev.disk + 4096, 0x0d));
	sim_ack(&g, NXBLK_F_FLUSH, DEPTH);
	assert_true(sim_wait_state(&g, ION_HOST_LIVE, 10000));
	memset(sim_data(&g), 0x0e, 4096);
	assert_int_equal(sim_rw(&g, NXBLK_OP_WRITE, 8, 8, 0), NXBLK_S_OK);
	assert_int_equal(sim_simple(&g, NXBLK_OP_FLUSH, 0, 0, 0), NXBLK_S_OK);
	usleep(50000);
	assert_true(all_are(dev.disk + 4096, 0x0e));
}

/* Its device does not come back for a while: nobody else waits for it. */
static void worker_dies_with_a_fence(void **state)
{
	struct sim_guest other;

	fence();
	start_beside(&other);
	device_end();
	worker_dies(&other);
	assert_int_equal(sim_wait_offer(&g, 200), -ETIMEDOUT);
	device_accept(listener);
	daemon_follow(&g, DEPTH);
	assert_int_equal(sim_rw(&g, NXBLK_OP_READ, 0, 8, 0), NXBLK_S_OK);
	assert_int_equal(sim_data(&g)[4095], 0x33);
	assert_int_equal(sim_simple(&g, NXBLK_OP_FLUSH, 0, 0, 0), NXBLK_S_OK);
	assert_int_equal(sim_rw(&other, NXBLK_OP_READ, 0, 8, 0), NXBLK_S_OK);
}

static void worker_dies_and_no_device_comes(void **state)
{
	struct sim_guest other;

	fence();
	strcat(spec, ",reconnect=1");
	start_beside(&other);
	device_end();
	worker_dies(&other);
	daemon_follow(&g, DEPTH);
	assert_int_equal(sim_rw(&g, NXBLK_OP_READ, 0, 8, 0), NXBLK_S_IOERR);
	assert_int_equal(sim_simple(&g, NXBLK_OP_FLUSH, 0, 0, 0), NXBLK_S_IOERR);
	assert_int_equal(sim_rw(&other, NXBLK_OP_READ, 0, 8, 0), NXBLK_S_OK);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(blocks_go_through),
		TEST(naps_while_a_device_works),
		TEST(read_only_medium),
		TEST(device_resizes),
		TEST(device_goes_away),
		TEST(device_is_rejected),
		TEST(no_device),
		TEST(comes_back_without_it),
		TEST(successor_serves),
		TEST(reopened_by_an_operator),
		TEST(reopened_after_a_flush),
		TEST(reopened_below_a_log),
		TEST(comes_back_with_it),
		TEST(comes_back_to_another),
		TEST(guest_dies_at_load),
		TEST(worker_dies_without_a_fence),
		TEST(worker_dies_and_another_device_comes),
		TEST(worker_dies_with_a_fence),
		TEST(worker_dies_and_no_device_comes),
	};

	if (argc > 1)
		_exit(rumpk_run(argc, argv));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
