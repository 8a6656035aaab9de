/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Waiting until a change of the authority is all there is: a worker goes by it, and
 * what it had judged by what was before is over.
 */
#ifndef RUMPK_DRAIN_H
#define RUMPK_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "safety.h"

/* Longer than it takes until a hung worker is replaced by one that serves. */
#define DRAIN_MS 12000u

/**
 * enum drain_state - how far it is
 * @DRAIN_WAITS: look again later
 * @DRAIN_OVER: nothing of before can have an effect any more
 * @DRAIN_LATE: that could not be seen in time
 */
enum drain_state {
	DRAIN_WAITS,
	DRAIN_OVER,
	DRAIN_LATE,
};

/**
 * struct drain - what is waited for
 * @changes: of the authority
 * @until_ms: for so long
 * @seen: a worker went by them, and @since was taken then
 * @since: by tag: when the request that it had then was begun; 0: it is over
 */
struct drain {
	uint64_t changes;
	uint64_t until_ms;
	bool seen;
	uint32_t since[VALVE_MAX_DEPTH];
};

void drain_begin(struct drain *d, const struct authority *a);
enum drain_state drain_look(struct drain *d, const struct ledger *l,
			    unsigned int disk);
bool drain_seen(const struct drain *d, const struct ledger *l);
const char *drain_obstacle(const struct ledger *l, unsigned int disk);
unsigned int drain_left(const struct drain *d, const struct ledger *l,
			unsigned int disk);

#endif /* RUMPK_DRAIN_H */
