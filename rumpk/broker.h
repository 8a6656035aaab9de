/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The broker: a worker is confined and can name nothing. What it may have to
 * connect to again, or an image that was not there when it started, it asks its
 * supervisor for by number:
 *
 *   worker --- question ---> supervisor: connect() to the path that has this
 *          <--- reply, fd ---            number on the command line, or opens and
 *                                        locks the image
 *
 * The supervisor keeps no copy of an image: with the worker's its locks go. Of a
 * connection to a device that may use lent memory, and has no fence, it keeps one: when
 * the worker dies, it is shut down, and the next worker sees by it when the device has
 * closed its end (vio_life.c).
 *
 * The worker waits for no answer: broker_link.c. On a SOCK_SEQPACKET pair. What is no
 * such message is ignored.
 */
#ifndef RUMPK_BROKER_H
#define RUMPK_BROKER_H

#include <stdbool.h>
#include <stdint.h>

#include "image.h"
#include "log.h"
#include "window.h"

/* Disk n has number n. */
#define BROKER_QMP WINDOW_MAX_DISKS
#define BROKER_PATHS (WINDOW_MAX_DISKS + 1)

/**
 * struct broker_image - an image that may be asked for
 * @path: name; NULL: none
 * @known: image_witness(); -1: none
 * @read_only: as image_open()
 * @block: as image_open()
 * @failed: what the latest try that has left a line in the log came to; 0: it left none
 * @lines: limits those
 */
struct broker_image {
	const char *path;
	int known;
	bool read_only;
	uint32_t block;
	int failed;
	struct rumpk_ratelimit lines;
};

/**
 * struct broker - what may be asked for
 * @path: by number: of a stream socket; NULL: nothing
 * @image: by number of the disk
 * @keeps: by number of the disk: its latest connection is kept
 * @kept: by number of the disk, where @keeps says so: connection; -1: none so far
 */
struct broker {
	const char *path[BROKER_PATHS];
	struct broker_image image[WINDOW_MAX_DISKS];
	bool keeps[WINDOW_MAX_DISKS];
	int kept[WINDOW_MAX_DISKS];
};

/**
 * enum broker_what - what is asked for
 * @BROKER_CONNECT: a connection to a path
 * @BROKER_OPEN: an image, opened and locked
 * @BROKER_OPEN_OR_NAME: likewise; who holds the lock is worth a line
 */
enum broker_what {
	BROKER_CONNECT,
	BROKER_OPEN,
	BROKER_OPEN_OR_NAME,
};

/**
 * struct broker_question - from a worker
 * @serial: comes back
 * @index: of the path or the image
 * @what: &enum broker_what
 */
struct broker_question {
	uint32_t serial;
	uint32_t index;
	uint32_t what;
};

/**
 * struct broker_reply - to a worker
 * @serial: of the question
 * @result: 0, and a descriptor comes with it; or -errno, -ENOENT for a number
 *	without a path; -EBUSY: an image's lock is held, -ETXTBSY: by a process
 * @image: but for its descriptor
 */
struct broker_reply {
	uint32_t serial;
	int32_t result;
	struct image image;
};

/**
 * struct broker_asked - what a worker has asked for by one index
 * @serial: of the question; 0: none is out
 * @answered: its answer has come, and nobody has taken it yet
 * @came_ms: when
 * @fd: descriptor or -errno
 * @image: but for its descriptor
 */
struct broker_asked {
	uint32_t serial;
	bool answered;
	uint64_t came_ms;
	int fd;
	struct image image;
};

/**
 * struct broker_link - the worker's end, for the serving thread alone
 * @sock: non-blocking; -1: there is no supervisor to be asked
 * @serial: of the latest question
 * @asked: by index
 */
struct broker_link {
	int sock;
	uint32_t serial;
	struct broker_asked asked[BROKER_PATHS];
};

void broker_answer(struct broker *b, int sock);
void broker_worker_died(const struct broker *b);

void broker_link_init(struct broker_link *l, int sock);
void broker_look(struct broker_link *l);
int broker_ask(struct broker_link *l, uint32_t index, enum broker_what what,
	       struct image *img);

#endif /* RUMPK_BROKER_H */
