/* SPDX-License-Identifier: GPL-2.0-only */
#include "virtio_blk.h"

#include <stddef.h>
#include <string.h>

#include "util.h"
#include "vhost_user.h"
#include "virtqueue.h"

#define BIT(n) (1ull << (n))
#define SECTOR 512u
#define MAX_CAPACITY (1ull << 50)
#define MIN_SEG_BYTES 4096u
#define MAX_SEG_BYTES (1u << 30)

static const uint64_t needed = VIRTQ_F_VERSION_1 | VHOST_USER_F_PROTOCOL_FEATURES;

static const uint64_t wanted =
	VIRTQ_F_INDIRECT_DESC | VIRTQ_F_EVENT_IDX | BIT(VIRTIO_BLK_F_SIZE_MAX) |
	BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_RO) |
	BIT(VIRTIO_BLK_F_BLK_SIZE) | BIT(VIRTIO_BLK_F_FLUSH) |
	BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES);

static bool has(const struct virtio_blk_limits *l, unsigned int feature)
{
	return l->features & BIT(feature);
}

static const char *judge_size(const struct virtio_blk_config *c, uint32_t block,
			      struct virtio_blk_limits *l)
{
	uint32_t own = has(l, VIRTIO_BLK_F_BLK_SIZE) ? c->blk_size : SECTOR;

	if (own < SECTOR || own > 4096 || (own & (own - 1)))
		return "its block size is impossible";
	l->block = own;
	if (block && own > block)
		return "its blocks are larger than the disk's, bs=4096 is needed";
	if (!c->capacity || c->capacity > MAX_CAPACITY / SECTOR)
		return "its capacity is impossible";
	l->capacity = c->capacity * SECTOR;
	if (l->capacity % (block ? block : own))
		return "its capacity is not a multiple of the block size";
	return NULL;
}

/*
 * Without a number of segments there is no promise but one. A size of 0 limits
 * nothing: QEMU's exports have the feature and leave the field alone.
 */
static const char *judge_segs(const struct virtio_blk_config *c,
			      struct virtio_blk_limits *l)
{
	uint32_t bytes = has(l, VIRTIO_BLK_F_SIZE_MAX) && c->size_max ?
				 c->size_max :
				 MAX_SEG_BYTES;

	if (bytes < MIN_SEG_BYTES)
		return "its segment size is impossible";
	l->seg_bytes = (uint32_t)min_u64(bytes, MAX_SEG_BYTES) &
		       ~(MIN_SEG_BYTES - 1);
	l->segs = has(l, VIRTIO_BLK_F_SEG_MAX) ? c->seg_max : 1;
	if (!l->segs)
		return "its number of segments is impossible";
	l->segs = (uint32_t)min_u64(l->segs, VIRTIO_BLK_MAX_SEGS);
	return NULL;
}

static uint64_t whole_blocks(uint32_t sectors, uint32_t block)
{
	return (uint64_t)sectors * SECTOR / block * block;
}

static const char *judge_ranges(const struct virtio_blk_config *c,
				uint32_t block, struct virtio_blk_limits *l)
{
	block = block ? block : l->block;
	if (has(l, VIRTIO_BLK_F_DISCARD)) {
		l->discard = whole_blocks(c->max_discard_sectors, block);
		if (!l->discard || !c->max_discard_seg)
			return "its limits of DISCARD are impossible";
	}
	if (has(l, VIRTIO_BLK_F_WRITE_ZEROES)) {
		l->zero = whole_blocks(c->max_write_zeroes_sectors, block);
		if (!l->zero || !c->max_write_zeroes_seg)
			return "its limits of WRITE_ZEROES are impossible";
		l->may_unmap = c->write_zeroes_may_unmap;
	}
	return NULL;
}

/**
 * virtio_blk_judge - is this a device that can be used
 * @features: that it offers
 * @config: private copy of its configuration
 * @block: logical block of the disk; 0: the device's own
 * @l: filled
 *
 * Return: NULL, or what is wrong.
 */
const char *virtio_blk_judge(uint64_t features,
			     const struct virtio_blk_config *config,
			     uint32_t block, struct virtio_blk_limits *l)
{
	const char *why;

	memset(l, 0, sizeof(*l));
	if (needed & ~features)
		return features & VIRTQ_F_VERSION_1 ?
			       "it has no protocol features" :
			       "it is a device of before VIRTIO 1.0";
	l->features = features & (needed | wanted);
	l->read_only = has(l, VIRTIO_BLK_F_RO);
	l->flush = has(l, VIRTIO_BLK_F_FLUSH);
	l->wce = features & BIT(VIRTIO_BLK_F_CONFIG_WCE);
	why = judge_size(config, block, l);
	if (!why)
		why = judge_segs(config, l);
	if (!why)
		why = judge_ranges(config, block, l);
	return why;
}
