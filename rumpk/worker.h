/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The worker: the process that serves. It opens the disks afresh, waits until
 * nothing that its predecessor began can still land, gives up all that serving
 * does not need, and only then looks at what a guest wrote.
 */
#ifndef RUMPK_WORKER_H
#define RUMPK_WORKER_H

#include "keeper.h"
#include "options.h"
#include "supervisor.h"

#define WORKER_MAX_INHERITED 64u

/**
 * struct worker_plan - what all workers of a cell are told
 * @options: command line
 * @fds: memories, doorbells and witnesses
 * @inherited: descriptors that rumpk was started with: a path can name one
 * @ninherited: of them
 * @former: of each disk: connection that an earlier worker had to its device; -1: none,
 *	or none that is to be waited for
 * @again: also the first one finds a window that was served before
 */
struct worker_plan {
	const struct options *options;
	const struct keeper_fds *fds;
	const int *inherited;
	unsigned int ninherited;
	const int *former;
	bool again;
};

int worker_main(const void *arg, const struct worker_seat *seat);

#endif /* RUMPK_WORKER_H */
