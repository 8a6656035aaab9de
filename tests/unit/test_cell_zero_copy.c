/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A whole rumpk with a guest's RAM, a monitor (qmp_server.h) and a simulated
 * guest: when zero copy is offered, that it moves the guest's own pages, and that
 * a reset waits for what is in flight.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define DAEMON_EXEC
#include "daemon.h"
#include "qmp_server.h"
#include "rumpk/unix.h"
#include "rumpk/util.h"
#include "sim_guest.h"
#include "virtio_device.h"
#include "worker_of.h"

#define ALL (~0ull)
#define DEPTH 64
#define RAM_BYTES (4u << 20)
#define PATIENCE_MS 20000
#define FAILED 1
#define USAGE 2

static char dir[64];
static char socket_path[80];
static char log_path[80];
static char ram_path[80];
static char qmp_path[80];
static char device_path[80];
static int ram_fd;
static uint8_t *ram;
static int listener;
static bool monitor;
static pid_t pid;
static struct sim_guest g;

static const char **command_line(const char *disk, const char *with_ram)
{
	static const char *args[10];
	unsigned int n = 0;

	args[n++] = "--socket";
	args[n++] = socket_path;
	args[n++] = "--disk";
	args[n++] = disk;
	if (with_ram) {
		args[n++] = "--ram";
		args[n++] = with_ram;
		args[n++] = "--qmp";
		args[n++] = qmp_path;
	}
	args[n] = NULL;
	return args;
}

static void start_rumpk(const char *disk)
{
	pid = daemon_start(command_line(disk, ram_path), log_path);
}

static int rumpk_fails(const char *disk, const char *with_ram)
{
	return daemon_fails(command_line(disk, with_ram), log_path);
}

static void start_monitor(const char *status)
{
	assert_int_equal(qmp_server_start(qmp_path, status), 0);
	monitor = true;
}

static void stop_monitor(void)
{
	qmp_server_stop();
	monitor = false;
}

static void connect_guest(void)
{
	assert_int_equal(sim_connect(&g, socket_path, 1, 2), 0);
	assert_int_equal(sim_bind(&g, 0), 0);
	assert_int_equal(sim_attach(&g, ALL, DEPTH), 0);
}

static void start(const char *disk)
{
	start_monitor("running");
	start_rumpk(disk);
	connect_guest();
}

static int setup(void **state)
{
	strcpy(dir, "/dev/shm/rumpk-unit-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(socket_path, sizeof(socket_path), "%s/s", dir);
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	snprintf(qmp_path, sizeof(qmp_path), "%s/qmp", dir);
	snprintf(device_path, sizeof(device_path), "%s/device", dir);
	snprintf(ram_path, sizeof(ram_path), "%s/ram", dir);
	ram_fd = open(ram_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(ram_fd, RAM_BYTES), 0);
	ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, ram_fd,
		   0);
	assert_true(ram != MAP_FAILED);
	listener = unix_listen(device_path, SOCK_STREAM);
	device_reset();
	monitor = false;
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
	if (monitor)
		stop_monitor();
	close(listener);
	munmap(ram, RAM_BYTES);
	close(ram_fd);
	unlink(ram_path);
	unlink(device_path);
	unlink(log_path);
	daemon_wait_keeper(socket_path);
	return rmdir(dir);
}

static void prepare_gpa(struct nxblk_req *req, uint8_t op, uint16_t tag,
			uint64_t lba, uint64_t addr)
{
	sim_prepare(&g, req, op, tag);
	req->flags = NXBLK_REQ_GPA;
	req->lba = lba;
	req->count = 8;
	req->nseg = 1;
	req->seg[0].addr = addr;
	req->seg[0].len = 4096;
}

static int gpa(uint8_t op, uint64_t lba, uint64_t addr)
{
	struct nxblk_resp rsp;
	struct nxblk_req req;

	prepare_gpa(&req, op, 0, lba, addr);
	return sim_do(&g, &req, &rsp);
}

static bool offered(void)
{
	return g.offer.features & NXBLK_F_ZERO_COPY;
}

/* Through the guest's own pages, and not one byte beside them. */
static void moves_pages(void)
{
	memset(ram, 0xee, RAM_BYTES);
	memset(ram + (2u << 20), 0x5a, 4096);
	assert_int_equal(gpa(NXBLK_OP_WRITE, 16, 2u << 20), NXBLK_S_OK);
	assert_int_equal(gpa(NXBLK_OP_READ, 16, RAM_BYTES - 4096), NXBLK_S_OK);
	assert_int_equal(ram[RAM_BYTES - 4096], 0x5a);
	assert_int_equal(ram[RAM_BYTES - 1], 0x5a);
	assert_int_equal(ram[RAM_BYTES - 4097], 0xee);
	assert_int_equal(gpa(NXBLK_OP_READ, 16, RAM_BYTES), NXBLK_S_INVAL);
	assert_int_equal(gpa(NXBLK_OP_READ, 16, 0xa0000), NXBLK_S_INVAL);
	assert_int_equal(ram[0xa0000], 0xee);
	assert_int_equal(sim_rw(&g, NXBLK_OP_READ, 16, 8, 0), NXBLK_S_OK);
	assert_int_equal(sim_data(&g)[4095], 0x5a);
}

static void memory_disk(void **state)
{
	struct nxblk_config config;

	start("mem=1M");
	assert_true(offered());
	moves_pages();
	assert_int_equal(sim_info(&g, &config), NXBLK_S_OK);
	assert_int_equal(config.zero_copy_min, 0);
}

static void image(void **state)
{
	struct nxblk_config config;
	char path[100];
	char spec[128];
	int fd;

	snprintf(path, sizeof(path), "%s/image", dir);
	snprintf(spec, sizeof(spec), "file=%s,data=zerocopy", path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	close(fd);
	start(spec);
	assert_true(offered());
	moves_pages();
	assert_int_equal(sim_info(&g, &config), NXBLK_S_OK);
	assert_int_equal(config.zero_copy_min, 1);
	unlink(path);
}

/* The device process has it in the page itself, or not at all. */
static void start_device(const char *more)
{
	char spec[128];
	int ready;

	snprintf(spec, sizeof(spec), "vhost=%s%s", device_path, more);
	start_monitor("running");
	pid = daemon_fork(command_line(spec, ram_path), log_path, &ready);
	device_accept(listener);
	daemon_ready(ready);
	connect_guest();
}

static void device(void **state)
{
	start_device("");
	assert_true(offered());
	assert_int_equal(dev.regions, 3);
	moves_pages();
}

static void device_without_ram(void **state)
{
	start_device(",data=bounce");
	assert_int_equal(dev.regions, 2);
	assert_false(offered());
}

static void not_offered(const char *disk)
{
	start(disk);
	assert_false(offered());
	assert_int_equal(gpa(NXBLK_OP_READ, 0, 0), NXBLK_S_UNSUPP);
	assert_int_equal(ram[0], 0);
}

static void bounce_alone(void **state)
{
	not_offered("mem=1M,data=bounce");
}

static void right_missing(void **state)
{
	not_offered("mem=1M,cap=rwd");
}

/* A guest waits for the monitor, but not for ever. */
static void no_monitor(void **state)
{
	start_rumpk("mem=1M");
	connect_guest();
	assert_false(offered());
	assert_int_equal(gpa(NXBLK_OP_READ, 0, 0), NXBLK_S_UNSUPP);
}

static void monitor_comes_late(void **state)
{
	start_rumpk("mem=1M");
	assert_int_equal(sim_connect(&g, socket_path, 1, 2), 0);
	assert_int_equal(sim_bind(&g, 0), 0);
	ion_guest_reset(&g.end, 77);
	sim_ring(&g);
	/* Drained at once, but not offered. */
	assert_true(sim_wait_state(&g, ION_HOST_DRAINING, PATIENCE_MS));
	start_monitor("running");
	assert_int_equal(sim_wait_offer(&g, PATIENCE_MS), 0);
	assert_true(offered());
}

/* One guest leaves, the next is armed for anew. */
static void next_guest(void **state)
{
	start("mem=1M");
	assert_true(offered());
	sim_disconnect(&g);
	stop_monitor();
	start_monitor("running");
	assert_int_equal(sim_connect(&g, socket_path, 1, 2), 0);
	assert_int_equal(sim_bind(&g, 0), 0);
	/* It is seen that the former one has left. */
	assert_true(sim_wait_state(&g, ION_HOST_READY, PATIENCE_MS));
	assert_int_equal(sim_attach(&g, ALL, DEPTH), 0);
	assert_true(offered());
	assert_true(qmp_server_wait(QMP_CMD_HOLD, 1, PATIENCE_MS));
	moves_pages();
}

static void worker_dies(void)
{
	uint64_t until = now_ms() + PATIENCE_MS;
	pid_t worker = worker_of(pid);
	pid_t next;

	assert_true(worker > 0);
	assert_int_equal(kill(worker, SIGKILL), 0);
	do {
		assert_true(now_ms() < until);
		usleep(1000);
		next = worker_of(pid);
	} while (!next || next == worker ||
		 ion_load_acquire(&g.end.theirs->state) != ION_HOST_DOWN);
}

static void reset_waits(const char *reason, enum qmp_command last)
{
	struct nxblk_req req;
	uint64_t generation;
	unsigned int types;
	int i;

	start_device("");
	memset(ram, 0, RAM_BYTES);
	memset(dev.disk, 0x77, 8192);
	generation = g.end.generation;
	types = dev.ntypes;
	dev.misdeed = SILENT;
	prepare_gpa(&req, NXBLK_OP_READ, 3, 0, 8192);
	sim_send(&g, &req);
	/* It has it: the guest's index was taken. */
	while (ion_prod_free(&g.end.req) != g.end.req.mask + 1)
		usleep(100);
	qmp_server_shutdown_event(reason);
	assert_true(sim_wait_state(&g, ION_HOST_DRAINING, PATIENCE_MS));
	/* Too late: what the guest still says is never carried out. */
	prepare_gpa(&req, NXBLK_OP_READ, 4, 8, 16384);
	sim_send(&g, &req);
	for (i = 0; i < 200; i++) {
		usleep(1000);
		assert_int_equal(qmp_server_seen(QMP_CMD_ALLOW), 0);
		assert_int_equal(qmp_server_seen(QMP_CMD_RESET), 0);
		assert_int_equal(qmp_server_seen(QMP_CMD_QUIT), 0);
	}
	assert_int_equal(ram[8192], 0);
	dev.misdeed = NONE;
	assert_true(qmp_server_wait(last, 1, PATIENCE_MS));
	/* When the machine may go on, the page has what it will have. */
	assert_int_equal(ram[8192], 0x77);
	assert_int_equal(ram[8192 + 4095], 0x77);
	assert_int_equal(ram[16384], 0);
	assert_int_equal(dev.ntypes, types + 1);
	if (last == QMP_CMD_QUIT)
		return;
	assert_true(sim_wait_state(&g, ION_HOST_READY, PATIENCE_MS));
	assert_int_equal(qmp_server_seen(QMP_CMD_RESET), 1);
	assert_int_equal(qmp_server_seen(QMP_CMD_HOLD), 2);
	assert_int_equal(sim_attach(&g, ALL, DEPTH), 0);
	assert_true(g.end.generation > generation);
	assert_true(offered());
	assert_int_equal(ram[16384], 0);
	assert_int_equal(dev.ntypes, types + 1);
	assert_int_equal(gpa(NXBLK_OP_READ, 8, 16384), NXBLK_S_OK);
	assert_int_equal(ram[16384], 0x77);
}

static void reset_waits_for_reads(void **state)
{
	reset_waits("guest-reset", QMP_CMD_CONT);
}

static void end_waits_for_reads(void **state)
{
	reset_waits("guest-shutdown", QMP_CMD_QUIT);
}

/* It has a read into the guest's pages, and the connection for as long as it lingers. */
static void device_keeps_a_read(void)
{
	struct nxblk_req req;

	dev.misdeed = SILENT;
	dev.lingers = true;
	prepare_gpa(&req, NXBLK_OP_READ, 3, 0, 8192);
	sim_send(&g, &req);
	while (ion_prod_free(&g.end.req) != g.end.req.mask + 1)
		usleep(100);
}

/* It is broken, and may still write as long as it has the connection. */
static void reset_waits_for_a_broken_device(void **state)
{
	int i;

	start_device("");
	device_keeps_a_read();
	dev.misdeed = BAD_ID;
	qmp_server_shutdown_event("guest-reset");
	assert_true(sim_wait_state(&g, ION_HOST_DRAINING, PATIENCE_MS));
	for (i = 0; i < 200; i++) {
		usleep(1000);
		assert_int_equal(qmp_server_seen(QMP_CMD_RESET), 0);
	}
	dev.lingers = false;
	assert_true(qmp_server_wait(QMP_CMD_CONT, 1, PATIENCE_MS));
	assert_int_equal(qmp_server_seen(QMP_CMD_RESET), 1);
}

/*
 * The worker dies while a device without a fence reads into the guest's pages. Its
 * successor has nothing to say before the device has closed the dead one's connection:
 * then the pages are quiet, and the disk is as lost as any other without a fence.
 */
static void worker_dies_into_pages(void **state)
{
	struct nxblk_config config;

	start_device("");
	memset(ram, 0, RAM_BYTES);
	device_keeps_a_read();
	worker_dies();
	/* As often as one dies, and whatever an operator says. */
	assert_int_equal(sim_wait_offer(&g, 200), -ETIMEDOUT);
	worker_dies();
	assert_int_equal(kill(pid, SIGHUP), 0);
	assert_int_equal(sim_wait_offer(&g, 200), -ETIMEDOUT);
	dev.lingers = false;
	assert_int_equal(sim_wait_offer(&g, PATIENCE_MS), 0);
	sim_ack(&g, g.offer.features, DEPTH);
	assert_true(sim_wait_state(&g, ION_HOST_LIVE, PATIENCE_MS));
	assert_int_equal(sim_info(&g, &config), NXBLK_S_OK);
	assert_int_equal(gpa(NXBLK_OP_READ, 0, 8192), NXBLK_S_IOERR);
	assert_int_equal(sim_simple(&g, NXBLK_OP_FLUSH, 0, 0, 0), NXBLK_S_IOERR);
	device_end();
	assert_int_equal(kill(pid, SIGHUP), 0);
	device_accept(listener);
	while (gpa(NXBLK_OP_READ, 0, 8192) != NXBLK_S_OK)
		usleep(1000);
	moves_pages();
}

static void comes_again(void **state)
{
	start("mem=1M");
	assert_true(offered());
	daemon_end(&pid, SIGKILL);
	start_rumpk("mem=1M");
	assert_int_equal(qmp_server_seen(QMP_CMD_HOLD), 2);
	assert_int_equal(sim_wait_offer(&g, PATIENCE_MS), 0);
	assert_true(offered());
	sim_ack(&g, g.offer.features, DEPTH);
	assert_true(sim_wait_state(&g, ION_HOST_LIVE, PATIENCE_MS));
	moves_pages();
}

/* What was offered cannot be taken back, by whichever way. */
static void comes_again_with_less(void **state)
{
	static const char *const less[] = { "mem=1M,data=bounce",
					    "mem=1M,cap=rwd" };
	char other[100];
	size_t i;
	int fd;

	start("mem=1M");
	daemon_end(&pid, SIGKILL);
	for (i = 0; i < ARRAY_SIZE(less); i++)
		assert_int_equal(rumpk_fails(less[i], ram_path), FAILED);
	assert_int_equal(rumpk_fails("mem=1M", NULL), USAGE);
	snprintf(other, sizeof(other), "%s,machine=pc", ram_path);
	assert_int_equal(rumpk_fails("mem=1M", other), USAGE);
	snprintf(other, sizeof(other), "%s/other", dir);
	fd = open(other, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, RAM_BYTES), 0);
	close(fd);
	assert_int_equal(rumpk_fails("mem=1M", other), USAGE);
	unlink(other);
	stop_monitor();
	assert_int_equal(rumpk_fails("mem=1M", ram_path), FAILED);
	start_monitor("running");
	start_rumpk("mem=1M");
	assert_int_equal(sim_wait_offer(&g, PATIENCE_MS), 0);
	assert_true(offered());
}

/* The guest reset while nobody listened. */
static void comes_again_to_a_reset(void **state)
{
	start("mem=1M");
	daemon_end(&pid, SIGKILL);
	stop_monitor();
	start_monitor("shutdown");
	start_rumpk("mem=1M");
	assert_true(qmp_server_wait(QMP_CMD_CONT, 1, PATIENCE_MS));
	assert_int_equal(qmp_server_seen(QMP_CMD_RESET), 1);
	assert_int_equal(sim_attach(&g, ALL, DEPTH), 0);
	moves_pages();
}

/* The operator's to prevent; not silent, at least. */
static void ram_is_truncated(void **state)
{
	uint64_t until = now_ms() + PATIENCE_MS;
	struct nxblk_req req;

	start("mem=1M");
	assert_int_equal(ftruncate(ram_fd, 0), 0);
	prepare_gpa(&req, NXBLK_OP_READ, 0, 0, 4096);
	sim_send(&g, &req);
	while (!daemon_logged(log_path, "file was truncated")) {
		assert_true(now_ms() < until);
		usleep(1000);
	}
	/* No successor can serve: the RAM is not what it was. */
	assert_in_range(daemon_end(&pid, SIGTERM), 1, 255);
}

static void monitor_is_lost(void **state)
{
	start("mem=1M");
	stop_monitor();
	moves_pages();
	/* Also at a new handshake: a successor must not offer less. */
	assert_int_equal(sim_attach(&g, ALL, DEPTH), 0);
	assert_true(offered());
	moves_pages();
	start_monitor("running");
	assert_true(qmp_server_wait(QMP_CMD_HOLD, 1, PATIENCE_MS));
	qmp_server_shutdown_event("guest-reset");
	assert_true(qmp_server_wait(QMP_CMD_CONT, 1, PATIENCE_MS));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(memory_disk),
		TEST(image),
		TEST(device),
		TEST(device_without_ram),
		TEST(bounce_alone),
		TEST(right_missing),
		TEST(no_monitor),
		TEST(monitor_comes_late),
		TEST(next_guest),
		TEST(reset_waits_for_reads),
		TEST(end_waits_for_reads),
		TEST(reset_waits_for_a_broken_device),
		TEST(worker_dies_into_pages),
		TEST(comes_again),
		TEST(comes_again_with_less),
		TEST(comes_again_to_a_reset),
		TEST(monitor_is_lost),
		TEST(ram_is_truncated),
	};

	if (argc > 1)
		_exit(rumpk_run(argc, argv));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
