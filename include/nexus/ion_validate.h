/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What a guest checks of a window before it believes any of it (rules R-WIN-*
 * and R-DIR-*). Works on private copies alone: the kernel copies header and
 * directory out first. Built for user space too, for unit tests and fuzzing.
 */
#ifndef NEXUS_ION_VALIDATE_H
#define NEXUS_ION_VALIDATE_H

#include "ion_abi.h"

/**
 * struct ion_fault - what is wrong with a window
 * @what: names the field and what would be right; NULL: nothing is wrong
 * @index: directory entry, or -1 for the header
 * @value: that was found
 */
struct ion_fault {
	const char *what;
	int index;
	__u64 value;
};

static inline bool ion_fail(struct ion_fault *f, const char *what, int index,
			    __u64 value)
{
	f->what = what;
	f->index = index;
	f->value = value;
	return false;
}

static inline bool ion_region_ok(const struct ion_span *r, __u64 start, __u64 end)
{
	return !(r->offset % ION_REGION_ALIGN) &&
	       !(r->length % ION_REGION_ALIGN) && r->length &&
	       r->offset >= start && r->offset <= end &&
	       r->length <= end - r->offset;
}

/**
 * ion_validate_header - check a private copy of the header
 * @h: copy
 * @mapped: bytes of the window that this side can reach
 * @features: window features that this side knows
 * @f: filled when something is wrong
 *
 * The magic is the caller's to check first: without it this is no ION window
 * and no fault.
 *
 * Return: true when the header can be believed.
 */
static inline bool ion_validate_header(const struct ion_host_header *h,
				       __u64 mapped, __u64 features,
				       struct ion_fault *f)
{
	__u64 dir_bytes;

	f->what = NULL;
	if (h->abi_major != ION_ABI_MAJOR)
		return ion_fail(f, "ABI major version, must be 1", -1,
				h->abi_major);
	if (h->length < ION_WINDOW_MIN || h->length > ION_WINDOW_MAX ||
	    h->length % ION_REGION_ALIGN)
		return ion_fail(f,
				"window length, must be 4 MiB to 1 TiB in 64 KiB steps",
				-1, h->length);
	if (h->length > mapped)
		return ion_fail(f,
				"window length, must not exceed what is mapped",
				-1, h->length);
	if (h->host.offset || !ion_region_ok(&h->host, 0, h->length))
		return ion_fail(f,
				"host region, must start at 0, 64 KiB aligned, inside the window",
				-1, h->host.length);
	if (!ion_region_ok(&h->guest, h->host.length, h->length))
		return ion_fail(f,
				"guest region, must follow the host region, 64 KiB aligned, inside the window",
				-1, h->guest.offset);
	if (!ion_region_ok(&h->data, h->guest.offset + h->guest.length, h->length))
		return ion_fail(f,
				"data region, must follow the guest region, 64 KiB aligned, inside the window",
				-1, h->data.offset);
	if (h->features_required & ~h->features_offered)
		return ion_fail(f,
				"required features, must be a subset of the offered",
				-1, h->features_required);
	if (h->features_required & ~features)
		return ion_fail(f, "required features, not all known here", -1,
				h->features_required);
	if (!h->dir_count || h->dir_count > ION_MAX_CHANNELS)
		return ion_fail(f, "directory count, must be 1 to 1024", -1,
				h->dir_count);
	if (h->dir_entry_size < sizeof(struct ion_dir_entry) ||
	    h->dir_entry_size > ION_PAGE_ALIGN || h->dir_entry_size % 8)
		return ion_fail(f,
				"directory entry size, must be a multiple of 8 from 128 to 4096",
				-1, h->dir_entry_size);
	dir_bytes = (__u64)h->dir_count * h->dir_entry_size;
	if (h->dir_offset % ION_LINE_ALIGN || h->dir_offset < sizeof(*h) ||
	    h->dir_offset > h->host.length ||
	    dir_bytes > h->host.length - h->dir_offset)
		return ion_fail(f,
				"directory offset, must be 128 byte aligned, after the header, inside the host region",
				-1, h->dir_offset);
	return true;
}

/*
 * A range that must start at or after *cursor and end inside the region;
 * advances the cursor.
 */
static inline bool ion_advance(__u64 *cursor, __u64 end, __u64 offset,
			       __u64 length, __u64 align)
{
	if (offset % align || offset < *cursor || offset > end ||
	    length > end - offset)
		return false;
	*cursor = offset + length;
	return true;
}

static inline bool ion_validate_ring(const struct ion_ring_desc *r,
				     __u64 *cursor, __u64 end)
{
	if (!r->log2_entries || r->log2_entries > ION_MAX_LOG2_ENTRIES)
		return false;
	if (!r->entry_size || r->entry_size % 8 ||
	    r->entry_size > ION_MAX_ENTRY_SIZE)
		return false;
	return ion_advance(cursor, end, r->offset,
			   (__u64)r->entry_size << r->log2_entries,
			   ION_PAGE_ALIGN);
}

/**
 * struct ion_cursors - how far the regions are taken by the entries seen so far
 * @host: end of what is taken of the host region
 * @guest: likewise of the guest region
 * @data: likewise of the data region
 */
struct ion_cursors {
	__u64 host;
	__u64 guest;
	__u64 data;
};

/**
 * ion_cursors_init - start at the ends of headers and directory
 * @c: cursors
 * @h: validated header
 */
static inline void ion_cursors_init(struct ion_cursors *c,
				    const struct ion_host_header *h)
{
	c->host = h->dir_offset + (__u64)h->dir_count * h->dir_entry_size;
	c->guest = h->guest.offset + sizeof(struct ion_guest_header);
	c->data = h->data.offset;
}

static inline bool ion_validate_order(const struct ion_dir_entry *e,
				      const struct ion_dir_entry *prev)
{
	if (!e->queue)
		return true;
	return prev && prev->kind == e->kind && prev->instance == e->instance &&
	       prev->queue + 1 == e->queue &&
	       prev->config.offset == e->config.offset &&
	       prev->config.length == e->config.length;
}

/**
 * ion_validate_entry - check a private copy of one directory entry
 * @h: validated header
 * @e: copy of entry @index
 * @prev: copy of the entry before, NULL for the first
 * @index: of @e
 * @c: cursors, advanced
 * @f: filled when something is wrong
 *
 * That a kind and instance does not appear twice is the caller's to check:
 * it knows which devices there are.
 *
 * Return: true when the entry can be believed.
 */
static inline bool ion_validate_entry(const struct ion_host_header *h,
				      const struct ion_dir_entry *e,
				      const struct ion_dir_entry *prev, int index,
				      struct ion_cursors *c, struct ion_fault *f)
{
	__u64 host_end = h->host.length;
	__u64 guest_end = h->guest.offset + h->guest.length;
	__u64 data_end = h->data.offset + h->data.length;

	f->what = NULL;
	if (e->queue >= ION_MAX_QUEUES)
		return ion_fail(f, "queue, must be below 64", index, e->queue);
	if (!ion_validate_order(e, prev))
		return ion_fail(f,
				"queue, must follow the queue before it and share its config",
				index, e->queue);
	if (e->queue_class >= ION_CLASS_COUNT)
		return ion_fail(f, "queue class, must be 0 or 1", index,
				e->queue_class);
	if (!ion_advance(&c->host, host_end, e->host_channel,
			 sizeof(struct ion_host_channel), ION_LINE_ALIGN))
		return ion_fail(f,
				"host channel record, must be aligned, inside the host region, without overlap",
				index, e->host_channel);
	if (!e->queue && e->config.length &&
	    !ion_advance(&c->host, host_end, e->config.offset, e->config.length,
			 ION_LINE_ALIGN))
		return ion_fail(f,
				"config, must be aligned, inside the host region, without overlap",
				index, e->config.offset);
	if (!ion_validate_ring(&e->rsp, &c->host, host_end))
		return ion_fail(f,
				"response ring, must be 2^1..2^15 entries, aligned, inside the host region, without overlap",
				index, e->rsp.offset);
	if (!ion_advance(&c->guest, guest_end, e->guest_channel,
			 sizeof(struct ion_guest_channel), ION_LINE_ALIGN))
		return ion_fail(f,
				"guest channel record, must be aligned, inside the guest region, without overlap",
				index, e->guest_channel);
	if (!ion_validate_ring(&e->req, &c->guest, guest_end))
		return ion_fail(f,
				"request ring, must be 2^1..2^15 entries, aligned, inside the guest region, without overlap",
				index, e->req.offset);
	if (e->indirect.length &&
	    !ion_advance(&c->guest, guest_end, e->indirect.offset,
			 e->indirect.length, ION_PAGE_ALIGN))
		return ion_fail(f,
				"indirect area, must be aligned, inside the guest region, without overlap",
				index, e->indirect.offset);
	if (e->data.length && !ion_advance(&c->data, data_end, e->data.offset,
					   e->data.length, ION_PAGE_ALIGN))
		return ion_fail(f,
				"data area, must be aligned, inside the data region, without overlap",
				index, e->data.offset);
	return true;
}

#endif /* NEXUS_ION_VALIDATE_H */
