// SPDX-License-Identifier: GPL-2.0-only
/*
 * From BLK_RESP to the end of a request: matching answers with what was issued,
 * completing in batches, and watching for answers after a submit.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ktime.h>
#include <linux/sched.h>

#include "nxblk.h"
#include "trace.h"

/*
 * An operation that the host negotiated and refuses all the same: stop asking. Who
 * splits a bio meanwhile sees the limit as it was or as it is, as with other drivers.
 */
static void nxblk_stop_asking(const struct nxblk_slot *slot)
{
	switch (slot->op) {
	case NXBLK_OP_DISCARD:
		blk_queue_disable_discard(slot->rq->q);
		break;
	case NXBLK_OP_WRITE_ZEROES:
		/* The block layer writes zeroes itself then. */
		blk_queue_disable_write_zeroes(slot->rq->q);
		break;
	}
}

static blk_status_t nxblk_unsupported(const struct nxblk_slot *slot)
{
	switch (slot->op) {
	case NXBLK_OP_DISCARD:
	case NXBLK_OP_WRITE_ZEROES:
		return BLK_STS_NOTSUPP;
	default:
		return BLK_STS_IOERR;
	}
}

/*
 * The one place that knows both wire status and blk_status_t.
 *
 * FLUSH and FUA fail with IOERR alone: blkdev_fsync() takes "not supported" for
 * success. PERM and RO become TARGET, as a write to protected media does
 * elsewhere: it is final, another path or try would not help.
 */
static blk_status_t nxblk_status(const struct nxblk_slot *slot,
				 const struct nxblk_resp *resp)
{
	if (resp->status == NXBLK_S_OK)
		return resp->done == slot->bytes ? BLK_STS_OK : BLK_STS_IOERR;
	if (slot->op == NXBLK_OP_FLUSH || slot->fua)
		return BLK_STS_IOERR;
	switch (resp->status) {
	case NXBLK_S_UNSUPP:
		return nxblk_unsupported(slot);
	case NXBLK_S_PERM:
	case NXBLK_S_RO:
		return BLK_STS_TARGET;
	case NXBLK_S_NOSPC:
		return BLK_STS_NOSPC;
	case NXBLK_S_TIMEOUT:
		return BLK_STS_TIMEOUT;
	default:
		return BLK_STS_IOERR;
	}
}

static void nxblk_complain(struct nxblk_queue *q, const struct nxblk_slot *slot,
			   const struct nxblk_resp *resp)
{
	nxblk_log(err, q->disk,
		  "channel=%u generation=%u tag=%u op=%u status=%u done=%llu of %u\n",
		  q->index, resp->generation, resp->tag, resp->op, resp->status,
		  resp->done, slot->bytes);
}

/* The answer to a request that was ended before: its tag is free at last. */
static u32 nxblk_answer_late(struct nxblk_queue *q, struct nxblk_slot *slot)
{
	struct nxblk_disk *d = q->disk;

	if (!nxblk_queue_release(q, slot, NXBLK_SLOT_QUARANTINE))
		return ION_REASON_RSP_UNMATCHED;
	ion_count(q->late, 1);
	if (atomic_dec_and_test(&d->quarantined))
		nxblk_disk_kick(d);
	return ION_REASON_NONE;
}

static void nxblk_accept(struct nxblk_queue *q, struct nxblk_slot *slot,
			 const struct nxblk_resp *resp)
{
	trace_nxblk_answer(q->disk->index, q->index, resp,
			   ktime_get_ns() - slot->issued);
	if (unlikely(slot->status))
		nxblk_complain(q, slot, resp);
	if (unlikely(slot->status == BLK_STS_NOTSUPP))
		nxblk_stop_asking(slot);
	if (unlikely(!slot->rq)) {
		nxblk_info_answer(q, slot);
		return;
	}
	if (unlikely(!READ_ONCE(q->disk->served)))
		WRITE_ONCE(q->disk->served, true);
	blk_mq_set_request_complete(slot->rq);
	llist_add(&slot->done, &q->done);
	/* It was held, and may have been the last one: see nxblk_info_step(). */
	if (unlikely(READ_ONCE(q->disk->fail)))
		nxblk_disk_kick(q->disk);
}

/**
 * nxblk_answer - judge one answer
 * @ch: channel
 * @data: private copy of a &struct nxblk_resp
 *
 * Context: consumer lock held, interrupts off.
 * Return: ION_REASON_NONE, or why the channel is to be latched.
 */
u32 nxblk_answer(struct ion_channel *ch, const void *data)
{
	struct nxblk_queue *q = ch->priv;
	struct nxblk_disk *d = q->disk;
	const struct nxblk_resp *resp = data;
	struct nxblk_slot *slot;
	int state;

	if (resp->generation != READ_ONCE(q->generation)) {
		ion_count(q->stale, 1);
		return ION_REASON_NONE;
	}
	if (resp->tag >= q->depth)
		return ION_REASON_RSP_TAG;
	slot = &q->slots[resp->tag];
	/* Pairs with the release in ion_channel_send_marked(). */
	state = atomic_read_acquire(&slot->state);
	if (state != NXBLK_SLOT_IN_FLIGHT && state != NXBLK_SLOT_QUARANTINE)
		return ION_REASON_RSP_UNMATCHED;
	if (resp->op != slot->op || resp->cookie != slot->cookie)
		return ION_REASON_RSP_UNMATCHED;

	/* INFO is asked as often as the host hints: its answers are no progress. */
	if (resp->op != NXBLK_OP_INFO)
		WRITE_ONCE(d->last_answer, jiffies);
	if (unlikely(test_bit(0, &d->silent)))
		clear_bit(0, &d->silent);
	/* First: whoever sees ANSWERED may use it, as nxblk_info_step() does. */
	slot->status = nxblk_status(slot, resp);
	/* Another CPU may just be ending it early. */
	if (atomic_cmpxchg(&slot->state, NXBLK_SLOT_IN_FLIGHT,
			   NXBLK_SLOT_ANSWERED) == NXBLK_SLOT_IN_FLIGHT)
		nxblk_accept(q, slot, resp);
	else
		return nxblk_answer_late(q, slot);
	return ION_REASON_NONE;
}

/* Complete one request, alone or with others of its batch. */
static void nxblk_finish(struct nxblk_queue *q, struct nxblk_slot *slot,
			 struct io_comp_batch *batch)
{
	struct request *rq = slot->rq;
	blk_status_t status = slot->status;
	bool fed;

	if (slot->op == NXBLK_OP_READ && !status) {
		if (slot->zero_copy)
			nxblk_zero_copy_read(rq);
		else
			nxblk_pool_drain(&q->pool, slot);
	}
	nxblk_pool_give(&q->pool, slot);
	fed = nxblk_pool_fed(&q->pool);
	/*
	 * Idle before the request ends: a flush may borrow its tag at once.
	 * Pairs with the acquire in nxblk_prepare().
	 */
	atomic_set_release(&slot->state, NXBLK_SLOT_IDLE);
	/*
	 * Only the end of a single request makes the block layer run a queue
	 * again whose requests were turned away; the end of a batch does not.
	 */
	if (!fed && blk_mq_add_to_batch(rq, batch, status != BLK_STS_OK,
					blk_mq_end_request_batch))
		return;
	blk_mq_end_request(rq, status);
}

/**
 * nxblk_reap - complete what has been answered
 * @q: queue
 *
 * Context: process or softirq, since data is copied.
 */
void nxblk_reap(struct nxblk_queue *q)
{
	struct llist_node *list = llist_reverse_order(llist_del_all(&q->done));
	struct nxblk_slot *slot, *next;
	DEFINE_IO_COMP_BATCH(batch);

	llist_for_each_entry_safe(slot, next, list, done)
		nxblk_finish(q, slot, &batch);
	if (batch.complete)
		batch.complete(&batch);
}

void nxblk_reap_tasklet(struct tasklet_struct *t)
{
	nxblk_reap(container_of(t, struct nxblk_queue, tasklet));
}

/**
 * nxblk_event - answers may have arrived
 * @ch: channel
 *
 * Context: any. Copying up to a request's worth of pages is not for a hard
 * interrupt.
 */
void nxblk_event(struct ion_channel *ch)
{
	struct nxblk_queue *q = ch->priv;

	ion_channel_receive(ch, nxblk_answer);
	if (llist_empty(&q->done))
		return;
	if (in_hardirq() || irqs_disabled())
		tasklet_schedule(&q->tasklet);
	else
		nxblk_reap(q);
}

/*
 * Watching after a submit. An answer that comes while somebody looks costs no
 * interrupt, no wake-up and no sleep, but looking in vain costs the CPU that
 * the host's thread may be waiting for. So: watch only while little is in
 * flight; for about twice as long as answers have been taking, at most
 * NXBLK_WATCH_MAX; stop after a few misses and try again rarely, ever more
 * rarely while it goes on failing.
 */
#define NXBLK_WATCH_MAX 50000u
#define NXBLK_WATCH_MIN 10000u
#define NXBLK_WATCH_IN_FLIGHT 4
#define NXBLK_WATCH_MISSES 4
#define NXBLK_WATCH_PAUSE_MIN 32
#define NXBLK_WATCH_PAUSE_MAX 1024

static void nxblk_watch_hit(struct nxblk_queue *q, u64 took)
{
	struct nxblk_spin *s = &q->spin;
	unsigned int want =
		clamp_t(u64, 2 * took, NXBLK_WATCH_MIN, NXBLK_WATCH_MAX);

	ion_count(q->spin_hits, 1);
	s->misses = 0;
	s->pause = NXBLK_WATCH_PAUSE_MIN;
	/* Up at once, down slowly. */
	s->budget = want > s->budget ? want : (7 * s->budget + want) / 8;
}

static void nxblk_watch_miss(struct nxblk_queue *q)
{
	struct nxblk_spin *s = &q->spin;

	ion_count(q->spin_misses, 1);
	if (++s->misses < NXBLK_WATCH_MISSES)
		return;
	/* As many tries next time, since the host may have to be woken first. */
	s->budget = 0;
	s->misses = 0;
	s->pause = clamp_t(unsigned int, 2 * s->pause, NXBLK_WATCH_PAUSE_MIN,
			   NXBLK_WATCH_PAUSE_MAX);
	s->rest = s->pause;
}

static unsigned int nxblk_watch_budget(struct nxblk_spin *s)
{
	if (s->budget)
		return s->budget;
	if (s->rest) {
		s->rest--;
		return 0;
	}
	return NXBLK_WATCH_MAX;
}

static void nxblk_watch_for(struct nxblk_queue *q, unsigned int budget)
{
	u64 start, now;

	/*
	 * Who is preempted here leaves the doorbell disarmed, and nobody looks until it
	 * runs again. All of it is done with interrupts off as well, or takes as long
	 * as the budget; and it ends when somebody else is to run.
	 */
	preempt_disable();
	start = ktime_get_ns();
	now = start;
	while (llist_empty(&q->done) && now - start < budget && !need_resched()) {
		ion_channel_try_receive(q->ch, nxblk_answer);
		cpu_relax();
		now = ktime_get_ns();
	}
	if (llist_empty(&q->done))
		nxblk_watch_miss(q);
	else
		nxblk_watch_hit(q, now - start);
	/* Arms the doorbell that watching disarmed. */
	ion_channel_receive(q->ch, nxblk_answer);
	preempt_enable();
}

/**
 * nxblk_watch - after a submit: look for the answer for a moment
 * @q: queue
 *
 * Context: as queue_rq. Requests may be completed here, and what that submits
 * comes back: the bit keeps it from watching in turn. Where locks sleep nobody
 * watches, since that is done without being preempted.
 */
void nxblk_watch(struct nxblk_queue *q)
{
	struct nxblk_spin *s = &q->spin;
	unsigned int budget;

	if (IS_ENABLED(CONFIG_PREEMPT_RT) ||
	    atomic_read(&q->ch->unanswered) > NXBLK_WATCH_IN_FLIGHT ||
	    !in_task() || irqs_disabled() || test_and_set_bit_lock(0, &s->busy))
		return;
	budget = nxblk_watch_budget(s);
	if (budget) {
		nxblk_watch_for(q, budget);
		nxblk_reap(q);
	}
	clear_bit_unlock(0, &s->busy);
}
