// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bounce memory: a queue's data area in chunks, and copying between them and
 * the pages of a request.
 *
 * The guest alone divides the area; the host checks no more than that segments
 * lie inside. A request takes chunks when it is issued and gives them back when
 * it is over for the host too: answered, or drained.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitmap.h>
#include <linux/bvec.h>
#include <linux/highmem.h>
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/slab.h>

#include "nxblk.h"

/*
 * Large chunks keep segments few; an area that is small is cut finer, so that a
 * handful of small requests does not exhaust it.
 */
#define NXBLK_CHUNK_SHIFT_MAX 16
#define NXBLK_CHUNK_SHIFT_MIN 12
#define NXBLK_CHUNKS_WANTED 64
/* More than all tags together can use. */
#define NXBLK_CHUNKS_MAX 8192u

/**
 * nxblk_pool_init - divide a channel's data area
 * @p: zeroed
 * @ch: channel
 *
 * Return: 0; -EINVAL when the area is too small; -ENOMEM.
 */
int nxblk_pool_init(struct nxblk_pool *p, const struct ion_channel *ch)
{
	u64 length = ch->entry.data.length;
	u64 chunks;

	if (!ch->data || length < NXBLK_DATA_MIN)
		return -EINVAL;
	p->shift = clamp_t(unsigned int, ilog2(length / NXBLK_CHUNKS_WANTED),
			   NXBLK_CHUNK_SHIFT_MIN, NXBLK_CHUNK_SHIFT_MAX);
	chunks = min_t(u64, length >> p->shift, NXBLK_CHUNKS_MAX);
	p->nr = chunks - 1;
	p->free = p->nr;
	p->base = ch->data;
	p->offset = ch->entry.data.offset;
	spin_lock_init(&p->lock);
	p->map = bitmap_zalloc(p->nr, GFP_KERNEL);
	return p->map ? 0 : -ENOMEM;
}

void nxblk_pool_exit(struct nxblk_pool *p)
{
	bitmap_free(p->map);
	p->map = NULL;
}

static void nxblk_pool_add_run(struct nxblk_pool *p, struct nxblk_slot *slot,
			       unsigned int first, unsigned int count)
{
	bitmap_set(p->map, first, count);
	p->free -= count;
	slot->runs[slot->nr_runs].first = first;
	slot->runs[slot->nr_runs].count = count;
	slot->nr_runs++;
}

static void nxblk_pool_put_runs(struct nxblk_pool *p, struct nxblk_slot *slot)
{
	unsigned int i;

	for (i = 0; i < slot->nr_runs; i++) {
		bitmap_clear(p->map, slot->runs[i].first, slot->runs[i].count);
		p->free += slot->runs[i].count;
	}
	slot->nr_runs = 0;
}

/* Whatever holes there are, at most @max_runs of them. */
static bool nxblk_pool_gather(struct nxblk_pool *p, struct nxblk_slot *slot,
			      unsigned int need, unsigned int max_runs)
{
	unsigned int first = 0, end;

	while (need && slot->nr_runs < max_runs) {
		first = find_next_zero_bit(p->map, p->nr, first);
		if (first >= p->nr)
			break;
		end = find_next_bit(p->map, min(p->nr, first + need), first);
		nxblk_pool_add_run(p, slot, first, end - first);
		need -= end - first;
		first = end;
	}
	if (!need)
		return true;
	nxblk_pool_put_runs(p, slot);
	return false;
}

static bool nxblk_pool_try(struct nxblk_pool *p, struct nxblk_slot *slot,
			   unsigned int max_runs)
{
	unsigned int need = DIV_ROUND_UP(slot->bytes, 1u << p->shift);
	unsigned long flags;
	unsigned long first;
	bool taken = false;

	spin_lock_irqsave(&p->lock, flags);
	if (p->free >= need) {
		first = bitmap_find_next_zero_area(p->map, p->nr, 0, need, 0);
		if (first < p->nr) {
			nxblk_pool_add_run(p, slot, first, need);
			taken = true;
		} else {
			taken = nxblk_pool_gather(p, slot, need, max_runs);
		}
	}
	spin_unlock_irqrestore(&p->lock, flags);
	return taken;
}

/**
 * nxblk_pool_take - take chunks for a request's buffer
 * @p: pool
 * @slot: @bytes set, at most what the pool holds
 * @max_runs: most segments, 1 .. NXBLK_MAX_RUNS
 *
 * When it returns false the caller must turn the request away with
 * BLK_STS_DEV_RESOURCE, and nxblk_pool_fed() tells whoever gives chunks back
 * that the queue is to be run.
 *
 * Return: whether @slot has its chunks.
 */
bool nxblk_pool_take(struct nxblk_pool *p, struct nxblk_slot *slot,
		     unsigned int max_runs)
{
	slot->nr_runs = 0;
	if (!slot->bytes || nxblk_pool_try(p, slot, max_runs))
		return true;
	set_bit(0, &p->starved);
	/*
	 * Pairs with the barrier in nxblk_pool_fed(): either we see the chunks
	 * that were given back, or who gave them back sees the bit.
	 */
	smp_mb__after_atomic();
	if (nxblk_pool_try(p, slot, max_runs))
		return true;
	atomic_long_inc(&p->waits);
	return false;
}

/**
 * nxblk_pool_give - give a request's chunks back
 * @p: pool
 * @slot: whose request the host has done with
 *
 * Context: any.
 */
void nxblk_pool_give(struct nxblk_pool *p, struct nxblk_slot *slot)
{
	unsigned long flags;

	if (!slot->nr_runs)
		return;
	spin_lock_irqsave(&p->lock, flags);
	nxblk_pool_put_runs(p, slot);
	spin_unlock_irqrestore(&p->lock, flags);
}

/**
 * nxblk_pool_fed - was a request turned away for lack of what was given back
 * @p: pool, after nxblk_pool_give()
 *
 * Return: true, once, when the queue must be run again.
 */
bool nxblk_pool_fed(struct nxblk_pool *p)
{
	smp_mb(); /* Pairs with the barrier in nxblk_pool_take(). */
	return test_bit(0, &p->starved) && test_and_clear_bit(0, &p->starved);
}

/**
 * nxblk_pool_segs - describe a request's chunks to the host
 * @p: pool
 * @slot: after nxblk_pool_take()
 * @segs: slot->nr_runs segments, filled; may lie in the window
 */
void nxblk_pool_segs(const struct nxblk_pool *p, const struct nxblk_slot *slot,
		     struct nxblk_seg *segs)
{
	u32 left = slot->bytes;
	unsigned int i;

	for (i = 0; i < slot->nr_runs; i++) {
		const struct nxblk_run *run = &slot->runs[i];
		u32 len = min_t(u64, left, (u64)run->count << p->shift);
		struct nxblk_seg seg = {
			.addr = p->offset + ((u64)run->first << p->shift),
			.len = len,
		};

		segs[i] = seg;
		left -= len;
	}
}

/*
 * Copying is what a bounce costs. Where string instructions are emulated one
 * step at a time (QEMU's TCG) a plain loop is two to three times as fast as
 * memcpy(); on real processors it is the other way round. So both are timed once.
 */
#define NXBLK_COPY_TRIAL PAGE_SIZE
#define NXBLK_COPY_ROUNDS 16

static bool nxblk_copy_by_words;

/* What is written may be changing, by whoever mapped it: any mixture will do. */
static void __no_kcsan nxblk_copy_words(u64 *to, const u64 *from, size_t len)
{
	for (; len >= 64; len -= 64, to += 8, from += 8) {
		u64 a = from[0], b = from[1], c = from[2], d = from[3];
		u64 e = from[4], f = from[5], g = from[6], h = from[7];

		to[0] = a;
		to[1] = b;
		to[2] = c;
		to[3] = d;
		to[4] = e;
		to[5] = f;
		to[6] = g;
		to[7] = h;
		/* Lest the compiler make memcpy() of it. */
		barrier();
	}
}

static void nxblk_copy(void *to, const void *from, size_t len)
{
	if (nxblk_copy_by_words &&
	    !(((unsigned long)to | (unsigned long)from) % 8 | len % 64))
		nxblk_copy_words(to, from, len);
	else
		data_race(memcpy(to, from, len));
}

/* The least of some rounds, since any may be interrupted. */
static u64 nxblk_copy_time(void *to, const void *from)
{
	u64 least = U64_MAX, start;
	int i;

	for (i = 0; i < NXBLK_COPY_ROUNDS; i++) {
		start = ktime_get_ns();
		nxblk_copy(to, from, NXBLK_COPY_TRIAL);
		least = min(least, ktime_get_ns() - start);
	}
	return least;
}

/**
 * nxblk_copy_init - find out which way of copying is faster here
 *
 * Return: 0 or -ENOMEM.
 */
int nxblk_copy_init(void)
{
	u8 *mem = kzalloc(2 * NXBLK_COPY_TRIAL, GFP_KERNEL);
	u64 whole, words;

	if (!mem)
		return -ENOMEM;
	whole = nxblk_copy_time(mem, mem + NXBLK_COPY_TRIAL);
	nxblk_copy_by_words = true;
	words = nxblk_copy_time(mem, mem + NXBLK_COPY_TRIAL);
	/* Only for a clear win. */
	nxblk_copy_by_words = words < whole - whole / 4;
	pr_debug("copying %lu bytes: memcpy %llu ns, by words %llu ns\n",
		 NXBLK_COPY_TRIAL, whole, words);
	kfree(mem);
	return 0;
}

/* A place in a request's chunks. */
struct nxblk_cursor {
	const struct nxblk_run *run;
	u8 *at;
	u32 left;
};

static void nxblk_cursor_set(struct nxblk_cursor *c, const struct nxblk_pool *p,
			     const struct nxblk_run *run)
{
	c->run = run;
	c->at = p->base + ((size_t)run->first << p->shift);
	c->left = (u32)run->count << p->shift;
}

static void nxblk_copy_piece(const struct nxblk_pool *p, struct nxblk_cursor *c,
			     u8 *page, u32 len, bool to_window)
{
	while (len) {
		u32 n;

		if (!c->left)
			nxblk_cursor_set(c, p, c->run + 1);
		n = min(len, c->left);
		if (to_window)
			nxblk_copy(c->at, page, n);
		else
			nxblk_copy(page, c->at, n);
		c->at += n;
		c->left -= n;
		page += n;
		len -= n;
	}
}

/* The chunks hold slot->bytes, which are blk_rq_bytes(): no byte is beyond. */
static void nxblk_copy_all(struct nxblk_pool *p, struct nxblk_slot *slot,
			   bool to_window)
{
	struct nxblk_cursor c;
	struct req_iterator iter;
	struct bio_vec bv;

	nxblk_cursor_set(&c, p, &slot->runs[0]);
	atomic64_add(slot->bytes, &p->copied);
	rq_for_each_segment(bv, slot->rq, iter) {
		u8 *page = bvec_kmap_local(&bv);

		nxblk_copy_piece(p, &c, page, bv.bv_len, to_window);
		kunmap_local(page);
		if (!to_window)
			flush_dcache_page(bv.bv_page);
	}
}

/**
 * nxblk_pool_fill - copy a WRITE's pages into its chunks
 * @p: pool
 * @slot: after nxblk_pool_take()
 */
void nxblk_pool_fill(struct nxblk_pool *p, struct nxblk_slot *slot)
{
	nxblk_copy_all(p, slot, true);
}

/**
 * nxblk_pool_drain - copy a READ's chunks into its pages
 * @p: pool
 * @slot: answered OK, whole
 */
void nxblk_pool_drain(struct nxblk_pool *p, struct nxblk_slot *slot)
{
	nxblk_copy_all(p, slot, false);
}
