// SPDX-License-Identifier: GPL-2.0-only
/*
 * INFO: asking the host what the disk is, on the reserved tag of queue 0, and
 * acting on its answer. It is asked when all channels have come up and when the
 * host hints at a change.
 *
 * Nothing waits here: the work item issues the request and returns; the answer,
 * or the passing of time, brings it back.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ktime.h>
#include <linux/sched/mm.h>

#include "nxblk.h"
#include "trace.h"

/* An answer that takes longer is said to be missing; and asked for refusals. */
#define NXBLK_INFO_RETRY_MS 1000
/*
 * Between one INFO and the next that a hint asks for. Each change of the disk is an
 * event and a line in the log: how many there are is not for the host to choose.
 */
#define NXBLK_INFO_PAUSE_MS 100

static struct nxblk_slot *nxblk_info_slot(struct nxblk_queue *q)
{
	return &q->slots[q->depth - 1];
}

static void nxblk_info_again(struct nxblk_disk *d)
{
	queue_delayed_work(nxblk_wq, &d->work,
			   msecs_to_jiffies(NXBLK_INFO_RETRY_MS));
}

static void nxblk_info_issue(struct nxblk_disk *d)
{
	struct nxblk_queue *q = &d->queues[0];
	struct nxblk_slot *slot = nxblk_info_slot(q);
	struct nxblk_req req = {
		.op = NXBLK_OP_INFO,
		.cap_slot = q->ch->entry.cap_slot,
		.tag = q->depth - 1,
		.nseg = 1,
		.generation = q->generation,
		.seg[0] = {
			.addr = nxblk_pool_info_offset(&q->pool),
			.len = sizeof(struct nxblk_config),
		},
	};

	WRITE_ONCE(slot->rq, NULL);
	slot->op = NXBLK_OP_INFO;
	slot->fua = false;
	slot->nr_runs = 0;
	slot->bytes = sizeof(struct nxblk_config);
	slot->cookie += NXBLK_MAX_DEPTH;
	WRITE_ONCE(slot->issued, ktime_get_ns());
	req.cookie = slot->cookie;
	trace_nxblk_issue(d->index, q->index, &req);

	d->want_info = false;
	d->info_warned = false;
	d->info_at = jiffies + msecs_to_jiffies(NXBLK_INFO_PAUSE_MS);
	/* ->up() asks again. */
	if (ion_channel_send_marked(q->ch, &req, &slot->state,
				    NXBLK_SLOT_IN_FLIGHT))
		return;
	ion_channel_flush(q->ch);
	nxblk_info_again(d);
}

/**
 * nxblk_info_answer - INFO was answered
 * @q: queue 0
 * @slot: the reserved tag's, in NXBLK_SLOT_ANSWERED
 *
 * Context: any; the work item does the rest.
 */
void nxblk_info_answer(struct nxblk_queue *q, struct nxblk_slot *slot)
{
	nxblk_disk_kick(q->disk);
}

/* What the host says cannot be accepted: no disk, or no service until it can. */
static void nxblk_info_reject(struct nxblk_disk *d, const struct nxblk_fault *f)
{
	if (d->state == NXBLK_REFUSED && !strcmp(d->reason, f->what))
		return;
	nxblk_log(err, d, "%s: INFO rejected (%d): %s; is %llu (%#llx)\n",
		  nxblk_disk_name(d), -EINVAL, f->what, f->value, f->value);
	/* Requests end by themselves already, and go on doing so. */
	if (d->fail)
		return;
	nxblk_disk_set_state(d, NXBLK_REFUSED, f->what);
	nxblk_outage_begin(d);
}

/* The host answered INFO with an error. It is asked again and again. */
static void nxblk_info_denied(struct nxblk_disk *d, blk_status_t status)
{
	static const char why[] = "the host denies INFO";
	struct nxblk_fault f = {
		.what = why,
		.value = -blk_status_to_errno(status),
	};

	d->want_info = true;
	nxblk_info_again(d);
	if (status != BLK_STS_TARGET || !d->disk) {
		nxblk_info_reject(d, &f);
		return;
	}
	/*
	 * Without any right on the disk, requests end as a valve would end them.
	 * Whether it is still our disk cannot be known, so they are not sent.
	 */
	if (d->fail != BLK_STS_TARGET)
		nxblk_outage_fail(d, NXBLK_REFUSED, BLK_STS_TARGET, why);
}

/* Most sectors of a READ or WRITE: what the smallest pool holds. */
static u32 nxblk_info_most_sectors(struct nxblk_disk *d)
{
	u64 most = NXBLK_MAX_BYTES;
	unsigned int i;

	for (i = 0; i < d->nr_queues; i++)
		most = min(most, nxblk_pool_bytes(&d->queues[i].pool));
	return most >> SECTOR_SHIFT;
}

/* The first answer makes the disk; without the memory for it, a later one does. */
static bool nxblk_info_create(struct nxblk_disk *d)
{
	int ret = nxblk_geometry_create(d);

	if (!ret)
		queue_work(nxblk_add_wq, &d->add_work);
	if (ret != -ENOMEM)
		return true;
	d->want_info = true;
	nxblk_info_again(d);
	return false;
}

/*
 * INFO was answered OK with @cfg, a private copy. Returns whether another one may be
 * asked for at once.
 */
static bool nxblk_info_apply(struct nxblk_disk *d, struct nxblk_config *cfg)
{
	struct nxblk_fault f;

	if (!nxblk_validate_config(cfg, PAGE_SIZE >> SECTOR_SHIFT, &f)) {
		nxblk_info_reject(d, &f);
		return true;
	}
	nxblk_clamp_config(cfg, nxblk_info_most_sectors(d));
	if (d->disk && !nxblk_validate_successor(cfg, &d->cfg, &f)) {
		nxblk_info_reject(d, &f);
		return true;
	}
	d->cfg = *cfg;
	if (!d->disk)
		return nxblk_info_create(d);
	nxblk_geometry_refresh(d);
	nxblk_outage_revive(d);
	return true;
}

/* Returns whether to go on; when the host denied, it is asked again later. */
static bool nxblk_info_consume(struct nxblk_disk *d, struct nxblk_slot *slot)
{
	struct nxblk_pool *pool = &d->queues[0].pool;
	struct nxblk_config cfg;

	memcpy(&cfg, pool->base + nxblk_pool_bytes(pool), sizeof(cfg));
	/*
	 * For nxblk_answer() on another CPU: what is answered without a question finds
	 * nothing here. The next question is asked under the lock that is held.
	 */
	atomic_set_release(&slot->state, NXBLK_SLOT_IDLE);
	if (!slot->status)
		return nxblk_info_apply(d, &cfg);
	nxblk_info_denied(d, slot->status);
	return false;
}

static void nxblk_info_missing(struct nxblk_disk *d)
{
	struct nxblk_queue *q = &d->queues[0];

	if (!d->info_warned)
		nxblk_log(warn, d,
			  "channel=0 generation=%u: INFO is not answered yet, waiting\n",
			  q->generation);
	d->info_warned = true;
	nxblk_info_again(d);
}

static void nxblk_info_step(struct nxblk_disk *d)
{
	struct nxblk_queue *q = &d->queues[0];
	struct nxblk_slot *slot;
	u64 age;

	if (d->state == NXBLK_DEAD || !nxblk_disk_all_up(d) ||
	    atomic_read(&d->quarantined) || nxblk_outage_held(d))
		return;
	if (d->removing && !d->disk)
		return;
	slot = nxblk_info_slot(q);
	/* Pairs with the exchange in nxblk_answer(): the status is there. */
	switch (atomic_read_acquire(&slot->state)) {
	case NXBLK_SLOT_ANSWERED:
		if (!nxblk_info_consume(d, slot))
			return;
		break;
	case NXBLK_SLOT_IN_FLIGHT:
		age = ktime_get_ns() - slot->issued;
		if (age > NXBLK_INFO_RETRY_MS * NSEC_PER_MSEC / 2)
			nxblk_info_missing(d);
		return;
	}
	if (!d->want_info)
		return;
	if (time_before(jiffies, d->info_at))
		mod_delayed_work(nxblk_wq, &d->work, d->info_at - jiffies);
	else
		nxblk_info_issue(d);
}

/**
 * nxblk_info_work - move a disk along
 * @work: nxblk_disk.work
 *
 * I/O of this very disk may be waiting for what is done here.
 */
void nxblk_info_work(struct work_struct *work)
{
	struct nxblk_disk *d =
		container_of(to_delayed_work(work), struct nxblk_disk, work);
	unsigned int noio = memalloc_noio_save();

	mutex_lock(&d->lock);
	nxblk_info_step(d);
	mutex_unlock(&d->lock);
	memalloc_noio_restore(noio);
}
