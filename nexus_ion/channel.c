// SPDX-License-Identifier: GPL-2.0-only
/*
 * Channels: the guest's half of the handshake, sending and receiving.
 *
 * States (ch->state) and what moves them; all transitions happen under ch->lock
 * in ion_channel_step(), ion_channel_open() and ion_channel_close():
 *
 *   CLOSED --open--> RESETTING --drained offer--> UP
 *   UP --host restarts or goes--> LOST --offer--> UP
 *   UP --a ring rule is broken, by either side--> BACKOFF --time--> RESETTING
 *   RESETTING, LOST --the driver refuses the offer--> REFUSED --other offer--> UP
 *   REFUSED --the host knows nothing of our reset--> RESETTING
 *   UP --the host does not take the acknowledgement--> RESETTING
 *   any --close--> CLOSED, where ->ops stay set until the host has drained
 *
 * Invariants: messages pass only in UP. UP is left under both ring locks, so
 * that once ->down() is called no send or receive is running. UP is entered only
 * on an offer that answers our own last reset: whatever was sent before has been
 * drained.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/jiffies.h>
#include <linux/random.h>
#include <linux/rculist.h>

#include "window.h"

#define ION_BACKOFF_MIN_MS 100
#define ION_BACKOFF_MAX_MS 5000
/* A channel that was up for this long starts again with the least back-off. */
#define ION_BACKOFF_FORGET_MS 10000
/* What we stored may have been overwritten before the host saw it. */
#define ION_RESET_AGAIN_MS 1000
#define ION_ACK_SEEN_MS 5000
/* A doorbell that has not come for so long is lost. */
#define ION_RESCUE_MS 100
#define ION_CLOSE_MS 2000
#define ION_CLOSE_SILENT_MS 100
#define ION_CLOSE_LOOK_MS 20

/*
 * The host decides how often a channel has something to say: each has a limit of
 * its own, so that a noisy one does not silence the others.
 */
#define ch_log(level, ch, fmt, ...)                                            \
	do {                                                                   \
		if (__ratelimit(&(ch)->log_limit))                             \
			dev_##level(&(ch)->idev->dev,                          \
				    "channel=%u generation=%llu " fmt,         \
				    (ch)->index, (ch)->end.generation,         \
				    ##__VA_ARGS__);                            \
	} while (0)

static const char *const ion_reason_names[ION_REASON_COUNT] = {
	[ION_REASON_NONE] = "none",
	[ION_REASON_REQ_PROD] = "request-producer-index",
	[ION_REASON_RSP_CONS] = "response-consumer-index",
	[ION_REASON_RSP_PROD] = "response-producer-index",
	[ION_REASON_REQ_CONS] = "request-consumer-index",
	[ION_REASON_RSP_TAG] = "response-tag",
	[ION_REASON_RSP_UNMATCHED] = "response-unmatched",
	[ION_REASON_DEPTH] = "depth",
	[ION_REASON_FEATURES] = "features",
	[ION_REASON_CLASS] = "class",
	[ION_REASON_VECTOR] = "vector",
	[ION_REASON_GUEST_STATE] = "guest-state",
	[ION_REASON_LIMITS] = "limits",
	[ION_REASON_REMOVED] = "removed",
	[ION_REASON_IO] = "io",
	[ION_REASON_UNANSWERED] = "unanswered",
};

/**
 * ion_reason_name - name of a latch reason, for logs and sysfs
 * @reason: &enum ion_reason, or whatever a host wrote
 *
 * Return: a constant string.
 */
const char *ion_reason_name(u32 reason)
{
	return reason < ION_REASON_COUNT ? ion_reason_names[reason] : "unknown";
}
EXPORT_SYMBOL_GPL(ion_reason_name);

void ion_channel_init(struct ion_channel *ch, struct ion_device *idev,
		      unsigned int index, const struct ion_dir_entry *entry)
{
	struct ion_window *w = idev->window;

	ch->idev = idev;
	ch->index = index;
	ch->entry = *entry;
	ch->data = entry->data.length ? w->base + entry->data.offset : NULL;
	ch->indirect = entry->indirect.length ? w->base + entry->indirect.offset :
						NULL;
	ch->config = entry->config.length ? w->base + entry->config.offset : NULL;
	mutex_init(&ch->lock);
	spin_lock_init(&ch->prod_lock);
	spin_lock_init(&ch->cons_lock);
	ratelimit_state_init(&ch->log_limit, DEFAULT_RATELIMIT_INTERVAL,
			     DEFAULT_RATELIMIT_BURST);
	INIT_LIST_HEAD(&ch->vector_node);
	ion_guest_bind(&ch->end, w->base, entry);
	ch->state = ION_CH_CLOSED;
	/* Vector 0 is the control vector; queues share the others, if any. */
	if (w->nr_vectors > 1)
		ch->vector = 1 + entry->host_vector % (w->nr_vectors - 1);
}

static void ion_channel_ring(struct ion_channel *ch)
{
	struct ion_window *w = ch->idev->window;
	unsigned long flags;

	spin_lock_irqsave(&ch->prod_lock, flags);
	ion_count(ch->stats.doorbells, 1);
	spin_unlock_irqrestore(&ch->prod_lock, flags);
	w->ops->ring(w, ch->entry.host_peer, ch->entry.host_vector);
}

/* Leave or enter UP: no send or receive may be under way meanwhile. */
static void ion_channel_set_state(struct ion_channel *ch,
				  enum ion_channel_state state)
{
	unsigned long flags;

	spin_lock_irqsave(&ch->cons_lock, flags);
	spin_lock(&ch->prod_lock);
	WRITE_ONCE(ch->state, state);
	spin_unlock(&ch->prod_lock);
	spin_unlock_irqrestore(&ch->cons_lock, flags);
}

static void ion_channel_reset(struct ion_channel *ch)
{
	ion_count(ch->stats.resets, 1);
	ion_channel_set_state(ch, ION_CH_RESETTING);
	/* Zero is the id of memory that nobody has reset. */
	ion_guest_reset(&ch->end, get_random_u64() | 1);
	ch->retry_at = jiffies + msecs_to_jiffies(ION_RESET_AGAIN_MS);
	ion_channel_ring(ch);
}

/* The next reset is to come no sooner than this, each time later. */
static void ion_channel_pause(struct ion_channel *ch)
{
	if (time_after(jiffies,
		       ch->up_since + msecs_to_jiffies(ION_BACKOFF_FORGET_MS)))
		ch->backoff_ms = 0;
	ch->backoff_ms = clamp(ch->backoff_ms * 2, ION_BACKOFF_MIN_MS,
			       ION_BACKOFF_MAX_MS);
	ch->retry_at = jiffies + msecs_to_jiffies(ch->backoff_ms);
}

static void ion_channel_acknowledge(struct ion_channel *ch,
				    const struct ion_offer *o,
				    const struct ion_terms *t)
{
	unsigned long flags;

	spin_lock_irqsave(&ch->cons_lock, flags);
	spin_lock(&ch->prod_lock);
	ion_guest_ack(&ch->end, o, t);
	atomic_set(&ch->unanswered, 0);
	ch->waiting = false;
	WRITE_ONCE(ch->unfinished, false);
	WRITE_ONCE(ch->latch, ION_REASON_NONE);
	WRITE_ONCE(ch->state, ION_CH_UP);
	spin_unlock(&ch->prod_lock);
	spin_unlock_irqrestore(&ch->cons_lock, flags);
}

static void ion_channel_try_up(struct ion_channel *ch)
{
	struct ion_offer o;
	struct ion_terms t = { .depth = 2 };
	int ret;

	if (!ion_guest_offer(&ch->end, &o))
		return;
	if (ch->state == ION_CH_REFUSED && o.generation == ch->refused_generation)
		return;
	ret = ch->ops->offer(ch, &o, &t);
	if (ret) {
		ch->refused_generation = o.generation;
		ion_channel_pause(ch);
		ion_channel_set_state(ch, ION_CH_REFUSED);
		ion_guest_set_state(&ch->end, ION_GUEST_LATCHED,
				    ION_REASON_LIMITS);
		ch_log(err, ch,
		       "offer %llu refused (%d), the channel stays down\n",
		       o.generation, ret);
		return;
	}
	t.vector = ch->vector;
	t.queue_class = ION_CLASS_INTERRUPT;
	if (ch->config)
		ch->config_sequence = ion_read((const u32 *)ch->config);
	ion_channel_acknowledge(ch, &o, &t);
	ch->up_since = jiffies;
	ch_log(info, ch, "up, depth=%u features=%#llx\n", t.depth, t.features);
	ion_channel_ring(ch);
	ch->ops->up(ch);
}

static void ion_channel_down(struct ion_channel *ch,
			     enum ion_channel_state state, const char *why)
{
	ion_channel_set_state(ch, state);
	ch->ops->down(ch, why);
}

static void ion_channel_back_off(struct ion_channel *ch, const char *why)
{
	ion_channel_pause(ch);
	ion_channel_down(ch, ION_CH_BACKOFF, why);
}

static void ion_channel_latched(struct ion_channel *ch)
{
	u32 reason = READ_ONCE(ch->latch);

	ion_count(ch->stats.latches, 1);
	ch_log(err, ch, "latched reason=%s\n", ion_reason_name(reason));
	ion_guest_set_state(&ch->end, ION_GUEST_LATCHED, reason);
	ion_channel_ring(ch);
	ion_channel_back_off(ch, ion_reason_name(reason));
}

/* The host no longer serves our generation: why, and what is next? */
static void ion_channel_lost(struct ion_channel *ch)
{
	/* Pairs with the release in ion_host_set_state(). */
	u32 state = ion_load_acquire(&ch->end.theirs->state);
	u32 reason = ion_read(&ch->end.theirs->reason);

	if (state == ION_HOST_LATCHED) {
		ch_log(err, ch, "latched by the host reason=%s\n",
		       ion_reason_name(reason));
		ion_channel_back_off(ch, ion_reason_name(reason));
		return;
	}
	ch_log(warn, ch, "the host left the generation, waiting for another\n");
	ion_channel_down(ch, ION_CH_LOST, "host lost");
	ion_channel_try_up(ch);
}

/*
 * An answer that lies in the ring for two looks and a while although its doorbell
 * should have been rung: ivshmem drops doorbells that come before the vector is set
 * up. Looks may follow at once upon each other, when the host rings for something else.
 */
static void ion_channel_safety_poll(struct ion_channel *ch)
{
	struct ion_cons *rsp = &ch->end.rsp;
	u32 at = READ_ONCE(rsp->cons);
	u64 before;

	if (READ_ONCE(ch->unfinished)) {
		WRITE_ONCE(ch->unfinished, false);
		ch->ops->event(ch);
		return;
	}
	if (ion_read(rsp->shared_prod) == at) {
		ch->waiting = false;
		return;
	}
	if (!ch->waiting || ch->waiting_at != at) {
		ch->waiting = true;
		ch->waiting_at = at;
		ch->waiting_since = jiffies;
		return;
	}
	if (time_before(jiffies,
			ch->waiting_since + msecs_to_jiffies(ION_RESCUE_MS)))
		return;
	before = READ_ONCE(ch->stats.received);
	ch->ops->event(ch);
	if (!ch->stats.rescued && READ_ONCE(ch->stats.received) != before)
		ch_log(warn, ch,
		       "doorbells get lost, answers come by the safety poll\n");
	ion_count(ch->stats.rescued, READ_ONCE(ch->stats.received) - before);
	ch->waiting = false;
}

static void ion_channel_check_config(struct ion_channel *ch)
{
	u32 sequence;

	if (!ch->config || !ch->ops->changed)
		return;
	sequence = ion_read((const u32 *)ch->config);
	if (sequence == ch->config_sequence || sequence & 1)
		return;
	ch->config_sequence = sequence;
	ch->ops->changed(ch);
}

/* The host still waits for what we stored when we came up. */
static bool ion_channel_is_unseen(const struct ion_channel *ch)
{
	/* Pairs with the release in ion_host_set_state(). */
	return ion_load_acquire(&ch->end.theirs->state) == ION_HOST_READY &&
	       time_after(jiffies,
			  ch->up_since + msecs_to_jiffies(ION_ACK_SEEN_MS));
}

static void ion_channel_step_up(struct ion_channel *ch)
{
	/*
	 * First: a host that starts anew puts its indices back, and leaves the
	 * generation before it does. That is no broken ring.
	 */
	if (ion_guest_lost(&ch->end)) {
		ion_channel_lost(ch);
		return;
	}
	if (READ_ONCE(ch->latch)) {
		ion_channel_latched(ch);
		return;
	}
	if (ion_channel_is_unseen(ch)) {
		ch_log(warn, ch, "the host does not take the acknowledgement\n");
		ion_channel_down(ch, ION_CH_LOST, "host lost");
		ion_channel_reset(ch);
		return;
	}
	ion_channel_check_config(ch);
	ion_channel_safety_poll(ch);
}

static void ion_channel_step_lost(struct ion_channel *ch)
{
	const struct ion_host_channel *host = ch->end.theirs;

	ion_channel_try_up(ch);
	if (ch->state != ION_CH_LOST)
		return;
	/*
	 * A host that latched, or that does not know our reset, needs a new one.
	 * Pairs with the release in ion_host_set_state().
	 */
	switch (ion_load_acquire(&host->state)) {
	case ION_HOST_READY:
	case ION_HOST_LIVE:
	case ION_HOST_LATCHED:
		ion_channel_reset(ch);
		break;
	}
}

/* The same reset once more: to a host that is about to drain it is nothing new. */
static void ion_channel_step_resetting(struct ion_channel *ch)
{
	ion_channel_try_up(ch);
	if (ch->state != ION_CH_RESETTING || time_before(jiffies, ch->retry_at))
		return;
	ion_guest_reset(&ch->end, ch->end.reset_id);
	ch->retry_at = jiffies + msecs_to_jiffies(ION_RESET_AGAIN_MS);
	ion_channel_ring(ch);
}

/*
 * A host that keeps to its offer is left alone. One that latched, or that has
 * drained somebody else's reset, will never make another one by itself.
 */
static void ion_channel_step_refused(struct ion_channel *ch)
{
	const struct ion_host_channel *host = ch->end.theirs;

	ion_channel_try_up(ch);
	if (ch->state != ION_CH_REFUSED || time_before(jiffies, ch->retry_at))
		return;
	/* Pairs with the release in ion_host_set_state(): the id is the offer's. */
	switch (ion_load_acquire(&host->state)) {
	case ION_HOST_READY:
		if (ion_read(&host->drained_id) == ch->end.reset_id)
			break;
		fallthrough;
	case ION_HOST_LIVE:
	case ION_HOST_LATCHED:
		ion_channel_reset(ch);
		break;
	}
}

/**
 * ion_channel_step - move a channel along
 * @ch: channel
 *
 * Context: process, the window's monitor.
 * Return: true when something is pending, so that the next look is due soon.
 */
bool ion_channel_step(struct ion_channel *ch)
{
	bool pending;

	/* Who closes a channel waits for its host; the others must not. */
	if (!mutex_trylock(&ch->lock))
		return true;
	switch (ch->state) {
	case ION_CH_CLOSED:
		break;
	case ION_CH_RESETTING:
		ion_channel_step_resetting(ch);
		break;
	case ION_CH_REFUSED:
		ion_channel_step_refused(ch);
		break;
	case ION_CH_UP:
		ion_channel_step_up(ch);
		break;
	case ION_CH_LOST:
		ion_channel_step_lost(ch);
		break;
	case ION_CH_BACKOFF:
		if (time_after_eq(jiffies, ch->retry_at))
			ion_channel_reset(ch);
		break;
	}
	if (ch->state == ION_CH_UP)
		pending = ch->waiting || atomic_read(&ch->unanswered) > 0;
	else
		pending = ch->state != ION_CH_CLOSED;
	mutex_unlock(&ch->lock);
	return pending;
}

/**
 * ion_channel_interrupt - the host rang this channel's vector
 * @ch: channel
 *
 * Context: any, under rcu_read_lock().
 */
void ion_channel_interrupt(struct ion_channel *ch)
{
	atomic64_inc(&ch->stats.interrupts);
	if (!ion_channel_is_up(ch) || ion_guest_lost(&ch->end))
		ion_window_look(ch->idev->window);
	ch->ops->event(ch);
}

/**
 * ion_channel_open - start talking on a channel
 * @ch: closed channel
 * @ops: called from now on, until ion_channel_close() returns
 * @priv: for the driver, in ch->priv
 *
 * Begins with a reset, since an earlier guest may have left the channel live.
 * Returns at once; ->offer() and ->up() follow when the host has drained.
 *
 * Context: process.
 * Return: 0, or -EBUSY when the channel is open.
 */
int ion_channel_open(struct ion_channel *ch, const struct ion_channel_ops *ops,
		     void *priv)
{
	struct ion_window *w = ch->idev->window;
	unsigned long flags;

	mutex_lock(&ch->lock);
	if (ch->ops) {
		mutex_unlock(&ch->lock);
		return -EBUSY;
	}
	ch->ops = ops;
	ch->priv = priv;
	ch->backoff_ms = 0;
	ch->up_since = jiffies;
	spin_lock_irqsave(&w->irq_lock, flags);
	list_add_tail_rcu(&ch->vector_node, &w->vectors[ch->vector]);
	spin_unlock_irqrestore(&w->irq_lock, flags);
	ion_channel_reset(ch);
	mutex_unlock(&ch->lock);
	ion_window_look(w);
	return 0;
}
EXPORT_SYMBOL_GPL(ion_channel_open);

/* Wait until the host has drained our reset, or shows that it will not. */
static bool ion_channel_wait_drained(struct ion_channel *ch)
{
	struct ion_window *w = ch->idev->window;
	unsigned int limit_ms;
	struct ion_offer o;

	for (;;) {
		if (wait_event_timeout(w->changed, ion_guest_offer(&ch->end, &o),
				       msecs_to_jiffies(ION_CLOSE_LOOK_MS)))
			return true;
		limit_ms = ion_window_host_alive(w) ? ION_CLOSE_MS :
						      ION_CLOSE_SILENT_MS;
		if (time_after(jiffies,
			       ch->closing_since + msecs_to_jiffies(limit_ms)))
			return false;
	}
}

/* The last reset, and no op from here on. Under @lock. */
static void ion_channel_begin_close(struct ion_channel *ch)
{
	struct ion_window *w = ch->idev->window;
	unsigned long flags;

	if (ch->state == ION_CH_CLOSED)
		return;
	ion_channel_reset(ch);
	ion_channel_set_state(ch, ION_CH_CLOSED);
	spin_lock_irqsave(&w->irq_lock, flags);
	list_del_rcu(&ch->vector_node);
	spin_unlock_irqrestore(&w->irq_lock, flags);
	synchronize_rcu();
	ch->closing_since = jiffies;
}

/**
 * ion_channel_close_begin - ask the host to drain a channel that is to be closed
 * @ch: channel; does nothing when it is closed, or has been asked for already
 *
 * When it returns no op is running and none will be called, and an RCU grace period
 * has passed since the last message could be sent. ion_channel_close() must follow. Who has several channels begins with all of them: the host drains them at
 * the same time, and to close them takes no longer than to close one.
 *
 * Context: process; not from an op.
 */
void ion_channel_close_begin(struct ion_channel *ch)
{
	mutex_lock(&ch->lock);
	ion_channel_begin_close(ch);
	mutex_unlock(&ch->lock);
}
EXPORT_SYMBOL_GPL(ion_channel_close_begin);

/**
 * ion_channel_close - stop talking on a channel
 * @ch: channel; closing a closed one does nothing
 *
 * When it returns no op is running and none will be called. Bounded to about
 * two seconds, less when the host is silent, or when it has been begun before.
 *
 * Context: process; not from an op.
 * Return: 0 when the host has drained what was sent; -ETIMEDOUT when it did not
 * answer, and may still act on it.
 */
int ion_channel_close(struct ion_channel *ch)
{
	bool drained;

	mutex_lock(&ch->lock);
	if (!ch->ops) {
		mutex_unlock(&ch->lock);
		return 0;
	}
	ion_channel_begin_close(ch);
	drained = ion_channel_wait_drained(ch);
	ion_guest_set_state(&ch->end, ION_GUEST_DOWN, ION_REASON_NONE);
	ion_channel_ring(ch);
	ch->ops = NULL;
	mutex_unlock(&ch->lock);
	return drained ? 0 : -ETIMEDOUT;
}
EXPORT_SYMBOL_GPL(ion_channel_close);

static void ion_channel_note_latch(struct ion_channel *ch, u32 reason)
{
	/* The first reason stays; the monitor acts upon it. */
	if (cmpxchg(&ch->latch, ION_REASON_NONE, reason) == ION_REASON_NONE)
		ion_window_look(ch->idev->window);
}

/**
 * ion_channel_fault - the driver found the host breaking a rule of its kind
 * @ch: open channel
 * @reason: &enum ion_reason
 *
 * Latches the channel; ->down() follows. Context: any.
 */
void ion_channel_fault(struct ion_channel *ch, u32 reason)
{
	ion_channel_note_latch(ch, reason);
}
EXPORT_SYMBOL_GPL(ion_channel_fault);

/**
 * ion_channel_send_marked - write one message, not visible before ion_channel_flush()
 * @ch: channel
 * @msg: entry.req.entry_size bytes
 * @mark: set with release when the message is written, and before anybody can make
 *	it visible; untouched on failure. Optional
 * @value: what it is set to
 *
 * A sender that set its mark itself, first, would have to take it back on failure;
 * and a host that answers what it was never sent could have had it used anew by then.
 *
 * Context: any.
 * Return: 0; -ENOSPC when the ring is full; -ENOTCONN when the channel is not up.
 */
int ion_channel_send_marked(struct ion_channel *ch, const void *msg,
			    atomic_t *mark, int value)
{
	struct ion_prod *req = &ch->end.req;
	unsigned long flags;
	int ret = 0;

	spin_lock_irqsave(&ch->prod_lock, flags);
	if (ch->state != ION_CH_UP || READ_ONCE(ch->latch)) {
		ret = -ENOTCONN;
	} else if (!ion_prod_free(req)) {
		ret = req->broken ? -ENOTCONN : -ENOSPC;
		if (req->broken)
			ion_channel_note_latch(ch, ION_REASON_REQ_CONS);
	} else {
		/* Pairs with the acquire in whatever judges answers: nxblk_answer(). */
		if (mark)
			atomic_set_release(mark, value);
		ion_prod_put(req, msg);
		ion_count(ch->stats.sent, 1);
		if (!ch->ops->one_way)
			atomic_inc(&ch->unanswered);
	}
	spin_unlock_irqrestore(&ch->prod_lock, flags);
	return ret;
}
EXPORT_SYMBOL_GPL(ion_channel_send_marked);

/**
 * ion_channel_flush - make sent messages visible, with a doorbell if wanted
 * @ch: channel
 *
 * Context: any.
 */
void ion_channel_flush(struct ion_channel *ch)
{
	unsigned long flags;
	bool ring = false;

	spin_lock_irqsave(&ch->prod_lock, flags);
	if (ch->state == ION_CH_UP)
		ring = ion_prod_publish(&ch->end.req);
	if (ring)
		ion_count(ch->stats.doorbells, 1);
	spin_unlock_irqrestore(&ch->prod_lock, flags);
	if (ring) {
		struct ion_window *w = ch->idev->window;

		w->ops->ring(w, ch->entry.host_peer, ch->entry.host_vector);
	}
	ion_window_busy(ch->idev->window);
}
EXPORT_SYMBOL_GPL(ion_channel_flush);

/*
 * Hand over what is there, at most one ring's worth, so that a host that
 * produces without end cannot hold a CPU. Returns the number handed over.
 */
static unsigned int ion_channel_consume(struct ion_channel *ch, ion_receive_fn fn)
{
	struct ion_cons *rsp = &ch->end.rsp;
	u8 msg[ION_MAX_ENTRY_SIZE] __aligned(8);
	unsigned int n = 0;
	u32 reason = ION_REASON_NONE;

	while (!reason && n <= rsp->mask && ion_cons_avail(rsp)) {
		ion_cons_get(rsp, msg);
		ion_cons_release(rsp);
		reason = fn(ch, msg);
		n++;
	}
	if (rsp->broken)
		reason = ION_REASON_RSP_PROD;
	if (reason)
		ion_channel_note_latch(ch, reason);
	ion_count(ch->stats.received, n);
	if (!ch->ops->one_way)
		atomic_sub(n, &ch->unanswered);
	return n;
}

/**
 * ion_channel_receive - take the answers that are there and arm the doorbell
 * @ch: channel
 * @fn: called for each
 *
 * Context: any.
 * Return: number of messages taken.
 */
unsigned int ion_channel_receive(struct ion_channel *ch, ion_receive_fn fn)
{
	struct ion_cons *rsp = &ch->end.rsp;
	unsigned int n = 0;
	unsigned long flags;

	spin_lock_irqsave(&ch->cons_lock, flags);
	while (ch->state == ION_CH_UP && !READ_ONCE(ch->latch)) {
		n += ion_channel_consume(ch, fn);
		if (READ_ONCE(ch->latch) || !ion_cons_arm(rsp))
			break;
		if (n > rsp->mask) {
			WRITE_ONCE(ch->unfinished, true);
			ion_window_look(ch->idev->window);
			break;
		}
	}
	spin_unlock_irqrestore(&ch->cons_lock, flags);
	return n;
}
EXPORT_SYMBOL_GPL(ion_channel_receive);

/**
 * ion_channel_try_receive - take the answers that are there, for a poller
 * @ch: channel
 * @fn: called for each
 *
 * Does nothing when another CPU is receiving. Leaves the doorbell disarmed, so
 * that the host does not interrupt a poller: whoever polls must end with
 * ion_channel_receive().
 *
 * Context: any.
 * Return: number of messages taken.
 */
unsigned int ion_channel_try_receive(struct ion_channel *ch, ion_receive_fn fn)
{
	struct ion_cons *rsp = &ch->end.rsp;
	unsigned int n = 0;
	unsigned long flags;

	if (!spin_trylock_irqsave(&ch->cons_lock, flags))
		return 0;
	if (ch->state == ION_CH_UP && !READ_ONCE(ch->latch)) {
		n = ion_channel_consume(ch, fn);
		/* Just behind: passed already, so that nothing moves past it. */
		ion_write(rsp->shared_event, rsp->cons - 1);
	}
	spin_unlock_irqrestore(&ch->cons_lock, flags);
	return n;
}
EXPORT_SYMBOL_GPL(ion_channel_try_receive);
