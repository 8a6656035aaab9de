/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The host's half of a channel's life (docs/protocol.md, "Life of a channel"),
 * once, for Rumpk, the kernel's loopback peers and the tests.
 *
 *            ready()            guest acknowledges
 *   DOWN ------------> READY ------------------------> LIVE
 *                        ^                              |  guest resets, or goes
 *                        | drained()                    v  down
 *                        +------------------------- DRAINING
 *                        ^                              ^
 *                        +---- (through DRAINING) --- LATCHED   <- any ring rule
 *
 * The owner calls ion_host_look() before it consumes requests, acts on the
 * event, and consumes only while ->state is ION_HOST_LIVE.
 *
 * Locking: one owner. Nothing here sleeps, allocates or rings a doorbell: after
 * every change of state the owner rings the guest.
 */
#ifndef NEXUS_ION_HOST_H
#define NEXUS_ION_HOST_H

#include "ion_abi.h"
#include "ion_ring.h"

/**
 * enum ion_host_event - what a look at the guest's record found
 * @ION_HOST_EV_NONE: nothing new
 * @ION_HOST_EV_LIVE: the guest acknowledged; serve it
 * @ION_HOST_EV_RESET: now DRAINING: finish or fence what is in flight, answer
 *	nothing any more, then call ion_host_drained()
 * @ION_HOST_EV_LATCHED: the handshake was wrong; see ->reason
 */
enum ion_host_event {
	ION_HOST_EV_NONE,
	ION_HOST_EV_LIVE,
	ION_HOST_EV_RESET,
	ION_HOST_EV_LATCHED,
};

/**
 * struct ion_host_end - one channel, seen from the host; all private
 * @mine: own record
 * @theirs: the guest's record
 * @req: consuming end of the request ring
 * @rsp: producing end of the response ring
 * @initial_index: from the directory
 * @state: &enum ion_host_state as last published
 * @reason: &enum ion_reason as last published
 * @generation: as last published
 * @pending_id: the reset that is being drained
 * @drained_id: as last published
 * @offered: features offered
 * @required: offered features without which the host does not serve
 * @max_depth: most tags
 * @vectors: vectors that the guest has; its choice must be below
 * @features: accepted; valid while LIVE
 * @depth: tags; valid while LIVE
 * @vector: to ring; valid while LIVE
 * @queue_class: &enum ion_class; valid while LIVE
 */
struct ion_host_end {
	struct ion_host_channel *mine;
	const struct ion_guest_channel *theirs;
	struct ion_cons req;
	struct ion_prod rsp;
	__u32 initial_index;
	__u32 state;
	__u32 reason;
	__u64 generation;
	__u64 pending_id;
	__u64 drained_id;
	__u64 offered;
	__u64 required;
	__u32 max_depth;
	__u32 vectors;
	__u64 features;
	__u32 depth;
	__u16 vector;
	__u8 queue_class;
};

/**
 * ion_host_bind - point an end at its place in the window
 * @e: zeroed but for offered, required, max_depth, vectors
 * @window: start of the mapping
 * @d: own directory entry (a private copy that the host itself made)
 */
static inline void ion_host_bind(struct ion_host_end *e, void *window,
				 const struct ion_dir_entry *d)
{
	__u8 *base = (__u8 *)window;

	e->mine = (struct ion_host_channel *)(base + d->host_channel);
	e->theirs = (const struct ion_guest_channel *)(base + d->guest_channel);
	e->initial_index = d->initial_index;
	e->state = ION_HOST_DOWN;

	e->req.shared_prod = &e->theirs->req_prod;
	e->req.shared_cons = &e->mine->req_cons;
	e->req.shared_event = &e->mine->req_event;
	e->req.entries = base + d->req.offset;
	e->req.entry_size = d->req.entry_size;
	e->req.mask = (1u << d->req.log2_entries) - 1;

	e->rsp.shared_prod = &e->mine->rsp_prod;
	e->rsp.shared_cons = &e->theirs->rsp_cons;
	e->rsp.shared_event = &e->theirs->rsp_event;
	e->rsp.entries = base + d->rsp.offset;
	e->rsp.entry_size = d->rsp.entry_size;
	e->rsp.mask = (1u << d->rsp.log2_entries) - 1;
}

/**
 * ion_host_set_state - publish a state that accepts nothing
 * @e: end
 * @state: DOWN, DRAINING, LATCHED or GONE
 * @reason: why
 */
static inline void ion_host_set_state(struct ion_host_end *e, __u32 state,
				      __u32 reason)
{
	e->state = state;
	e->reason = reason;
	ion_write(&e->mine->reason, reason);
	/* Pairs with the acquire in ion_guest_offer() and ion_guest_lost(). */
	ion_store_release(&e->mine->state, state);
}

/**
 * ion_host_ready - offer a new generation
 * @e: end with nothing in flight, in no state that the guest may acknowledge
 * @generation: differs from the one before in its low 32 bits
 * @drained_id: the reset that this answers; 0 when none does
 */
static inline void ion_host_ready(struct ion_host_end *e, __u64 generation,
				  __u64 drained_id)
{
	ion_host_set_state(e, ION_HOST_DOWN, ION_REASON_NONE);
	/*
	 * A reader that sees a field below sees DOWN before it. Pairs with the
	 * barriers in ion_guest_offer().
	 */
	ion_wmb();
	ion_cons_reset(&e->req, e->initial_index);
	ion_prod_reset(&e->rsp, e->initial_index);
	e->generation = generation;
	e->drained_id = drained_id;
	ion_write(&e->mine->generation, generation);
	ion_write(&e->mine->drained_id, drained_id);
	ion_write(&e->mine->features, e->offered);
	ion_write(&e->mine->max_depth, e->max_depth);
	ion_host_set_state(e, ION_HOST_READY, ION_REASON_NONE);
}

/**
 * ion_host_start - first generation of a host that (re)starts on a window
 * @e: bound end, with everything that an earlier host had in flight fenced
 * @former: generation that the earlier host last offered, from where no guest
 *	can write; 0 when there was none
 *
 * Whatever reset the guest last asked for counts as drained.
 */
static inline void ion_host_start(struct ion_host_end *e, __u64 former)
{
	ion_host_ready(e, former + 1, ion_read(&e->theirs->reset_id));
}

/**
 * ion_host_drained - nothing is in flight any more; answer the reset
 * @e: end in ION_HOST_DRAINING
 */
static inline void ion_host_drained(struct ion_host_end *e)
{
	ion_host_ready(e, e->generation + 1, e->pending_id);
}

/* The guest's parameters, each read once; the reason why they are wrong. */
static inline __u32 ion_host_accept(struct ion_host_end *e)
{
	__u32 most = e->max_depth;

	e->features = ion_read(&e->theirs->features);
	e->depth = ion_read(&e->theirs->depth);
	e->vector = ion_read(&e->theirs->vector);
	e->queue_class = ion_read(&e->theirs->queue_class);

	if (most > e->req.mask + 1)
		most = e->req.mask + 1;
	if (most > e->rsp.mask + 1)
		most = e->rsp.mask + 1;
	if (e->depth < 2 || e->depth > most)
		return ION_REASON_DEPTH;
	if ((e->features & ~e->offered) || (e->required & ~e->features))
		return ION_REASON_FEATURES;
	if (e->queue_class >= ION_CLASS_COUNT)
		return ION_REASON_CLASS;
	if (e->vector >= e->vectors)
		return ION_REASON_VECTOR;
	return ION_REASON_NONE;
}

/**
 * ion_host_look - see what the guest wants of the channel
 * @e: end
 *
 * Return: &enum ion_host_event; the state has been changed accordingly.
 */
static inline enum ion_host_event ion_host_look(struct ion_host_end *e)
{
	/* Pairs with the release in ion_guest_set_state(). */
	__u32 theirs = ion_load_acquire(&e->theirs->state);
	__u32 reason = ION_REASON_NONE;
	__u64 id;

	if (e->state == ION_HOST_DRAINING || e->state == ION_HOST_DOWN ||
	    e->state == ION_HOST_GONE)
		return ION_HOST_EV_NONE;

	switch (theirs) {
	case ION_GUEST_RESET:
		id = ion_read(&e->theirs->reset_id);
		if (e->state == ION_HOST_READY && id == e->drained_id)
			return ION_HOST_EV_NONE;
		e->pending_id = id;
		ion_host_set_state(e, ION_HOST_DRAINING, ION_REASON_NONE);
		return ION_HOST_EV_RESET;
	case ION_GUEST_DOWN:
		if (e->state == ION_HOST_READY)
			return ION_HOST_EV_NONE;
		e->pending_id = ion_read(&e->theirs->reset_id);
		ion_host_set_state(e, ION_HOST_DRAINING, ION_REASON_NONE);
		return ION_HOST_EV_RESET;
	case ION_GUEST_LIVE:
		if (e->state != ION_HOST_READY ||
		    ion_read(&e->theirs->generation) != e->generation)
			return ION_HOST_EV_NONE;
		ion_rmb(); /* Pairs with the barrier in ion_guest_ack(). */
		reason = ion_host_accept(e);
		break;
	case ION_GUEST_LATCHED:
		return ION_HOST_EV_NONE;
	default:
		reason = ION_REASON_GUEST_STATE;
		if (e->state == ION_HOST_LATCHED)
			return ION_HOST_EV_NONE;
		break;
	}
	if (reason) {
		ion_host_set_state(e, ION_HOST_LATCHED, reason);
		return ION_HOST_EV_LATCHED;
	}
	ion_host_set_state(e, ION_HOST_LIVE, ION_REASON_NONE);
	return ION_HOST_EV_LIVE;
}

#endif /* NEXUS_ION_HOST_H */
