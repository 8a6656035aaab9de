// SPDX-License-Identifier: GPL-2.0-only
/*
 * A disk's life: probe, becoming known, removal.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/idr.h>
#include <linux/slab.h>

#include "nxblk.h"
#include "trace.h"

static DEFINE_IDA(nxblk_indexes);

static const char *const nxblk_state_names[] = {
	[NXBLK_WAITING] = "waiting", [NXBLK_LIVE] = "live",
	[NXBLK_DOWN] = "down",	     [NXBLK_REFUSED] = "refused",
	[NXBLK_FAILING] = "failing", [NXBLK_DEAD] = "dead",
};

const char *nxblk_state_name(enum nxblk_state state)
{
	return nxblk_state_names[state];
}

const char *nxblk_disk_name(struct nxblk_disk *d)
{
	return d->disk ? d->disk->disk_name : "no disk yet";
}

bool nxblk_disk_all_up(struct nxblk_disk *d)
{
	unsigned int i;

	for (i = 0; i < d->nr_queues; i++)
		if (!d->queues[i].up)
			return false;
	return true;
}

/**
 * nxblk_disk_set_state - enter a state, and say so
 * @d: disk, locked
 * @state: new state
 * @reason: why, for log and sysfs
 */
void nxblk_disk_set_state(struct nxblk_disk *d, enum nxblk_state state,
			  const char *reason)
{
	if (d->state != NXBLK_WAITING && d->state != state)
		nxblk_log(info, d, "%s: %s -> %s, reason: %s\n",
			  nxblk_disk_name(d), nxblk_state_name(d->state),
			  nxblk_state_name(state), reason);
	if ((d->state == NXBLK_LIVE) != (state == NXBLK_LIVE))
		nxblk_outage_clock(d, state == NXBLK_LIVE);
	WRITE_ONCE(d->state, state);
	strscpy(d->reason, reason, sizeof(d->reason));
	trace_nxblk_state(d->index, nxblk_state_name(state), reason);
}

/**
 * nxblk_disk_kick - have the work item look at the disk
 * @d: disk
 *
 * Context: any.
 */
void nxblk_disk_kick(struct nxblk_disk *d)
{
	mod_delayed_work(nxblk_wq, &d->work, 0);
}

/**
 * nxblk_disk_quiesce - dispatch no request any more
 * @d: disk, locked
 *
 * When it returns no queue_rq() is running.
 */
void nxblk_disk_quiesce(struct nxblk_disk *d)
{
	if (!d->disk || d->quiesced)
		return;
	blk_mq_quiesce_queue(d->disk->queue);
	d->quiesced = true;
}

/**
 * nxblk_disk_resume - dispatch what waits, requeued requests included
 * @d: disk, locked
 */
void nxblk_disk_resume(struct nxblk_disk *d)
{
	if (!d->disk)
		return;
	if (d->quiesced)
		blk_mq_unquiesce_queue(d->disk->queue);
	d->quiesced = false;
	blk_mq_kick_requeue_list(d->disk->queue);
	blk_mq_run_hw_queues(d->disk->queue, true);
}

static void nxblk_disk_release(struct kref *ref)
{
	kvfree(container_of(ref, struct nxblk_disk, ref));
}

void nxblk_disk_put(struct nxblk_disk *d)
{
	kref_put(&d->ref, nxblk_disk_release);
}

/* Makes the disk known; scanning its partitions reads from it. */
static void nxblk_disk_add_work(struct work_struct *work)
{
	struct nxblk_disk *d = container_of(work, struct nxblk_disk, add_work);
	int ret;

	/* For ->free_disk(), which no disk gets that was never added. */
	kref_get(&d->ref);
	ret = device_add_disk(&d->idev->dev, d->disk, nxblk_sysfs_groups);
	if (ret) {
		nxblk_disk_put(d);
		dev_err(&d->idev->dev, "%s: cannot be added: %d\n",
			d->disk->disk_name, ret);
		return;
	}
	d->added = true;
	pr_info("block bridge ready (%s major=%d)\n", d->disk->disk_name,
		nxblk_major);
}

static int nxblk_queue_init(struct nxblk_disk *d, unsigned int index)
{
	struct nxblk_queue *q = &d->queues[index];
	struct ion_channel *ch = &d->idev->channels[index];
	unsigned int tag;
	int ret;

	if (ch->entry.req.entry_size != sizeof(struct nxblk_req) ||
	    ch->entry.rsp.entry_size != sizeof(struct nxblk_resp)) {
		dev_err(&d->idev->dev,
			"channel=%u: ring entries of %u and %u bytes, must be %zu and %zu\n",
			index, ch->entry.req.entry_size, ch->entry.rsp.entry_size,
			sizeof(struct nxblk_req), sizeof(struct nxblk_resp));
		return -EINVAL;
	}
	q->disk = d;
	q->ch = ch;
	q->index = index;
	init_llist_head(&q->done);
	tasklet_setup(&q->tasklet, nxblk_reap_tasklet);
	ret = nxblk_pool_init(&q->pool, ch);
	if (ret == -EINVAL)
		dev_err(&d->idev->dev,
			"channel=%u: data area of %llu bytes, must be at least %llu\n",
			index, ch->entry.data.length, NXBLK_DATA_MIN);
	if (ret)
		return ret;
	q->slots = kvcalloc(NXBLK_MAX_DEPTH, sizeof(*q->slots), GFP_KERNEL);
	if (!q->slots)
		return -ENOMEM;
	for (tag = 0; tag < NXBLK_MAX_DEPTH; tag++)
		q->slots[tag].cookie = tag;
	return 0;
}

static void nxblk_queue_exit(struct nxblk_queue *q)
{
	if (!q->disk)
		return;
	tasklet_kill(&q->tasklet);
	kvfree(q->slots);
	nxblk_pool_exit(&q->pool);
}

static void nxblk_queues_exit(struct nxblk_disk *d)
{
	unsigned int i;

	for (i = d->nr_queues; i-- > 0;)
		nxblk_queue_exit(&d->queues[i]);
}

static int nxblk_queues_init(struct nxblk_disk *d)
{
	unsigned int i;
	int ret;

	for (i = 0; i < d->nr_queues; i++) {
		ret = nxblk_queue_init(d, i);
		if (ret) {
			nxblk_queues_exit(d);
			return ret;
		}
	}
	return 0;
}

/* nxblk<instance>, unless another window has an instance of the same number. */
static int nxblk_disk_take_index(struct nxblk_disk *d)
{
	int index = ida_alloc_min(&nxblk_indexes, d->idev->instance, GFP_KERNEL);

	if (index < 0)
		return index;
	d->index = index;
	if (index != d->idev->instance)
		dev_warn(&d->idev->dev, "nxblk%u is in use, becomes nxblk%d\n",
			 d->idev->instance, index);
	return 0;
}

static struct nxblk_disk *nxblk_disk_alloc(struct ion_device *idev)
{
	struct nxblk_disk *d;

	d = kvzalloc(struct_size(d, queues, idev->nr_channels), GFP_KERNEL);
	if (!d)
		return NULL;
	kref_init(&d->ref);
	d->idev = idev;
	d->nr_queues = idev->nr_channels;
	mutex_init(&d->lock);
	ratelimit_state_init(&d->log_limit, DEFAULT_RATELIMIT_INTERVAL,
			     DEFAULT_RATELIMIT_BURST);
	d->outage = NXBLK_OUTAGE_DEFAULT;
	strscpy(d->reason, "host not seen yet", sizeof(d->reason));
	INIT_DELAYED_WORK(&d->work, nxblk_info_work);
	INIT_WORK(&d->add_work, nxblk_disk_add_work);
	INIT_DELAYED_WORK(&d->outage_work, nxblk_outage_work);
	INIT_DELAYED_WORK(&d->reap_work, nxblk_outage_reap);
	return d;
}

static void nxblk_disk_close(struct nxblk_disk *d)
{
	unsigned int i, leaked = 0;
	int ret;

	/*
	 * A host that drains none holds this for as long as with one channel.
	 *
	 * A dispatch may still be running whose last request has ended, and which
	 * del_gendisk() did not wait for. The block layer calls it under
	 * rcu_read_lock(): the grace period in here is what ends it.
	 */
	for (i = d->nr_queues; i-- > 0;)
		ion_channel_close_begin(d->queues[i].ch);
	for (i = d->nr_queues; i-- > 0;) {
		ret = ion_channel_close(d->queues[i].ch);
		if (ret)
			dev_warn(&d->idev->dev,
				 "channel=%u: closed, the host has not drained it\n",
				 i);
		leaked += nxblk_queue_closed(&d->queues[i], !ret);
	}
	if (leaked)
		dev_err(&d->idev->dev,
			"%s: %u pages leaked: the host may still write to them\n",
			nxblk_disk_name(d), leaked);
	cancel_delayed_work_sync(&d->outage_work);
	cancel_delayed_work_sync(&d->work);
}

/**
 * nxblk_disk_probe - bind to a device; its disk appears when the host is ready
 * @idev: device of kind ION_KIND_BLK
 *
 * Return: 0 or an errno.
 */
int nxblk_disk_probe(struct ion_device *idev)
{
	struct nxblk_disk *d = nxblk_disk_alloc(idev);
	unsigned int i;
	int ret;

	if (!d)
		return -ENOMEM;
	ret = nxblk_disk_take_index(d);
	if (ret)
		goto put;
	ret = nxblk_queues_init(d);
	if (ret)
		goto free_index;
	ion_set_drvdata(idev, d);
	for (i = 0; i < d->nr_queues; i++) {
		ret = ion_channel_open(d->queues[i].ch, &nxblk_channel_ops,
				       &d->queues[i]);
		if (ret)
			goto close;
	}
	return 0;

close:
	nxblk_disk_close(d);
	nxblk_queues_exit(d);
free_index:
	ida_free(&nxblk_indexes, d->index);
put:
	nxblk_disk_put(d);
	return ret;
}

/**
 * nxblk_disk_served - is there a host that dirty data can be written to
 * @d: disk, locked
 *
 * A channel that is down for a moment, since a worker was killed or after a latch,
 * is up again soon: while the heart beats that host counts, and a removal waits
 * for it as for one that is slow.
 *
 * Return: whether there is.
 */
bool nxblk_disk_served(struct nxblk_disk *d)
{
	return (d->state == NXBLK_LIVE || d->state == NXBLK_DOWN) &&
	       ion_device_host_alive(d->idev);
}

/* With a live host, dirty data is written; with a silent one, nothing waits. */
static void nxblk_disk_unplug(struct nxblk_disk *d)
{
	bool served;

	mutex_lock(&d->lock);
	d->removing = true;
	d->removing_since = jiffies;
	WRITE_ONCE(d->last_answer, d->removing_since);
	served = nxblk_disk_served(d);
	if (!served)
		nxblk_outage_fail(d, NXBLK_DEAD, BLK_STS_IOERR,
				  "removed, no host");
	mutex_unlock(&d->lock);

	queue_delayed_work(nxblk_wq, &d->reap_work, 0);
	/* The disk may just be being added: that reads, and the reaper watches. */
	flush_work(&d->add_work);
	if (d->added) {
		if (!served)
			blk_mark_disk_dead(d->disk);
		del_gendisk(d->disk);
	}

	mutex_lock(&d->lock);
	if (d->state != NXBLK_DEAD)
		nxblk_disk_set_state(d, NXBLK_DEAD, "removed");
	mutex_unlock(&d->lock);
	cancel_delayed_work_sync(&d->reap_work);
}

static void nxblk_disk_free_gendisk(struct nxblk_disk *d)
{
	if (!d->disk)
		return;
	if (d->added) {
		blk_mq_free_tag_set(&d->set);
		put_disk(d->disk);
	} else {
		put_disk(d->disk);
		blk_mq_free_tag_set(&d->set);
	}
}

/**
 * nxblk_disk_remove - unbind, in every state, in bounded time
 * @idev: bound device
 */
void nxblk_disk_remove(struct ion_device *idev)
{
	struct nxblk_disk *d = ion_get_drvdata(idev);
	int index = d->index;

	nxblk_disk_unplug(d);
	nxblk_disk_close(d);
	nxblk_queues_exit(d);
	nxblk_disk_free_gendisk(d);
	nxblk_disk_put(d);
	ida_free(&nxblk_indexes, index);
}

/**
 * nxblk_disk_shutdown - the machine goes down
 * @idev: bound device
 *
 * Has the host drain what is in flight, so that nothing of it lands in what
 * boots next. Requests are neither issued nor ended any more: an error now would
 * only make filesystems record one.
 */
void nxblk_disk_shutdown(struct ion_device *idev)
{
	struct nxblk_disk *d = ion_get_drvdata(idev);

	mutex_lock(&d->lock);
	nxblk_disk_quiesce(d);
	nxblk_disk_set_state(d, NXBLK_DEAD, "shutdown");
	mutex_unlock(&d->lock);
	nxblk_disk_close(d);
}
