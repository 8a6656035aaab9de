/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The broker: a worker is confined and can name nothing. What it may have to
 * connect to again, it asks its supervisor for by number:
 *
 *   worker --- question ---> supervisor: connect() to the path that has this
 *          <--- reply, fd ---            number on the command line
 *
 * On a SOCK_SEQPACKET pair. What is no such message is ignored.
 */
#ifndef RUMPK_BROKER_H
#define RUMPK_BROKER_H

#include <stdint.h>

#include "window.h"

/* Disk n has number n. */
#define BROKER_QMP WINDOW_MAX_DISKS
#define BROKER_PATHS (WINDOW_MAX_DISKS + 1)

/**
 * struct broker - what may be asked for
 * @path: by number: of a stream socket; NULL: nothing
 */
struct broker {
	const char *path[BROKER_PATHS];
};

/**
 * struct broker_question - from a worker
 * @serial: comes back
 * @index: of the path
 */
struct broker_question {
	uint32_t serial;
	uint32_t index;
};

/**
 * struct broker_reply - to a worker
 * @serial: of the question
 * @result: 0, and a descriptor comes with it; or -errno, -ENOENT for a number
 *	without a path
 */
struct broker_reply {
	uint32_t serial;
	int32_t result;
};

void broker_answer(const struct broker *b, int sock);
int broker_connect(int sock, uint32_t index);

#endif /* RUMPK_BROKER_H */
