/* SPDX-License-Identifier: GPL-2.0-only */
#include "channel.h"

#include <inttypes.h>
#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "util.h"

/* Requests taken before the answers so far are published. */
#define BATCH 32u
#define CONTROL_VECTOR 0u

static const char *const reason_names[ION_REASON_COUNT] = {
	[ION_REASON_NONE] = "none",
	[ION_REASON_REQ_PROD] = "request producer index",
	[ION_REASON_RSP_CONS] = "response consumer index",
	[ION_REASON_RSP_PROD] = "response producer index",
	[ION_REASON_REQ_CONS] = "request consumer index",
	[ION_REASON_RSP_TAG] = "answer's tag",
	[ION_REASON_RSP_UNMATCHED] = "unmatched answer",
	[ION_REASON_DEPTH] = "depth",
	[ION_REASON_FEATURES] = "features",
	[ION_REASON_CLASS] = "queue class",
	[ION_REASON_VECTOR] = "vector",
	[ION_REASON_GUEST_STATE] = "guest state",
	[ION_REASON_LIMITS] = "limits",
	[ION_REASON_REMOVED] = "removed",
	[ION_REASON_IO] = "window",
	[ION_REASON_UNANSWERED] = "request unanswered",
};

/*
 * Whoever holds a doorbell's other copies can fill it and make it blocking: a
 * bell that is full has been rung, and is not waited for. Who fills it just now
 * makes this thread wait until it is interrupted (beat.h).
 */
static void channel_ring(struct cell_channel *ch, unsigned int vector)
{
	const uint64_t one = 1;
	struct pollfd p = { .events = POLLOUT };

	if (vector >= ch->nguest)
		return;
	p.fd = ch->guest_bells[vector];
	if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT))
		return;
	if (write(ch->guest_bells[vector], &one, sizeof(one)) == sizeof(one))
		ch->valve.account->stats.doorbells_out++;
}

/**
 * channel_notify - something other than an answer has changed
 * @ch: channel
 *
 * The guest's own vector is known once it has acknowledged; before, and for
 * whoever does not listen there, the control vector is rung.
 */
void channel_notify(struct cell_channel *ch)
{
	channel_ring(ch, CONTROL_VECTOR);
	if (ch->end.vector != CONTROL_VECTOR)
		channel_ring(ch, ch->end.vector);
}

static void channel_line(struct cell_channel *ch, enum rumpk_level level,
			 const char *what)
{
	rumpk_log_limited(&ch->lines, level, ch->number,
			  "%s generation=%" PRIu64 " reason=%u (%s)", what,
			  (uint64_t)ch->end.generation, ch->end.reason,
			  reason_names[ch->end.reason]);
}

static void channel_latched(struct cell_channel *ch)
{
	ch->valve.account->stats.latches++;
	channel_line(ch, RUMPK_WARN, "latched");
	channel_notify(ch);
}

static void channel_latch(struct cell_channel *ch, uint32_t reason)
{
	ion_host_set_state(&ch->end, ION_HOST_LATCHED, reason);
	channel_latched(ch);
}

static void channel_live(struct cell_channel *ch)
{
	const struct valve_terms terms = {
		.generation = ch->end.generation,
		.features = ch->end.features,
		.depth = ch->end.depth,
	};

	valve_live(&ch->valve, &terms);
	channel_line(ch, RUMPK_INFO, "live");
	channel_notify(ch);
}

/* A guest that asks again, or is gone: nothing of the old life is answered. */
static void channel_drained(struct cell_channel *ch)
{
	ch->valve.account->generation = ch->end.generation + 1;
	ion_host_drained(&ch->end);
	ch->valve.account->stats.resets++;
	channel_line(ch, RUMPK_INFO, "ready");
	channel_notify(ch);
}

/* For whoever watches; stored when it changes, not at every look. */
static void channel_note(struct cell_channel *ch)
{
	uint32_t *state = &ch->valve.account->state;

	/* Pairs with the load in drain_obstacle(). */
	if (*state != ch->end.state)
		__atomic_store_n(state, ch->end.state, __ATOMIC_RELEASE);
}

static void channel_event(struct cell_channel *ch, enum ion_host_event event)
{
	switch (event) {
	case ION_HOST_EV_LIVE:
		channel_live(ch);
		break;
	case ION_HOST_EV_RESET:
		channel_line(ch, RUMPK_DEBUG, "draining");
		break;
	case ION_HOST_EV_LATCHED:
		channel_latched(ch);
		break;
	case ION_HOST_EV_NONE:
		break;
	}
}

/*
 * How many requests may be taken: for each one that is taken or in flight there
 * is a free place in the response ring. Latches when an index is wrong.
 */
static uint32_t channel_room(struct cell_channel *ch)
{
	uint32_t avail = ion_cons_avail(&ch->end.req);
	uint32_t free = ion_prod_free(&ch->end.rsp);

	if (ch->end.req.broken || ch->end.rsp.broken) {
		channel_latch(ch, ch->end.req.broken ? ION_REASON_REQ_PROD :
						       ION_REASON_RSP_CONS);
		return 0;
	}
	free -= ch->valve.in_flight;
	ch->stalled = avail && !free;
	if (avail > free)
		avail = free;
	return avail < BATCH ? avail : BATCH;
}

static bool channel_consume(struct cell_channel *ch)
{
	uint32_t n = channel_room(ch);
	struct nxblk_req req;
	uint32_t i;

	for (i = 0; i < n; i++) {
		ion_cons_get(&ch->end.req, &req);
		valve_submit(&ch->valve, &req);
	}
	if (!n)
		return false;
	ion_cons_release(&ch->end.req);
	ch->idle_bells = 0;
	return true;
}

/**
 * channel_step - see what the guest wants and do some of it
 * @ch: channel
 *
 * Return: whether there was anything to do.
 */
bool channel_step(struct cell_channel *ch)
{
	enum ion_host_event event = ion_host_look(&ch->end);
	bool progress = event != ION_HOST_EV_NONE;

	channel_event(ch, event);
	if (channel_is_drained(ch) && !ch->held) {
		channel_drained(ch);
		progress = true;
	}
	if (ch->end.state == ION_HOST_LIVE && channel_consume(ch))
		progress = true;
	channel_note(ch);
	return progress;
}

/**
 * channel_publish - make the answers so far visible
 * @ch: channel
 *
 * Return: whether there were any.
 */
bool channel_publish(struct cell_channel *ch)
{
	struct ion_prod *rsp = &ch->end.rsp;

	if (ch->end.state != ION_HOST_LIVE || rsp->prod == rsp->published)
		return false;
	valve_published(&ch->valve);
	if (ion_prod_publish(rsp) && ch->end.queue_class == ION_CLASS_INTERRUPT)
		channel_ring(ch, ch->end.vector);
	return true;
}

/**
 * channel_arm - ask for a doorbell before sleeping
 * @ch: channel
 *
 * A channel whose guest takes no answers is not waited for: it is looked at
 * again when the loop wakes up next.
 *
 * Return: true when there is work already.
 */
bool channel_arm(struct cell_channel *ch)
{
	if (ch->end.state != ION_HOST_LIVE || ch->stalled)
		return false;
	return ion_cons_arm(&ch->end.req);
}

/* The valve's answer; nobody waits for it when the channel lives no more. */
static void channel_answer(struct valve_owner *owner, const struct nxblk_resp *rsp)
{
	struct cell_channel *ch = container_of(owner, struct cell_channel, owner);

	if (ch->end.state == ION_HOST_LIVE)
		ion_prod_put(&ch->end.rsp, rsp);
}

/**
 * channel_start - offer the first generation
 * @ch: channel whose end is bound
 *
 * Goes on from the generation that an earlier rumpk kept, and not from what
 * stands in the window, where a guest can write.
 */
void channel_start(struct cell_channel *ch)
{
	uint64_t former = ch->valve.account->generation;

	ch->owner.answer = channel_answer;
	ch->valve.owner = &ch->owner;
	/* Kept first: who dies in between must not offer it a second time. */
	ch->valve.account->generation = former + 1;
	ion_host_start(&ch->end, former);
	channel_note(ch);
	channel_notify(ch);
}

/**
 * channel_wait - nothing can be offered yet: channel_start() comes later
 * @ch: channel whose end is bound
 *
 * What the process before has left there, LIVE perhaps, is over.
 */
void channel_wait(struct cell_channel *ch)
{
	ion_host_set_state(&ch->end, ION_HOST_DOWN, ION_REASON_NONE);
	channel_note(ch);
	channel_notify(ch);
}

/**
 * channel_guest_left - the guest is gone: nobody waits for what is in flight
 * @ch: channel
 *
 * An offer ends as well: what a guest that is gone accepted is not to be served.
 */
void channel_guest_left(struct cell_channel *ch)
{
	if (ch->end.state != ION_HOST_LIVE && ch->end.state != ION_HOST_READY &&
	    ch->end.state != ION_HOST_LATCHED)
		return;
	ch->end.pending_id = ion_read(&ch->end.theirs->reset_id);
	ion_host_set_state(&ch->end, ION_HOST_DRAINING, ION_REASON_NONE);
}

/**
 * channel_gone - orderly end
 * @ch: channel with nothing in flight
 */
void channel_gone(struct cell_channel *ch)
{
	ion_host_set_state(&ch->end, ION_HOST_GONE, ION_REASON_NONE);
	channel_notify(ch);
}

/**
 * channel_take_bell - count and clear the guest's doorbells
 * @ch: channel
 */
void channel_take_bell(struct cell_channel *ch)
{
	uint64_t rung;
	struct iovec iov = { &rung, sizeof(rung) };

	/* The guest's side can make the description blocking; this read is not. */
	if (preadv2(ch->bell, &iov, 1, -1, RWF_NOWAIT) != sizeof(rung))
		return;
	ch->valve.account->stats.doorbells_in += rung;
	ch->idle_bells++;
}
