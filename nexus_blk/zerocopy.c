// SPDX-License-Identifier: GPL-2.0-only
/*
 * Zero copy: requests whose segments are guest-physical, so that the host does
 * its I/O on the pages of the request itself.
 *
 * It is decided for each request when it is prepared; what does not fit is
 * bounced. From then on the pages are the host's, up to the answer or the drain,
 * and the request is not ended before that, however long an outage lasts. Only a
 * removal cannot wait. It ends the request, and pins its pages: each keeps a
 * reference, so that Linux does not use it for something else, until the host
 * has done with it. If that never comes, the pages are leaked.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bvec.h>
#include <linux/cc_platform.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "nxblk.h"

/* What nxblk_check_segs() wants of a segment. */
#define NXBLK_ZERO_COPY_ADDR_ALIGN 4

/* By disks that are gone: whoever is left to tell of them is a later one. */
atomic_long_t nxblk_leaked_pages;

/**
 * nxblk_zero_copy_feature - can a host work on this machine's pages at all
 *
 * Return: NXBLK_F_ZERO_COPY; 0 where it would find them encrypted.
 */
u64 nxblk_zero_copy_feature(void)
{
	return cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT) ? 0 : NXBLK_F_ZERO_COPY;
}

/**
 * nxblk_zero_copy_wanted - is a request large enough
 * @q: queue
 * @bytes: of its buffer
 *
 * Return: whether to try nxblk_zero_copy_attach().
 */
bool nxblk_zero_copy_wanted(const struct nxblk_queue *q, u32 bytes)
{
	return (q->features & NXBLK_F_ZERO_COPY) && bytes &&
	       bytes >= READ_ONCE(q->disk->zero_copy_min);
}

/*
 * Ours to hand out, and kept by a reference should the request be ended early? A
 * reference on a slab page does not keep the object in it from being used again,
 * and a page of a device is no RAM that the host knows of.
 */
static bool nxblk_zero_copy_page_fits(struct page *page)
{
	return page_count(page) && !PageSlab(page) && !is_zone_device_page(page);
}

static bool nxblk_zero_copy_fits(u64 addr, u32 len)
{
	unsigned long pfn;

	for (pfn = PHYS_PFN(addr); pfn <= PHYS_PFN(addr + len - 1); pfn++)
		if (!nxblk_zero_copy_page_fits(pfn_to_page(pfn)))
			return false;
	return true;
}

/**
 * struct nxblk_seg_list - a request's segments as they are found
 * @req: takes the first ones
 * @table: takes all of them, once there are more; write-only
 * @nr: found, without @last
 * @max: that there may be
 * @last: may still grow; its length is 0 at the beginning
 */
struct nxblk_seg_list {
	struct nxblk_req *req;
	struct nxblk_seg *table;
	unsigned int nr;
	unsigned int max;
	struct nxblk_seg last;
};

/* @last grows no more. Alignment is judged now: a sector may lie in two pages. */
static bool nxblk_seg_list_put(struct nxblk_seg_list *l)
{
	if (l->nr == l->max ||
	    !IS_ALIGNED(l->last.addr, NXBLK_ZERO_COPY_ADDR_ALIGN) ||
	    !IS_ALIGNED(l->last.len, NXBLK_SECTOR_SIZE))
		return false;
	if (l->nr < NXBLK_INLINE_SEGS) {
		l->req->seg[l->nr++] = l->last;
		return true;
	}
	if (l->nr == NXBLK_INLINE_SEGS)
		memcpy(l->table, l->req->seg, sizeof(l->req->seg));
	l->table[l->nr++] = l->last;
	return true;
}

static bool nxblk_seg_list_add(struct nxblk_seg_list *l, u64 addr, u32 len)
{
	if (!nxblk_zero_copy_fits(addr, len))
		return false;
	if (l->last.len && l->last.addr + l->last.len == addr) {
		l->last.len += len;
		return true;
	}
	if (l->last.len && !nxblk_seg_list_put(l))
		return false;
	l->last.addr = addr;
	l->last.len = len;
	return true;
}

static bool nxblk_seg_list_fill(struct nxblk_seg_list *l, struct request *rq)
{
	struct req_iterator iter;
	struct bio_vec bv;

	rq_for_each_bvec(bv, rq, iter)
		if (!nxblk_seg_list_add(l, page_to_phys(bv.bv_page) + bv.bv_offset,
					bv.bv_len))
			return false;
	return nxblk_seg_list_put(l);
}

/**
 * nxblk_zero_copy_attach - name a request's own pages as its buffer
 * @q: queue
 * @rq: READ or WRITE
 * @req: with op and tag; its segments and flags are filled
 *
 * Return: false when the request must be bounced; @req is as it was.
 */
bool nxblk_zero_copy_attach(struct nxblk_queue *q, struct request *rq,
			    struct nxblk_req *req)
{
	size_t place = (size_t)req->tag * NXBLK_INDIRECT_STRIDE;
	struct nxblk_seg_list l = {
		.req = req,
		.table = q->ch->indirect + place,
		.max = q->max_segs,
	};

	if (!nxblk_seg_list_fill(&l, rq)) {
		memset(req->seg, 0, sizeof(req->seg));
		return false;
	}
	req->flags |= NXBLK_REQ_GPA;
	req->nseg = l.nr;
	if (l.nr <= NXBLK_INLINE_SEGS)
		return true;
	req->flags |= NXBLK_REQ_INDIRECT;
	memset(req->seg, 0, sizeof(req->seg));
	req->seg[0].addr = q->ch->entry.indirect.offset + place;
	req->seg[0].len = l.nr * sizeof(struct nxblk_seg);
	return true;
}

/**
 * nxblk_zero_copy_read - the host has written to a request's pages
 * @rq: READ, answered OK, whole
 */
void nxblk_zero_copy_read(struct request *rq)
{
	struct req_iterator iter;
	struct bio_vec bv;

	if (!ARCH_IMPLEMENTS_FLUSH_DCACHE_PAGE)
		return;
	rq_for_each_segment(bv, rq, iter)
		flush_dcache_page(bv.bv_page);
}

static struct nxblk_pins *nxblk_pins_take(struct request *rq, unsigned int *lost)
{
	struct nxblk_pins *pins;
	struct req_iterator iter;
	unsigned int nr = 0;
	struct bio_vec bv;

	rq_for_each_segment(bv, rq, iter)
		nr++;
	pins = kzalloc(struct_size(pins, pages, nr), GFP_NOIO);
	rq_for_each_segment(bv, rq, iter) {
		get_page(bv.bv_page);
		if (pins)
			pins->pages[pins->nr++] = bv.bv_page;
	}
	*lost = pins ? 0 : nr;
	return pins;
}

/**
 * nxblk_zero_copy_pin - a zero-copy request is about to be ended early
 * @slot: in NXBLK_SLOT_QUARANTINE; its request has not been ended yet
 *
 * The answer may come meanwhile.
 */
void nxblk_zero_copy_pin(struct nxblk_slot *slot)
{
	struct nxblk_pins *pins = nxblk_pins_take(slot->rq, &slot->lost);

	/*
	 * Both sides store first and look then, with the barriers of xchg(): this
	 * one stores the pins and looks at the state, nxblk_queue_release() the
	 * other way round. So one of them sees both, and drops the pins.
	 */
	xchg(&slot->pins, pins);
	if (atomic_read(&slot->state) != NXBLK_SLOT_QUARANTINE)
		nxblk_zero_copy_unpin(slot);
}

/**
 * nxblk_zero_copy_unpin - the host has done with the pages of an ended request
 * @slot: slot that is in quarantine no more
 *
 * Context: any.
 */
void nxblk_zero_copy_unpin(struct nxblk_slot *slot)
{
	struct nxblk_pins *pins = xchg(&slot->pins, NULL);
	unsigned int i;

	if (!pins)
		return;
	for (i = 0; i < pins->nr; i++)
		put_page(pins->pages[i]);
	kfree(pins);
}

/**
 * nxblk_zero_copy_leak - nobody will say any more when the pages are free
 * @slot: of a closed channel
 *
 * Return: number of pages that keep their reference for ever.
 */
unsigned int nxblk_zero_copy_leak(struct nxblk_slot *slot)
{
	struct nxblk_pins *pins = xchg(&slot->pins, NULL);
	unsigned int nr = slot->lost + (pins ? pins->nr : 0);

	kfree(pins);
	slot->lost = 0;
	atomic_long_add(nr, &nxblk_leaked_pages);
	return nr;
}
