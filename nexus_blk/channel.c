// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a disk does when the transport says that one of its channels goes up or
 * down. All of it runs under the channel's lock, and takes the disk's.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/minmax.h>

#include "nxblk.h"

/* The tags that both rings, the host, the tables and this driver can carry. */
static u32 nxblk_channel_depth(const struct ion_channel *ch,
			       const struct ion_offer *o, u64 features)
{
	u32 depth = min3(o->max_depth, 1u << ch->entry.req.log2_entries,
			 1u << ch->entry.rsp.log2_entries);

	if (features & NXBLK_F_INDIRECT)
		depth = min_t(u64, depth,
			      ch->entry.indirect.length / NXBLK_INDIRECT_STRIDE);
	return min(depth, NXBLK_MAX_DEPTH);
}

static u64 nxblk_channel_features(const struct ion_channel *ch,
				  const struct ion_offer *o)
{
	u64 features = o->features & NXBLK_FEATURES;

	features &= ~NXBLK_F_ZERO_COPY | nxblk_zero_copy_feature();
	if (ch->entry.indirect.length < 2 * NXBLK_INDIRECT_STRIDE)
		features &= ~NXBLK_F_INDIRECT;
	/* FUA is a promise about a cache that FLUSH empties. */
	if (!(features & NXBLK_F_FLUSH))
		features &= ~NXBLK_F_FUA;
	return features;
}

/* A later generation: what was taken of the first one must still be there. */
static int nxblk_channel_offer_again(struct nxblk_queue *q, u32 depth,
				     u64 features)
{
	if (depth < q->depth) {
		nxblk_log(err, q->disk,
			  "channel=%u: depth %u offered, must not fall below %u\n",
			  q->index, depth, q->depth);
		return -EINVAL;
	}
	if (q->features & ~features) {
		nxblk_log(err, q->disk,
			  "channel=%u: features %#llx offered, must still contain %#llx\n",
			  q->index, features, q->features);
		return -EINVAL;
	}
	return 0;
}

static int nxblk_channel_offer_first(struct nxblk_queue *q, u32 depth,
				     u64 features)
{
	if (depth < 2) {
		nxblk_log(err, q->disk,
			  "channel=%u: depth %u offered, must be at least 2\n",
			  q->index, depth);
		return -EINVAL;
	}
	q->depth = depth;
	q->features = features;
	return 0;
}

static int nxblk_channel_offer(struct ion_channel *ch,
			       const struct ion_offer *o, struct ion_terms *t)
{
	struct nxblk_queue *q = ch->priv;
	u64 features = nxblk_channel_features(ch, o);
	u32 depth = nxblk_channel_depth(ch, o, features);
	int ret;

	if (q->depth)
		ret = nxblk_channel_offer_again(q, depth, features);
	else
		ret = nxblk_channel_offer_first(q, depth, features);
	if (ret)
		return ret;
	t->depth = q->depth;
	t->features = q->features;
	return 0;
}

static void nxblk_channel_up(struct ion_channel *ch)
{
	struct nxblk_queue *q = ch->priv;
	struct nxblk_disk *d = q->disk;

	mutex_lock(&d->lock);
	/* An answer that comes too early may look at it: see nxblk_answer(). */
	WRITE_ONCE(q->generation, (u32)ch->end.generation);
	nxblk_queue_drained(q);
	q->up = true;
	d->want_info = true;
	d->info_at = jiffies;
	mutex_unlock(&d->lock);
	nxblk_disk_kick(d);
}

static void nxblk_channel_down(struct ion_channel *ch, const char *why)
{
	struct nxblk_queue *q = ch->priv;
	struct nxblk_disk *d = q->disk;

	mutex_lock(&d->lock);
	q->up = false;
	/*
	 * A disk whose requests end by themselves goes on doing so: were it quiesced
	 * here, and the next host denied INFO as well, they would wait for nothing.
	 */
	if (!d->fail && (d->state == NXBLK_LIVE || d->state == NXBLK_REFUSED)) {
		nxblk_disk_set_state(d, d->disk ? NXBLK_DOWN : NXBLK_WAITING,
				     why);
		nxblk_outage_begin(d);
	}
	mutex_unlock(&d->lock);
	/* What was answered in time is completed; see ->done. */
	nxblk_reap(q);
}

static void nxblk_channel_changed(struct ion_channel *ch)
{
	struct nxblk_queue *q = ch->priv;
	struct nxblk_disk *d = q->disk;

	mutex_lock(&d->lock);
	d->want_info = true;
	mutex_unlock(&d->lock);
	nxblk_disk_kick(d);
}

const struct ion_channel_ops nxblk_channel_ops = {
	.offer = nxblk_channel_offer,
	.up = nxblk_channel_up,
	.down = nxblk_channel_down,
	.event = nxblk_event,
	.changed = nxblk_channel_changed,
};
