/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How long to look for work before sleeping. The rule is that of QEMU's
 * aio_poll(): look longer while that would have caught the next request, not at
 * all once nothing comes soon.
 */
#ifndef RUMPK_POLLER_H
#define RUMPK_POLLER_H

#include <stdbool.h>
#include <stdint.h>

#define POLLER_FIRST_NS 4000u
#define POLLER_MOST_NS 100000u

/**
 * struct poller - state of the rule
 * @budget_ns: how long to look now
 * @idle_since: when work last ran out; 0: there is work
 */
struct poller {
	uint64_t budget_ns;
	uint64_t idle_since;
};

/**
 * poller_busy - there was work
 * @p: poller
 */
static inline void poller_busy(struct poller *p)
{
	p->idle_since = 0;
}

/**
 * poller_look_on - there is no work; look again or sleep
 * @p: poller
 * @now: monotonic nanoseconds
 *
 * Return: true to look again.
 */
static inline bool poller_look_on(struct poller *p, uint64_t now)
{
	if (!p->idle_since)
		p->idle_since = now;
	return now - p->idle_since < p->budget_ns;
}

/**
 * poller_slept - work came after a sleep: what would have been right
 * @p: poller
 * @now: monotonic nanoseconds
 */
static inline void poller_slept(struct poller *p, uint64_t now)
{
	uint64_t idle = now - p->idle_since;

	p->idle_since = 0;
	if (idle > POLLER_MOST_NS)
		p->budget_ns = 0;
	else if (idle > p->budget_ns)
		p->budget_ns = p->budget_ns ? 2 * p->budget_ns : POLLER_FIRST_NS;
	if (p->budget_ns > POLLER_MOST_NS)
		p->budget_ns = POLLER_MOST_NS;
}

#endif /* RUMPK_POLLER_H */
