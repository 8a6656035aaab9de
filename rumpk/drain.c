/* SPDX-License-Identifier: GPL-2.0-only */
#include "drain.h"

#include <string.h>

#include "util.h"

static uint32_t pending_since(const struct ledger *l, unsigned int disk,
			      unsigned int tag)
{
	/* Pairs with the store in note_pending(). */
	return __atomic_load_n(&l->channel[disk].pending[tag].since_ms,
			       __ATOMIC_ACQUIRE);
}

/**
 * drain_begin - wait for what was changed so far
 * @d: filled
 * @a: authority
 */
void drain_begin(struct drain *d, const struct authority *a)
{
	memset(d, 0, sizeof(*d));
	d->changes = a->changes;
	d->until_ms = now_ms() + DRAIN_MS;
}

/**
 * drain_seen - does the worker that there is go by the change
 * @d: what is waited for
 * @l: ledger
 *
 * Return: whether it does.
 */
bool drain_seen(const struct drain *d, const struct ledger *l)
{
	/* Pairs with the store in cell_look(). */
	return __atomic_load_n(&l->seen, __ATOMIC_ACQUIRE) >= d->changes;
}

static void take_pending(struct drain *d, const struct ledger *l,
			 unsigned int disk)
{
	unsigned int tag;

	for (tag = 0; tag < VALVE_MAX_DEPTH; tag++)
		d->since[tag] = pending_since(l, disk, tag);
	d->seen = true;
}

/* A tag that is free, or another request's by now, has done its part. */
static void drop_ended(struct drain *d, const struct ledger *l, unsigned int disk)
{
	unsigned int tag;

	for (tag = 0; tag < VALVE_MAX_DEPTH; tag++)
		if (d->since[tag] != pending_since(l, disk, tag))
			d->since[tag] = 0;
}

/**
 * drain_obstacle - why it cannot be known that nothing of before is under way
 * @l: ledger, whose worker goes by what there is
 * @disk: of this one
 *
 * A new worker waits for what its predecessor has under way, and offers the disk then.
 * Of a disk that is lost nobody knows: it may have been served without a fence, or
 * the fence not been reached.
 *
 * Return: text; NULL: it can.
 */
const char *drain_obstacle(const struct ledger *l, unsigned int disk)
{
	/* Pairs with the store in channel_note(): @lost is as it was before. */
	if (__atomic_load_n(&l->channel[disk].state, __ATOMIC_ACQUIRE) ==
	    ION_HOST_DOWN)
		return "waits for the requests of the worker before";
	if (__atomic_load_n(&l->disk[disk].lost, __ATOMIC_RELAXED))
		return "is lost, until it is reopened";
	return NULL;
}

/**
 * drain_left - requests of before that may still have an effect
 * @d: what is waited for
 * @l: ledger
 * @disk: of this one
 *
 * Return: how many, as far as is known.
 */
unsigned int drain_left(const struct drain *d, const struct ledger *l,
			unsigned int disk)
{
	unsigned int n = 0;
	unsigned int tag;

	for (tag = 0; tag < VALVE_MAX_DEPTH; tag++)
		n += d->seen ? d->since[tag] != 0 :
			       pending_since(l, disk, tag) != 0;
	return n;
}

/**
 * drain_look - is it over
 * @d: what is waited for
 * @l: ledger
 * @disk: that the change is about
 *
 * Return: &enum drain_state.
 */
enum drain_state drain_look(struct drain *d, const struct ledger *l,
			    unsigned int disk)
{
	bool seen = drain_seen(d, l);

	if (seen && !d->seen)
		take_pending(d, l, disk);
	else if (seen)
		drop_ended(d, l, disk);
	if (seen && !drain_left(d, l, disk) && !drain_obstacle(l, disk))
		return DRAIN_OVER;
	return now_ms() < d->until_ms ? DRAIN_WAITS : DRAIN_LATE;
}
