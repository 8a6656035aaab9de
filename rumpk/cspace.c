/* SPDX-License-Identifier: GPL-2.0-only */
#include "cspace.h"

#include <errno.h>
#include <stddef.h>

static bool cspace_valid(const struct cspace_slot *s)
{
	return s->granted && s->granted == s->current;
}

/**
 * cspace_grant - put a capability into an empty or revoked slot
 * @cs: CSpace
 * @slot: index
 * @cap: capability
 *
 * Return: 0; -EINVAL for a slot or a capability that cannot be; -EBUSY when the
 * slot holds a valid one.
 */
int cspace_grant(struct cspace *cs, unsigned int slot,
		 const struct cspace_cap *cap)
{
	struct cspace_slot *s;

	if (slot >= CSPACE_SLOTS || !cap->rights ||
	    (cap->rights & ~CSPACE_ALL) || cap->first > cap->last)
		return -EINVAL;
	s = &cs->slot[slot];
	if (cspace_valid(s))
		return -EBUSY;
	/* Invalid until the last store: no reader takes half a capability. */
	s->cap = *cap;
	__atomic_store_n(&s->granted, ++cs->epoch, __ATOMIC_RELEASE);
	__atomic_store_n(&s->current, s->granted, __ATOMIC_RELEASE);
	return 0;
}

/**
 * cspace_narrow - take rights or sectors away
 * @cs: CSpace
 * @slot: index of a valid slot
 * @rights: a subset of the present ones, not empty
 * @first: not below the present first sector
 * @last: not above the present last sector
 *
 * Return: 0; -ENOENT when the slot is not valid; -EPERM when this would widen it.
 */
int cspace_narrow(struct cspace *cs, unsigned int slot, uint32_t rights,
		  uint64_t first, uint64_t last)
{
	struct cspace_cap *cap;

	if (slot >= CSPACE_SLOTS || !cspace_valid(&cs->slot[slot]))
		return -ENOENT;
	cap = &cs->slot[slot].cap;
	if (!rights || (rights & ~cap->rights) || first < cap->first ||
	    last > cap->last || first > last)
		return -EPERM;
	cap->rights = rights;
	cap->first = first;
	cap->last = last;
	return 0;
}

/**
 * cspace_revoke - make a slot invalid from the next lookup on
 * @cs: CSpace
 * @slot: index
 *
 * Return: 0, or -ENOENT when the slot is not valid.
 */
int cspace_revoke(struct cspace *cs, unsigned int slot)
{
	if (slot >= CSPACE_SLOTS || !cspace_valid(&cs->slot[slot]))
		return -ENOENT;
	__atomic_store_n(&cs->slot[slot].current, ++cs->epoch, __ATOMIC_SEQ_CST);
	return 0;
}

/*
 * The slots may be another process's, which changes them meanwhile: who copies
 * a capability and finds the slot's epochs as before has a copy that was valid
 * as a whole. A narrowing may be seen in part; each part is within what was
 * allowed a moment before.
 */
static bool cspace_copy(const struct cspace_slot *s, struct cspace_cap *copy)
{
	/* Pairs with the stores in cspace_grant() and cspace_revoke(). */
	uint64_t current = __atomic_load_n(&s->current, __ATOMIC_ACQUIRE);

	if (!current || __atomic_load_n(&s->granted, __ATOMIC_ACQUIRE) != current)
		return false;
	*copy = s->cap;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&s->current, __ATOMIC_RELAXED) == current;
}

/**
 * cspace_lookup - find what a slot allows on a channel
 * @cs: CSpace
 * @slot: index as a guest named it
 * @kind: of the channel on which it was named
 * @instance: of the channel on which it was named
 * @copy: filled
 *
 * Return: @copy; NULL when the slot does not exist, is empty or revoked, or
 * names another channel.
 */
const struct cspace_cap *cspace_lookup(const struct cspace *cs,
				       unsigned int slot, uint16_t kind,
				       uint16_t instance, struct cspace_cap *copy)
{
	if (slot >= CSPACE_SLOTS || !cspace_copy(&cs->slot[slot], copy) ||
	    copy->kind != kind || copy->instance != instance)
		return NULL;
	return copy;
}
