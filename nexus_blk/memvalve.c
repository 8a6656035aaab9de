// SPDX-License-Identifier: GPL-2.0-only
/*
 * The in-memory valve: a host inside the kernel, behind a loopback window. Its
 * thread takes BLK_REQ from the very rings that another machine would, judges
 * them by the same checks, in the same order, and answers with BLK_RESP. There
 * is no other way in: a disk cannot tell it from a host.
 *
 * It is synchronous: when the thread looks at a channel nothing is in flight
 * there, so a reset is drained at once, and no tag can be in flight twice.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpumask.h>
#include <linux/highmem.h>
#include <linux/ioport.h>
#include <linux/kthread.h>
#include <linux/memory_hotplug.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include <nexus/ion_host.h>
#include <nexus/ion_layout.h>
#include <nexus/nxblk_check.h>

#include "ion.h"
#include "memvalve.h"

#define MEMVALVE_WINDOW (16u << 20)
#define MEMVALVE_LOG2_ENTRIES 7
#define MEMVALVE_DEPTH (1u << MEMVALVE_LOG2_ENTRIES)
#define MEMVALVE_QUEUES_MAX 4u
#define MEMVALVE_MAX_SECTORS (4u << (20 - NXBLK_SECTOR_SHIFT))
#define MEMVALVE_MB_MAX (1u << 20)
/* The heartbeat is due ten times a second. */
#define MEMVALVE_BEAT (HZ / 20)
#define MEMVALVE_FEATURES                                                      \
	(NXBLK_F_FLUSH | NXBLK_F_FUA | NXBLK_F_DISCARD |                       \
	 NXBLK_F_WRITE_ZEROES | NXBLK_F_INDIRECT | NXBLK_F_ZERO_COPY)

/**
 * struct memvalve_queue - one channel, seen from the host
 * @end: protocol state
 * @entry: own entry in the directory
 * @lim: what requests are judged against; valid while the channel is live
 */
struct memvalve_queue {
	struct ion_host_end end;
	const struct ion_dir_entry *entry;
	struct nxblk_limits lim;
};

/**
 * struct memvalve - the one loopback disk
 * @lb: its window
 * @base: the window's memory
 * @thread: serves it
 * @wait: where the thread sleeps
 * @rung: a doorbell came, or there is a new size
 * @store: the contents
 * @config: own copy of the config page
 * @capacity: sectors wanted, set by module parameter
 * @read_only: wanted, set by module parameter
 * @segs: the segments of the request at hand
 * @nr_queues: of @spec, @dir and @queues
 * @spec: what channels are wanted
 * @dir: the directory, as laid out for them
 * @queues: channels
 */
struct memvalve {
	struct ion_loopback *lb;
	void *base;
	struct task_struct *thread;
	wait_queue_head_t wait;
	bool rung;
	struct nxblk_store store;
	struct nxblk_config config;
	u64 capacity;
	bool read_only;
	struct nxblk_seg segs[NXBLK_MAX_SEGS];
	unsigned int nr_queues;
	struct ion_channel_spec spec[MEMVALVE_QUEUES_MAX];
	struct ion_dir_entry dir[MEMVALVE_QUEUES_MAX];
	struct memvalve_queue queues[MEMVALVE_QUEUES_MAX];
};

/* Set before the first, cleared after the last use by a parameter; with the lock. */
static struct memvalve *memvalve;
static DEFINE_MUTEX(memvalve_lock);

/* Module parameters */

static unsigned int loopback_mb = 64;
static unsigned int loopback_bs = 512;
static bool loopback_ro;

static void memvalve_wake(struct memvalve *mv)
{
	WRITE_ONCE(mv->rung, true);
	wake_up(&mv->wait);
}

/* What the parameters say, now that one has changed or the valve runs. */
static void memvalve_reconfigure(struct memvalve *mv)
{
	if (!mv)
		return;
	WRITE_ONCE(mv->capacity, (u64)loopback_mb << 11);
	WRITE_ONCE(mv->read_only, loopback_ro);
	memvalve_wake(mv);
}

static int memvalve_set_mb(const char *val, const struct kernel_param *kp)
{
	unsigned int mb;

	if (kstrtouint(val, 10, &mb) || !mb || mb > MEMVALVE_MB_MAX) {
		pr_err("loopback_mb=%s: must be 1 to %u (MiB)\n", val,
		       MEMVALVE_MB_MAX);
		return -EINVAL;
	}
	mutex_lock(&memvalve_lock);
	WRITE_ONCE(loopback_mb, mb);
	memvalve_reconfigure(memvalve);
	mutex_unlock(&memvalve_lock);
	return 0;
}

static const struct kernel_param_ops memvalve_mb_ops = {
	.set = memvalve_set_mb,
	.get = param_get_uint,
};
module_param_cb(loopback_mb, &memvalve_mb_ops, &loopback_mb, 0644);
MODULE_PARM_DESC(
	loopback_mb,
	"size of the in-memory disk in MiB (default 64); can be changed while loaded");

static int memvalve_set_bs(const char *val, const struct kernel_param *kp)
{
	unsigned int bs;

	if (kstrtouint(val, 10, &bs) || (bs != 512 && bs != 4096)) {
		pr_err("loopback_bs=%s: must be 512 or 4096\n", val);
		return -EINVAL;
	}
	loopback_bs = bs;
	return 0;
}

static const struct kernel_param_ops memvalve_bs_ops = {
	.set = memvalve_set_bs,
	.get = param_get_uint,
};
module_param_cb(loopback_bs, &memvalve_bs_ops, &loopback_bs, 0444);
MODULE_PARM_DESC(loopback_bs,
		 "logical block of the in-memory disk: 512 (default) or 4096");

static int memvalve_set_ro(const char *val, const struct kernel_param *kp)
{
	bool ro;

	if (kstrtobool(val, &ro)) {
		pr_err("loopback_ro=%s: must be 0 or 1\n", val);
		return -EINVAL;
	}
	mutex_lock(&memvalve_lock);
	WRITE_ONCE(loopback_ro, ro);
	memvalve_reconfigure(memvalve);
	mutex_unlock(&memvalve_lock);
	return 0;
}

static const struct kernel_param_ops memvalve_ro_ops = {
	.set = memvalve_set_ro,
	.get = param_get_bool,
};
module_param_cb(loopback_ro, &memvalve_ro_ops, &loopback_ro, 0644);
MODULE_PARM_DESC(
	loopback_ro,
	"the in-memory disk is read-only (default 0); can be changed while loaded");

/* Requests */

/* Guest-physical is physical here. Is all of it RAM that is in use? */
static bool memvalve_gpa_ok(const struct nxblk_seg *seg)
{
	u64 last = seg->addr + seg->len - 1;
	u64 pfn;

	if (last < seg->addr || last != (phys_addr_t)last ||
	    region_intersects(seg->addr, seg->len, IORESOURCE_SYSTEM_RAM,
			      IORES_DESC_NONE) != REGION_INTERSECTS)
		return false;
	for (pfn = seg->addr >> PAGE_SHIFT; pfn <= last >> PAGE_SHIFT; pfn++)
		if (!pfn_to_online_page(pfn))
			return false;
	return true;
}

static bool memvalve_segs_ok(const struct memvalve *mv,
			     const struct nxblk_req *req)
{
	unsigned int i;

	if (!(req->flags & NXBLK_REQ_GPA))
		return true;
	for (i = 0; i < req->nseg; i++)
		if (!memvalve_gpa_ok(&mv->segs[i]))
			return false;
	return true;
}

static u8 memvalve_check(struct memvalve *mv, struct memvalve_queue *q,
			 const struct nxblk_req *req)
{
	u8 status;

	if (req->tag >= q->lim.depth)
		return NXBLK_S_INVAL;
	status = nxblk_check_op(req, q->lim.features);
	if (status)
		return status;
	if (req->cap_slot != q->entry->cap_slot)
		return NXBLK_S_PERM;
	status = nxblk_check_shape(req, &q->lim);
	if (status)
		return status;
	if (req->flags & NXBLK_REQ_INDIRECT)
		memcpy(mv->segs, mv->base + req->seg[0].addr,
		       req->nseg * sizeof(*mv->segs));
	else
		memcpy(mv->segs, req->seg, sizeof(req->seg));
	status = nxblk_check_segs(req, mv->segs, &q->lim);
	if (!status && !memvalve_segs_ok(mv, req))
		status = NXBLK_S_INVAL;
	if (status)
		return status;
	status = nxblk_check_range(req, q->lim.capacity);
	if (status)
		return status;
	if (q->lim.read_only && nxblk_op_writes(req->op))
		return NXBLK_S_RO;
	return NXBLK_S_OK;
}

static u8 memvalve_move_piece(struct memvalve *mv, u8 op, u64 at, u8 *buf, u32 len)
{
	if (op == NXBLK_OP_READ)
		nxblk_store_read(&mv->store, at, buf, len);
	else if (nxblk_store_write(&mv->store, at, buf, len))
		return NXBLK_S_NOSPC;
	return NXBLK_S_OK;
}

/* A segment of pages: each is mapped for as long as it takes. */
static u8 memvalve_move_gpa(struct memvalve *mv, u8 op, u64 at, u64 addr, u32 len)
{
	u8 status = NXBLK_S_OK;

	while (len && !status) {
		u32 n = min_t(u32, len, PAGE_SIZE - offset_in_page(addr));
		u8 *page = kmap_local_page(pfn_to_page(addr >> PAGE_SHIFT));

		status = memvalve_move_piece(mv, op, at,
					     page + offset_in_page(addr), n);
		kunmap_local(page);
		at += n;
		addr += n;
		len -= n;
	}
	return status;
}

static u8 memvalve_move(struct memvalve *mv, const struct nxblk_req *req)
{
	u64 at = req->lba << NXBLK_SECTOR_SHIFT;
	u8 status = NXBLK_S_OK;
	unsigned int i;

	for (i = 0; i < req->nseg && !status; i++) {
		const struct nxblk_seg *seg = &mv->segs[i];

		if (req->flags & NXBLK_REQ_GPA)
			status = memvalve_move_gpa(mv, req->op, at, seg->addr,
						   seg->len);
		else
			status = memvalve_move_piece(mv, req->op, at,
						     mv->base + seg->addr,
						     seg->len);
		at += seg->len;
	}
	return status;
}

static u8 memvalve_execute(struct memvalve *mv, const struct nxblk_req *req)
{
	switch (req->op) {
	case NXBLK_OP_READ:
	case NXBLK_OP_WRITE:
		return memvalve_move(mv, req);
	case NXBLK_OP_INFO:
		memcpy(mv->base + mv->segs[0].addr, &mv->config,
		       sizeof(mv->config));
		return NXBLK_S_OK;
	case NXBLK_OP_DISCARD:
	case NXBLK_OP_WRITE_ZEROES:
		nxblk_store_zero(&mv->store, req->lba << NXBLK_SECTOR_SHIFT,
				 (u64)req->count << NXBLK_SECTOR_SHIFT);
		return NXBLK_S_OK;
	default:
		/* FLUSH: memory is as durable as it will ever be. */
		return NXBLK_S_OK;
	}
}

static void memvalve_one(struct memvalve *mv, struct memvalve_queue *q)
{
	struct nxblk_resp resp = {};
	struct nxblk_req req;

	ion_cons_get(&q->end.req, &req);
	ion_cons_release(&q->end.req);
	if (req.generation != q->lim.generation)
		return;
	resp.tag = req.tag;
	resp.op = req.op;
	resp.generation = req.generation;
	resp.cookie = req.cookie;
	resp.status = memvalve_check(mv, q, &req);
	if (!resp.status)
		resp.status = memvalve_execute(mv, &req);
	if (!resp.status)
		resp.done = nxblk_buffer_bytes(&req);
	ion_prod_put(&q->end.rsp, &resp);
}

/* Channels */

static void memvalve_latch(struct memvalve *mv, struct memvalve_queue *q,
			   u32 reason)
{
	pr_err_ratelimited("memvalve: channel=%u latched reason=%s\n",
			   q->entry->queue, ion_reason_name(reason));
	ion_host_set_state(&q->end, ION_HOST_LATCHED, reason);
	ion_loopback_ring(mv->lb, 0);
}

/* Requests that are there, as far as there is room for their answers. */
static bool memvalve_serve(struct memvalve *mv, struct memvalve_queue *q)
{
	u32 n = ion_cons_avail(&q->end.req);
	u32 room = ion_prod_free(&q->end.rsp);

	if (q->end.req.broken || q->end.rsp.broken) {
		memvalve_latch(mv, q,
			       q->end.req.broken ? ION_REASON_REQ_PROD :
						   ION_REASON_RSP_CONS);
		return false;
	}
	n = min(n, room);
	if (!n)
		return false;
	while (n--)
		memvalve_one(mv, q);
	if (ion_prod_publish(&q->end.rsp))
		ion_loopback_ring(mv->lb, q->end.vector);
	return true;
}

static void memvalve_set_limits(struct memvalve *mv, struct memvalve_queue *q)
{
	q->lim = (struct nxblk_limits){
		.features = q->end.features,
		.generation = (u32)q->end.generation,
		.depth = q->end.depth,
		.logical_block = mv->config.logical_block,
		.capacity = mv->config.capacity,
		.max_sectors = mv->config.max_sectors,
		.max_segments = mv->config.max_segments,
		.max_discard_sectors = mv->config.max_discard_sectors,
		.max_write_zeroes_sectors = mv->config.max_write_zeroes_sectors,
		.read_only = mv->config.flags & NXBLK_CFG_READ_ONLY,
		.data = q->entry->data,
		.indirect = q->entry->indirect,
	};
}

static bool memvalve_step(struct memvalve *mv, struct memvalve_queue *q)
{
	enum ion_host_event event = ion_host_look(&q->end);

	switch (event) {
	case ION_HOST_EV_RESET:
		ion_host_drained(&q->end);
		break;
	case ION_HOST_EV_LIVE:
		memvalve_set_limits(mv, q);
		break;
	case ION_HOST_EV_LATCHED:
		pr_err_ratelimited("memvalve: channel=%u handshake refused reason=%s\n",
				   q->entry->queue,
				   ion_reason_name(q->end.reason));
		break;
	case ION_HOST_EV_NONE:
		break;
	}
	if (event != ION_HOST_EV_NONE)
		ion_loopback_ring(mv->lb, 0);
	return q->end.state == ION_HOST_LIVE && memvalve_serve(mv, q);
}

/* After false on all channels the thread may sleep. */
static bool memvalve_arm(struct memvalve *mv)
{
	bool work = false;
	unsigned int i;

	for (i = 0; i < mv->nr_queues; i++) {
		struct memvalve_queue *q = &mv->queues[i];

		/* Answers without room wait for the guest, not for us. */
		if (q->end.state == ION_HOST_LIVE && ion_cons_arm(&q->end.req))
			work |= ion_prod_free(&q->end.rsp) > 0;
	}
	return work;
}

/* The config page, and what requests are judged against. */
static void memvalve_publish_config(struct memvalve *mv)
{
	struct nxblk_config *page = mv->base + mv->queues[0].entry->config.offset;
	unsigned int i;

	mv->config.capacity = READ_ONCE(mv->capacity);
	mv->config.flags &= ~NXBLK_CFG_READ_ONLY;
	if (READ_ONCE(mv->read_only))
		mv->config.flags |= NXBLK_CFG_READ_ONLY;
	mv->config.sequence += 2;

	ion_write(&page->sequence, mv->config.sequence - 1);
	/*
	 * Odd before the rest, and even after it, for a guest that reads all of the
	 * page. Ours reads the sequence alone, which pairs with neither: it is a hint,
	 * and INFO tells.
	 */
	ion_wmb();
	memcpy((u8 *)page + sizeof(page->sequence),
	       (u8 *)&mv->config + sizeof(page->sequence),
	       sizeof(*page) - sizeof(page->sequence));
	ion_store_release(&page->sequence, mv->config.sequence);

	for (i = 0; i < mv->nr_queues; i++)
		memvalve_set_limits(mv, &mv->queues[i]);
}

static bool memvalve_config_stale(const struct memvalve *mv)
{
	return READ_ONCE(mv->capacity) != mv->config.capacity ||
	       READ_ONCE(mv->read_only) !=
		       !!(mv->config.flags & NXBLK_CFG_READ_ONLY);
}

static void memvalve_resize(struct memvalve *mv)
{
	u64 old = mv->config.capacity;

	memvalve_publish_config(mv);
	/* What was cut off does not come back when the disk grows again. */
	if (mv->config.capacity < old)
		nxblk_store_zero(&mv->store,
				 mv->config.capacity << NXBLK_SECTOR_SHIFT,
				 (old - mv->config.capacity)
					 << NXBLK_SECTOR_SHIFT);
	ion_loopback_ring(mv->lb, 0);
}

static int memvalve_thread(void *data)
{
	struct memvalve *mv = data;
	struct ion_host_header *hdr = mv->base;
	/* Reclaim may be waiting for what this thread serves. */
	unsigned int noio = memalloc_noio_save();
	u64 beat = 0;

	while (!kthread_should_stop()) {
		bool busy = false;
		unsigned int i;

		WRITE_ONCE(mv->rung, false);
		ion_write(&hdr->heartbeat, ++beat);
		if (memvalve_config_stale(mv))
			memvalve_resize(mv);
		for (i = 0; i < mv->nr_queues; i++)
			busy |= memvalve_step(mv, &mv->queues[i]);
		if (!busy && !memvalve_arm(mv))
			wait_event_timeout(mv->wait,
					   READ_ONCE(mv->rung) ||
						   kthread_should_stop(),
					   MEMVALVE_BEAT);
		cond_resched();
	}
	memalloc_noio_restore(noio);
	return 0;
}

static void memvalve_ring(void *ctx, u16 vector)
{
	memvalve_wake(ctx);
}

static const struct ion_loopback_ops memvalve_loopback_ops = {
	.ring = memvalve_ring,
};

/* Life */

static void memvalve_init_config(struct memvalve *mv)
{
	struct nxblk_config *c = &mv->config;

	c->flags = NXBLK_CFG_VOLATILE_CACHE;
	c->logical_block = loopback_bs;
	c->physical_block = 4096;
	c->io_min = 4096;
	c->max_sectors = MEMVALVE_MAX_SECTORS;
	c->max_segments = NXBLK_MAX_SEGS;
	c->max_discard_sectors = MEMVALVE_MAX_SECTORS;
	c->max_write_zeroes_sectors = MEMVALVE_MAX_SECTORS;
	c->discard_granularity = 4096;
	get_random_bytes(c->uuid, sizeof(c->uuid));
	strscpy(c->serial, "loopback", sizeof(c->serial));
	mv->capacity = (u64)READ_ONCE(loopback_mb) << 11;
	mv->read_only = READ_ONCE(loopback_ro);
}

static void memvalve_spec(struct ion_channel_spec *spec, unsigned int queue)
{
	*spec = (struct ion_channel_spec){
		.kind = ION_KIND_BLK,
		.queue = queue,
		.queue_class = ION_CLASS_INTERRUPT,
		.log2_entries = MEMVALVE_LOG2_ENTRIES,
		.req_size = sizeof(struct nxblk_req),
		.rsp_size = sizeof(struct nxblk_resp),
		.indirect_bytes = MEMVALVE_DEPTH * NXBLK_INDIRECT_STRIDE,
		.config_bytes = sizeof(struct nxblk_config),
		.data_weight = 1,
		.host_vector = queue,
	};
}

static int memvalve_publish(struct memvalve *mv)
{
	struct ion_host_header hdr;
	unsigned int i;

	for (i = 0; i < mv->nr_queues; i++)
		memvalve_spec(&mv->spec[i], i);
	if (!ion_layout(&hdr, mv->dir, mv->spec, mv->nr_queues, MEMVALVE_WINDOW,
			ION_INITIAL_INDEX))
		return -EINVAL;
	for (i = 0; i < mv->nr_queues; i++) {
		struct memvalve_queue *q = &mv->queues[i];

		q->entry = &mv->dir[i];
		q->end.offered = MEMVALVE_FEATURES;
		q->end.max_depth = MEMVALVE_DEPTH;
		q->end.vectors = mv->nr_queues + 1;
		ion_host_bind(&q->end, mv->base, &mv->dir[i]);
		ion_host_start(&q->end, 0);
	}
	memvalve_publish_config(mv);
	get_random_bytes(hdr.instance, sizeof(hdr.instance));
	hdr.generation = 1;
	ion_publish(mv->base, &hdr, mv->dir);
	return 0;
}

static struct memvalve *memvalve_create(void)
{
	struct memvalve *mv = kvzalloc(sizeof(*mv), GFP_KERNEL);

	if (!mv)
		return NULL;
	init_waitqueue_head(&mv->wait);
	nxblk_store_init(&mv->store);
	mv->nr_queues = min(num_online_cpus(), MEMVALVE_QUEUES_MAX);
	memvalve_init_config(mv);
	/* Vector 0 is for control, one each for the queues. */
	mv->lb = ion_loopback_create(MEMVALVE_WINDOW, mv->nr_queues + 1,
				     &memvalve_loopback_ops, mv);
	if (!mv->lb) {
		kvfree(mv);
		return NULL;
	}
	mv->base = ion_loopback_base(mv->lb);
	return mv;
}

static void memvalve_destroy(struct memvalve *mv)
{
	ion_loopback_destroy(mv->lb);
	nxblk_store_exit(&mv->store);
	kvfree(mv);
}

/* A parameter may have been set while there was none to tell. */
static void memvalve_expose(struct memvalve *mv)
{
	mutex_lock(&memvalve_lock);
	memvalve = mv;
	memvalve_reconfigure(mv);
	mutex_unlock(&memvalve_lock);
}

/**
 * nxblk_memvalve_start - make the in-memory disk
 *
 * Return: 0 or an errno.
 */
int nxblk_memvalve_start(void)
{
	struct memvalve *mv = memvalve_create();
	int ret;

	if (!mv)
		return -ENOMEM;
	ret = memvalve_publish(mv);
	if (ret)
		goto destroy;
	mv->thread = kthread_run(memvalve_thread, mv, "nexus_memvalve");
	if (IS_ERR(mv->thread)) {
		ret = PTR_ERR(mv->thread);
		goto destroy;
	}
	pr_warn("IN-MEMORY DISK of %u MiB: its contents are lost when this module is unloaded\n",
		READ_ONCE(loopback_mb));
	ret = ion_loopback_start(mv->lb);
	if (ret)
		goto stop_thread;
	memvalve_expose(mv);
	return 0;

stop_thread:
	kthread_stop(mv->thread);
destroy:
	memvalve_destroy(mv);
	return ret;
}

/**
 * nxblk_memvalve_stop - unmake the in-memory disk, if there is one
 *
 * The thread goes on until the disk has been removed: dirty data is written.
 */
void nxblk_memvalve_stop(void)
{
	struct memvalve *mv = memvalve;

	if (!mv)
		return;
	memvalve_expose(NULL);
	ion_loopback_stop(mv->lb);
	kthread_stop(mv->thread);
	memvalve_destroy(mv);
}
