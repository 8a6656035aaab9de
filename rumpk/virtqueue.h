/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The driver's side of one split virtqueue ("Virtual I/O Device (VIRTIO)
 * Version 1.2", section 2.7), polled: the device is never asked for a call.
 *
 * What lies in the queue's memory is written for the device and never believed
 * again: free descriptors, chains and lengths are kept privately. The first
 * thing that a device writes which cannot be true latches the queue as broken,
 * with the reason; from then on nothing is added and nothing taken.
 *
 * One thread owns a queue.
 */
#ifndef RUMPK_VIRTQUEUE_H
#define RUMPK_VIRTQUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include <nexus/ion_os.h>

#define VIRTQ_MAX_SIZE 32768u

/* Feature bits of every device (section 6). */
#define VIRTQ_F_INDIRECT_DESC (1ull << 28)
#define VIRTQ_F_EVENT_IDX (1ull << 29)
#define VIRTQ_F_VERSION_1 (1ull << 32)

/* Section 2.7.5: the descriptor table. */
#define VIRTQ_DESC_F_NEXT 1u
#define VIRTQ_DESC_F_WRITE 2u
#define VIRTQ_DESC_F_INDIRECT 4u

struct virtq_desc {
	__u64 addr;
	__u32 len;
	__u16 flags;
	__u16 next;
};
ION_ASSERT_SIZE(struct virtq_desc, 16);

/* Section 2.7.6: the available ring; used_event follows its entries. */
#define VIRTQ_AVAIL_F_NO_INTERRUPT 1u

struct virtq_avail {
	__u16 flags;
	__u16 idx;
	__u16 ring[];
};
ION_ASSERT_OFFSET(struct virtq_avail, ring, 4);

struct virtq_used_elem {
	__u32 id;
	__u32 len;
};
ION_ASSERT_SIZE(struct virtq_used_elem, 8);

/* Section 2.7.8: the used ring, the device's; avail_event follows its entries. */
#define VIRTQ_USED_F_NO_NOTIFY 1u

struct virtq_used {
	__u16 flags;
	__u16 idx;
	struct virtq_used_elem ring[];
};
ION_ASSERT_OFFSET(struct virtq_used, ring, 4);

/**
 * struct virtq_layout - where the parts lie in the queue's memory
 * @desc: descriptor table
 * @avail: available ring
 * @used: used ring
 * @tables: indirect tables, one a descriptor of @desc
 * @bytes: of all
 */
struct virtq_layout {
	uint64_t desc;
	uint64_t avail;
	uint64_t used;
	uint64_t tables;
	uint64_t bytes;
};

/**
 * struct virtq_spec - how a queue is to be
 * @base: its memory: zeroed, aligned to 16 bytes, virtq_layout() says how much
 * @addr: of @base, as the device knows it
 * @size: entries, a power of two up to VIRTQ_MAX_SIZE
 * @max_segs: most segments of a buffer
 * @features: negotiated
 */
struct virtq_spec {
	void *base;
	uint64_t addr;
	uint16_t size;
	uint16_t max_segs;
	uint64_t features;
};

/**
 * struct virtq_seg - a piece of a buffer
 * @addr: as the device knows it
 * @len: bytes
 * @write: the device writes to it; such pieces come last
 */
struct virtq_seg {
	uint64_t addr;
	uint32_t len;
	bool write;
};

struct virtq_slot;

/**
 * struct virtq - a queue
 * @spec: as made
 * @layout: where the parts lie
 * @desc: descriptor table
 * @avail: available ring
 * @used: used ring
 * @slot: what each descriptor is used for
 * @free_head: first free descriptor
 * @free: number of them
 * @in_flight: buffers that the device has
 * @added: buffers so far; the low bits are the available index
 * @shown: of those, how many the device was shown
 * @used_idx: next one to take
 * @used_seen: end of those that were judged to be possible
 * @broken: why it is broken; NULL: it is not
 */
struct virtq {
	struct virtq_spec spec;
	struct virtq_layout layout;
	struct virtq_desc *desc;
	struct virtq_avail *avail;
	struct virtq_used *used;
	struct virtq_slot *slot;
	uint16_t free_head;
	uint16_t free;
	uint16_t in_flight;
	uint64_t added;
	uint64_t shown;
	uint16_t used_idx;
	uint16_t used_seen;
	const char *broken;
};

void virtq_layout(struct virtq_layout *l, uint16_t size, uint16_t max_segs,
		  uint64_t features);
int virtq_init(struct virtq *q, const struct virtq_spec *spec);
void virtq_exit(struct virtq *q);
int virtq_add(struct virtq *q, const struct virtq_seg *seg, unsigned int nseg,
	      void *cookie);
bool virtq_publish(struct virtq *q);
void *virtq_take(struct virtq *q, uint32_t *written);
void *virtq_forget(struct virtq *q);

#endif /* RUMPK_VIRTQUEUE_H */
