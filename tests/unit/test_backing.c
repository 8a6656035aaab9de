/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A backing file that does less than it is asked for: any part of it, nothing for
 * now, or nothing at all. The calls below are those that rumpk is linked with.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <nexus/nxblk_abi.h>

#include "rumpk/hal.h"
#include "rumpk/util.h"

#define BYTES (1u << 20)
#define MOST_IO 16384u
#define PIECES 4

/**
 * struct mood - how the file behaves
 * @parts: transfers are cut, and often put off
 * @calls: so many more, and then @error
 * @error: errno; 0: none
 * @cut: transfers that were
 * @put_off: calls that were
 */
struct mood {
	bool parts;
	unsigned int calls;
	int error;
	unsigned int cut;
	unsigned int put_off;
};

static struct mood mood;

/* -1 with errno when this call is to fail. */
static int judge(void)
{
	static const int later[] = { EINTR, EAGAIN };

	if (mood.error && !mood.calls--) {
		errno = mood.error;
		mood.error = 0;
		return -1;
	}
	if (!mood.parts || rand() % 3)
		return 0;
	mood.put_off++;
	errno = later[rand() % 2];
	return -1;
}

static long transfer(long call, int fd, const struct iovec *iov, int n,
		     off_t at, int flags)
{
	struct iovec part = iov[0];

	if (judge())
		return -1;
	if (!mood.parts || rand() % 4 == 0)
		return syscall(call, fd, iov, n, at, 0, flags);
	mood.cut++;
	part.iov_len = 1 + (size_t)rand() % part.iov_len;
	return syscall(call, fd, &part, 1, at, 0, flags);
}

ssize_t preadv2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
	return transfer(SYS_preadv2, fd, iov, n, at, flags);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int n, off_t at, int flags)
{
	return transfer(SYS_pwritev2, fd, iov, n, at, flags);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at)
{
	if (judge())
		return -1;
	if (mood.parts)
		length = 1 + (size_t)rand() % length;
	return syscall(SYS_pwrite64, fd, data, length, at);
}

/* A file system that can do neither has its zeroes written. */
int fallocate(int fd, int mode, off_t at, off_t length)
{
	if (judge())
		return -1;
	if (mood.parts && rand() % 2) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, at, length);
}

int fdatasync(int fd)
{
	return judge() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

static bool ended;

static void op_done(struct hal_io *io)
{
	(void)io;
	assert_false(ended);
	ended = true;
}

static int carry_out(struct hal *hal, enum hal_op op, uint8_t *data,
		     uint64_t offset, uint64_t length, bool durable)
{
	time_t until = time(NULL) + 20;
	struct iovec iov[PIECES];
	struct hal_io io = {
		.op = op,
		.durable = durable,
		.unmap = rand() % 2,
		.iov = iov,
		.offset = offset,
		.length = length,
		.done = op_done,
	};

	while (data && length) {
		uint64_t part =
			io.niov == PIECES - 1 ?
				length :
				512 * (1 + (uint64_t)rand() % (length / 512));

		iov[io.niov++] = (struct iovec){ data, part };
		data += part;
		length -= part;
	}
	ended = false;
	hal_submit(hal, &io);
	while (!ended) {
		hal_kick(hal);
		hal_poll(hal);
		assert_true(time(NULL) < until);
	}
	return io.error;
}

static struct hal *open_disk(const char *where, char *path)
{
	struct hal_file_options opt = { .path = path, .block = 512 };
	struct hal *hal;
	int fd;

	memset(&mood, 0, sizeof(mood));
	srand(7);
	sprintf(path, "%s/rumpk-unit-XXXXXX", where);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, BYTES), 0);
	close(fd);
	hal = hal_file_open(&opt);
	assert_non_null(hal);
	assert_int_equal(hal_start(hal, 8), 0);
	return hal;
}

static void close_disk(struct hal *hal, const char *path)
{
	memset(&mood, 0, sizeof(mood));
	hal_close(hal);
	unlink(path);
}

/* Whatever it takes: each operation ends well, and all bytes are there. */
static void in_parts(const char *where, unsigned int ops)
{
	static uint8_t model[BYTES], data[MOST_IO];
	char path[64];
	struct hal *hal = open_disk(where, path);
	int i;

	memset(model, 0, sizeof(model));
	mood.parts = true;
	for (i = 0; i < (int)ops; i++) {
		uint64_t n = 512 * (1 + (uint64_t)rand() % (MOST_IO / 512));
		uint64_t at = 512 * ((uint64_t)rand() % ((BYTES - n) / 512));
		bool durable = rand() % 4 == 0;

		switch (rand() % 4) {
		case 0:
			memset(data, i, n);
			memcpy(data + n / 2, &i, sizeof(i));
			memcpy(model + at, data, n);
			assert_int_equal(carry_out(hal, HAL_WRITE, data, at, n,
						   durable),
					 0);
			break;
		case 1:
			memset(model + at, 0, n);
			assert_int_equal(carry_out(hal, HAL_ZERO, NULL, at, n,
						   durable),
					 0);
			break;
		case 2:
			assert_int_equal(carry_out(hal, HAL_SYNC, NULL, 0, 0,
						   false),
					 0);
			break;
		default:
			memset(data, 0xee, n);
			assert_int_equal(carry_out(hal, HAL_READ, data, at, n,
						   false),
					 0);
			assert_memory_equal(data, model + at, n);
		}
	}
	assert_true(mood.cut > ops / 10 && mood.put_off > ops / 10);
	close_disk(hal, path);
}

static void in_parts_in_memory(void **state)
{
	(void)state;
	in_parts("/dev/shm", 3000);
}

static void in_parts_on_device(void **state)
{
	(void)state;
	/* Each sync takes its time there. */
	in_parts("/var/tmp", 300);
}

/*
 * An error after any part of an operation: it is the operation's, once; all around
 * it is as it was, and the next one works.
 */
static void errors_in_the_middle(void **state)
{
	static const struct {
		int error;
		uint8_t status;
	} errors[] = {
		{ EIO, NXBLK_S_IOERR },	       { ENOSPC, NXBLK_S_NOSPC },
		{ EDQUOT, NXBLK_S_NOSPC },     { EFBIG, NXBLK_S_NOSPC },
		{ EROFS, NXBLK_S_RO },	       { EFAULT, NXBLK_S_IOERR },
		{ EOPNOTSUPP, NXBLK_S_IOERR },
	};
	static const enum hal_op ops[] = { HAL_READ, HAL_WRITE };
	static uint8_t data[8192], found[8192];
	char path[64];
	struct hal *hal = open_disk("/dev/shm", path);
	unsigned int i, j, calls;

	(void)state;
	memset(data, 0x11, sizeof(data));
	for (i = 0; i < 8; i++)
		assert_int_equal(carry_out(hal, HAL_WRITE, data, 8192 * i, 8192,
					   false),
				 0);
	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		for (j = 0; j < ARRAY_SIZE(ops); j++) {
			for (calls = 0; calls < 4; calls++) {
				int err;

				memset(data, 0x22, sizeof(data));
				mood.parts = calls > 0;
				mood.calls = calls;
				mood.error = errors[i].error;
				err = carry_out(hal, ops[j], data, 8192, 8192,
						false);
				/* All may have been done before it was met. */
				if (mood.error)
					assert_int_equal(err, 0);
				else
					assert_int_equal(hal_status(err),
							 errors[i].status);
				memset(&mood, 0, sizeof(mood));
				assert_int_equal(carry_out(hal, HAL_READ, found,
							   0, 8192, false),
						 0);
				assert_int_equal(found[0], 0x11);
				assert_memory_equal(found, found + 1, 8191);
				assert_int_equal(carry_out(hal, HAL_READ, found,
							   16384, 8192, false),
						 0);
				assert_int_equal(found[0], 0x11);
				assert_memory_equal(found, found + 1, 8191);
			}
		}
	}
	assert_int_equal(carry_out(hal, HAL_WRITE, data, 8192, 8192, true), 0);
	assert_int_equal(carry_out(hal, HAL_READ, found, 8192, 8192, false), 0);
	assert_memory_equal(found, data, sizeof(data));
	close_disk(hal, path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_parts_in_memory),
		cmocka_unit_test(in_parts_on_device),
		cmocka_unit_test(errors_in_the_middle),
	};

	return cmocka_run_group_tests_name("backing", tests, NULL, NULL);
}
