/* SPDX-License-Identifier: GPL-2.0-only */
#include "uring.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util.h"

static const __u8 allowed[] = {
	IORING_OP_READV,
	IORING_OP_WRITEV,
	IORING_OP_FSYNC,
	IORING_OP_FALLOCATE,
};

/* liburing 2.3 declares functions for these two, but does not export them. */
static int uring_register(int fd, unsigned int op, void *arg, unsigned int nr)
{
	return syscall(__NR_io_uring_register, fd, op, arg, nr) < 0 ? -errno : 0;
}

static int uring_restrict(int fd)
{
	struct io_uring_restriction res[ARRAY_SIZE(allowed)];
	size_t i;

	memset(res, 0, sizeof(res));
	for (i = 0; i < ARRAY_SIZE(allowed); i++) {
		res[i].opcode = IORING_RESTRICTION_SQE_OP;
		res[i].sqe_op = allowed[i];
	}
	return uring_register(fd, IORING_REGISTER_RESTRICTIONS, res,
			      ARRAY_SIZE(allowed));
}

/**
 * uring_open - create a ring that can do nothing but file I/O
 * @ring: filled on success
 * @entries: of the submission queue
 *
 * Return: 0 or -errno.
 */
int uring_open(struct io_uring *ring, unsigned int entries)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_CLAMP,
	};
	int err = io_uring_queue_init_params(entries, ring, &params);

	if (err)
		return err;
	err = uring_restrict(ring->ring_fd);
	if (!err)
		err = uring_register(ring->ring_fd,
				     IORING_REGISTER_ENABLE_RINGS, NULL, 0);
	if (err)
		io_uring_queue_exit(ring);
	return err;
}
