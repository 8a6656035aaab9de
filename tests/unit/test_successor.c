/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a worker's successor makes of disks that it cannot have, seen by a guest of
 * two: the whole daemon, forked from here, so that its locks and its view of the
 * kernel's errors are the ones below.
 *
 *   sim_guest --- window --- worker --+-- image 0: held, gone, damaged
 *                              |      +-- image 1: must never notice
 *                          supervisor --- keeper
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rumpk/supervisor.h"
#include "rumpk/util.h"
#include "control_client.h"
#include "daemon.h"
#include "sim_guest.h"
#include "worker_of.h"

#define ALL (~0ull)
#define DEPTH 64
#define BYTES (8u << 20)
#define ASKED_BEFORE 4711

/**
 * struct kernel - what this program's processes see of it
 * @held: inode of which something that has no process holds the lock
 * @lost: writing back has failed once with this errno, and only the dead were told
 * @sync_fails: for everybody
 * @cut_hangs: changing a file's size does not return, and nothing ends it
 * @cutting: somebody does that
 * @start_ms: not 0: so long may a worker that starts be about one disk
 */
struct kernel {
	ino_t held;
	unsigned int start_ms;
	int cut_hangs;
	int cutting;
	int lost;
	int sync_fails;
};

static char dir[64];
static char socket_path[80];
static char log_path[80];
static char control_path[80];
static char image[2][96];
static char disk[2][128];
static const char *const args[] = { "--socket",	 socket_path,  "--disk",
				    disk[0],	 "--disk",     disk[1],
				    "--control", control_path, NULL };
static pid_t daemon_pid;
static struct sim_guest g[2];
static struct kernel *kernel;

/* As for a request that the kernel still does for a dead process. */
int flock(int fd, int operation)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_ino == kernel->held) {
		errno = EWOULDBLOCK;
		return -1;
	}
	return (int)syscall(SYS_flock, fd, operation);
}

/*
 * A description is told of each error once, and one that is newer than the error of none.
 * Who was asked before it came is known again by its position, which nobody else uses.
 */
int sync_file_range(int fd, off64_t offset, off64_t length, unsigned int flags)
{
	if (!kernel->lost)
		lseek(fd, ASKED_BEFORE, SEEK_SET);
	if (kernel->lost && lseek(fd, 0, SEEK_CUR) == ASKED_BEFORE) {
		errno = kernel->lost;
		kernel->lost = 0;
		return -1;
	}
	return (int)syscall(SYS_sync_file_range, fd, offset, length, flags);
}

int fdatasync(int fd)
{
	if (kernel->sync_fails) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

int ftruncate(int fd, off_t length)
{
	if (kernel->cut_hangs) {
		prctl(PR_SET_PDEATHSIG, 0);
		__atomic_store_n(&kernel->cutting, 1, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(&kernel->cut_hangs, __ATOMIC_SEQ_CST))
			usleep(1000);
	}
	return (int)syscall(SYS_ftruncate, fd, length);
}

int __real_supervisor_run(const struct supervisor_plan *plan);
int __wrap_supervisor_run(const struct supervisor_plan *plan);

int __wrap_supervisor_run(const struct supervisor_plan *plan)
{
	struct supervisor_plan hasty = *plan;

	if (kernel->start_ms)
		hasty.start_ms = kernel->start_ms;
	return __real_supervisor_run(&hasty);
}

static void attach_both(void)
{
	int i;

	assert_int_equal(sim_connect(&g[0], socket_path, 2, 3), 0);
	g[1] = g[0];
	for (i = 0; i < 2; i++) {
		assert_int_equal(sim_bind(&g[i], (unsigned int)i), 0);
		assert_int_equal(sim_attach(&g[i], ALL, DEPTH), 0);
	}
}

static void start(void)
{
	daemon_pid = daemon_start(args, log_path);
	attach_both();
}

static void kill_worker(void)
{
	uint64_t until = now_ms() + 5000;
	pid_t pid = worker_of(daemon_pid);

	assert_true(pid > 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	while (!ion_guest_lost(&g[0].end) || !ion_guest_lost(&g[1].end))
		assert_true(now_ms() < until);
}

static int write_to(struct sim_guest *guest, uint8_t with)
{
	memset(sim_data(guest), with, 4096);
	return sim_rw(guest, NXBLK_OP_WRITE, 64, 8, 0);
}

static int flush(struct sim_guest *guest)
{
	return sim_simple(guest, NXBLK_OP_FLUSH, 0, 0, 0);
}

static void expect_byte(struct sim_guest *guest, uint8_t byte)
{
	memset(sim_data(guest), ~byte, 4096);
	assert_int_equal(sim_rw(guest, NXBLK_OP_READ, 64, 8, 0), NXBLK_S_OK);
	assert_int_equal(sim_data(guest)[0], byte);
	assert_int_equal(sim_data(guest)[4095], byte);
}

/* Everything fails, above all what would be a promise. */
static void expect_failed(struct sim_guest *guest)
{
	struct nxblk_config config;

	assert_int_equal(write_to(guest, 9), NXBLK_S_IOERR);
	assert_int_equal(sim_rw(guest, NXBLK_OP_READ, 64, 8, 0), NXBLK_S_IOERR);
	assert_int_equal(flush(guest), NXBLK_S_IOERR);
	assert_int_equal(sim_info(guest, &config), NXBLK_S_OK);
	assert_int_equal(config.capacity, BYTES / 512);
}

/* SIGHUP, until the disk works: what it was, and new promises. */
static void reopen(struct sim_guest *guest, uint8_t byte)
{
	uint64_t until = now_ms() + 5000;

	assert_int_equal(kill(daemon_pid, SIGHUP), 0);
	while (sim_rw(guest, NXBLK_OP_READ, 64, 8, 0) != NXBLK_S_OK)
		assert_true(now_ms() < until);
	expect_byte(guest, byte);
	assert_int_equal(write_to(guest, byte), NXBLK_S_OK);
	assert_int_equal(flush(guest), NXBLK_S_OK);
}

static void await_line(const char *what)
{
	uint64_t until = now_ms() + 20000;

	while (!daemon_logged(log_path, what)) {
		assert_true(now_ms() < until);
		usleep(5000);
	}
}

static ino_t inode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

/* Both have data, and disk 0 is held by nobody that could be named. */
static void kill_with_fence(void)
{
	start();
	assert_int_equal(write_to(&g[0], 1), NXBLK_S_OK);
	assert_int_equal(write_to(&g[1], 2), NXBLK_S_OK);
	kernel->held = inode_of(image[0]);
	kill_worker();
	daemon_follow(&g[1], DEPTH);
	expect_byte(&g[1], 2);
	assert_int_equal(write_to(&g[1], 3), NXBLK_S_OK);
	assert_int_equal(flush(&g[1]), NXBLK_S_OK);
}

static bool shown_as_waiting(int control, size_t n)
{
	json_t *answer = client_ask(control, "{\"execute\":\"disks\"}");
	json_t *of = json_array_get(json_object_get(answer, "return"), n);
	bool waiting = json_is_true(json_object_get(of, "waiting"));

	assert_true(json_is_boolean(json_object_get(of, "waiting")));
	json_decref(answer);
	return waiting;
}

static void fence_keeps_no_other_waiting(void **state)
{
	int control;

	(void)state;
	kill_with_fence();
	control = client_connect(control_path);
	assert_int_equal(sim_wait_offer(&g[0], 200), -ETIMEDOUT);
	assert_true(shown_as_waiting(control, 0));
	assert_false(shown_as_waiting(control, 1));
	kernel->held = 0;
	daemon_follow(&g[0], DEPTH);
	assert_false(shown_as_waiting(control, 0));
	close(control);
	expect_byte(&g[0], 1);
	assert_int_equal(flush(&g[0]), NXBLK_S_OK);
	assert_int_equal(daemon_logged(log_path, "error"), 0);
	assert_int_equal(daemon_end(&daemon_pid, SIGTERM), 0);
}

/* A rumpk that is started again, while @held is locked; for daemon_ready(). */
static int start_again_behind(const char *held, unsigned int start_ms)
{
	int ready;

	start();
	assert_int_equal(daemon_end(&daemon_pid, SIGKILL), 256);
	kernel->start_ms = start_ms;
	kernel->held = inode_of(held);
	daemon_pid = daemon_fork(args, log_path, &ready);
	return ready;
}

/* A rumpk that is started again waits for each disk, and has for each its own time. */
static void disks_are_waited_for_in_turn(void **state)
{
	int ready = start_again_behind(image[0], 1500);

	(void)state;
	usleep(1000000);
	kernel->held = inode_of(image[1]);
	usleep(1000000);
	kernel->held = 0;
	daemon_ready(ready);
	assert_int_equal(daemon_logged(log_path, "silent"), 0);
	assert_int_equal(daemon_end(&daemon_pid, SIGTERM), 0);
}

static void start_that_hangs_names_its_disk(void **state)
{
	int ready = start_again_behind(image[1], 500);

	(void)state;
	assert_int_equal(daemon_never_ready(&daemon_pid, ready), 1);
	assert_int_equal(daemon_logged(log_path, "channel=1 worker"), 1);
	assert_int_equal(daemon_logged(log_path, "while it opens disk 1: killed"),
			 1);
}

/* What may still change an image is waited for, and called what it is. */
static void hung_resize_outlives_its_rumpk(void **state)
{
	static const char resize[] =
		"{\"execute\":\"resize\",\"arguments\":{\"disk\":0,\"size\":16777216}}\n";
	uint64_t until = now_ms() + 10000;
	int control;

	(void)state;
	start();
	kernel->cut_hangs = 1;
	control = client_connect(control_path);
	assert_int_equal(send(control, resize, strlen(resize), 0),
			 strlen(resize));
	while (!__atomic_load_n(&kernel->cutting, __ATOMIC_SEQ_CST)) {
		assert_true(now_ms() < until);
		usleep(1000);
	}
	assert_int_equal(daemon_end(&daemon_pid, SIGKILL), 256);
	close(control);
	assert_int_equal(daemon_fails(args, log_path), 2);
	assert_int_equal(daemon_logged(log_path, "served by another rumpk"), 0);
	assert_int_equal(daemon_logged(log_path,
				       "a resize that it started is still under way"),
			 1);
	__atomic_store_n(&kernel->cut_hangs, 0, __ATOMIC_SEQ_CST);
	daemon_pid = daemon_start(args, log_path);
	assert_int_equal(daemon_end(&daemon_pid, SIGTERM), 0);
}

/*
 * Nor does a supervisor that does not answer. One that was waited for would be asked
 * meanwhile, and each time would cost the other disk what it is waited for.
 */
static void stopped_supervisor_stops_no_disk(void **state)
{
	uint64_t longest = 0;
	uint64_t until;
	int status;

	(void)state;
	kill_with_fence();
	assert_int_equal(kill(daemon_pid, SIGSTOP), 0);
	assert_int_equal(waitpid(daemon_pid, &status, WUNTRACED), daemon_pid);
	until = now_ms() + 1500;
	while (now_ms() < until) {
		uint64_t begun = now_ms();

		assert_int_equal(write_to(&g[1], 3), NXBLK_S_OK);
		if (now_ms() - begun > longest)
			longest = now_ms() - begun;
		usleep(1000);
	}
	assert_in_range(longest, 0, 500);
	assert_int_equal(sim_wait_offer(&g[0], 0), -ETIMEDOUT);
	kernel->held = 0;
	assert_int_equal(kill(daemon_pid, SIGCONT), 0);
	daemon_follow(&g[0], DEPTH);
	expect_byte(&g[0], 1);
	expect_byte(&g[1], 3);
}

/* However long it takes: what the kernel does for the dead has no bound. */
static void fence_is_waited_for(void **state)
{
	(void)state;
	kill_with_fence();
	await_line("still waiting for the requests of the worker before");
	assert_int_equal(ion_load_acquire(&g[0].end.theirs->state),
			 ION_HOST_DOWN);
	kill_worker();
	daemon_follow(&g[1], DEPTH);
	assert_int_equal(sim_wait_offer(&g[0], 200), -ETIMEDOUT);
	kernel->held = 0;
	daemon_follow(&g[0], DEPTH);
	expect_byte(&g[0], 1);
	assert_int_equal(write_to(&g[0], 4), NXBLK_S_OK);
	assert_int_equal(flush(&g[0]), NXBLK_S_OK);
}

/* Who has the lock may write: nothing is promised before an operator has looked. */
static void strangers_lock(void **state)
{
	int fd;

	(void)state;
	kill_with_fence();
	fd = open(image[0], O_RDWR | O_CLOEXEC);
	assert_int_equal(syscall(SYS_flock, fd, LOCK_EX | LOCK_NB), 0);
	kernel->held = 0;
	daemon_follow(&g[0], DEPTH);
	expect_failed(&g[0]);
	assert_int_equal(daemon_logged(log_path, "in use by test_successor"), 1);
	assert_int_equal(kill(daemon_pid, SIGHUP), 0);
	await_line("not reopened");
	expect_failed(&g[0]);
	expect_byte(&g[1], 3);
	close(fd);
	expect_failed(&g[0]);
	reopen(&g[0], 1);
	expect_byte(&g[1], 3);
	assert_int_equal(daemon_end(&daemon_pid, SIGTERM), 0);
}

static off_t size_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

#define RESIZE(size)                                                           \
	"{\"execute\":\"resize\",\"arguments\":{\"disk\":0,\"size\":" size     \
	",\"shrink\":true}}"

#define REOPEN "{\"execute\":\"reopen\",\"arguments\":{\"disk\":0}}"

/* What nobody knows the end of may still write: the file is neither cut nor made larger. */
static void no_size_changes_under_late_writes(void **state)
{
	int control;
	int fd;

	(void)state;
	kill_with_fence();
	control = client_connect(control_path);
	assert_string_equal(client_class(control, RESIZE("4096")), "Busy");
	assert_string_equal(client_class(control, RESIZE("16777216")), "Busy");
	fd = open(image[0], O_RDWR | O_CLOEXEC);
	assert_int_equal(syscall(SYS_flock, fd, LOCK_EX | LOCK_NB), 0);
	kernel->held = 0;
	daemon_follow(&g[0], DEPTH);
	expect_failed(&g[0]);
	assert_string_equal(client_class(control, RESIZE("4096")), "Busy");
	assert_string_equal(client_class(control, RESIZE("16777216")), "Busy");
	assert_int_equal(size_of(image[0]), BYTES);
	close(fd);
	close(control);
}

/* The disk is the file that rumpk was started with, whatever it is called now. */
static void names_do_not_matter(void **state)
{
	int fd;

	(void)state;
	start();
	assert_int_equal(write_to(&g[0], 5), NXBLK_S_OK);
	assert_int_equal(unlink(image[0]), 0);
	kill_worker();
	daemon_follow(&g[0], DEPTH);
	daemon_follow(&g[1], DEPTH);
	expect_byte(&g[0], 5);
	fd = open(image[0], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, BYTES), 0);
	close(fd);
	kill_worker();
	daemon_follow(&g[0], DEPTH);
	daemon_follow(&g[1], DEPTH);
	expect_byte(&g[0], 5);
	assert_int_equal(write_to(&g[0], 6), NXBLK_S_OK);
	assert_int_equal(flush(&g[0]), NXBLK_S_OK);
	assert_int_equal(daemon_logged(log_path, "error"), 0);
	assert_int_equal(daemon_end(&daemon_pid, SIGTERM), 0);
}

/* Also once it could be served again: it was not for a while. */
static void lost_until_an_operator_says(void **state)
{
	(void)state;
	start();
	assert_int_equal(write_to(&g[0], 7), NXBLK_S_OK);
	assert_int_equal(write_to(&g[1], 8), NXBLK_S_OK);
	assert_int_equal(truncate(image[0], BYTES - 1), 0);
	kill_worker();
	daemon_follow(&g[0], DEPTH);
	daemon_follow(&g[1], DEPTH);
	expect_failed(&g[0]);
	expect_byte(&g[1], 8);
	assert_int_equal(daemon_logged(log_path,
				       "has a size that is not a multiple of 512"),
			 1);
	assert_int_equal(truncate(image[0], BYTES), 0);
	kill_worker();
	daemon_follow(&g[0], DEPTH);
	daemon_follow(&g[1], DEPTH);
	expect_failed(&g[0]);
	expect_byte(&g[1], 8);
	reopen(&g[0], 7);
	kill_worker();
	daemon_follow(&g[0], DEPTH);
	daemon_follow(&g[1], DEPTH);
	expect_byte(&g[0], 7);
	assert_int_equal(flush(&g[0]), NXBLK_S_OK);
	assert_int_equal(daemon_end(&daemon_pid, SIGTERM), 0);
}

/* The guest's FLUSH goes again to a worker that was told of nothing. */
static void sync_error_of_the_dead(void **state)
{
	(void)state;
	start();
	assert_int_equal(write_to(&g[0], 1), NXBLK_S_OK);
	kernel->lost = EIO;
	kill_worker();
	daemon_follow(&g[0], DEPTH);
	daemon_follow(&g[1], DEPTH);
	assert_int_equal(kernel->lost, 0);
	assert_int_equal(flush(&g[0]), NXBLK_S_IOERR);
	assert_int_equal(sim_rw(&g[0], NXBLK_OP_WRITE, 64, 8, NXBLK_REQ_FUA),
			 NXBLK_S_IOERR);
	assert_int_equal(write_to(&g[0], 1), NXBLK_S_OK);
	assert_int_equal(flush(&g[1]), NXBLK_S_OK);
	kill_worker();
	daemon_follow(&g[0], DEPTH);
	daemon_follow(&g[1], DEPTH);
	assert_int_equal(flush(&g[0]), NXBLK_S_IOERR);
	assert_int_equal(flush(&g[1]), NXBLK_S_OK);
	assert_int_equal(daemon_logged(log_path,
				       "that the worker before had written was lost"),
			 1);
}

/* A medium, a path, a target or a server has other words for it. */
static void sync_error_of_any_kind(void **state)
{
	static const int lost[] = { ENODATA, ENOLINK, ETIMEDOUT, EREMOTEIO,
				    EDQUOT,  ESTALE,  EBADE,	 ENOSPC };
	unsigned int i;
	int control;

	(void)state;
	start();
	control = client_connect(control_path);
	for (i = 0; i < ARRAY_SIZE(lost); i++) {
		assert_int_equal(write_to(&g[0], 1), NXBLK_S_OK);
		kernel->lost = lost[i];
		kill_worker();
		daemon_follow(&g[0], DEPTH);
		daemon_follow(&g[1], DEPTH);
		assert_int_equal(kernel->lost, 0);
		assert_int_equal(flush(&g[0]), NXBLK_S_IOERR);
		assert_int_equal(flush(&g[1]), NXBLK_S_OK);
		assert_int_equal(daemon_logged(log_path, strerror(lost[i])), 1);
		assert_string_equal(client_class(control, REOPEN), "");
		assert_int_equal(flush(&g[0]), NXBLK_S_OK);
	}
	close(control);
}

/* A kernel that cannot be asked has not said that anything was lost. */
static void no_sync_error_where_none_is_told(void **state)
{
	(void)state;
	start();
	assert_int_equal(write_to(&g[0], 1), NXBLK_S_OK);
	kernel->lost = ENOSYS;
	kill_worker();
	daemon_follow(&g[0], DEPTH);
	daemon_follow(&g[1], DEPTH);
	assert_int_equal(kernel->lost, 0);
	assert_int_equal(flush(&g[0]), NXBLK_S_OK);
	assert_int_equal(flush(&g[1]), NXBLK_S_OK);
}

/* It comes with the fence: until then an error can still be made. */
static void sync_error_behind_a_fence(void **state)
{
	(void)state;
	kill_with_fence();
	kernel->lost = EIO;
	kernel->held = 0;
	daemon_follow(&g[0], DEPTH);
	assert_int_equal(kernel->lost, 0);
	assert_int_equal(flush(&g[0]), NXBLK_S_IOERR);
	assert_int_equal(flush(&g[1]), NXBLK_S_OK);
}

/* All that knew of it are gone, but for the keeper, which has the description. */
static void sync_error_of_all_the_dead(void **state)
{
	(void)state;
	start();
	assert_int_equal(write_to(&g[0], 1), NXBLK_S_OK);
	kernel->lost = EIO;
	assert_int_equal(daemon_end(&daemon_pid, SIGKILL), 256);
	daemon_pid = daemon_start(args, log_path);
	daemon_follow(&g[0], DEPTH);
	daemon_follow(&g[1], DEPTH);
	assert_int_equal(kernel->lost, 0);
	assert_int_equal(flush(&g[0]), NXBLK_S_IOERR);
	assert_int_equal(flush(&g[1]), NXBLK_S_OK);
	assert_int_equal(write_to(&g[0], 1), NXBLK_S_OK);
	assert_int_equal(daemon_end(&daemon_pid, SIGKILL), 256);
	daemon_pid = daemon_start(args, log_path);
	daemon_follow(&g[0], DEPTH);
	assert_int_equal(flush(&g[0]), NXBLK_S_IOERR);
}

/* What an operator has reopened is not lost a second time. */
static void reopened_once_and_for_all(void **state)
{
	int control;

	(void)state;
	start();
	assert_int_equal(write_to(&g[0], 1), NXBLK_S_OK);
	kernel->sync_fails = 1;
	assert_int_equal(flush(&g[0]), NXBLK_S_IOERR);
	kernel->sync_fails = 0;
	kernel->lost = EIO;
	assert_int_equal(flush(&g[0]), NXBLK_S_IOERR);
	control = client_connect(control_path);
	assert_string_equal(client_class(control, REOPEN), "");
	close(control);
	assert_int_equal(flush(&g[0]), NXBLK_S_OK);
	kill_worker();
	daemon_follow(&g[0], DEPTH);
	daemon_follow(&g[1], DEPTH);
	assert_int_equal(flush(&g[0]), NXBLK_S_OK);
	expect_byte(&g[0], 1);
}

/* A disk that comes back by SIGHUP is as good as it was: nobody spoke of its sync. */
static void lost_after_a_failed_sync(void **state)
{
	uint64_t until = now_ms() + 5000;
	int control;

	(void)state;
	start();
	assert_int_equal(write_to(&g[0], 1), NXBLK_S_OK);
	kernel->sync_fails = 1;
	assert_int_equal(flush(&g[0]), NXBLK_S_IOERR);
	kernel->sync_fails = 0;
	assert_int_equal(truncate(image[0], BYTES - 1), 0);
	kill_worker();
	daemon_follow(&g[0], DEPTH);
	expect_failed(&g[0]);
	assert_int_equal(truncate(image[0], BYTES), 0);
	assert_int_equal(kill(daemon_pid, SIGHUP), 0);
	while (sim_rw(&g[0], NXBLK_OP_READ, 64, 8, 0) != NXBLK_S_OK)
		assert_true(now_ms() < until);
	assert_int_equal(flush(&g[0]), NXBLK_S_IOERR);
	control = client_connect(control_path);
	assert_string_equal(client_class(control, REOPEN), "");
	close(control);
	assert_int_equal(flush(&g[0]), NXBLK_S_OK);
}

static int setup(void **state)
{
	int i;

	(void)state;
	memset(kernel, 0, sizeof(*kernel));
	strcpy(dir, "/dev/shm/rumpk-unit-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(socket_path, sizeof(socket_path), "%s/s", dir);
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	snprintf(control_path, sizeof(control_path), "%s/c", dir);
	for (i = 0; i < 2; i++) {
		int fd;

		snprintf(image[i], sizeof(image[i]), "%s/image%d", dir, i);
		snprintf(disk[i], sizeof(disk[i]), "file=%s", image[i]);
		fd = open(image[i], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		assert_int_equal(ftruncate(fd, BYTES), 0);
		close(fd);
	}
	memset(g, 0, sizeof(g));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (g[0].base)
		sim_disconnect(&g[0]);
	if (daemon_pid > 0) {
		kill(daemon_pid, SIGCONT);
		daemon_end(&daemon_pid, SIGTERM);
	}
	daemon_wait_keeper(socket_path);
	unlink(log_path);
	unlink(image[0]);
	unlink(image[1]);
	return rmdir(dir);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(fence_keeps_no_other_waiting),
		TEST(stopped_supervisor_stops_no_disk),
		TEST(hung_resize_outlives_its_rumpk),
		TEST(disks_are_waited_for_in_turn),
		TEST(start_that_hangs_names_its_disk),
		TEST(fence_is_waited_for),
		TEST(strangers_lock),
		TEST(no_size_changes_under_late_writes),
		TEST(names_do_not_matter),
		TEST(lost_until_an_operator_says),
		TEST(sync_error_of_the_dead),
		TEST(sync_error_of_any_kind),
		TEST(no_sync_error_where_none_is_told),
		TEST(sync_error_behind_a_fence),
		TEST(sync_error_of_all_the_dead),
		TEST(reopened_once_and_for_all),
		TEST(lost_after_a_failed_sync),
	};

	kernel = mmap(NULL, sizeof(*kernel), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return cmocka_run_group_tests_name("successor", tests, NULL, NULL);
}
