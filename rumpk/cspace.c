/* SPDX-License-Identifier: GPL-2.0-only */
#include "cspace.h"

#include <errno.h>
#include <stddef.h>

/* A slot's state: epoch of the last change, which place holds, does it at all. */
#define STATE_VALID 1ull
#define STATE_SECOND 2ull
#define STATE_EPOCH_SHIFT 2
/* So many changes during one copy, and there is no capability. */
#define COPY_TRIES 64

static const struct cspace_cap *cspace_held(const struct cspace_slot *s,
					    uint64_t state)
{
	return &s->cap[state & STATE_SECOND ? 1 : 0];
}

/* One store is the whole change: no reader sees a part of it. */
static void cspace_publish(struct cspace *cs, struct cspace_slot *s,
			   uint64_t low_bits)
{
	uint64_t state = ++cs->epoch << STATE_EPOCH_SHIFT | low_bits;

	/* Pairs with the loads in cspace_copy(). */
	__atomic_store_n(&s->state, state, __ATOMIC_SEQ_CST);
}

static bool cspace_possible(unsigned int slot, const struct cspace_cap *cap)
{
	return slot < CSPACE_SLOTS && cap->rights &&
	       !(cap->rights & ~CSPACE_ALL) && cap->first <= cap->last;
}

/**
 * cspace_set - let a slot hold a capability and nothing else, from the next lookup on
 * @cs: CSpace
 * @slot: index
 * @cap: capability, which may be wider or narrower than what the slot holds
 *
 * Return: 0, or -EINVAL for a slot or a capability that cannot be.
 */
int cspace_set(struct cspace *cs, unsigned int slot, const struct cspace_cap *cap)
{
	struct cspace_slot *s;
	uint64_t other;

	if (!cspace_possible(slot, cap))
		return -EINVAL;
	s = &cs->slot[slot];
	other = ~s->state & STATE_SECOND;
	/*
	 * Pairs with the fence in cspace_copy(): who reads of what is written here
	 * sees that the place is not held any more.
	 */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	s->cap[other ? 1 : 0] = *cap;
	cspace_publish(cs, s, other | STATE_VALID);
	return 0;
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
	if (cspace_possible(slot, cap) && cs->slot[slot].state & STATE_VALID)
		return -EBUSY;
	return cspace_set(cs, slot, cap);
}

/**
 * cspace_narrow - take rights or sectors away, from the next lookup on
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
	struct cspace_cap cap;

	if (!cspace_read(cs, slot, &cap))
		return -ENOENT;
	if (!rights || (rights & ~cap.rights) || first < cap.first ||
	    last > cap.last || first > last)
		return -EPERM;
	cap.rights = rights;
	cap.first = first;
	cap.last = last;
	return cspace_set(cs, slot, &cap);
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
	if (slot >= CSPACE_SLOTS || !(cs->slot[slot].state & STATE_VALID))
		return -ENOENT;
	cspace_publish(cs, &cs->slot[slot], cs->slot[slot].state & STATE_SECOND);
	return 0;
}

/*
 * The slots may be another process's, which changes them meanwhile. It writes to
 * the place that is not held, and then moves the state on: who copies the place
 * that is held, and finds the state as before, has what was held as a whole.
 */
static bool cspace_copy(const struct cspace_slot *s, struct cspace_cap *copy)
{
	unsigned int i;

	for (i = 0; i < COPY_TRIES; i++) {
		/* Pairs with the store in cspace_publish(). */
		uint64_t state = __atomic_load_n(&s->state, __ATOMIC_ACQUIRE);

		if (!(state & STATE_VALID))
			return false;
		*copy = *cspace_held(s, state);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&s->state, __ATOMIC_RELAXED) == state)
			return true;
	}
	return false;
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
	if (!cspace_read(cs, slot, copy) || copy->kind != kind ||
	    copy->instance != instance)
		return NULL;
	return copy;
}

/**
 * cspace_read - see what a slot holds
 * @cs: CSpace
 * @slot: index
 * @copy: filled
 *
 * Return: whether it holds anything.
 */
bool cspace_read(const struct cspace *cs, unsigned int slot,
		 struct cspace_cap *copy)
{
	return slot < CSPACE_SLOTS && cspace_copy(&cs->slot[slot], copy);
}

/**
 * cspace_epoch - when a slot was changed last
 * @cs: CSpace
 * @slot: index, below CSPACE_SLOTS
 *
 * Return: the epoch; 0: never.
 */
uint64_t cspace_epoch(const struct cspace *cs, unsigned int slot)
{
	return __atomic_load_n(&cs->slot[slot].state, __ATOMIC_RELAXED) >>
	       STATE_EPOCH_SHIFT;
}
