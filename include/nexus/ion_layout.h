/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Laying out a window, for whoever plays the host: Rumpk, the kernel's loopback
 * peers, the tests. What comes out satisfies ion_validate.h by construction.
 */
#ifndef NEXUS_ION_LAYOUT_H
#define NEXUS_ION_LAYOUT_H

#include "ion_abi.h"

/**
 * struct ion_channel_spec - what a host wants of one queue pair
 * @kind: &enum ion_kind
 * @instance: device number
 * @queue: queue number
 * @queue_class: &enum ion_class
 * @cap_slot: CSpace slot that the guest is to name
 * @log2_entries: of both rings
 * @req_size: bytes of a request entry, a multiple of 8
 * @rsp_size: bytes of a response entry, a multiple of 8
 * @indirect_bytes: of indirect area, 0 for none
 * @config_bytes: of configuration, 0 for none; taken from queue 0 of the instance
 * @data_weight: share of the data region, 0 for none
 * @host_peer: doorbell peer number of the host
 * @host_vector: doorbell vector of the host
 */
struct ion_channel_spec {
	__u16 kind;
	__u16 instance;
	__u16 queue;
	__u8 queue_class;
	__u8 cap_slot;
	__u8 log2_entries;
	__u16 req_size;
	__u16 rsp_size;
	__u32 indirect_bytes;
	__u32 config_bytes;
	__u32 data_weight;
	__u16 host_peer;
	__u16 host_vector;
};

static inline __u64 ion_align(__u64 value, __u64 align)
{
	return (value + align - 1) & ~(align - 1);
}

static inline __u64 ion_take(__u64 *cursor, __u64 length, __u64 align)
{
	__u64 start = ion_align(*cursor, align);

	*cursor = start + length;
	return start;
}

static inline void ion_layout_host(const struct ion_channel_spec *spec,
				   const struct ion_dir_entry *prev,
				   struct ion_dir_entry *e, __u64 *cursor)
{
	e->host_channel = ion_take(cursor, sizeof(struct ion_host_channel),
				   ION_LINE_ALIGN);
	if (spec->queue && prev) {
		e->config = prev->config;
	} else if (spec->config_bytes) {
		e->config.offset =
			ion_take(cursor, spec->config_bytes, ION_LINE_ALIGN);
		e->config.length = spec->config_bytes;
	}
	e->rsp.entry_size = spec->rsp_size;
	e->rsp.log2_entries = spec->log2_entries;
	e->rsp.offset = ion_take(cursor,
				 (__u64)spec->rsp_size << spec->log2_entries,
				 ION_PAGE_ALIGN);
}

static inline void ion_layout_guest(const struct ion_channel_spec *spec,
				    struct ion_dir_entry *e, __u64 *cursor)
{
	e->guest_channel = ion_take(cursor, sizeof(struct ion_guest_channel),
				    ION_LINE_ALIGN);
	e->req.entry_size = spec->req_size;
	e->req.log2_entries = spec->log2_entries;
	e->req.offset = ion_take(cursor,
				 (__u64)spec->req_size << spec->log2_entries,
				 ION_PAGE_ALIGN);
	if (spec->indirect_bytes) {
		e->indirect.offset =
			ion_take(cursor, spec->indirect_bytes, ION_PAGE_ALIGN);
		e->indirect.length = spec->indirect_bytes;
	}
}

static inline void ion_layout_data(const struct ion_channel_spec *spec,
				   __u32 count, struct ion_dir_entry *dir,
				   const struct ion_span *data)
{
	__u64 cursor = data->offset;
	__u64 weight = 0;
	__u64 unit;
	__u32 i;

	for (i = 0; i < count; i++)
		weight += spec[i].data_weight;
	if (!weight)
		return;
	/* Pages a unit of weight: u64 division needs help on 32-bit kernels. */
	unit = (__u32)(data->length / ION_PAGE_ALIGN) / (__u32)weight;
	for (i = 0; i < count; i++) {
		if (!spec[i].data_weight)
			continue;
		dir[i].data.length = unit * spec[i].data_weight * ION_PAGE_ALIGN;
		dir[i].data.offset = cursor;
		cursor += dir[i].data.length;
	}
}

/**
 * ion_layout - lay out header and directory for a set of channels
 * @hdr: filled but for magic, features, instance, generation and state
 * @dir: @count entries, filled
 * @spec: @count channels, the queues of an instance together and ascending
 * @count: 1 .. ION_MAX_CHANNELS
 * @length: of the window, a multiple of ION_REGION_ALIGN, at least ION_WINDOW_MIN
 * @initial_index: where all indices start
 *
 * Return: bytes left for the data region; 0 when the window is too small.
 */
static inline __u64 ion_layout(struct ion_host_header *hdr,
			       struct ion_dir_entry *dir,
			       const struct ion_channel_spec *spec, __u32 count,
			       __u64 length, __u32 initial_index)
{
	__u64 host = sizeof(*hdr);
	__u64 guest;
	__u32 i;

	memset(hdr, 0, sizeof(*hdr));
	memset(dir, 0, count * sizeof(*dir));
	hdr->abi_major = ION_ABI_MAJOR;
	hdr->abi_minor = ION_ABI_MINOR;
	hdr->length = length;
	hdr->dir_entry_size = sizeof(*dir);
	hdr->dir_count = count;
	hdr->dir_offset =
		ion_take(&host, (__u64)count * sizeof(*dir), ION_LINE_ALIGN);

	for (i = 0; i < count; i++) {
		dir[i].kind = spec[i].kind;
		dir[i].instance = spec[i].instance;
		dir[i].queue = spec[i].queue;
		dir[i].queue_class = spec[i].queue_class;
		dir[i].cap_slot = spec[i].cap_slot;
		dir[i].initial_index = initial_index;
		dir[i].host_peer = spec[i].host_peer;
		dir[i].host_vector = spec[i].host_vector;
		ion_layout_host(&spec[i], i ? &dir[i - 1] : NULL, &dir[i], &host);
	}
	hdr->host.length = ion_align(host, ION_REGION_ALIGN);

	hdr->guest.offset = hdr->host.length;
	guest = hdr->guest.offset + sizeof(struct ion_guest_header);
	for (i = 0; i < count; i++)
		ion_layout_guest(&spec[i], &dir[i], &guest);
	guest = ion_align(guest, ION_REGION_ALIGN);
	hdr->guest.length = guest - hdr->guest.offset;

	if (guest >= length)
		return 0;
	hdr->data.offset = guest;
	hdr->data.length = length - guest;
	ion_layout_data(spec, count, dir, &hdr->data);
	return hdr->data.length;
}

/**
 * ion_publish - write header and directory into a window and make it known
 * @window: start of the window, zeroed from here to the end of the host region
 * @hdr: from ion_layout(), complete but for magic and state
 * @dir: from ion_layout()
 *
 * The host channel records must be in place before, in ION_HOST_READY or DOWN.
 */
static inline void ion_publish(void *window, const struct ion_host_header *hdr,
			       const struct ion_dir_entry *dir)
{
	struct ion_host_header *shared = (struct ion_host_header *)window;
	struct ion_host_header copy = *hdr;

	copy.magic = 0;
	copy.state = ION_HOST_DOWN;
	memcpy((__u8 *)window + hdr->dir_offset, dir,
	       hdr->dir_count * sizeof(*dir));
	memcpy(shared, &copy, sizeof(copy));
	/* Pairs with the acquire loads of a guest that looks for a window. */
	ion_store_release(&shared->magic, ION_MAGIC);
	ion_store_release(&shared->state, ION_HOST_READY);
}

#endif /* NEXUS_ION_LAYOUT_H */
