/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Both HALs against a model: the same random operations on a disk and on plain
 * memory give the same bytes. Each runs in memory, on a file system in memory, on
 * one on a device, on a device, with io_uring and without. Then the failures.
 */
#include "unit.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <nexus/nxblk_abi.h>

#include "rumpk/hal.h"
#include "rumpk/uring.h"
#include "rumpk/util.h"
#include "loop_device.h"

#define BYTES (1u << 20)
#define MOST_IO (128u << 10)
#define OPS 3000
#define PIECES 5

/* In the place of the C library's: fails with this errno, as often as it says. */
static int sync_error;
static unsigned int syncs;

int fdatasync(int fd)
{
	syncs++;
	if (!sync_error)
		return (int)syscall(SYS_fdatasync, fd);
	errno = sync_error;
	return -1;
}

/* In the place of liburing's: the next so many syncs are of no file at all. */
static unsigned int bad_syncs;
static unsigned int ring_syncs;

int io_uring_submit(struct io_uring *ring)
{
	int (*real)(struct io_uring *) = NULL;
	unsigned int i;

	for (i = ring->sq.sqe_head; i != ring->sq.sqe_tail; i++) {
		struct io_uring_sqe *sqe =
			&ring->sq.sqes[i & *ring->sq.kring_mask];

		if (sqe->opcode != IORING_OP_FSYNC)
			continue;
		ring_syncs++;
		if (bad_syncs) {
			bad_syncs--;
			sqe->fd = -1;
		}
	}
	*(void **)&real = dlsym(RTLD_NEXT, "io_uring_submit");
	return real(ring);
}

struct op {
	struct hal_io io;
	struct iovec iov[PIECES];
	int done;
};

static void op_done(struct hal_io *io)
{
	((struct op *)(void *)io)->done++;
}

static int carry_out(struct hal *hal, struct op *op)
{
	time_t until = time(NULL) + 120;

	op->done = 0;
	op->io.done = op_done;
	op->io.iov = op->iov;
	hal_submit(hal, &op->io);
	while (!op->done) {
		hal_kick(hal);
		hal_poll(hal);
		assert_true(time(NULL) < until);
	}
	assert_int_equal(op->done, 1);
	return op->io.error;
}

/* Cut a buffer into up to PIECES multiples of 512. */
static void cut(struct op *op, uint8_t *buffer, uint64_t length)
{
	int n = 0;

	while (length && n < PIECES - 1) {
		uint64_t part = 512 * (1 + (uint64_t)rand() % (length / 512));

		op->iov[n].iov_base = buffer;
		op->iov[n++].iov_len = part;
		buffer += part;
		length -= part;
	}
	if (length) {
		op->iov[n].iov_base = buffer;
		op->iov[n++].iov_len = length;
	}
	op->io.niov = n;
}

static void random_op(struct op *op, uint8_t *buffer)
{
	uint64_t sectors = 1 + (uint64_t)rand() % (MOST_IO / 512);
	unsigned int i;

	memset(op, 0, sizeof(*op));
	op->io.op = (enum hal_op)(rand() % 5);
	op->io.durable = rand() % 4 == 0;
	op->io.unmap = rand() % 2;
	op->io.length = op->io.op == HAL_SYNC ? 0 : sectors * 512;
	op->io.offset = 512 * ((uint64_t)rand() % (BYTES / 512 - sectors + 1));
	if (op->io.op == HAL_READ)
		memset(buffer, 0xa5, op->io.length);
	if (op->io.op == HAL_WRITE)
		for (i = 0; i < op->io.length; i++)
			buffer[i] = (uint8_t)rand();
	if (op->io.op <= HAL_WRITE)
		cut(op, buffer, op->io.length);
}

/* A discarded range may read anything: here it must be the old or zeroes. */
static void take_discard(struct hal *hal, uint8_t *model, uint64_t offset,
			 uint64_t length)
{
	uint8_t *now = malloc(length);
	struct op op = { 0 };
	uint64_t i;

	op.io.op = HAL_READ;
	op.io.offset = offset;
	op.io.length = length;
	op.io.niov = 1;
	op.iov[0].iov_base = now;
	op.iov[0].iov_len = length;
	assert_int_equal(carry_out(hal, &op), 0);
	for (i = 0; i < length; i++)
		assert_true(now[i] == 0 || now[i] == model[offset + i]);
	memcpy(model + offset, now, length);
	free(now);
}

static void run_model(struct hal *hal)
{
	uint8_t *model = calloc(1, BYTES);
	uint8_t *buffer = malloc(MOST_IO);
	struct op op;
	int i;

	srand(42);
	for (i = 0; i < OPS; i++) {
		uint64_t offset;
		uint64_t length;

		random_op(&op, buffer);
		offset = op.io.offset;
		length = op.io.length;
		assert_int_equal(carry_out(hal, &op), 0);
		if (op.io.op == HAL_READ)
			assert_memory_equal(buffer, model + offset, length);
		else if (op.io.op == HAL_WRITE)
			memcpy(model + offset, buffer, length);
		else if (op.io.op == HAL_ZERO)
			memset(model + offset, 0, length);
		else if (op.io.op == HAL_DISCARD)
			take_discard(hal, model, offset, length);
	}
	take_discard(hal, model, 0, BYTES);
	assert_int_equal(hal_sync(hal), 0);
	free(buffer);
	free(model);
}

static struct hal *file_disk(const char *dir, bool no_uring, char *path)
{
	struct hal_file_options opt = {
		.path = path,
		.block = 512,
		.no_uring = no_uring,
	};
	struct hal *hal;
	int fd;

	sprintf(path, "%s/rumpk-unit-XXXXXX", dir);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, BYTES), 0);
	close(fd);
	hal = hal_file_open(&opt);
	assert_non_null(hal);
	assert_int_equal(hal_start(hal, 64), 0);
	return hal;
}

static void file_remove(struct hal *hal, const char *path)
{
	hal_close(hal);
	unlink(path);
}

static void model_mem(void **state)
{
	const uint8_t uuid[16] = { 1 };
	struct hal *hal;
	int fd;

	assert_int_equal(hal_mem_create(BYTES, &fd), 0);
	assert_int_equal(ftruncate(fd, BYTES / 2), -1);
	assert_int_equal(ftruncate(fd, BYTES * 2), -1);
	hal = hal_mem_open(fd, BYTES, false, 512, uuid);
	assert_non_null(hal);
	close(fd);
	run_model(hal);
	hal_close(hal);
}

static void model_file(const char *dir, bool no_uring)
{
	char path[128];
	struct hal *hal = file_disk(dir, no_uring, path);

	run_model(hal);
	file_remove(hal, path);
}

static void model_file_in_memory(void **state)
{
	model_file("/dev/shm", false);
}

static void model_file_on_device(void **state)
{
	model_file("/var/tmp", false);
}

static void model_file_without_uring(void **state)
{
	model_file("/var/tmp", true);
}

/* Many at once: all are done, once each, and the bytes are there. */
static void many_in_flight(void **state)
{
	char path[128];
	struct hal *hal = file_disk("/var/tmp", false, path);
	static uint8_t data[64][4096];
	static uint8_t back[64][4096];
	static struct op op[64];
	int done = 0;
	int pass;
	int i;

	for (pass = 0; pass < 2; pass++) {
		memset(op, 0, sizeof(op));
		for (i = 0; i < 64; i++) {
			memset(data[i], i + 1, sizeof(data[i]));
			op[i].io.op = pass ? HAL_READ : HAL_WRITE;
			op[i].io.durable = !pass;
			op[i].io.offset = (uint64_t)i * 4096;
			op[i].io.length = 4096;
			op[i].io.niov = 1;
			op[i].io.iov = op[i].iov;
			op[i].iov[0].iov_base = pass ? back[i] : data[i];
			op[i].iov[0].iov_len = 4096;
			op[i].io.done = op_done;
			hal_submit(hal, &op[i].io);
		}
		for (done = 0; done < 64; done = done == 64 ? 64 : 0) {
			hal_kick(hal);
			hal_poll(hal);
			for (i = 0; i < 64; i++)
				done += op[i].done;
		}
		for (i = 0; i < 64; i++)
			assert_int_equal(op[i].done, 1);
	}
	assert_memory_equal(data, back, sizeof(data));
	file_remove(hal, path);
}

static void submit_writes(struct hal *hal, struct op *op, int n)
{
	static uint8_t data[4096];
	int i;

	for (i = 0; i < n; i++) {
		memset(&op[i], 0, sizeof(op[i]));
		op[i].io.op = i % 4 ? HAL_WRITE : HAL_SYNC;
		op[i].io.durable = i % 4;
		op[i].io.offset = (uint64_t)i * 4096;
		op[i].io.length = i % 4 ? 4096 : 0;
		op[i].io.niov = 1;
		op[i].io.iov = op[i].iov;
		op[i].iov[0].iov_base = data;
		op[i].iov[0].iov_len = 4096;
		op[i].io.done = op_done;
		hal_submit(hal, &op[i].io);
	}
}

static int count_done(const struct op *op, int n)
{
	int done = 0;
	int i;

	for (i = 0; i < n; i++)
		done += op[i].done;
	return done;
}

/*
 * The kernel tells of a failure once: of 32 operations that are to be durable at the
 * same time, none is done well. Nor are there 32 syncs; and the next ones succeed.
 */
static void syncs_fail_together(void **state)
{
	time_t until = time(NULL) + 60;
	char path[128];
	struct hal *hal = file_disk("/var/tmp", false, path);
	static struct op op[32];
	int pass;
	int i;

	for (pass = 0; pass < 2; pass++) {
		bad_syncs = !pass;
		ring_syncs = 0;
		submit_writes(hal, op, 32);
		while (count_done(op, 32) < 32) {
			hal_kick(hal);
			hal_poll(hal);
			assert_true(time(NULL) < until);
		}
		for (i = 0; i < 32; i++) {
			assert_int_equal(op[i].done, 1);
			assert_int_equal(op[i].io.error, pass ? 0 : EBADF);
			assert_int_equal(op[i].io.unsynced, !pass);
		}
		assert_in_range(ring_syncs, 1, 8);
	}
	file_remove(hal, path);
}

static int one(struct hal *hal, enum hal_op what, uint64_t offset,
	       uint64_t length, uint8_t *buffer)
{
	struct op op = { 0 };

	op.io.op = what;
	op.io.offset = offset;
	op.io.length = length;
	op.io.niov = 1;
	op.iov[0].iov_base = buffer;
	op.iov[0].iov_len = length;
	return carry_out(hal, &op);
}

/* Its node lies in memory, the device does not: this thread waits for nothing. */
static void model_block_device(void **state)
{
	char node[32];
	struct hal_file_options opt = { .path = node, .block = 512 };
	char path[128];
	struct hal *hal;
	int device;

	(void)state;
	/* In memory it would have no zeroes for a range, and read as it once was. */
	hal_close(file_disk("/var/tmp", false, path));
	device = loop_device(path, node, sizeof(node));
	unlink(path);
	if (device < 0)
		skip();
	hal = hal_file_open(&opt);
	assert_non_null(hal);
	assert_int_equal(hal_start(hal, 64), 0);
	syncs = 0;
	assert_int_equal(one(hal, HAL_SYNC, 0, 0, NULL), 0);
	assert_int_equal(syncs, 0);
	run_model(hal);
	hal_close(hal);
	close(device);
}

/* A read that begins inside a file that has shrunk is no success. */
static void shrunken(void **state)
{
	static uint8_t buffer[8192];
	char path[128];
	struct hal *hal;
	int i;

	for (i = 0; i < 3; i++) {
		hal = file_disk(i ? "/var/tmp" : "/dev/shm", i == 2, path);
		assert_int_equal(truncate(path, BYTES / 2), 0);
		assert_int_equal(one(hal, HAL_READ, BYTES / 2 - 4096, 8192,
				     buffer),
				 EIO);
		assert_int_equal(one(hal, HAL_READ, BYTES / 2, 4096, buffer),
				 EIO);
		assert_int_equal(hal_resize(hal), 0);
		assert_int_equal(hal->info.capacity, BYTES / 2);
		file_remove(hal, path);
	}
}

static void resized(void **state)
{
	char path[128];
	struct hal *hal = file_disk("/dev/shm", false, path);

	assert_int_equal(truncate(path, 2 * BYTES), 0);
	assert_int_equal(hal_resize(hal), 0);
	assert_int_equal(hal->info.capacity, 2 * BYTES);
	assert_int_equal(truncate(path, BYTES + 1), 0);
	assert_true(hal_resize(hal) < 0);
	assert_int_equal(hal->info.capacity, 2 * BYTES);
	assert_int_equal(truncate(path, 0), 0);
	assert_true(hal_resize(hal) < 0);
	assert_int_equal(hal->info.capacity, 2 * BYTES);
	file_remove(hal, path);
}

/* Where no space is left: here, where a file may not grow. What is there stays. */
static void no_space(void **state)
{
	const struct rlimit tight = { BYTES / 2, RLIM_INFINITY };
	const struct rlimit free_again = { RLIM_INFINITY, RLIM_INFINITY };
	static uint8_t ones[8192];
	static uint8_t back[4096];
	char path[128];
	struct hal *hal = file_disk("/dev/shm", false, path);

	memset(ones, 1, sizeof(ones));
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &tight);
	assert_int_equal(one(hal, HAL_WRITE, 0, 4096, ones), 0);
	assert_int_equal(hal_status(one(hal, HAL_WRITE, BYTES / 2, 4096, ones)),
			 NXBLK_S_NOSPC);
	/* The half that fits may be there, but it is no success. */
	assert_int_equal(hal_status(one(hal, HAL_WRITE, BYTES / 2 - 4096, 8192,
					ones)),
			 NXBLK_S_NOSPC);
	assert_int_equal(one(hal, HAL_READ, 0, 4096, back), 0);
	setrlimit(RLIMIT_FSIZE, &free_again);
	assert_memory_equal(ones, back, 4096);
	assert_int_equal(one(hal, HAL_WRITE, BYTES / 2, 4096, ones), 0);
	file_remove(hal, path);
}

static int durable(struct hal *hal, struct op *op, enum hal_op what)
{
	static uint8_t data[4096];

	memset(op, 0, sizeof(*op));
	op->io.op = what;
	op->io.durable = true;
	op->io.length = what == HAL_SYNC ? 0 : sizeof(data);
	if (what == HAL_WRITE)
		cut(op, data, sizeof(data));
	return carry_out(hal, op);
}

/*
 * Whether it is the write that fails or the sync: the latter takes with it what was
 * acknowledged before, whatever the error is called.
 */
static void syncs_that_fail(void **state)
{
	static const int errors[] = { EIO, ENOSPC, EDQUOT };
	static const enum hal_op ops[] = { HAL_SYNC, HAL_WRITE, HAL_ZERO };
	const struct rlimit none = { 0, RLIM_INFINITY };
	const struct rlimit free_again = { RLIM_INFINITY, RLIM_INFINITY };
	char path[128];
	struct hal *hal = file_disk("/dev/shm", true, path);
	struct op op;
	unsigned int i;
	unsigned int j;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		for (j = 0; j < ARRAY_SIZE(ops); j++) {
			sync_error = errors[i];
			assert_int_equal(durable(hal, &op, ops[j]), errors[i]);
			assert_true(op.io.unsynced);
			sync_error = 0;
			syncs = 0;
			assert_int_equal(durable(hal, &op, ops[j]), 0);
			assert_false(op.io.unsynced);
			assert_int_equal(syncs, 1);
		}
	}
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &none);
	assert_int_equal(hal_status(durable(hal, &op, HAL_WRITE)), NXBLK_S_NOSPC);
	setrlimit(RLIMIT_FSIZE, &free_again);
	assert_false(op.io.unsynced);
	file_remove(hal, path);
}

/* Zeroes where the file system can only be written to, too. */
static void neighbours_stay(void **state)
{
	static const enum hal_op ops[] = { HAL_DISCARD, HAL_ZERO };
	static uint8_t ones[65536];
	static uint8_t back[65536];
	char path[128];
	unsigned int i;
	unsigned int j;

	memset(ones, 1, sizeof(ones));
	for (i = 0; i < 4; i++) {
		struct hal *hal =
			file_disk(i & 1 ? "/var/tmp" : "/dev/shm", false, path);

		assert_int_equal(one(hal, HAL_WRITE, 0, sizeof(ones), ones), 0);
		assert_int_equal(one(hal, ops[i / 2], 512 * 3, 512 * 77, NULL),
				 0);
		assert_int_equal(one(hal, HAL_READ, 0, sizeof(back), back), 0);
		for (j = 0; j < sizeof(back); j++)
			assert_int_equal(back[j], j < 512 * 3 || j >= 512 * 80);
		file_remove(hal, path);
	}
}

static void read_only_medium(void **state)
{
	static uint8_t buffer[512];
	char path[128];
	struct hal_file_options opt = {
		.path = path,
		.block = 512,
		.read_only = true,
	};
	struct hal *hal = file_disk("/dev/shm", false, path);

	hal_close(hal);
	hal = hal_file_open(&opt);
	assert_true(hal->info.read_only);
	assert_int_equal(hal_start(hal, 8), 0);
	assert_int_not_equal(one(hal, HAL_WRITE, 0, 512, buffer), 0);
	assert_int_equal(one(hal, HAL_READ, 0, 512, buffer), 0);
	assert_int_equal(one(hal, HAL_SYNC, 0, 0, NULL), 0);
	file_remove(hal, path);
}

/* The ring can do file I/O on what is open, and nothing else, for good. */
static void ring_is_restricted(void **state)
{
	struct io_uring_restriction more = {
		.opcode = IORING_RESTRICTION_SQE_OP,
		.sqe_op = IORING_OP_OPENAT,
	};
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	int i;

	assert_int_equal(uring_open(&ring, 8), 0);
	for (i = 0; i < 4; i++) {
		sqe = io_uring_get_sqe(&ring);
		if (i == 0)
			io_uring_prep_nop(sqe);
		else if (i == 1)
			io_uring_prep_openat(sqe, AT_FDCWD, "/dev/null",
					     O_RDONLY, 0);
		else if (i == 2)
			io_uring_prep_socket(sqe, 1, 1, 0, 0);
		else
			io_uring_prep_fsync(sqe, -1, 0);
		assert_int_equal(io_uring_submit(&ring), 1);
		assert_int_equal(io_uring_wait_cqe(&ring, &cqe), 0);
		assert_int_equal(cqe->res, i < 3 ? -EACCES : -EBADF);
		io_uring_cqe_seen(&ring, cqe);
	}
	assert_true(syscall(__NR_io_uring_register, ring.ring_fd,
			    IORING_REGISTER_RESTRICTIONS, &more, 1) < 0);
	io_uring_queue_exit(&ring);
}

static void status_of_errno(void **state)
{
	assert_int_equal(hal_status(0), NXBLK_S_OK);
	assert_int_equal(hal_status(EIO), NXBLK_S_IOERR);
	assert_int_equal(hal_status(ENOSPC), NXBLK_S_NOSPC);
	assert_int_equal(hal_status(EDQUOT), NXBLK_S_NOSPC);
	assert_int_equal(hal_status(EROFS), NXBLK_S_RO);
	assert_int_equal(hal_status(ETIMEDOUT), NXBLK_S_TIMEOUT);
	/* Linux's fsync() would take it for success. */
	assert_int_equal(hal_status(EOPNOTSUPP), NXBLK_S_IOERR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(model_mem),
		cmocka_unit_test(model_file_in_memory),
		cmocka_unit_test(model_file_on_device),
		cmocka_unit_test(model_file_without_uring),
		cmocka_unit_test(model_block_device),
		cmocka_unit_test(many_in_flight),
		cmocka_unit_test(shrunken),
		cmocka_unit_test(resized),
		cmocka_unit_test(no_space),
		cmocka_unit_test(syncs_that_fail),
		cmocka_unit_test(syncs_fail_together),
		cmocka_unit_test(neighbours_stay),
		cmocka_unit_test(read_only_medium),
		cmocka_unit_test(ring_is_restricted),
		cmocka_unit_test(status_of_errno),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
