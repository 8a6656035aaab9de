/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One channel of a cell: its rings and its life, on top of a valve.
 */
#ifndef RUMPK_CHANNEL_H
#define RUMPK_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include <nexus/ion_host.h>

#include "log.h"
#include "valve.h"

/**
 * struct cell_channel - a channel
 * @end: the host's end of the rings
 * @valve: judges and carries out
 * @owner: takes the valve's answers
 * @number: for messages
 * @bell: eventfd that the guest rings
 * @guest_bells: eventfds that ring the guest
 * @nguest: of them
 * @lines: limits the lines about its life
 * @idle_bells: doorbells in a row that brought no work
 * @muted: its doorbell is not listened to for a while
 * @stalled: requests wait, but the guest takes no answers
 * @held: drained, but not to be offered anew yet
 */
struct cell_channel {
	struct ion_host_end end;
	struct valve valve;
	struct valve_owner owner;
	int number;
	int bell;
	const int *guest_bells;
	unsigned int nguest;
	struct rumpk_ratelimit lines;
	unsigned int idle_bells;
	bool muted;
	bool stalled;
	bool held;
};

void channel_start(struct cell_channel *ch);
void channel_wait(struct cell_channel *ch);
bool channel_step(struct cell_channel *ch);
bool channel_publish(struct cell_channel *ch);
bool channel_arm(struct cell_channel *ch);
void channel_guest_left(struct cell_channel *ch);
void channel_gone(struct cell_channel *ch);
void channel_notify(struct cell_channel *ch);
void channel_take_bell(struct cell_channel *ch);

/**
 * channel_is_drained - does a reset wait for nothing but its answer
 * @ch: channel
 *
 * Return: whether it does.
 */
static inline bool channel_is_drained(const struct cell_channel *ch)
{
	return ch->end.state == ION_HOST_DRAINING && !ch->valve.in_flight;
}

#endif /* RUMPK_CHANNEL_H */
