/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The guest's half of a channel's life (docs/protocol.md, "Life of a channel").
 *
 *           reset()           host READY, drained_id == reset_id: ack()
 *   DOWN -----------> RESET ---------------------------------------> LIVE
 *                       ^                                             |
 *                       +------- LATCHED <-- any ring rule ----------+
 *   LIVE, host offers a new generation by itself (it restarted): ack() again
 *
 * Locking: one owner. Nothing here sleeps, allocates or rings a doorbell: after
 * reset(), ack() and down() the owner rings the host.
 */
#ifndef NEXUS_ION_GUEST_H
#define NEXUS_ION_GUEST_H

#include "ion_abi.h"
#include "ion_ring.h"

/**
 * struct ion_offer - a consistent copy of what a READY host offers
 * @generation: to acknowledge
 * @features: offered
 * @max_depth: most tags
 */
struct ion_offer {
	__u64 generation;
	__u64 features;
	__u32 max_depth;
};

/**
 * struct ion_terms - what the guest takes of an offer
 * @features: accepted
 * @depth: tags
 * @vector: to be rung by the host
 * @queue_class: &enum ion_class
 */
struct ion_terms {
	__u64 features;
	__u32 depth;
	__u16 vector;
	__u8 queue_class;
};

/**
 * struct ion_guest_end - one channel, seen from the guest; all private
 * @mine: own record
 * @theirs: the host's record
 * @req: producing end of the request ring
 * @rsp: consuming end of the response ring
 * @initial_index: from the directory
 * @state: &enum ion_guest_state as last published
 * @generation: acknowledged; valid while LIVE. The owner alone writes it; others may
 *	call ion_guest_lost()
 * @reset_id: of the last reset
 */
struct ion_guest_end {
	struct ion_guest_channel *mine;
	const struct ion_host_channel *theirs;
	struct ion_prod req;
	struct ion_cons rsp;
	__u32 initial_index;
	__u32 state;
	__u64 generation;
	__u64 reset_id;
};

/**
 * ion_guest_bind - point an end at its place in the window
 * @e: end
 * @window: start of the mapping
 * @d: private copy of a validated directory entry
 */
static inline void ion_guest_bind(struct ion_guest_end *e, void *window,
				  const struct ion_dir_entry *d)
{
	__u8 *base = (__u8 *)window;

	e->mine = (struct ion_guest_channel *)(base + d->guest_channel);
	e->theirs = (const struct ion_host_channel *)(base + d->host_channel);
	e->initial_index = d->initial_index;
	e->state = ION_GUEST_DOWN;

	e->req.shared_prod = &e->mine->req_prod;
	e->req.shared_cons = &e->theirs->req_cons;
	e->req.shared_event = &e->theirs->req_event;
	e->req.entries = base + d->req.offset;
	e->req.entry_size = d->req.entry_size;
	e->req.mask = (1u << d->req.log2_entries) - 1;

	e->rsp.shared_prod = &e->theirs->rsp_prod;
	e->rsp.shared_cons = &e->mine->rsp_cons;
	e->rsp.shared_event = &e->mine->rsp_event;
	e->rsp.entries = base + d->rsp.offset;
	e->rsp.entry_size = d->rsp.entry_size;
	e->rsp.mask = (1u << d->rsp.log2_entries) - 1;
}

/**
 * ion_guest_set_state - publish a state
 * @e: end
 * @state: &enum ion_guest_state
 * @reason: &enum ion_reason, not NONE only with LATCHED
 */
static inline void ion_guest_set_state(struct ion_guest_end *e, __u32 state,
				       __u32 reason)
{
	e->state = state;
	ion_write(&e->mine->reason, reason);
	/* Pairs with the acquire in ion_host_look(). */
	ion_store_release(&e->mine->state, state);
}

/**
 * ion_guest_reset - ask the host to drain the channel
 * @e: end; nothing may be produced or consumed until ion_guest_ack()
 * @id: not 0, not used before on this window
 */
static inline void ion_guest_reset(struct ion_guest_end *e, __u64 id)
{
	e->reset_id = id;
	ion_write(&e->mine->reset_id, id);
	ion_guest_set_state(e, ION_GUEST_RESET, ION_REASON_NONE);
}

/**
 * ion_guest_offer - copy what the host offers
 * @e: end
 * @o: filled when there is an offer
 *
 * Return: true when the host is READY and has drained the last reset.
 */
static inline bool ion_guest_offer(const struct ion_guest_end *e,
				   struct ion_offer *o)
{
	const struct ion_host_channel *h = e->theirs;
	__u64 drained;

	/*
	 * A host leaves READY before it changes any field, and a new READY comes
	 * with a new generation. The generation is read first and last, so that
	 * two READYs with an interlude between them are not taken for one.
	 */
	o->generation = ion_read(&h->generation);
	ion_rmb(); /* Pairs with the barrier in ion_host_ready(). */
	/* Pairs with the release in ion_host_set_state(). */
	if (ion_load_acquire(&h->state) != ION_HOST_READY)
		return false;
	o->features = ion_read(&h->features);
	o->max_depth = ion_read(&h->max_depth);
	drained = ion_read(&h->drained_id);
	ion_rmb(); /* Pairs with the barrier in ion_host_ready(). */
	/* Pairs with the release in ion_host_set_state(), as above. */
	return ion_load_acquire(&h->state) == ION_HOST_READY &&
	       ion_read(&h->generation) == o->generation &&
	       drained == e->reset_id;
}

/**
 * ion_guest_ack - accept an offer; the channel is LIVE
 * @e: end with nothing of an earlier generation left to produce or consume
 * @o: the offer
 * @t: the terms
 */
static inline void ion_guest_ack(struct ion_guest_end *e,
				 const struct ion_offer *o,
				 const struct ion_terms *t)
{
	ion_prod_reset(&e->req, e->initial_index);
	ion_cons_reset(&e->rsp, e->initial_index);
	ion_write(&e->generation, o->generation);
	ion_write(&e->mine->features, t->features);
	ion_write(&e->mine->depth, t->depth);
	ion_write(&e->mine->vector, t->vector);
	ion_write(&e->mine->queue_class, t->queue_class);
	/*
	 * A guest that was LIVE and acknowledges a successor stays LIVE: then it is
	 * the generation and not the state that tells the host of the new fields.
	 * Pairs with the barrier in ion_host_look().
	 */
	ion_wmb();
	ion_write(&e->mine->generation, o->generation);
	ion_guest_set_state(e, ION_GUEST_LIVE, ION_REASON_NONE);
}

/**
 * ion_guest_lost - does the host still serve the acknowledged generation
 * @e: end in ION_GUEST_LIVE
 *
 * Return: true when it does not: wait for an offer, or reset.
 */
static inline bool ion_guest_lost(const struct ion_guest_end *e)
{
	/* Pairs with the release in ion_host_set_state(). */
	__u32 state = ion_load_acquire(&e->theirs->state);

	return (state != ION_HOST_READY && state != ION_HOST_LIVE) ||
	       ion_read(&e->theirs->generation) != ion_read(&e->generation);
}

#endif /* NEXUS_ION_GUEST_H */
