/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The supervisor: the process that the user started. It has a worker serve, and
 * another when that one dies or hangs; it keeps what no worker may change, and
 * reads nothing that a guest wrote.
 *
 *          fork                    serves                 dies, or was killed
 *   none --------> starting -------------------> serving ---------------------+
 *    ^               | dies; not the first one                                |
 *    +---------------+-------------------- at once, or after a back-off ------+
 *
 * A worker that was told to end, and the first one when it cannot start, is
 * followed by none: its status is the supervisor's.
 */
#ifndef RUMPK_SUPERVISOR_H
#define RUMPK_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker.h"
#include "control.h"
#include "keeper.h"
#include "safety.h"

/*
 * What a worker says on its link, once. What it hears are KEEPER_GUEST_*, and that the
 * authority has changed.
 */
#define WORKER_SERVES 1u
#define WORKER_LOOK (1u << 16)

/**
 * struct worker_seat - what a new worker finds
 * @number: workers before it
 * @guest: a QEMU is attached
 * @link: to the supervisor: news of the guest; its end is the supervisor's
 * @broker: to the supervisor: see broker.h
 * @supervisor: process number of its parent
 */
struct worker_seat {
	unsigned int number;
	bool guest;
	int link;
	int broker;
	pid_t supervisor;
};

/**
 * struct supervisor_plan - what a supervisor is to do
 * @work: be a worker, in a process of its own that ends with what this returns
 * @work_arg: for it
 * @served: the first worker serves; not 0: end it all with this status
 * @served_arg: for it
 * @reload: read again what can be read again; NULL: nothing
 * @reload_arg: for it
 * @link: to the keeper; valid from @served on
 * @broker: what workers may connect to
 * @authority: mapped to be changed
 * @ledger: mapped
 * @control: control socket, or NULL
 * @silent_ms: how long a worker that serves may be silent
 * @start_ms: how long one that starts may be about one disk
 */
struct supervisor_plan {
	int (*work)(const void *arg, const struct worker_seat *seat);
	const void *work_arg;
	int (*served)(void *arg);
	void *served_arg;
	void (*reload)(void *arg);
	void *reload_arg;
	struct keeper_link *link;
	struct broker *broker;
	struct authority *authority;
	struct ledger *ledger;
	struct control *control;
	unsigned int silent_ms;
	unsigned int start_ms;
};

#define SUPERVISOR_SILENT_MS 5000u
/* Longer than a worker waits for one disk, see disks.c. */
#define SUPERVISOR_START_MS 15000u

int supervisor_run(const struct supervisor_plan *plan);
unsigned int supervisor_backoff_ms(unsigned int quick_deaths);

#endif /* RUMPK_SUPERVISOR_H */
