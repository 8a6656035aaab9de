/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A restricted io_uring: created disabled, limited to what an image needs,
 * enabled. Seccomp does not see its operations, so the limits are its own.
 */
#ifndef RUMPK_URING_H
#define RUMPK_URING_H

#include <liburing.h>

int uring_open(struct io_uring *ring, unsigned int entries);

#endif /* RUMPK_URING_H */
