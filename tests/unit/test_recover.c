/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What outlives a worker, seen by a guest: the whole daemon, forked from here, so
 * that its fdatasync() is the one below.
 *
 *   sim_guest --- window --- worker --- image
 *                              |  killed, again and again
 *                          supervisor --- keeper
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rumpk/util.h"
#include "daemon.h"
#include "sim_guest.h"
#include "worker_of.h"

#define ALL (~0ull)
#define DEPTH 64
#define BYTES (8u << 20)

static char dir[64];
static char socket_path[80];
static char log_path[80];
static char image[80];
static char disk[128];
static pid_t daemon_pid;
static struct sim_guest g;
static int *sync_fails;

/* The C library's is not used: this is the one that rumpk is linked with. */
int fdatasync(int fd)
{
	if (*sync_fails) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

static void start(const char *spec)
{
	const char *args[] = { "--socket", socket_path, "--disk", spec, NULL };

	daemon_pid = daemon_start(args, log_path);
}

static void kill_worker(void)
{
	uint64_t generation = g.end.generation;
	uint64_t until = now_ms() + 5000;
	pid_t pid = worker_of(daemon_pid);

	assert_true(pid > 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	while (!ion_guest_lost(&g.end))
		assert_true(now_ms() < until);
	daemon_follow(&g, DEPTH);
	assert_int_equal(g.end.generation, generation + 1);
	assert_int_not_equal(worker_of(daemon_pid), pid);
}

static void restart_all(const char *spec)
{
	assert_int_equal(daemon_end(&daemon_pid, SIGKILL), 256);
	start(spec);
	daemon_follow(&g, DEPTH);
}

static uint64_t counter(const char *name)
{
	static char text[1 << 18];
	char key[32];
	char *line = NULL;
	char *next;
	int fd = open(log_path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[n > 0 ? n : 0] = '\0';
	for (next = text; (next = strstr(next, "channel=0 stats ")); next++)
		line = next;
	assert_non_null(line);
	snprintf(key, sizeof(key), " %s=", name);
	line = strstr(line, key);
	assert_non_null(line);
	return strtoull(line + strlen(key), NULL, 10);
}

static int flush(void)
{
	return sim_simple(&g, NXBLK_OP_FLUSH, 0, 0, 0);
}

static int write_at(uint64_t lba)
{
	return sim_rw(&g, NXBLK_OP_WRITE, lba, 8, 0);
}

static void failed_sync_is_not_forgotten(void **state)
{
	(void)state;
	start(disk);
	assert_int_equal(sim_connect(&g, socket_path, 1, 2), 0);
	assert_int_equal(sim_bind(&g, 0), 0);
	assert_int_equal(sim_attach(&g, ALL, DEPTH), 0);
	assert_int_equal(write_at(0), NXBLK_S_OK);
	assert_int_equal(flush(), NXBLK_S_OK);
	*sync_fails = 1;
	assert_int_equal(flush(), NXBLK_S_IOERR);
	*sync_fails = 0;
	assert_int_equal(flush(), NXBLK_S_IOERR);
	kill_worker();
	assert_int_equal(flush(), NXBLK_S_IOERR);
	assert_int_equal(write_at(8), NXBLK_S_OK);
	restart_all(disk);
	assert_int_equal(flush(), NXBLK_S_IOERR);
	kill_worker();
	assert_int_equal(flush(), NXBLK_S_IOERR);
	/* The last sync, as it ends, succeeds: the kernel has told of the failure. */
	assert_int_equal(daemon_end(&daemon_pid, SIGTERM), 1);
}

static void counters_stay_exact(void **state)
{
	unsigned int i;

	(void)state;
	start(disk);
	assert_int_equal(sim_connect(&g, socket_path, 1, 2), 0);
	assert_int_equal(sim_bind(&g, 0), 0);
	assert_int_equal(sim_attach(&g, ALL, DEPTH), 0);
	for (i = 0; i < 60; i++) {
		assert_int_equal(write_at(i * 8), NXBLK_S_OK);
		assert_int_equal(write_at(BYTES / 512), NXBLK_S_RANGE);
		if (i % 10 == 9)
			kill_worker();
		if (i % 30 == 29)
			restart_all(disk);
	}
	assert_int_equal(daemon_end(&daemon_pid, SIGTERM), 0);
	assert_int_equal(counter("writes"), 60);
	assert_int_equal(counter("written_bytes"), 60 * 4096);
	assert_int_equal(counter("range"), 60);
	assert_int_equal(counter("requests"), 120);
}

/* A right that was taken stays so, whoever dies, also for the same command line. */
static void rights_do_not_come_back(void **state)
{
	char less[160];

	(void)state;
	start(disk);
	assert_int_equal(sim_connect(&g, socket_path, 1, 2), 0);
	assert_int_equal(sim_bind(&g, 0), 0);
	assert_int_equal(sim_attach(&g, ALL, DEPTH), 0);
	assert_int_equal(write_at(0), NXBLK_S_OK);
	snprintf(less, sizeof(less), "%s,cap=r:0-99", disk);
	restart_all(less);
	assert_int_equal(write_at(0), NXBLK_S_PERM);
	kill_worker();
	assert_int_equal(write_at(0), NXBLK_S_PERM);
	assert_int_equal(sim_rw(&g, NXBLK_OP_READ, 0, 8, 0), NXBLK_S_OK);
	restart_all(disk);
	assert_int_equal(write_at(0), NXBLK_S_PERM);
	assert_int_equal(sim_rw(&g, NXBLK_OP_READ, 96, 8, 0), NXBLK_S_PERM);
	snprintf(less, sizeof(less), "%s,cap=none", disk);
	restart_all(less);
	kill_worker();
	assert_int_equal(sim_rw(&g, NXBLK_OP_READ, 0, 8, 0), NXBLK_S_PERM);
}

/* A limit on its worker is what a full file system is: there, and one day gone. */
static void room(rlim_t most)
{
	const struct rlimit limit = { most, RLIM_INFINITY };

	assert_int_equal(prlimit(worker_of(daemon_pid), RLIMIT_FSIZE, &limit,
				 NULL),
			 0);
}

static void expect_byte(uint64_t lba, uint8_t byte)
{
	memset(sim_data(&g), ~byte, 4096);
	assert_int_equal(sim_rw(&g, NXBLK_OP_READ, lba, 8, 0), NXBLK_S_OK);
	assert_int_equal(sim_data(&g)[0], byte);
	assert_memory_equal(sim_data(&g), sim_data(&g) + 1, 4095);
}

/* No room is an answer, not the end of a worker, and takes nothing else with it. */
static void no_room_for_a_while(void **state)
{
	const uint64_t beyond = BYTES / 1024;
	uint64_t generation;

	(void)state;
	start(disk);
	assert_int_equal(sim_connect(&g, socket_path, 1, 2), 0);
	assert_int_equal(sim_bind(&g, 0), 0);
	assert_int_equal(sim_attach(&g, ALL, DEPTH), 0);
	generation = g.end.generation;
	memset(sim_data(&g), 0x61, 4096);
	assert_int_equal(write_at(0), NXBLK_S_OK);
	room(BYTES / 2);
	memset(sim_data(&g), 0x62, 4096);
	assert_int_equal(write_at(beyond), NXBLK_S_NOSPC);
	assert_int_equal(write_at(beyond - 4), NXBLK_S_NOSPC);
	assert_int_equal(sim_rw(&g, NXBLK_OP_WRITE, beyond, 8, NXBLK_REQ_FUA),
			 NXBLK_S_NOSPC);
	assert_int_equal(write_at(8), NXBLK_S_OK);
	assert_int_equal(flush(), NXBLK_S_OK);
	expect_byte(0, 0x61);
	expect_byte(8, 0x62);
	expect_byte(beyond + 8, 0);
	room(RLIM_INFINITY);
	memset(sim_data(&g), 0x63, 4096);
	assert_int_equal(write_at(beyond), NXBLK_S_OK);
	assert_int_equal(flush(), NXBLK_S_OK);
	expect_byte(beyond, 0x63);
	expect_byte(0, 0x61);
	assert_int_equal(g.end.generation, generation);
	assert_false(ion_guest_lost(&g.end));
	assert_int_equal(daemon_end(&daemon_pid, SIGTERM), 0);
	assert_int_equal(counter("nospc"), 3);
}

static int setup(void **state)
{
	int fd;

	(void)state;
	strcpy(dir, "/dev/shm/rumpk-unit-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(socket_path, sizeof(socket_path), "%s/s", dir);
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	snprintf(image, sizeof(image), "%s/image", dir);
	snprintf(disk, sizeof(disk), "file=%s", image);
	fd = open(image, O_RDWR | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, BYTES), 0);
	close(fd);
	memset(&g, 0, sizeof(g));
	*sync_fails = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (g.base)
		sim_disconnect(&g);
	if (daemon_pid > 0)
		daemon_end(&daemon_pid, SIGTERM);
	daemon_wait_keeper(socket_path);
	unlink(log_path);
	unlink(image);
	return rmdir(dir);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(failed_sync_is_not_forgotten),
		TEST(counters_stay_exact),
		TEST(rights_do_not_come_back),
		TEST(no_room_for_a_while),
	};

	sync_fails = mmap(NULL, sizeof(*sync_fails), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return cmocka_run_group_tests_name("recover", tests, NULL, NULL);
}
