/* SPDX-License-Identifier: GPL-2.0-only */
#include "virtqueue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Driver and device write to lines of their own. */
#define PART_ALIGN 128u

#define NO_DESC UINT16_MAX

/**
 * struct virtq_slot - what a descriptor is used for
 * @cookie: of the buffer that begins here; NULL: none does
 * @nth: which buffer it is, counted from the first
 * @writable: bytes of it that the device may write
 * @count: descriptors of the queue that it takes
 * @next: descriptor after this one, free or in the chain
 */
struct virtq_slot {
	void *cookie;
	uint64_t nth;
	uint64_t writable;
	uint16_t count;
	uint16_t next;
};

static bool has(const struct virtq *q, uint64_t feature)
{
	return q->spec.features & feature;
}

static uint64_t part(uint64_t *at, uint64_t bytes)
{
	uint64_t here = *at;

	*at = (here + bytes + PART_ALIGN - 1) & ~(uint64_t)(PART_ALIGN - 1);
	return here;
}

/**
 * virtq_layout - lay a queue out (section 2.7: sizes and alignments)
 * @l: filled
 * @size: entries
 * @max_segs: most segments of a buffer
 * @features: negotiated
 */
void virtq_layout(struct virtq_layout *l, uint16_t size, uint16_t max_segs,
		  uint64_t features)
{
	uint64_t tables = features & VIRTQ_F_INDIRECT_DESC ? size : 0;
	uint64_t at = 0;

	l->desc = part(&at, sizeof(struct virtq_desc) * size);
	/* Both rings end with an event index, negotiated or not. */
	l->avail = part(&at, sizeof(struct virtq_avail) + 2ull * size + 2);
	l->used = part(&at, sizeof(struct virtq_used) +
				    sizeof(struct virtq_used_elem) * size + 2);
	l->tables = part(&at, tables * max_segs * sizeof(struct virtq_desc));
	l->bytes = at;
}

static uint16_t *used_event(const struct virtq *q)
{
	return &q->avail->ring[q->spec.size];
}

static uint16_t *avail_event(const struct virtq *q)
{
	return (uint16_t *)(void *)&q->used->ring[q->spec.size];
}

/*
 * Section 2.7.7: with event indices a call is made when the used index passes
 * used_event; just behind what was taken is where it comes to last. Without
 * them there is a flag.
 */
static void virtq_want_no_call(struct virtq *q)
{
	if (has(q, VIRTQ_F_EVENT_IDX))
		ion_write(used_event(q), (uint16_t)(q->used_idx - 1));
	else
		ion_write(&q->avail->flags, VIRTQ_AVAIL_F_NO_INTERRUPT);
}

static bool spec_ok(const struct virtq_spec *s)
{
	if (!s->size || s->size > VIRTQ_MAX_SIZE || (s->size & (s->size - 1)))
		return false;
	/* Section 2.7.5.3.1: a chain is no longer than the queue. */
	return s->max_segs && s->max_segs <= s->size;
}

/**
 * virtq_init - make a queue
 * @q: filled
 * @spec: how it is to be
 *
 * Return: 0, -EINVAL or -ENOMEM.
 */
int virtq_init(struct virtq *q, const struct virtq_spec *spec)
{
	uint8_t *base = spec->base;
	uint16_t i;

	memset(q, 0, sizeof(*q));
	if (!spec_ok(spec))
		return -EINVAL;
	q->slot = calloc(spec->size, sizeof(*q->slot));
	if (!q->slot)
		return -ENOMEM;
	q->spec = *spec;
	virtq_layout(&q->layout, spec->size, spec->max_segs, spec->features);
	q->desc = (struct virtq_desc *)(void *)(base + q->layout.desc);
	q->avail = (struct virtq_avail *)(void *)(base + q->layout.avail);
	q->used = (struct virtq_used *)(void *)(base + q->layout.used);
	for (i = 0; i < spec->size; i++)
		q->slot[i].next = (uint16_t)(i + 1);
	q->slot[spec->size - 1].next = NO_DESC;
	q->free = spec->size;
	virtq_want_no_call(q);
	return 0;
}

/**
 * virtq_exit - release what virtq_init() allocated
 * @q: queue that no device uses any more
 */
void virtq_exit(struct virtq *q)
{
	free(q->slot);
	q->slot = NULL;
}

static bool segs_ok(const struct virtq *q, const struct virtq_seg *seg,
		    unsigned int nseg)
{
	unsigned int i;

	if (!nseg || nseg > q->spec.max_segs)
		return false;
	for (i = 0; i < nseg; i++)
		/* Section 2.7.4.2: what the device writes comes last. */
		if (!seg[i].len || (i && seg[i - 1].write && !seg[i].write))
			return false;
	return true;
}

static uint64_t segs_writable(const struct virtq_seg *seg, unsigned int nseg)
{
	uint64_t bytes = 0;
	unsigned int i;

	for (i = 0; i < nseg; i++)
		bytes += seg[i].write ? seg[i].len : 0;
	return bytes;
}

static void desc_set(struct virtq_desc *d, const struct virtq_seg *seg,
		     bool last, uint16_t next)
{
	ion_write(&d->addr, seg->addr);
	ion_write(&d->len, seg->len);
	ion_write(&d->flags, (uint16_t)((seg->write ? VIRTQ_DESC_F_WRITE : 0) |
					(last ? 0 : VIRTQ_DESC_F_NEXT)));
	ion_write(&d->next, last ? 0 : next);
}

/* Section 2.7.5.3: a table in the place that belongs to the descriptor. */
static void add_indirect(struct virtq *q, uint16_t head,
			 const struct virtq_seg *seg, unsigned int nseg)
{
	uint64_t at = q->layout.tables + (uint64_t)head * q->spec.max_segs *
						 sizeof(struct virtq_desc);
	struct virtq_desc *table = (void *)((uint8_t *)q->spec.base + at);
	struct virtq_desc *d = &q->desc[head];
	unsigned int i;

	for (i = 0; i < nseg; i++)
		desc_set(&table[i], &seg[i], i + 1 == nseg, (uint16_t)(i + 1));
	ion_write(&d->addr, q->spec.addr + at);
	ion_write(&d->len, (uint32_t)(nseg * sizeof(*table)));
	ion_write(&d->flags, VIRTQ_DESC_F_INDIRECT);
	ion_write(&d->next, 0);
}

static void add_chain(struct virtq *q, uint16_t head,
		      const struct virtq_seg *seg, unsigned int nseg)
{
	uint16_t at = head;
	unsigned int i;

	for (i = 0; i < nseg; i++) {
		uint16_t next = q->slot[at].next;

		desc_set(&q->desc[at], &seg[i], i + 1 == nseg, next);
		at = next;
	}
}

/* Takes @count descriptors off the free list; they stay linked. */
static uint16_t slots_take(struct virtq *q, uint16_t count)
{
	uint16_t head = q->free_head;
	uint16_t i;

	for (i = 0; i < count; i++)
		q->free_head = q->slot[q->free_head].next;
	q->free -= count;
	q->slot[head].count = count;
	return head;
}

static void slots_give(struct virtq *q, uint16_t head)
{
	uint16_t last = head;
	uint16_t i;

	for (i = 1; i < q->slot[head].count; i++)
		last = q->slot[last].next;
	q->slot[last].next = q->free_head;
	q->free_head = head;
	q->free += q->slot[head].count;
	q->slot[head].cookie = NULL;
	q->in_flight--;
}

/**
 * virtq_add - prepare a buffer for the device (section 2.7.13)
 * @q: queue
 * @seg: its pieces
 * @nseg: at most as many as the queue was made for
 * @cookie: names it, not NULL
 *
 * The device sees it after virtq_publish().
 *
 * Return: 0, -ENOSPC when it does not fit now, -EINVAL when never, -EIO when
 * the queue is broken.
 */
int virtq_add(struct virtq *q, const struct virtq_seg *seg, unsigned int nseg,
	      void *cookie)
{
	bool indirect = has(q, VIRTQ_F_INDIRECT_DESC) && nseg > 1;
	unsigned int need = indirect ? 1 : nseg;
	uint16_t head;

	if (q->broken)
		return -EIO;
	if (!cookie || !segs_ok(q, seg, nseg))
		return -EINVAL;
	if (need > q->free)
		return -ENOSPC;
	head = slots_take(q, (uint16_t)need);
	q->slot[head].cookie = cookie;
	q->slot[head].writable = segs_writable(seg, nseg);
	if (indirect)
		add_indirect(q, head, seg, nseg);
	else
		add_chain(q, head, seg, nseg);
	ion_write(&q->avail->ring[q->added & (q->spec.size - 1)], head);
	q->slot[head].nth = q->added++;
	q->in_flight++;
	return 0;
}

/* Section 2.7.10: has the device asked for a kick between the two indices? */
static bool virtq_kick_wanted(const struct virtq *q, uint64_t old)
{
	uint16_t event;

	if (!has(q, VIRTQ_F_EVENT_IDX))
		return !(ion_read(&q->used->flags) & VIRTQ_USED_F_NO_NOTIFY);
	event = ion_read(avail_event(q));
	return (uint16_t)(q->shown - event - 1) < (uint16_t)(q->shown - old);
}

/**
 * virtq_publish - show the device what was added
 * @q: queue
 *
 * Return: whether the device wants a kick.
 */
bool virtq_publish(struct virtq *q)
{
	uint64_t old = q->shown;

	if (old == q->added || q->broken)
		return false;
	/* Pairs with the device's read of the index: descriptors come first. */
	ion_store_release(&q->avail->idx, (uint16_t)q->added);
	q->shown = q->added;
	/*
	 * Pairs with the device's barrier between asking for a kick and its
	 * last look at the index: one of the two sees the other.
	 */
	ion_mb();
	return virtq_kick_wanted(q, old);
}

static void *virtq_break(struct virtq *q, const char *why)
{
	q->broken = why;
	return NULL;
}

/* Only what was published can have been used. */
static bool virtq_look(struct virtq *q)
{
	uint16_t pending = (uint16_t)(q->added - q->shown);
	/* Pairs with the device's release: entries are read after the index. */
	uint16_t idx = ion_load_acquire(&q->used->idx);
	uint16_t n = (uint16_t)(idx - q->used_idx);

	if (n > (uint16_t)(q->in_flight - pending)) {
		virtq_break(q, "the used index jumps");
		return false;
	}
	q->used_seen = idx;
	return n > 0;
}

/**
 * virtq_take - take a buffer back (section 2.7.14)
 * @q: queue
 * @written: filled: bytes that the device says it wrote, at most as many as it
 *	was allowed to
 *
 * Return: its cookie, or NULL when there is none or the queue is broken.
 */
void *virtq_take(struct virtq *q, uint32_t *written)
{
	struct virtq_used_elem *e;
	struct virtq_slot *slot;
	void *cookie;
	uint32_t id;
	uint32_t len;

	if (q->broken || (q->used_idx == q->used_seen && !virtq_look(q)))
		return NULL;
	e = &q->used->ring[q->used_idx & (q->spec.size - 1)];
	id = ion_read(&e->id);
	len = ion_read(&e->len);
	if (id >= q->spec.size)
		return virtq_break(q, "a used id is out of range");
	slot = &q->slot[id];
	cookie = slot->cookie;
	if (!cookie || slot->nth >= q->shown)
		return virtq_break(q, "a used id is not in flight");
	if (len > slot->writable)
		return virtq_break(q, "a used length is impossible");
	slots_give(q, (uint16_t)id);
	q->used_idx++;
	virtq_want_no_call(q);
	*written = len;
	return cookie;
}

/**
 * virtq_forget - take the oldest buffer back that the device will not answer
 * @q: queue that is broken, or whose device is gone
 *
 * Return: its cookie, or NULL when nothing is in flight.
 */
void *virtq_forget(struct virtq *q)
{
	uint16_t oldest = NO_DESC;
	void *cookie;
	uint16_t i;

	if (!q->broken)
		q->broken = "its device is gone";
	for (i = 0; i < q->spec.size && q->in_flight; i++)
		if (q->slot[i].cookie &&
		    (oldest == NO_DESC || q->slot[i].nth < q->slot[oldest].nth))
			oldest = i;
	if (oldest == NO_DESC)
		return NULL;
	cookie = q->slot[oldest].cookie;
	slots_give(q, oldest);
	return cookie;
}
