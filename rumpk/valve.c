/* SPDX-License-Identifier: GPL-2.0-only */
#include "valve.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

/**
 * struct valve_request - a tag's request
 * @io: as the HAL has it
 * @valve: its valve
 * @req: private copy
 * @busy: the tag is in use: its answer was not published yet
 * @iov: buffer, pieces of the window or of the cell's RAM
 */
struct valve_request {
	struct hal_io io;
	struct valve *valve;
	struct nxblk_req req;
	bool busy;
	struct iovec iov[NXBLK_MAX_SEGS];
};

/**
 * struct valve_verdict - what the checks found
 * @status: &enum nxblk_status
 * @why: for the audit line, when @status is not OK
 */
struct valve_verdict {
	uint8_t status;
	const char *why;
};

static const struct valve_verdict pass = { NXBLK_S_OK, NULL };

static struct valve_verdict refuse(uint8_t status, const char *why)
{
	return (struct valve_verdict){ status, why };
}

static const char *const status_names[NXBLK_S_COUNT] = {
	[NXBLK_S_OK] = "OK",	       [NXBLK_S_IOERR] = "IOERR",
	[NXBLK_S_INVAL] = "INVAL",     [NXBLK_S_RANGE] = "RANGE",
	[NXBLK_S_UNSUPP] = "UNSUPP",   [NXBLK_S_PERM] = "PERM",
	[NXBLK_S_RO] = "RO",	       [NXBLK_S_NOSPC] = "NOSPC",
	[NXBLK_S_TIMEOUT] = "TIMEOUT",
};

static void count_status(struct valve_stats *stats, uint8_t status)
{
	switch (status) {
	case NXBLK_S_OK:
		break;
	case NXBLK_S_INVAL:
		stats->inval++;
		break;
	case NXBLK_S_RANGE:
		stats->range++;
		break;
	case NXBLK_S_UNSUPP:
		stats->unsupp++;
		break;
	case NXBLK_S_PERM:
		stats->perm++;
		break;
	case NXBLK_S_RO:
		stats->ro++;
		break;
	case NXBLK_S_NOSPC:
		stats->nospc++;
		break;
	default:
		stats->ioerr++;
		break;
	}
}

static void count_op(struct valve_stats *stats, const struct nxblk_req *req)
{
	if (req->flags & NXBLK_REQ_FUA)
		stats->fua++;
	if (req->flags & NXBLK_REQ_GPA)
		stats->zero_copy++;
	switch (req->op) {
	case NXBLK_OP_READ:
		stats->reads++;
		break;
	case NXBLK_OP_WRITE:
		stats->writes++;
		break;
	case NXBLK_OP_INFO:
		stats->infos++;
		break;
	case NXBLK_OP_FLUSH:
		stats->flushes++;
		break;
	case NXBLK_OP_DISCARD:
		stats->discards++;
		break;
	default:
		stats->write_zeroes++;
		break;
	}
}

static void valve_audit(struct valve *v, const struct nxblk_req *req,
			const char *verdict, const char *why)
{
	rumpk_log_limited(&v->audit, RUMPK_WARN, v->channel,
			  "refused generation=%" PRIu64
			  " tag=%u op=%u status=%s reason=\"%s\"",
			  v->generation, req->tag, req->op, verdict, why);
	v->account->suppressed = v->audit.dropped;
}

/* An answer to whatever request, also one whose tag is another's. */
static void valve_answer(struct valve *v, const struct nxblk_req *req,
			 uint8_t status)
{
	struct nxblk_resp rsp = {
		.tag = req->tag,
		.op = req->op,
		.status = status,
		.generation = req->generation,
		.cookie = req->cookie,
	};

	if (status == NXBLK_S_OK)
		rsp.done = nxblk_buffer_bytes(req);
	count_status(&v->account->stats, status);
	v->owner->answer(v->owner, &rsp);
}

/* The answer to a request that has its tag. */
static void valve_end(struct valve *v, const struct nxblk_req *req, uint8_t status)
{
	v->answered[v->nanswered++] = req->tag;
	valve_answer(v, req, status);
}

static uint32_t rights_needed(uint8_t op)
{
	switch (op) {
	case NXBLK_OP_READ:
		return CSPACE_READ;
	case NXBLK_OP_DISCARD:
		return CSPACE_DISCARD;
	case NXBLK_OP_INFO:
		return 0;
	default:
		return CSPACE_WRITE;
	}
}

/* Of a tag in use, the one that has it is answered, and this one refused. */
static struct valve_verdict check_tag(const struct valve *v,
				      const struct nxblk_req *req)
{
	if (req->tag >= v->limits.depth)
		return refuse(NXBLK_S_INVAL, "tag at or above the depth");
	if (v->slots[req->tag].busy)
		return refuse(NXBLK_S_INVAL, "tag already in flight");
	return pass;
}

static struct valve_verdict check_op(const struct valve *v,
				     const struct nxblk_req *req)
{
	uint8_t status = nxblk_check_op(req, v->limits.features);

	if (!status)
		return pass;
	return refuse(status, status == NXBLK_S_UNSUPP ?
				      "operation not negotiated" :
				      "unknown or misplaced flags");
}

static struct valve_verdict check_rights(const struct cspace_cap *cap,
					 const struct nxblk_req *req)
{
	uint32_t needed = rights_needed(req->op);

	if (!cap)
		return refuse(NXBLK_S_PERM, "no capability in this slot");
	if (req->flags & NXBLK_REQ_GPA)
		needed |= CSPACE_DMA;
	if (needed & ~cap->rights)
		return refuse(NXBLK_S_PERM, "right missing");
	return pass;
}

static uint8_t *seg_at(const struct valve *v, const struct nxblk_req *req,
		       const struct nxblk_seg *seg)
{
	if (req->flags & NXBLK_REQ_GPA)
		return ram_at(v->ram, seg->addr, seg->len);
	return v->window + seg->addr;
}

static bool in_ram(const struct valve *v, const struct nxblk_req *req,
		   const struct nxblk_seg *seg)
{
	unsigned int i;

	for (i = 0; i < req->nseg; i++)
		if (!seg_at(v, req, &seg[i]))
			return false;
	return true;
}

/* Copies the segment table out: the one place where it is read. */
static struct valve_verdict check_buffer(const struct valve *v,
					 const struct nxblk_req *req,
					 struct nxblk_seg *seg)
{
	if (nxblk_check_shape(req, &v->limits))
		return refuse(NXBLK_S_INVAL, "count or number of segments");
	if (req->flags & NXBLK_REQ_INDIRECT)
		memcpy(seg, v->window + req->seg[0].addr,
		       req->nseg * sizeof(*seg));
	else
		memcpy(seg, req->seg, sizeof(req->seg));
	if (nxblk_check_segs(req, seg, &v->limits))
		return refuse(NXBLK_S_INVAL, "segments");
	if ((req->flags & NXBLK_REQ_GPA) && !in_ram(v, req, seg))
		return refuse(NXBLK_S_INVAL, "segment outside the cell's RAM");
	return pass;
}

static struct valve_verdict check_place(const struct valve *v,
					const struct cspace_cap *cap,
					const struct nxblk_req *req)
{
	if (nxblk_check_range(req, v->disk->config.capacity))
		return refuse(NXBLK_S_RANGE, "outside the disk");
	if (nxblk_op_has_range(req->op) &&
	    !cspace_covers(cap, req->lba, req->count))
		return refuse(NXBLK_S_PERM, "outside the capability's range");
	if (nxblk_op_writes(req->op) && v->disk->hal->info.read_only)
		return refuse(NXBLK_S_RO, "read-only media");
	return pass;
}

/*
 * All checks that follow those of generation and tag, in the order that gives
 * each request exactly one status.
 */
static struct valve_verdict valve_judge(const struct valve *v,
					const struct cspace_cap *cap,
					const struct nxblk_req *req,
					struct nxblk_seg *seg)
{
	struct valve_verdict verdict = check_op(v, req);

	if (!verdict.status)
		verdict = check_rights(cap, req);
	if (!verdict.status)
		verdict = check_buffer(v, req, seg);
	if (!verdict.status)
		verdict = check_place(v, cap, req);
	return verdict;
}

/* Who was told that there is no volatile cache sends no FLUSH. */
static bool told_no_cache(const struct valve *v)
{
	return (v->account->told & (VALVE_TOLD | VALVE_TOLD_CACHE)) == VALVE_TOLD;
}

/* After a failed sync nothing may be called durable any more. */
static bool needs_durability(const struct valve *v, const struct nxblk_req *req)
{
	if (req->op == NXBLK_OP_FLUSH || (req->flags & NXBLK_REQ_FUA))
		return true;
	if (req->op != NXBLK_OP_WRITE && req->op != NXBLK_OP_WRITE_ZEROES)
		return false;
	return v->disk->strict || told_no_cache(v);
}

static void note_sync_failure(struct valve *v, const struct valve_request *r)
{
	struct valve_disk *disk = v->disk;
	int error = r->io.error;

	if (!error || !r->io.unsynced)
		return;
	/*
	 * Before the answer: nobody learns of it and then finds it forgotten. Each
	 * time: the one before may be of before a reopen not yet taken notice of.
	 */
	__atomic_store_n(&v->account->sync_failed, valve_latch(v->reopened),
			 __ATOMIC_SEQ_CST);
	if (disk->sync_failed)
		return;
	disk->sync_failed = true;
	rumpk_log(RUMPK_ERROR, v->channel,
		  "making data durable failed: %s; flushes fail until the image is reopened",
		  strerror(error));
}

static void count_bytes(struct valve *v, const struct nxblk_req *req)
{
	uint64_t bytes = nxblk_buffer_bytes(req);

	if (req->op == NXBLK_OP_READ)
		v->account->stats.read_bytes += bytes;
	if (req->op == NXBLK_OP_WRITE)
		v->account->stats.written_bytes += bytes;
	if (req->flags & NXBLK_REQ_GPA)
		v->account->stats.zero_copy_bytes += bytes;
	if (v->disk->hal->copies)
		v->account->stats.copied_bytes += bytes;
}

/* How long the oldest request is under way is judged from outside. */
static void note_pending(struct valve *v, const struct nxblk_req *req,
			 uint32_t since_ms)
{
	struct valve_pending *p = &v->account->pending[req->tag];

	p->bytes = since_ms ? (uint32_t)nxblk_buffer_bytes(req) : 0;
	/* Pairs with the load in pending_since(). */
	__atomic_store_n(&p->since_ms, since_ms, __ATOMIC_RELEASE);
}

static uint8_t valve_status(const struct valve *v, const struct hal_io *io)
{
	bool vouches = io->durable || io->op == HAL_SYNC;

	/* No room for what had been acknowledged is no want of room any more. */
	if (io->error && io->unsynced)
		return NXBLK_S_IOERR;
	/* Judged before a sync failed, which took the failure of this one with it. */
	if (!io->error && vouches && v->disk->sync_failed)
		return NXBLK_S_IOERR;
	return hal_status(io->error);
}

static void valve_done(struct hal_io *io)
{
	struct valve_request *r = container_of(io, struct valve_request, io);
	struct valve *v = r->valve;
	uint8_t status;

	v->in_flight--;
	/* First: what its device may still do is not taken to be over. */
	if (v->lost && v->disk->hal->lost)
		__atomic_store_n(v->lost, 1, __ATOMIC_RELAXED);
	note_pending(v, &r->req, 0);
	note_sync_failure(v, r);
	status = valve_status(v, io);
	if (status == NXBLK_S_OK)
		count_bytes(v, &r->req);
	else
		rumpk_log(RUMPK_DEBUG, v->channel, "op=%u tag=%u failed: %s",
			  r->req.op, r->req.tag, strerror(io->error));
	valve_end(v, &r->req, status);
}

/* Neighbouring segments become one piece: fewer for the kernel to walk. */
static int valve_map(const struct valve *v, const struct nxblk_req *req,
		     const struct nxblk_seg *seg, struct iovec *iov)
{
	unsigned int i;
	int n = 0;

	for (i = 0; i < req->nseg; i++) {
		uint8_t *start = seg_at(v, req, &seg[i]);

		if (n && (uint8_t *)iov[n - 1].iov_base + iov[n - 1].iov_len ==
				 start) {
			iov[n - 1].iov_len += seg[i].len;
			continue;
		}
		iov[n].iov_base = start;
		iov[n].iov_len = seg[i].len;
		n++;
	}
	return n;
}

static enum hal_op hal_op_of(uint8_t op)
{
	switch (op) {
	case NXBLK_OP_READ:
		return HAL_READ;
	case NXBLK_OP_WRITE:
		return HAL_WRITE;
	case NXBLK_OP_DISCARD:
		return HAL_DISCARD;
	case NXBLK_OP_WRITE_ZEROES:
		return HAL_ZERO;
	default:
		return HAL_SYNC;
	}
}

static void valve_start(struct valve *v, const struct nxblk_req *req,
			const struct nxblk_seg *seg)
{
	struct valve_request *r = &v->slots[req->tag];
	struct hal_io *io = &r->io;

	v->in_flight++;
	note_pending(v, req, coarse_ms());
	io->op = hal_op_of(req->op);
	io->durable = needs_durability(v, req);
	io->unmap = req->flags & NXBLK_REQ_UNMAP;
	io->iov = r->iov;
	io->niov = valve_map(v, req, seg, r->iov);
	io->offset = req->lba << NXBLK_SECTOR_SHIFT;
	io->length = (uint64_t)req->count << NXBLK_SECTOR_SHIFT;
	io->done = valve_done;
	hal_submit(v->disk->hal, io);
}

/**
 * valve_show_config - what INFO says now
 * @v: valve
 * @rights: CSPACE_*
 * @config: filled
 */
void valve_show_config(const struct valve *v, uint32_t rights,
		       struct nxblk_config *config)
{
	uint32_t told = v->account->told;

	*config = v->disk->config;
	if (!(rights & CSPACE_WRITE))
		config->flags |= NXBLK_CFG_READ_ONLY;
	if (told ? !(told & VALVE_TOLD_CACHE) : !(rights & CSPACE_WRITE))
		config->flags &= ~NXBLK_CFG_VOLATILE_CACHE;
	if (!(rights & CSPACE_DISCARD) && !(told & VALVE_TOLD_DISCARD))
		config->max_discard_sectors = 0;
}

static void valve_info(struct valve *v, const struct cspace_cap *cap,
		       const struct nxblk_req *req, const struct nxblk_seg *seg)
{
	struct nxblk_config config;
	uint32_t *told = &v->account->told;

	valve_show_config(v, cap->rights, &config);
	*told |= VALVE_TOLD;
	if (config.flags & NXBLK_CFG_VOLATILE_CACHE)
		*told |= VALVE_TOLD_CACHE;
	if (config.max_discard_sectors)
		*told |= VALVE_TOLD_DISCARD;
	memcpy(v->window + seg[0].addr, &config, sizeof(config));
	valve_end(v, req, NXBLK_S_OK);
}

static void valve_execute(struct valve *v, const struct cspace_cap *cap,
			  const struct nxblk_req *req,
			  const struct nxblk_seg *seg)
{
	count_op(&v->account->stats, req);
	if (req->op == NXBLK_OP_INFO)
		valve_info(v, cap, req, seg);
	else if (v->disk->sync_failed && needs_durability(v, req))
		valve_end(v, req, NXBLK_S_IOERR);
	else
		valve_start(v, req, seg);
}

/* A request that has a tag of its own, until its answer is published. */
static void valve_take(struct valve *v, const struct nxblk_req *req)
{
	struct valve_request *r = &v->slots[req->tag];
	struct nxblk_seg seg[NXBLK_MAX_SEGS];
	const struct cspace_cap *cap;
	struct cspace_cap copy;
	struct valve_verdict verdict;

	r->req = *req;
	r->busy = true;
	cap = cspace_lookup(v->cspace, req->cap_slot, v->kind, v->instance,
			    &copy);
	verdict = valve_judge(v, cap, req, seg);
	if (!verdict.status) {
		valve_execute(v, cap, req, seg);
		return;
	}
	valve_audit(v, req, status_names[verdict.status], verdict.why);
	valve_end(v, req, verdict.status);
}

/**
 * valve_submit - judge a request and carry it out
 * @v: valve that is live
 * @req: private copy
 */
void valve_submit(struct valve *v, const struct nxblk_req *req)
{
	struct valve_verdict verdict;

	v->account->stats.requests++;
	if (req->generation != v->limits.generation) {
		v->account->stats.stale++;
		valve_audit(v, req, "none", "older generation, dropped");
		return;
	}
	verdict = check_tag(v, req);
	if (!verdict.status) {
		valve_take(v, req);
		return;
	}
	valve_audit(v, req, status_names[verdict.status], verdict.why);
	valve_answer(v, req, verdict.status);
}

/**
 * valve_published - the guest can see all answers so far, and use their tags
 * @v: valve
 */
void valve_published(struct valve *v)
{
	while (v->nanswered)
		v->slots[v->answered[--v->nanswered]].busy = false;
}

/**
 * valve_live - begin a generation
 * @v: valve with nothing in flight
 * @terms: what was agreed upon
 */
void valve_live(struct valve *v, const struct valve_terms *terms)
{
	const struct nxblk_config *config = &v->disk->config;
	struct nxblk_limits *lim = &v->limits;

	valve_published(v);
	v->generation = terms->generation;
	lim->generation = (uint32_t)terms->generation;
	lim->features = terms->features;
	lim->depth = terms->depth;
	lim->logical_block = config->logical_block;
	lim->max_sectors = config->max_sectors;
	lim->max_segments = config->max_segments;
	lim->max_discard_sectors = config->max_discard_sectors;
	lim->max_write_zeroes_sectors = config->max_write_zeroes_sectors;
}

/**
 * valve_init - allocate what a valve needs
 * @v: all fields above @limits, the spans of @limits and @account set; the
 *	rest zero
 * @max_depth: most tags, at most VALVE_MAX_DEPTH
 *
 * Return: 0 or -errno.
 */
int valve_init(struct valve *v, uint32_t max_depth)
{
	uint32_t i;

	if (max_depth > VALVE_MAX_DEPTH)
		return -EINVAL;
	v->slots = calloc(max_depth, sizeof(*v->slots));
	v->answered = calloc(max_depth, sizeof(*v->answered));
	if (!v->slots || !v->answered) {
		valve_exit(v);
		return -ENOMEM;
	}
	v->max_depth = max_depth;
	v->audit.dropped = v->account->suppressed;
	for (i = 0; i < max_depth; i++)
		v->slots[i].valve = v;
	return 0;
}

/**
 * valve_exit - release what valve_init() allocated
 * @v: valve with nothing in flight
 */
void valve_exit(struct valve *v)
{
	free(v->slots);
	free(v->answered);
	v->slots = NULL;
	v->answered = NULL;
}

/**
 * valve_print_stats - print the counters, one line
 * @v: valve
 * @generation: of the channel now
 */
void valve_print_stats(const struct valve *v, uint64_t generation)
{
	char text[1024];
	size_t at = 0;

#define VALVE_PRINT(name)                                                      \
	at += (size_t)snprintf(text + at, sizeof(text) - at,                   \
			       #name "=%" PRIu64 " ", v->account->stats.name);
	VALVE_COUNTERS(VALVE_PRINT)
#undef VALVE_PRINT
	rumpk_log(RUMPK_INFO, v->channel, "stats %sgeneration=%" PRIu64, text,
		  generation);
}
