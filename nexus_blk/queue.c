// SPDX-License-Identifier: GPL-2.0-only
/*
 * From request to BLK_REQ: translation, issue, batches; and what happens to
 * issued requests that are not answered.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ktime.h>

#include <nexus/nxblk_check.h>

#include "nxblk.h"
#include "trace.h"

static struct nxblk_queue *nxblk_hctx_queue(struct blk_mq_hw_ctx *hctx)
{
	return hctx->driver_data;
}

/* The one place that knows both request and wire operations. */
static blk_status_t nxblk_translate(struct request *rq, struct nxblk_req *req)
{
	switch (req_op(rq)) {
	case REQ_OP_READ:
		req->op = NXBLK_OP_READ;
		break;
	case REQ_OP_WRITE:
		req->op = NXBLK_OP_WRITE;
		break;
	case REQ_OP_FLUSH:
		req->op = NXBLK_OP_FLUSH;
		return BLK_STS_OK;
	case REQ_OP_DISCARD:
		req->op = NXBLK_OP_DISCARD;
		break;
	case REQ_OP_WRITE_ZEROES:
		req->op = NXBLK_OP_WRITE_ZEROES;
		if (!(rq->cmd_flags & REQ_NOUNMAP))
			req->flags |= NXBLK_REQ_UNMAP;
		break;
	default:
		return BLK_STS_NOTSUPP;
	}
	if (nxblk_op_writes(req->op) && (rq->cmd_flags & REQ_FUA))
		req->flags |= NXBLK_REQ_FUA;
	req->lba = blk_rq_pos(rq);
	req->count = blk_rq_sectors(rq);
	return BLK_STS_OK;
}

/* Describe the buffer: in the request itself, or in the tag's own table. */
static void nxblk_attach(struct nxblk_queue *q, struct nxblk_slot *slot,
			 struct nxblk_req *req)
{
	const struct ion_dir_entry *e = &q->ch->entry;
	size_t place = (size_t)req->tag * NXBLK_INDIRECT_STRIDE;

	req->nseg = slot->nr_runs;
	if (slot->nr_runs <= NXBLK_INLINE_SEGS) {
		nxblk_pool_segs(&q->pool, slot, req->seg);
		return;
	}
	req->flags |= NXBLK_REQ_INDIRECT;
	req->seg[0].addr = e->indirect.offset + place;
	req->seg[0].len = slot->nr_runs * sizeof(struct nxblk_seg);
	nxblk_pool_segs(&q->pool, slot, q->ch->indirect + place);
}

/* Its own pages, or chunks of the pool. */
static blk_status_t nxblk_buffer(struct nxblk_queue *q, struct nxblk_slot *slot,
				 struct nxblk_req *req)
{
	bool wanted = nxblk_zero_copy_wanted(q, slot->bytes);

	slot->nr_runs = 0;
	slot->zero_copy = wanted && nxblk_zero_copy_attach(q, slot->rq, req);
	slot->misfit = wanted && !slot->zero_copy;
	if (slot->zero_copy)
		return BLK_STS_OK;
	if (!nxblk_pool_take(&q->pool, slot, q->max_runs))
		return BLK_STS_DEV_RESOURCE;
	if (slot->bytes)
		nxblk_attach(q, slot, req);
	if (req->op == NXBLK_OP_WRITE)
		nxblk_pool_fill(&q->pool, slot);
	return BLK_STS_OK;
}

/*
 * Everything that can fail without a trace. Who is turned away with
 * DEV_RESOURCE is run again when chunks are given back (nxblk_pool_fed()).
 */
static blk_status_t nxblk_prepare(struct nxblk_queue *q, struct request *rq,
				  struct nxblk_req *req)
{
	struct nxblk_disk *d = q->disk;
	struct nxblk_slot *slot = &q->slots[rq->tag];
	blk_status_t status = READ_ONCE(d->fail);

	if (unlikely(status))
		return status;
	memset(req, 0, sizeof(*req));
	status = nxblk_translate(rq, req);
	if (unlikely(status))
		return status;
	/* bio_check_ro() only warns. */
	if (nxblk_op_writes(req->op) && READ_ONCE(d->read_only))
		return BLK_STS_TARGET;
	/* Pairs with the releases in nxblk_finish() and nxblk_queue_release(). */
	if (WARN_ON_ONCE(atomic_read_acquire(&slot->state) != NXBLK_SLOT_IDLE))
		return BLK_STS_IOERR;

	/* See nxblk_outage_timeout(), also for when it is issued. */
	WRITE_ONCE(slot->rq, rq);
	slot->op = req->op;
	slot->fua = req->flags & NXBLK_REQ_FUA;
	slot->bytes = nxblk_buffer_bytes(req);
	req->tag = rq->tag;
	return nxblk_buffer(q, slot, req);
}

/* A request was sent. Its slot may be in use for another one already. */
static void nxblk_count(struct nxblk_queue *q, const struct nxblk_req *req,
			bool misfit)
{
	atomic_long_inc(&q->requests);
	if (misfit)
		atomic_long_inc(&q->zero_copy_bounced);
	if (!(req->flags & NXBLK_REQ_GPA))
		return;
	atomic_long_inc(&q->zero_copy);
	atomic64_add(nxblk_buffer_bytes(req), &q->zero_copy_bytes);
}

/*
 * When a request was issued first: however often a host comes and goes, its user
 * waits from then on. The flag outlives a requeue, and no allocation.
 */
static u64 nxblk_first_issue(struct request *rq, u64 now)
{
	struct nxblk_pdu *pdu = blk_mq_rq_to_pdu(rq);

	if (!(rq->rq_flags & RQF_DONTPREP))
		pdu->since = now;
	rq->rq_flags |= RQF_DONTPREP;
	return pdu->since;
}

/*
 * Send a prepared request. On failure the slot is idle still and the request is
 * the caller's: started, to be issued another time.
 *
 * The slot is in flight only when nothing can fail any more. Cookies can be foretold:
 * were it so before, a host might answer what it is yet to get, the tag be issued anew
 * elsewhere, and a send that fails here take back the other request's slot.
 */
static int nxblk_issue(struct nxblk_queue *q, struct request *rq,
		       struct nxblk_req *req)
{
	struct nxblk_slot *slot = &q->slots[req->tag];
	bool misfit = slot->misfit;
	u64 now = ktime_get_ns();
	int ret;

	req->cap_slot = q->ch->entry.cap_slot;
	req->generation = READ_ONCE(q->generation);
	/* Starts at the tag: no two tags ever share a cookie. */
	slot->cookie += NXBLK_MAX_DEPTH;
	req->cookie = slot->cookie;
	WRITE_ONCE(slot->issued, now);
	WRITE_ONCE(slot->since, nxblk_first_issue(rq, now));
	blk_mq_start_request(rq);
	trace_nxblk_issue(q->disk->index, q->index, req);

	ret = ion_channel_send_marked(q->ch, req, &slot->state,
				      NXBLK_SLOT_IN_FLIGHT);
	if (likely(!ret))
		nxblk_count(q, req, misfit);
	else
		nxblk_pool_give(&q->pool, slot);
	return ret;
}

static void nxblk_commit(struct nxblk_queue *q)
{
	ion_channel_flush(q->ch);
	nxblk_watch(q);
}

static blk_status_t nxblk_queue_rq(struct blk_mq_hw_ctx *hctx,
				   const struct blk_mq_queue_data *bd)
{
	struct nxblk_queue *q = nxblk_hctx_queue(hctx);
	blk_status_t status;
	struct nxblk_req req;

	status = nxblk_prepare(q, bd->rq, &req);
	/* Not up any more: tried again soon, or after the queues were quiesced. */
	if (!status && nxblk_issue(q, bd->rq, &req))
		status = BLK_STS_RESOURCE;
	if (unlikely(status))
		ion_channel_flush(q->ch);
	else if (bd->last)
		nxblk_commit(q);
	return status;
}

static void nxblk_commit_rqs(struct blk_mq_hw_ctx *hctx)
{
	nxblk_commit(nxblk_hctx_queue(hctx));
}

/* A plug list; what cannot be prepared is left for nxblk_queue_rq(). */
static void nxblk_queue_rqs(struct rq_list *rqlist)
{
	struct nxblk_queue *q = NULL, *next;
	struct rq_list left = {};
	struct nxblk_req req;
	struct request *rq;

	while ((rq = rq_list_pop(rqlist))) {
		next = nxblk_hctx_queue(rq->mq_hctx);
		if (q && q != next)
			nxblk_commit(q);
		q = next;
		/*
		 * Left to us here: without it no timeout finds the request. Who looks
		 * for one meanwhile is ready for either, as in the block layer's own.
		 */
		data_race(rq->mq_hctx->tags->rqs[rq->tag] = rq);
		if (nxblk_prepare(q, rq, &req))
			rq_list_add_tail(&left, rq);
		else if (nxblk_issue(q, rq, &req))
			blk_mq_requeue_request(rq, true);
	}
	if (q)
		nxblk_commit(q);
	*rqlist = left;
}
COMPAT_DEFINE_QUEUE_RQS(nxblk_queue_rqs)

static int nxblk_init_hctx(struct blk_mq_hw_ctx *hctx, void *data,
			   unsigned int index)
{
	struct nxblk_disk *d = data;

	hctx->driver_data = &d->queues[index];
	return 0;
}

const struct blk_mq_ops nxblk_mq_ops = {
	.queue_rq = nxblk_queue_rq,
	.commit_rqs = nxblk_commit_rqs,
	.queue_rqs = COMPAT_QUEUE_RQS(nxblk_queue_rqs),
	.timeout = nxblk_outage_timeout,
	.init_hctx = nxblk_init_hctx,
};

/**
 * nxblk_queue_release - take a slot from the host and give its chunks back
 * @q: queue
 * @slot: slot that the host has done with, or never got
 * @from: state that it must be in
 *
 * Return: whether it was in @from; then it is idle, and its request the caller's.
 */
bool nxblk_queue_release(struct nxblk_queue *q, struct nxblk_slot *slot,
			 enum nxblk_slot_state from)
{
	if (atomic_cmpxchg(&slot->state, from, NXBLK_SLOT_ANSWERED) != from)
		return false;
	nxblk_pool_give(&q->pool, slot);
	/*
	 * Chunks before state: the next issue takes chunks into the same slot.
	 * Pairs with the acquire in nxblk_prepare().
	 */
	atomic_set_release(&slot->state, NXBLK_SLOT_IDLE);
	if (from == NXBLK_SLOT_QUARANTINE)
		nxblk_zero_copy_unpin(slot);
	return true;
}

/*
 * Drained: issued again once the disk is back in service; or ended, where only
 * the drain was missing for that.
 */
static void nxblk_queue_reissue(struct nxblk_queue *q, struct request *rq)
{
	blk_status_t fail = READ_ONCE(q->disk->fail);

	if (fail)
		blk_mq_end_request(rq, fail);
	else
		blk_mq_requeue_request(rq, false);
}

/**
 * nxblk_queue_drained - the host has done with all that was sent
 * @q: queue; nothing is being sent or received
 *
 * What was in flight is to be issued again: it waits in the requeue list until
 * the disk is back in service. What was held ends.
 */
void nxblk_queue_drained(struct nxblk_queue *q)
{
	unsigned int tag;

	for (tag = 0; tag < q->depth; tag++) {
		struct nxblk_slot *slot = &q->slots[tag];
		struct request *rq = slot->rq;

		/* What an earlier host said of the disk counts no more. */
		if (!rq && nxblk_queue_release(q, slot, NXBLK_SLOT_ANSWERED))
			continue;
		if (nxblk_queue_release(q, slot, NXBLK_SLOT_QUARANTINE))
			atomic_dec(&q->disk->quarantined);
		else if (nxblk_queue_release(q, slot, NXBLK_SLOT_IN_FLIGHT) && rq)
			nxblk_queue_reissue(q, rq);
	}
}

/**
 * nxblk_queue_closed - the channel is closed for good
 * @q: queue whose requests have all been ended
 * @drained: the host has done with all that was sent
 *
 * Return: number of pages leaked.
 */
unsigned int nxblk_queue_closed(struct nxblk_queue *q, bool drained)
{
	unsigned int tag, leaked = 0;

	for (tag = 0; tag < q->depth; tag++) {
		struct nxblk_slot *slot = &q->slots[tag];

		if (drained && nxblk_queue_release(q, slot, NXBLK_SLOT_QUARANTINE))
			atomic_dec(&q->disk->quarantined);
		leaked += nxblk_zero_copy_leak(slot);
	}
	return leaked;
}

/**
 * nxblk_queue_end_all - end what is in flight, without the host
 * @q: queue that dispatches nothing
 * @status: that requests end with
 * @removal: zero-copy requests too, whose pages are pinned then; otherwise these
 *	are held
 *
 * Tags and chunks stay in quarantine until the host has done with them.
 *
 * Return: number of requests ended.
 */
unsigned int nxblk_queue_end_all(struct nxblk_queue *q, blk_status_t status,
				 bool removal)
{
	unsigned int tag, n = 0;

	for (tag = 0; tag < q->depth; tag++) {
		struct nxblk_slot *slot = &q->slots[tag];
		struct request *rq = slot->rq;

		if (!rq || (slot->zero_copy && !removal))
			continue;
		/* First, lest a late answer count down what is not counted yet. */
		atomic_inc(&q->disk->quarantined);
		if (atomic_cmpxchg(&slot->state, NXBLK_SLOT_IN_FLIGHT,
				   NXBLK_SLOT_QUARANTINE) !=
		    NXBLK_SLOT_IN_FLIGHT) {
			atomic_dec(&q->disk->quarantined);
			continue;
		}
		if (slot->zero_copy)
			nxblk_zero_copy_pin(slot);
		blk_mq_end_request(rq, status);
		n++;
	}
	return n;
}

/**
 * nxblk_queue_count - how many requests are in a state
 * @q: queue
 * @state: IN_FLIGHT: the host has them; QUARANTINE: and they have been ended
 *
 * Return: number of slots, without INFO's.
 */
unsigned int nxblk_queue_count(const struct nxblk_queue *q,
			       enum nxblk_slot_state state)
{
	unsigned int tag, n = 0;

	for (tag = 0; tag + 1 < q->depth; tag++)
		if (atomic_read(&q->slots[tag].state) == state)
			n++;
	return n;
}

/**
 * nxblk_queue_oldest - age of the oldest request in flight
 * @q: queue
 *
 * Return: ns since it was first issued; 0 when nothing is in flight.
 */
u64 nxblk_queue_oldest(struct nxblk_queue *q)
{
	u64 now = ktime_get_ns(), age = 0;
	unsigned int tag;

	for (tag = 0; tag + 1 < q->depth; tag++) {
		struct nxblk_slot *slot = &q->slots[tag];
		u64 since = READ_ONCE(slot->since);

		if (atomic_read(&slot->state) == NXBLK_SLOT_IN_FLIGHT &&
		    since < now)
			age = max(age, now - since);
	}
	return age;
}
