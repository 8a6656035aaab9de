// SPDX-License-Identifier: GPL-2.0-only
/*
 * From a disk's configuration to what Linux knows of it: queue limits, capacity,
 * read-only.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "nxblk.h"

/* Answers that take longer are looked for, and the silence is noted. */
#define NXBLK_TIMEOUT (5 * HZ)

static void nxblk_geometry_limits(const struct nxblk_disk *d,
				  struct queue_limits *lim)
{
	const struct nxblk_config *c = &d->cfg;

	memset(lim, 0, sizeof(*lim));
	lim->logical_block_size = c->logical_block;
	lim->physical_block_size = c->physical_block;
	lim->io_min = c->io_min;
	lim->io_opt = c->io_opt;
	lim->max_hw_sectors = c->max_sectors;
	/* Pages are copied into chunks: how many they are does not matter. */
	lim->max_segments = USHRT_MAX;
	lim->max_segment_size = UINT_MAX;
	/* As good as none (0 is the default): what lies oddly is bounced. */
	lim->dma_alignment = 1;
	if (c->flags & NXBLK_CFG_ROTATIONAL)
		lim->features |= BLK_FEAT_ROTATIONAL;
	if ((c->flags & NXBLK_CFG_VOLATILE_CACHE) &&
	    (d->features & NXBLK_F_FLUSH)) {
		lim->features |= BLK_FEAT_WRITE_CACHE;
		if (d->features & NXBLK_F_FUA)
			lim->features |= BLK_FEAT_FUA;
	}
	if ((d->features & NXBLK_F_DISCARD) && c->max_discard_sectors) {
		lim->max_hw_discard_sectors = c->max_discard_sectors;
		lim->discard_granularity = c->discard_granularity;
		lim->discard_alignment = c->discard_alignment;
	}
	if (d->features & NXBLK_F_WRITE_ZEROES)
		lim->max_write_zeroes_sectors = c->max_write_zeroes_sectors;
}

/* What holds for all queues, and what each may put into a request. */
static void nxblk_geometry_queues(struct nxblk_disk *d)
{
	unsigned int i;

	d->features = NXBLK_FEATURES;
	d->depth = NXBLK_MAX_DEPTH;
	for (i = 0; i < d->nr_queues; i++) {
		struct nxblk_queue *q = &d->queues[i];

		d->features &= q->features;
		d->depth = min(d->depth, q->depth);
		q->max_segs = q->features & NXBLK_F_INDIRECT ? NXBLK_MAX_SEGS :
							       NXBLK_INLINE_SEGS;
		q->max_segs = min(q->max_segs, d->cfg.max_segments);
		q->max_runs = min(q->max_segs, NXBLK_MAX_RUNS);
	}
	/* The last tag is INFO's. */
	d->depth--;
}

static int nxblk_geometry_tags(struct nxblk_disk *d)
{
	struct blk_mq_tag_set *set = &d->set;

	memset(set, 0, sizeof(*set));
	set->ops = &nxblk_mq_ops;
	set->nr_hw_queues = d->nr_queues;
	set->queue_depth = d->depth;
	set->numa_node = NUMA_NO_NODE;
	set->cmd_size = sizeof(struct nxblk_pdu);
	set->timeout = NXBLK_TIMEOUT;
	set->flags = BLK_MQ_F_SHOULD_MERGE | BLK_MQ_F_NO_SCHED_BY_DEFAULT;
	set->driver_data = d;
	return blk_mq_alloc_tag_set(set);
}

static void nxblk_free_disk(struct gendisk *disk)
{
	nxblk_disk_put(disk->private_data);
}

static const struct block_device_operations nxblk_fops = {
	.owner = THIS_MODULE,
	.free_disk = nxblk_free_disk,
};

static void nxblk_geometry_name(struct nxblk_disk *d, struct gendisk *disk)
{
	disk->major = nxblk_major;
	disk->first_minor = d->index * NXBLK_MINORS;
	disk->minors = NXBLK_MINORS;
	disk->fops = &nxblk_fops;
	disk->private_data = d;
	snprintf(disk->disk_name, DISK_NAME_LEN, "nxblk%d", d->index);
}

/**
 * nxblk_geometry_create - make the gendisk, not yet known to anybody
 * @d: disk whose configuration has been accepted; locked
 *
 * Return: 0, and the disk is live; or an errno.
 */
int nxblk_geometry_create(struct nxblk_disk *d)
{
	struct queue_limits lim;
	struct gendisk *disk;
	int ret;

	nxblk_geometry_queues(d);
	d->zero_copy_min = d->cfg.zero_copy_min ?: NXBLK_ZERO_COPY_MIN;
	ret = nxblk_geometry_tags(d);
	if (ret)
		goto complain;
	nxblk_geometry_limits(d, &lim);
	disk = blk_mq_alloc_disk(&d->set, &lim, d);
	if (IS_ERR(disk)) {
		ret = PTR_ERR(disk);
		goto free_tags;
	}
	nxblk_geometry_name(d, disk);
	set_capacity(disk, d->cfg.capacity);
	d->read_only = d->cfg.flags & NXBLK_CFG_READ_ONLY;
	set_disk_ro(disk, d->read_only);
	d->disk = disk;
	d->down_since = jiffies;
	nxblk_disk_set_state(d, NXBLK_LIVE, "none");
	return 0;

free_tags:
	blk_mq_free_tag_set(&d->set);
complain:
	nxblk_log(err, d, "%s: no disk: %d\n", nxblk_disk_name(d), ret);
	nxblk_disk_set_state(d, NXBLK_REFUSED, "out of memory");
	return ret;
}

/**
 * nxblk_geometry_refresh - take over what may change while a disk is in use
 * @d: disk with a new, accepted configuration; locked
 */
void nxblk_geometry_refresh(struct nxblk_disk *d)
{
	bool read_only = d->cfg.flags & NXBLK_CFG_READ_ONLY;

	if (read_only != d->read_only) {
		WRITE_ONCE(d->read_only, read_only);
		set_disk_ro(d->disk, read_only);
		nxblk_log(info, d, "%s: now %s\n", nxblk_disk_name(d),
			  read_only ? "read-only" : "writable");
	}
	if (d->cfg.capacity != get_capacity(d->disk))
		set_capacity_and_notify(d->disk, d->cfg.capacity);
}
