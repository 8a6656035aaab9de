/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Changing the size of an image while it is served:
 *
 *   smaller: no request goes beyond the new end any more, and none that did is
 *            under way; then the file is cut; then that is what the guest is offered
 *   larger:  the file grows, then the guest is offered it
 *
 * A step that fails before the file is changed leaves things as they were. What may block is done by a process
 * of its own. One image at a time.
 */
#ifndef RUMPK_RESIZE_H
#define RUMPK_RESIZE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "drain.h"
#include "options.h"
#include "safety.h"

/**
 * enum resize_phase - where it is
 * @RESIZE_NONE: nothing to do
 * @RESIZE_LOWER: the guest is offered less
 * @RESIZE_CHANGE: the file is being changed
 * @RESIZE_LOOK: a worker is to look at it
 */
enum resize_phase {
	RESIZE_NONE,
	RESIZE_LOWER,
	RESIZE_CHANGE,
	RESIZE_LOOK,
};

/**
 * enum resize_error - reasons of our own, beside the positive errnos of the system
 * @RESIZE_NO_FILE: what the path names is no regular file
 * @RESIZE_OTHER_FILE: or another one
 * @RESIZE_SMALLER: it is larger than was known
 * @RESIZE_UNSYNCED: the file is changed, but the disk may not know
 * @RESIZE_KILLED: nobody knows how far it came
 * @RESIZE_LATE: what is under way beyond the new end does not finish
 * @RESIZE_UNSEEN: the file is changed, but no worker has looked
 * @RESIZE_OTHER_SIZE: a worker has, and found something else
 *
 * All fit into the exit status of a process.
 */
enum resize_error {
	RESIZE_NO_FILE = 200,
	RESIZE_OTHER_FILE,
	RESIZE_SMALLER,
	RESIZE_UNSYNCED,
	RESIZE_KILLED,
	RESIZE_LATE,
	RESIZE_UNSEEN,
	RESIZE_OTHER_SIZE,
};

/**
 * struct resize - the one that is under way, or was last
 * @phase: where it is
 * @serial: of it; begins with 1
 * @disk: number
 * @path: of the image
 * @block: logical block in bytes
 * @uuid: of the image
 * @shrink: it may become smaller
 * @bytes: size that was asked for
 * @before: bytes that the guest was offered before
 * @drain: in the phases that wait for a worker
 * @child: changes the file
 * @error: how it went: 0, a positive errno, or an enum resize_error
 */
struct resize {
	enum resize_phase phase;
	unsigned int serial;
	unsigned int disk;
	const char *path;
	uint32_t block;
	uint8_t uuid[16];
	bool shrink;
	uint64_t bytes;
	uint64_t before;
	struct drain drain;
	pid_t child;
	int error;
};

void resize_begin(struct resize *r, struct authority *a);
void resize_go_on(struct resize *r, struct authority *a, const struct ledger *l);
const char *resize_fault(int error);

#endif /* RUMPK_RESIZE_H */
