/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a virtio block device says of itself, judged before it is used ("Virtual
 * I/O Device (VIRTIO) Version 1.2", section 5.2).
 */
#ifndef RUMPK_VIRTIO_BLK_H
#define RUMPK_VIRTIO_BLK_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_blk.h>

/* Of the configuration: all before the fields of secure erase. */
#define VIRTIO_BLK_CONFIG_BYTES                                                \
	((uint32_t)(offsetof(struct virtio_blk_config, unused1) + 3))

#define VIRTIO_BLK_MAX_SEGS 126u

/**
 * struct virtio_blk_limits - a device that was found good
 * @features: that are accepted
 * @capacity: bytes
 * @discard: most bytes of one DISCARD; 0: it has none
 * @zero: most bytes of one WRITE_ZEROES; 0: it has none
 * @block: its own, bytes
 * @seg_bytes: most bytes of a segment
 * @segs: most segments of data
 * @read_only: the medium refuses writes
 * @flush: it has a volatile cache
 * @wce: which can be switched off
 * @may_unmap: WRITE_ZEROES may deallocate
 */
struct virtio_blk_limits {
	uint64_t features;
	uint64_t capacity;
	uint64_t discard;
	uint64_t zero;
	uint32_t block;
	uint32_t seg_bytes;
	uint32_t segs;
	bool read_only;
	bool flush;
	bool wce;
	bool may_unmap;
};

const char *virtio_blk_judge(uint64_t features,
			     const struct virtio_blk_config *config,
			     uint32_t block, struct virtio_blk_limits *l);

#endif /* RUMPK_VIRTIO_BLK_H */
