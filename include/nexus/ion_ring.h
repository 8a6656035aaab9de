/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The ION ring: single producer, single consumer, fixed capacity, no
 * compare-and-swap, no lock in shared memory. The one implementation, compiled
 * by the kernel, the host and the tests.
 *
 * Indices are free-running u32; entry i lies at i & mask; the ring is full when
 * producer - consumer == entries. Each end keeps private copies of both
 * indices: its own is never read back from shared memory, the peer's is judged
 * once when it is read. An index that cannot be right makes the end *broken*:
 * nothing is read any more until ion_*_init().
 *
 * Locking: each struct belongs to one owner at a time; the caller serialises
 * several CPUs on one end.
 *
 * Ordering. Four barriers, in two pairs:
 *   (A) producer: ion_store_release(prod)  pairs with
 *       consumer: ion_load_acquire(prod)   - entries before index
 *   (B) consumer: ion_store_release(cons)  pairs with
 *       producer: ion_load_acquire(cons)   - entry copied out before reuse
 * and one Dekker pair, so that no wake-up is lost:
 *   (C) producer: store prod, ion_mb(), load event
 *       consumer: store event, ion_mb(), load prod
 */
#ifndef NEXUS_ION_RING_H
#define NEXUS_ION_RING_H

#include "ion_os.h"

/**
 * struct ion_prod - the producing end of a ring
 * @shared_prod: own index, in the own channel record
 * @shared_cons: the peer's index, in the peer's channel record
 * @shared_event: index past which the peer wants a doorbell
 * @entries: the ring's memory, in the own region
 * @entry_size: bytes
 * @mask: entries - 1
 * @prod: own index including entries that are not published yet
 * @published: own index as the peer knows it
 * @cons: the peer's index as last judged
 * @broken: the peer's index could not be right
 */
struct ion_prod {
	__u32 *shared_prod;
	const __u32 *shared_cons;
	const __u32 *shared_event;
	__u8 *entries;
	__u32 entry_size;
	__u32 mask;
	__u32 prod;
	__u32 published;
	__u32 cons;
	bool broken;
};

/**
 * struct ion_cons - the consuming end of a ring
 * @shared_prod: the peer's index, in the peer's channel record
 * @shared_cons: own index, in the own channel record
 * @shared_event: own event index, in the own channel record
 * @entries: the ring's memory, in the peer's region
 * @entry_size: bytes
 * @mask: entries - 1
 * @cons: own index including entries that are not released yet
 * @prod: the peer's index as last judged
 * @broken: the peer's index could not be right
 */
struct ion_cons {
	const __u32 *shared_prod;
	__u32 *shared_cons;
	__u32 *shared_event;
	const __u8 *entries;
	__u32 entry_size;
	__u32 mask;
	__u32 cons;
	__u32 prod;
	bool broken;
};

/**
 * ion_prod_reset - start the producing end afresh
 * @p: end whose pointers, entry size and mask are set
 * @initial: the directory's initial index
 *
 * Stores the own shared index. The caller publishes the state that tells the
 * peer about it afterwards, with release.
 */
static inline void ion_prod_reset(struct ion_prod *p, __u32 initial)
{
	p->prod = initial;
	p->published = initial;
	p->cons = initial;
	p->broken = false;
	ion_write(p->shared_prod, initial);
}

/**
 * ion_cons_reset - start the consuming end afresh, armed
 * @c: end whose pointers, entry size and mask are set
 * @initial: the directory's initial index
 */
static inline void ion_cons_reset(struct ion_cons *c, __u32 initial)
{
	c->cons = initial;
	c->prod = initial;
	c->broken = false;
	ion_write(c->shared_cons, initial);
	ion_write(c->shared_event, initial);
}

/**
 * ion_prod_free - number of entries that can be written now
 * @p: producing end
 *
 * Return: free entries; 0 as well when the ring is broken (see ->broken).
 */
static inline __u32 ion_prod_free(struct ion_prod *p)
{
	__u32 cons;

	if (p->broken)
		return 0;
	cons = ion_load_acquire(p->shared_cons); /* (B) */
	if (cons - p->cons > p->published - p->cons) {
		p->broken = true;
		return 0;
	}
	p->cons = cons;
	return p->mask + 1 - (p->prod - cons);
}

/**
 * ion_prod_put - write one entry, not published yet
 * @p: producing end with at least one free entry (ion_prod_free())
 * @entry: entry_size bytes
 */
static inline void ion_prod_put(struct ion_prod *p, const void *entry)
{
	memcpy(p->entries + (size_t)(p->prod & p->mask) * p->entry_size, entry,
	       p->entry_size);
	p->prod++;
}

/**
 * ion_need_event - did an index move past the one the peer waits for
 * @event: the index past which the peer wants a doorbell
 * @now: new index
 * @old: index before
 *
 * The rule of virtio 1.2, section 2.7.10: true when old <= event < now, modulo
 * 2^32.
 *
 * Return: whether the doorbell is to be rung.
 */
static inline bool ion_need_event(__u32 event, __u32 now, __u32 old)
{
	return now - event - 1 < now - old;
}

/**
 * ion_prod_publish - make the entries written so far visible
 * @p: producing end
 *
 * Return: whether the peer wants a doorbell for them.
 */
static inline bool ion_prod_publish(struct ion_prod *p)
{
	__u32 old = p->published;

	if (p->prod == old)
		return false;
	ion_store_release(p->shared_prod, p->prod); /* (A) */
	p->published = p->prod;
	ion_mb(); /* (C) */
	return ion_need_event(ion_read(p->shared_event), p->prod, old);
}

/**
 * ion_cons_avail - number of entries that can be read now
 * @c: consuming end
 *
 * Return: available entries; 0 as well when the ring is broken (see ->broken).
 */
static inline __u32 ion_cons_avail(struct ion_cons *c)
{
	__u32 prod;

	if (c->broken)
		return 0;
	prod = ion_load_acquire(c->shared_prod); /* (A) */
	/* Not behind what was seen before, not beyond what the ring holds. */
	if (prod - c->cons > c->mask + 1 || prod - c->cons < c->prod - c->cons) {
		c->broken = true;
		return 0;
	}
	c->prod = prod;
	return prod - c->cons;
}

/**
 * ion_cons_get - copy the next entry out, not released yet
 * @c: consuming end with at least one available entry (ion_cons_avail())
 * @entry: entry_size bytes
 *
 * The peer can write to the entry while it is being copied: the copy is some
 * mixture of what it wrote, and only the copy may be judged and used.
 */
static inline void ion_cons_get(struct ion_cons *c, void *entry)
{
	memcpy(entry, c->entries + (size_t)(c->cons & c->mask) * c->entry_size,
	       c->entry_size);
	/* Others may look how far it is. */
	ion_write(&c->cons, c->cons + 1);
}

/**
 * ion_cons_release - give the entries copied so far back to the producer
 * @c: consuming end
 */
static inline void ion_cons_release(struct ion_cons *c)
{
	ion_store_release(c->shared_cons, c->cons); /* (B) */
}

/**
 * ion_cons_arm - ask for a doorbell at the next entry
 * @c: consuming end
 *
 * After false, and only then, the owner may sleep.
 *
 * Return: true when there is work already (or the ring is broken): look again.
 */
static inline bool ion_cons_arm(struct ion_cons *c)
{
	ion_write(c->shared_event, c->cons);
	ion_mb(); /* (C) */
	return ion_cons_avail(c) || c->broken;
}

#endif /* NEXUS_ION_RING_H */
