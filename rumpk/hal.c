/* SPDX-License-Identifier: GPL-2.0-only */
#include "hal.h"

#include <errno.h>

#include <nexus/nxblk_abi.h>

/**
 * hal_status - the one map from errno to wire status
 * @error: 0 or a positive errno
 *
 * Not to be found here: UNSUPP. Linux's fsync() takes EOPNOTSUPP for success,
 * so a disk that cannot do what it offered has failed.
 *
 * Return: &enum nxblk_status.
 */
uint8_t hal_status(int error)
{
	switch (error) {
	case 0:
		return NXBLK_S_OK;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return NXBLK_S_NOSPC;
	case EROFS:
		return NXBLK_S_RO;
	case ETIMEDOUT:
		return NXBLK_S_TIMEOUT;
	default:
		return NXBLK_S_IOERR;
	}
}

/**
 * hal_advance - move past bytes that were transferred
 * @io: operation with a buffer
 * @n: bytes, at most what is left
 */
void hal_advance(struct hal_io *io, uint64_t n)
{
	io->offset += n;
	io->length -= n;
	while (n && n >= io->iov->iov_len) {
		n -= io->iov->iov_len;
		io->iov++;
		io->niov--;
	}
	if (n) {
		io->iov->iov_base = (uint8_t *)io->iov->iov_base + n;
		io->iov->iov_len -= n;
	}
}
