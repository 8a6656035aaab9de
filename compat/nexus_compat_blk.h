/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The block layer as newer kernels have it: limits with feature bits handed to
 * blk_mq_alloc_disk(), and plug lists as struct rq_list. Include it last.
 */
#ifndef NEXUS_COMPAT_BLK_H
#define NEXUS_COMPAT_BLK_H

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/err.h>

#ifndef HAVE_BLK_MQ_F_SHOULD_MERGE
#define BLK_MQ_F_SHOULD_MERGE 0
#endif

#ifndef HAVE_BLK_QUEUE_DISABLE_WRITE_ZEROES
static inline void blk_queue_disable_write_zeroes(struct request_queue *q)
{
	blk_queue_max_write_zeroes_sectors(q, 0);
}
#endif

#ifndef HAVE_BLK_QUEUE_DISABLE_DISCARD
static inline void blk_queue_disable_discard(struct request_queue *q)
{
	blk_queue_max_discard_sectors(q, 0);
}
#endif

#ifndef HAVE_QUEUE_LIMITS_FEATURES
/* The members of the newer struct queue_limits that the drivers fill. */
struct compat_queue_limits {
	unsigned int features;
	unsigned int max_hw_sectors;
	unsigned int max_segment_size;
	unsigned int physical_block_size;
	unsigned int logical_block_size;
	unsigned int io_min;
	unsigned int io_opt;
	unsigned int max_hw_discard_sectors;
	unsigned int max_write_zeroes_sectors;
	unsigned int discard_granularity;
	unsigned int discard_alignment;
	unsigned int dma_alignment;
	unsigned short max_segments;
};

#define BLK_FEAT_WRITE_CACHE (1u << 0)
#define BLK_FEAT_FUA (1u << 1)
#define BLK_FEAT_ROTATIONAL (1u << 2)

static inline void compat_apply_limits(struct request_queue *q,
				       const struct compat_queue_limits *lim)
{
	blk_queue_logical_block_size(q, lim->logical_block_size);
	blk_queue_physical_block_size(q, lim->physical_block_size);
	if (lim->io_min)
		blk_queue_io_min(q, lim->io_min);
	blk_queue_io_opt(q, lim->io_opt);
	blk_queue_max_hw_sectors(q, lim->max_hw_sectors);
	blk_queue_max_segments(q, lim->max_segments);
	blk_queue_max_segment_size(q, lim->max_segment_size);
	blk_queue_max_discard_sectors(q, lim->max_hw_discard_sectors);
	q->limits.discard_granularity = lim->discard_granularity;
	q->limits.discard_alignment = lim->discard_alignment;
	blk_queue_max_write_zeroes_sectors(q, lim->max_write_zeroes_sectors);
	blk_queue_dma_alignment(q, lim->dma_alignment);
	blk_queue_write_cache(q, lim->features & BLK_FEAT_WRITE_CACHE,
			      lim->features & BLK_FEAT_FUA);
	if (!(lim->features & BLK_FEAT_ROTATIONAL))
		blk_queue_flag_set(QUEUE_FLAG_NONROT, q);
}

/* A function, so that the macro below does not expand into itself. */
static inline struct gendisk *compat_alloc_disk(struct blk_mq_tag_set *set,
						void *data)
{
	return blk_mq_alloc_disk(set, data);
}

static inline struct gendisk *
compat_alloc_disk_limits(struct blk_mq_tag_set *set,
			 const struct compat_queue_limits *lim, void *data)
{
	struct gendisk *disk = compat_alloc_disk(set, data);

	if (!IS_ERR(disk))
		compat_apply_limits(disk->queue, lim);
	return disk;
}

#define queue_limits compat_queue_limits
#undef blk_mq_alloc_disk
#define blk_mq_alloc_disk(set, lim, data)                                      \
	compat_alloc_disk_limits(set, lim, data)
#endif /* !HAVE_QUEUE_LIMITS_FEATURES */

#ifndef HAVE_QUEUE_RQS_RQ_LIST
struct rq_list {
	struct request *head;
	struct request *tail;
};

#undef rq_list_pop
static inline struct request *rq_list_pop(struct rq_list *rl)
{
	struct request *rq = rl->head;

	if (rq) {
		rl->head = rq->rq_next;
		if (!rl->head)
			rl->tail = NULL;
		rq->rq_next = NULL;
	}
	return rq;
}

#undef rq_list_add_tail
static inline void rq_list_add_tail(struct rq_list *rl, struct request *rq)
{
	rq->rq_next = NULL;
	if (rl->tail)
		rl->tail->rq_next = rq;
	else
		rl->head = rq;
	rl->tail = rq;
}

/* A queue_rqs() that is given a bare chain, around one that takes a list. */
#define COMPAT_DEFINE_QUEUE_RQS(fn)                                            \
	static void compat_##fn(struct request **chain)                        \
	{                                                                      \
		struct rq_list rl = { .head = *chain };                        \
                                                                               \
		for (rl.tail = rl.head; rl.tail && rl.tail->rq_next;           \
		     rl.tail = rl.tail->rq_next)                               \
			;                                                      \
		fn(&rl);                                                       \
		*chain = rl.head;                                              \
	}
#define COMPAT_QUEUE_RQS(fn) compat_##fn
#else
#define COMPAT_DEFINE_QUEUE_RQS(fn)
#define COMPAT_QUEUE_RQS(fn) fn
#endif /* !HAVE_QUEUE_RQS_RQ_LIST */

#endif /* NEXUS_COMPAT_BLK_H */
