/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The operation log: every change is in it, with its data and in order, reads are
 * not, and a log that cannot be written ends without harm to the disk.
 */
#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rumpk/oplog.h"

#define BYTES 65536u
#define DISK 3

static int ended;
static uint64_t log_end;

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
	log_end = 0;
	hal = hal_log_open(below, log, DISK, &log_end);
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
	struct hal *hal = open_logged(fd);
	struct oplog_record rec;
	off_t at = 0;

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
	hal = open_logged(fd);
	close(fd);
	memset(data, 0x77, sizeof(data));
	assert_int_equal(carry_out(hal, HAL_WRITE, data, 0, 1024, false), 0);
	assert_int_equal(carry_out(hal, HAL_READ, found, 0, 1024, false), 0);
	assert_memory_equal(found, data, sizeof(data));
	hal_close(hal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(log_tells_all_in_order),
		cmocka_unit_test(log_that_is_full_ends_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
