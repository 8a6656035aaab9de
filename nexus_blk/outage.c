// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of requests when the host does not answer.
 *
 * From the moment that a channel goes down, or that an answer is missing, the
 * outage clock of the disk runs. Requests wait (the queues are quiesced, never
 * frozen: a freeze would wait for what nobody answers) until the host is back, or
 * until the bound that the operator chose has passed: then they end with an
 * error, and so do new ones at once. Whenever the host is back, the disk is.
 *
 * A request that ends early leaves its tag and chunks in quarantine: the host
 * may still execute it. A zero-copy request cannot end early, since its pages are
 * Linux's again then: it is held until it is answered, or drained. New requests
 * are issued only after the host has drained or answered all of those, so that no
 * old write lands after a newer one.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/jiffies.h>
#include <linux/ktime.h>

#include "nxblk.h"

/*
 * A removal during which nothing is answered for this long goes on without. A
 * host that gives signs of life may just be slow: its disk may take its time for
 * a flush, and what is dirty here would be lost.
 */
#define NXBLK_REAP_PATIENCE (5 * HZ)
#define NXBLK_REAP_PATIENCE_ALIVE (60 * HZ)
#define NXBLK_REAP_LOOK (HZ / 2)
/*
 * Nor does one request hold a removal for longer, whatever else the host answers
 * meanwhile: others' reads may go on for ever.
 */
#define NXBLK_REAP_MOST (180 * HZ)
/*
 * Nor do all of them together, be each answered in time: a host that gives one answer
 * a second would hold a removal for days. What is dirty here is a part of the memory
 * at most, and several GiB are written in that time by a disk that is hardly one.
 */
#define NXBLK_REAP_LIMIT (1800 * HZ)

/* For an answer to what was ended here, before it is drained instead. */
#define NXBLK_SETTLE_PATIENCE (5 * HZ)

/* An idle disk that was in service for so long was well. */
#define NXBLK_LIVE_LONG (5 * HZ)

/* Jiffies for which the disk has been without service. */
static unsigned long nxblk_outage_age(struct nxblk_disk *d)
{
	unsigned long age = 0;
	unsigned int i;

	if (d->state != NXBLK_LIVE)
		age = jiffies - d->down_since;
	for (i = 0; i < d->nr_queues; i++)
		age = max(age,
			  nsecs_to_jiffies(nxblk_queue_oldest(&d->queues[i])));
	return age;
}

/**
 * nxblk_outage_clock - the disk comes into service, or leaves it
 * @d: disk, locked
 * @live: it comes
 *
 * A host that seems to be back for a moment, and answers nothing, has not ended
 * the outage.
 */
void nxblk_outage_clock(struct nxblk_disk *d, bool live)
{
	if (live) {
		d->live_since = jiffies;
		WRITE_ONCE(d->served, false);
	} else if (READ_ONCE(d->served) ||
		   time_after(jiffies, d->live_since + NXBLK_LIVE_LONG)) {
		d->down_since = jiffies;
	}
}

static bool nxblk_outage_bounded(const struct nxblk_disk *d)
{
	switch (d->state) {
	case NXBLK_LIVE:
	case NXBLK_DOWN:
	case NXBLK_REFUSED:
		return d->disk && d->outage != NXBLK_OUTAGE_REQUEUE && !d->fail;
	default:
		return false;
	}
}

/* A channel that is up but does not answer: only a drain makes sure of it. */
static void nxblk_outage_drain(struct nxblk_disk *d)
{
	unsigned int i;

	for (i = 0; i < d->nr_queues; i++)
		if (nxblk_queue_oldest(&d->queues[i]))
			ion_channel_fault(d->queues[i].ch, ION_REASON_UNANSWERED);
}

/*
 * What was ended early, on channels that are up, is yet to be answered, and nothing
 * is asked of the host before it is. Should it have lost them, only a drain ends it.
 * Channels that are down are drained before they come up.
 */
static void nxblk_outage_settle(struct nxblk_disk *d)
{
	unsigned int i;

	if (!d->fail || d->state == NXBLK_DEAD)
		return;
	for (i = 0; i < d->nr_queues; i++)
		if (d->queues[i].up &&
		    nxblk_queue_count(&d->queues[i], NXBLK_SLOT_QUARANTINE))
			ion_channel_fault(d->queues[i].ch, ION_REASON_UNANSWERED);
}

/**
 * nxblk_outage_held - zero-copy requests that wait although the disk fails
 * @d: disk
 *
 * Return: number of requests.
 */
unsigned int nxblk_outage_held(const struct nxblk_disk *d)
{
	unsigned int i, n = 0;

	if (!READ_ONCE(d->fail))
		return 0;
	for (i = 0; i < d->nr_queues; i++)
		n += nxblk_queue_count(&d->queues[i], NXBLK_SLOT_IN_FLIGHT);
	return n;
}

static void nxblk_outage_end_all(struct nxblk_disk *d, blk_status_t status)
{
	unsigned int i, held, n = 0;

	for (i = 0; i < d->nr_queues; i++)
		n += nxblk_queue_end_all(&d->queues[i], status,
					 d->state == NXBLK_DEAD);
	if (n)
		nxblk_log(err, d, "%s: %u requests ended unanswered\n",
			  nxblk_disk_name(d), n);
	held = nxblk_outage_held(d);
	if (held)
		nxblk_log(warn, d,
			  "%s: %u zero-copy requests held until the host has answered or drained them\n",
			  nxblk_disk_name(d), held);
}

/**
 * nxblk_outage_fail - end everything that is pending, without the host
 * @d: disk, locked
 * @state: NXBLK_FAILING, NXBLK_REFUSED or NXBLK_DEAD
 * @status: that requests end with, those to come too
 * @why: for log and sysfs
 */
void nxblk_outage_fail(struct nxblk_disk *d, enum nxblk_state state,
		       blk_status_t status, const char *why)
{
	/* Nobody is between looking at ->fail and sending any more. */
	nxblk_disk_quiesce(d);
	WRITE_ONCE(d->fail, status);
	nxblk_disk_set_state(d, state, why);
	if (!d->disk)
		return;
	nxblk_outage_end_all(d, status);
	nxblk_disk_resume(d);
	mod_delayed_work(nxblk_wq, &d->outage_work, NXBLK_SETTLE_PATIENCE);
	d->want_info = true;
	nxblk_disk_kick(d);
}

/**
 * nxblk_outage_revive - the host is back, and it is our disk
 * @d: disk, locked; nothing is in quarantine or held
 */
void nxblk_outage_revive(struct nxblk_disk *d)
{
	if (d->state == NXBLK_LIVE)
		return;
	WRITE_ONCE(d->fail, BLK_STS_OK);
	nxblk_disk_set_state(d, NXBLK_LIVE, "none");
	nxblk_disk_resume(d);
}

/* Has the outage lasted too long? Otherwise it is looked at again in time. */
static void nxblk_outage_check(struct nxblk_disk *d)
{
	unsigned long limit = (unsigned long)d->outage * HZ;
	unsigned long age = nxblk_outage_age(d);

	if (!nxblk_outage_bounded(d) || (!age && d->state == NXBLK_LIVE))
		return;
	/* While the channels are up, a slow answer is no outage yet. */
	if (d->state == NXBLK_LIVE)
		limit = max(limit, (unsigned long)d->set.timeout);
	if (age < limit) {
		mod_delayed_work(nxblk_wq, &d->outage_work, limit - age);
		return;
	}
	if (d->state == NXBLK_LIVE)
		nxblk_outage_drain(d);
	nxblk_outage_fail(d, NXBLK_FAILING, BLK_STS_IOERR, "outage_timeout");
}

/**
 * nxblk_outage_begin - the host is gone, or cannot be used
 * @d: disk, locked
 *
 * Judged at once: a request that is in flight now, and was before, may be back in
 * the requeue list a moment later, where its age is not seen.
 */
void nxblk_outage_begin(struct nxblk_disk *d)
{
	if (!d->disk)
		return;
	nxblk_disk_quiesce(d);
	nxblk_outage_check(d);
}

/**
 * nxblk_outage_work - has the outage, or what it left behind, lasted too long
 * @work: nxblk_disk.outage_work
 */
void nxblk_outage_work(struct work_struct *work)
{
	struct nxblk_disk *d = container_of(to_delayed_work(work),
					    struct nxblk_disk, outage_work);

	mutex_lock(&d->lock);
	nxblk_outage_settle(d);
	nxblk_outage_check(d);
	mutex_unlock(&d->lock);
}

/* Held on a channel that is up, for so long that a drain has to be asked for. */
static bool nxblk_outage_overdue(const struct nxblk_disk *d,
				 const struct nxblk_slot *slot)
{
	u64 limit = (u64)READ_ONCE(d->outage) * NSEC_PER_SEC;

	return READ_ONCE(d->fail) &&
	       ktime_get_ns() - READ_ONCE(slot->issued) >= limit;
}

/**
 * nxblk_outage_timeout - a request has been unanswered for a while
 * @rq: request
 *
 * Never ends it, since the host may still execute it: the outage clock does.
 *
 * Nothing keeps it in its tag meanwhile: a drain may put it back in the requeue
 * list, and with a scheduler that takes the tag away. Its timer begins anew when it
 * is issued.
 *
 * Return: BLK_EH_DONE when it has been answered or drained meanwhile, or else
 * BLK_EH_RESET_TIMER.
 */
enum blk_eh_timer_return nxblk_outage_timeout(struct request *rq)
{
	struct nxblk_queue *q = rq->mq_hctx->driver_data;
	struct nxblk_disk *d = q->disk;
	int tag = READ_ONCE(rq->tag);
	struct nxblk_slot *slot;

	if (tag < 0)
		return BLK_EH_DONE;
	slot = &q->slots[tag];
	/* A doorbell may have been lost. */
	nxblk_event(q->ch);
	if (atomic_read(&slot->state) != NXBLK_SLOT_IN_FLIGHT ||
	    READ_ONCE(slot->rq) != rq)
		return BLK_EH_DONE;
	if (!test_and_set_bit(0, &d->silent))
		nxblk_log(warn, d,
			  "%s: channel=%u generation=%u tag=%d: no answer for %llu ms, waiting\n",
			  nxblk_disk_name(d), q->index,
			  READ_ONCE(q->generation), tag,
			  div_u64(ktime_get_ns() - READ_ONCE(slot->issued),
				  NSEC_PER_MSEC));
	if (nxblk_outage_overdue(d, slot) && ion_channel_is_up(q->ch))
		ion_channel_fault(q->ch, ION_REASON_UNANSWERED);
	queue_delayed_work(nxblk_wq, &d->outage_work, 0);
	return BLK_EH_RESET_TIMER;
}

/* A removal waits for I/O: is any being answered? */
static bool nxblk_outage_stuck(struct nxblk_disk *d)
{
	unsigned long patience = NXBLK_REAP_PATIENCE;
	u64 oldest = 0;
	unsigned int i;

	if (time_after(jiffies, d->removing_since + NXBLK_REAP_LIMIT))
		return true;
	if (nxblk_disk_served(d))
		patience = NXBLK_REAP_PATIENCE_ALIVE;
	for (i = 0; i < d->nr_queues; i++)
		oldest = max(oldest, nxblk_queue_oldest(&d->queues[i]));
	if (!oldest && d->state == NXBLK_LIVE)
		return false;
	if (time_after(jiffies, READ_ONCE(d->last_answer) + patience))
		return true;
	return nsecs_to_jiffies(oldest) > NXBLK_REAP_MOST &&
	       time_after(jiffies, d->removing_since + NXBLK_REAP_MOST);
}

/**
 * nxblk_outage_reap - watch over a removal
 * @work: nxblk_disk.reap_work
 */
void nxblk_outage_reap(struct work_struct *work)
{
	struct nxblk_disk *d = container_of(to_delayed_work(work),
					    struct nxblk_disk, reap_work);

	mutex_lock(&d->lock);
	if (d->state != NXBLK_DEAD && nxblk_outage_stuck(d))
		nxblk_outage_fail(d, NXBLK_DEAD, BLK_STS_IOERR,
				  "removed, the host does not answer");
	if (d->state != NXBLK_DEAD)
		queue_delayed_work(nxblk_wq, &d->reap_work, NXBLK_REAP_LOOK);
	mutex_unlock(&d->lock);
}
