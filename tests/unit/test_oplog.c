/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The operation log: every change is in it, with its data and in order, reads are
 * not, and a log that cannot be written ends without harm to the disk.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "rumpk/oplog.h"
#include "rumpk/util.h"

#define BYTES 65536u
#define DISK 3

static int ended;
static struct oplog_known known;
static char path[32];

static void op_done(struct hal_io *io)
{
	(void)io;
	ended++;
}

static struct hal *open_logged(int log)
{
	const uint8_t uuid[16] = { 1 };
	struct hal *below;
	struct hal *hal;
	int fd;

	assert_int_equal(hal_mem_create(BYTES, &fd), 0);
	below = hal_mem_open(fd, BYTES, false, 512, uuid);
	close(fd);
	assert_non_null(below);
	hal = hal_log_open(below, log, DISK, &known.end);
	assert_non_null(hal);
	assert_int_equal(hal->info.capacity, BYTES);
	assert_memory_equal(hal->info.uuid, uuid, 16);
	assert_int_equal(hal_start(hal, 4), 0);
	return hal;
}

static int carry_out(struct hal *hal, enum hal_op op, void *data,
		     uint64_t offset, uint64_t length, bool durable)
{
	struct iovec iov[2] = { { data, 512 },
				{ (uint8_t *)data + 512, length - 512 } };
	struct hal_io io = {
		.op = op,
		.durable = durable,
		.niov = data ? 2 : 0,
		.iov = iov,
		.offset = offset,
		.length = length,
		.done = op_done,
	};

	ended = 0;
	hal_submit(hal, &io);
	assert_int_equal(ended, 1);
	return io.error;
}

static int temporary(void)
{
	int fd = memfd_create("oplog", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_APPEND), 0);
	return fd;
}

static void expect_record(int fd, off_t *at, enum oplog_type type, enum hal_op op,
			  uint64_t id, uint64_t offset, uint64_t length)
{
	struct oplog_record rec;

	assert_int_equal(pread(fd, &rec, sizeof(rec), *at), sizeof(rec));
	assert_int_equal(rec.magic, OPLOG_MAGIC);
	assert_int_equal(rec.type, type);
	assert_int_equal(rec.disk, DISK);
	assert_int_equal(rec.op, op);
	assert_int_equal(rec.id, id);
	assert_int_equal(rec.offset, offset);
	assert_int_equal(rec.length, length);
	*at += sizeof(rec);
}

static void log_tells_all_in_order(void **state)
{
	uint8_t data[2048], found[2048];
	int fd = temporary();
	struct hal *hal;
	struct oplog_record rec;
	off_t at = 0;

	known.end = 0;
	hal = open_logged(fd);
	memset(data, 0x5a, sizeof(data));
	data[600] = 7;
	assert_int_equal(carry_out(hal, HAL_WRITE, data, 4096, 2048, true), 0);
	assert_int_equal(carry_out(hal, HAL_READ, found, 4096, 2048, false), 0);
	assert_memory_equal(found, data, sizeof(data));
	assert_int_equal(carry_out(hal, HAL_ZERO, NULL, 512, 1024, false), 0);
	assert_int_equal(carry_out(hal, HAL_SYNC, NULL, 0, 0, false), 0);
	assert_int_equal(hal_sync(hal), 0);
	hal_close(hal);

	expect_record(fd, &at, OPLOG_DISK, 0, 0, 0, BYTES);
	assert_int_equal(pread(fd, &rec, sizeof(rec), at), sizeof(rec));
	assert_int_equal(rec.flags, OPLOG_DURABLE);
	expect_record(fd, &at, OPLOG_BEGIN, HAL_WRITE, 0, 4096, 2048);
	assert_int_equal(pread(fd, found, 2048, at), 2048);
	assert_memory_equal(found, data, sizeof(data));
	at += 2048;
	expect_record(fd, &at, OPLOG_END, HAL_WRITE, 0, 0, 0);
	expect_record(fd, &at, OPLOG_BEGIN, HAL_ZERO, 1, 512, 1024);
	expect_record(fd, &at, OPLOG_END, HAL_ZERO, 1, 0, 0);
	expect_record(fd, &at, OPLOG_BEGIN, HAL_SYNC, 2, 0, 0);
	expect_record(fd, &at, OPLOG_END, HAL_SYNC, 2, 0, 0);
	expect_record(fd, &at, OPLOG_BEGIN, HAL_SYNC, 3, 0, 0);
	expect_record(fd, &at, OPLOG_END, HAL_SYNC, 3, 0, 0);
	assert_int_equal(pread(fd, &rec, sizeof(rec), at), 0);
	close(fd);
}

static void log_that_is_full_ends_alone(void **state)
{
	uint8_t data[1024], found[1024];
	int fd = open("/dev/full", O_WRONLY | O_APPEND | O_CLOEXEC);
	struct hal *hal;

	assert_true(fd >= 0);
	known.end = 0;
	hal = open_logged(fd);
	close(fd);
	memset(data, 0x77, sizeof(data));
	assert_int_equal(carry_out(hal, HAL_WRITE, data, 0, 1024, false), 0);
	assert_int_equal(carry_out(hal, HAL_READ, found, 0, 1024, false), 0);
	assert_memory_equal(found, data, sizeof(data));
	hal_close(hal);
}

static void write_record(struct hal *hal, uint64_t offset)
{
	uint8_t data[1024];

	memset(data, 0x11, sizeof(data));
	assert_int_equal(carry_out(hal, HAL_WRITE, data, offset, 1024, false), 0);
}

static int new_file(void)
{
	strcpy(path, "/dev/shm/oplog-XXXXXX");
	return mkstemp(path);
}

/* A log in a file, of three records; how long it is. */
static off_t make_log(void)
{
	int fd;
	struct hal *hal;

	close(new_file());
	known.end = 0;
	fd = oplog_open(path, &known, false);
	assert_true(fd >= 0);
	hal = open_logged(fd);
	write_record(hal, 0);
	hal_close(hal);
	assert_int_equal(lseek(fd, 0, SEEK_END), 32 + 32 + 1024 + 32);
	assert_int_equal(known.end, 32 + 32 + 1024 + 32);
	close(fd);
	return (off_t)known.end;
}

static void append_of(size_t bytes, uint64_t length)
{
	const struct oplog_record rec = {
		.magic = OPLOG_MAGIC,
		.type = OPLOG_BEGIN,
		.op = HAL_WRITE,
		.length = length,
	};
	uint8_t torn[2048] = { 0 };
	int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);

	memcpy(torn, &rec, sizeof(rec));
	assert_int_equal(write(fd, torn, bytes), bytes);
	close(fd);
}

static void append(size_t bytes)
{
	append_of(bytes, 4096);
}

/* What follows can be read, and so can all before. */
static void expect_whole(off_t before)
{
	struct hal *hal;
	off_t at = before;
	int fd = oplog_open(path, &known, true);
	const uint64_t whole = known.end;

	assert_true(fd >= 0);
	assert_int_equal(whole, before);
	hal = open_logged(fd);
	hal_close(hal);
	expect_record(fd, &at, OPLOG_DISK, 0, 0, 0, BYTES);
	assert_int_equal(lseek(fd, 0, SEEK_END), at);
	close(fd);
	unlink(path);
}

/* A worker was killed while it wrote: of what came from it nobody has heard. */
static void torn_record_is_cut_off(void **state)
{
	static const size_t torn[] = { 1, 31, 32, 33, 2048 };
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(torn); i++) {
		off_t whole = make_log();

		append(torn[i]);
		expect_whole(whole);
	}
}

/* Likewise by all of an earlier cell, of which nothing else is known. */
static void torn_record_of_another_cell(void **state)
{
	static const size_t torn[] = { 1, 31, 32, 33, 2048 };
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(torn); i++) {
		off_t whole = make_log();
		int fd;

		append(torn[i]);
		known.end = 0;
		fd = oplog_open(path, &known, false);
		assert_true(fd >= 0);
		close(fd);
		expect_whole(whole);
	}
}

/* A worker may write anything to it: no length makes the next one look for ever. */
static void length_beyond_all(void **state)
{
	static const uint64_t length[] = { -32ull, ~0ull, -64ull, 1ull << 63 };
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(length); i++) {
		off_t whole = make_log();
		int fd;

		append_of(64, length[i]);
		known.end = 0;
		alarm(10);
		fd = oplog_open(path, &known, false);
		alarm(0);
		assert_true(fd >= 0);
		close(fd);
		expect_whole(whole);
	}
}

static void what_is_no_log_is_left_alone(void **state)
{
	off_t whole = make_log();
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(pwrite(fd, "text", 4, 32), 4);
	close(fd);
	known.end = 0;
	assert_int_equal(oplog_open(path, &known, false), -EINVAL);
	assert_int_equal(truncate(path, whole - 1), 0);
	known.end = (uint64_t)whole;
	assert_int_equal(oplog_open(path, &known, true), -EINVAL);
	assert_true(known.end == OPLOG_ENDED);
	unlink(path);
}

static void leaves_another_file_alone(bool successor)
{
	static const char text[4096] = "no record of any log";
	char found[sizeof(text)];
	char old[sizeof(path)];
	int fd;

	make_log();
	memcpy(old, path, sizeof(old));
	fd = new_file();
	assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
	assert_int_equal(oplog_open(path, &known, successor), -EINVAL);
	assert_true(successor == (known.end == OPLOG_ENDED));
	assert_int_equal(lseek(fd, 0, SEEK_END), sizeof(text));
	assert_int_equal(pread(fd, found, sizeof(found), 0), sizeof(found));
	assert_memory_equal(found, text, sizeof(text));
	close(fd);
	unlink(path);
	unlink(old);
}

/* An end that is known is that of one file, whatever is named now. */
static void another_file_is_left_alone(void **state)
{
	(void)state;
	leaves_another_file_alone(false);
	leaves_another_file_alone(true);
}

/* What a rumpk that comes again is given in its place begins by itself. */
static void another_log_is_a_new_one(void **state)
{
	char old[sizeof(path)];

	(void)state;
	make_log();
	memcpy(old, path, sizeof(old));
	close(new_file());
	close(oplog_open(path, &known, false));
	assert_int_equal(known.end, 0);
	unlink(old);
	expect_whole(0);
}

/* A log of two would be cut off by each where the other has not heard of its end. */
static void log_of_one(void **state)
{
	off_t whole = make_log();
	struct oplog_known other = { 0 };
	int fd = oplog_open(path, &known, true);

	(void)state;
	assert_true(fd >= 0);
	append(100);
	assert_int_equal(oplog_open(path, &other, false), -EINVAL);
	assert_int_equal(lseek(fd, 0, SEEK_END), whole + 100);
	close(fd);
	expect_whole(whole);
}

/* Also what is too short for a record, alone or behind those of a log. */
static void no_text_is_cut_off(void **state)
{
	static const char text[] = "127.0.0.1 localh\n";
	static const off_t at[] = { 0, 32, 1120 };
	char found[sizeof(text)];
	unsigned int i;
	int fd;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		assert_true(make_log() == at[2]);
		assert_int_equal(truncate(path, at[i]), 0);
		fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
		assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
		known.end = 0;
		assert_int_equal(oplog_open(path, &known, false), -EINVAL);
		assert_int_equal(pread(fd, found, sizeof(found), at[i]),
				 sizeof(found));
		assert_memory_equal(found, text, sizeof(text));
		close(fd);
		unlink(path);
	}
}

/* A record that does not fit is the last of all disks' and of all workers'. */
static void log_without_a_hole(void **state)
{
	struct rlimit all, limit;
	off_t whole = make_log();
	struct hal *hal;
	int fd = oplog_open(path, &known, true);

	(void)state;
	assert_true(fd >= 0);
	hal = open_logged(fd);
	whole += 32;
	known.end = (uint64_t)whole;
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &all);
	limit = all;
	limit.rlim_cur = (rlim_t)whole + 500;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	write_record(hal, 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
	assert_true(known.end == OPLOG_ENDED);
	write_record(hal, 0);
	assert_int_equal(hal_sync(hal), 0);
	hal_close(hal);
	assert_int_equal(lseek(fd, 0, SEEK_END), whole);
	close(fd);
	assert_int_equal(oplog_open(path, &known, true), -EINVAL);
	assert_true(known.end == OPLOG_ENDED);
	/* Nor is it gone on with by a rumpk that comes again. */
	assert_int_equal(oplog_open(path, &known, false), -EINVAL);
	assert_true(known.end == OPLOG_ENDED);
	assert_int_equal(unlink(path), 0);
	fd = oplog_open(path, &known, false);
	assert_true(fd >= 0);
	assert_int_equal(known.end, 0);
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(log_tells_all_in_order),
		cmocka_unit_test(log_that_is_full_ends_alone),
		cmocka_unit_test(torn_record_is_cut_off),
		cmocka_unit_test(torn_record_of_another_cell),
		cmocka_unit_test(length_beyond_all),
		cmocka_unit_test(what_is_no_log_is_left_alone),
		cmocka_unit_test(another_file_is_left_alone),
		cmocka_unit_test(another_log_is_a_new_one),
		cmocka_unit_test(log_of_one),
		cmocka_unit_test(no_text_is_cut_off),
		cmocka_unit_test(log_without_a_hole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
