// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows: validation, the devices that the directory names, and the monitor,
 * a work item that looks at what the host's states say: often while something is
 * pending, rarely while not, at once when the host rings the control vector.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/idr.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/rculist.h>
#include <linux/sched/mm.h>

#include <nexus/ion_validate.h>

#include "window.h"

static DEFINE_IDA(ion_window_ids);

static struct ion_guest_header *ion_window_guest(struct ion_window *w)
{
	return w->base + w->hdr.guest.offset;
}

static const struct ion_host_header *ion_window_host(struct ion_window *w)
{
	return w->base;
}

static void ion_window_complain(struct ion_window *w, const struct ion_fault *f)
{
	if (f->index < 0)
		pr_err_ratelimited("%s: window rejected: %s, is %#llx\n",
				   w->provider, f->what, f->value);
	else
		pr_err_ratelimited("%s: window rejected: directory entry %d: %s, is %#llx\n",
				   w->provider, f->index, f->what, f->value);
}

/**
 * ion_window_check - is this an ION window, and can its header be believed
 * @w: window with @base and @mapped set; nothing is stored into it
 *
 * Return: 0, with a private copy of the header in @w->hdr; -ENODEV otherwise.
 */
int ion_window_check(struct ion_window *w)
{
	const struct ion_host_header *shared = w->base;
	struct ion_fault f;
	u32 magic;

	if (w->mapped < ION_WINDOW_MIN) {
		pr_info("%s: no ION window: %zu bytes, at least %llu are needed\n",
			w->provider, w->mapped, ION_WINDOW_MIN);
		return -ENODEV;
	}
	/* Pairs with the release in ion_publish(). */
	magic = ion_load_acquire(&shared->magic);
	if (magic != ION_MAGIC) {
		pr_info("%s: no ION window: magic %#x, not %#x; left alone\n",
			w->provider, magic, ION_MAGIC);
		return -ENODEV;
	}
	memcpy(&w->hdr, shared, sizeof(w->hdr));
	if (!ion_validate_header(&w->hdr, w->mapped, 0, &f)) {
		ion_window_complain(w, &f);
		return -ENODEV;
	}
	return 0;
}

/* The number of queues of the instance that starts at entry @i. */
static unsigned int ion_count_queues(const struct ion_dir_entry *dir,
				     unsigned int i, unsigned int count)
{
	unsigned int n = 1;

	while (i + n < count && dir[i + n].queue)
		n++;
	return n;
}

static bool ion_is_repeated(const struct ion_dir_entry *dir, unsigned int i)
{
	unsigned int k;

	for (k = 0; k < i; k++)
		if (!dir[k].queue && dir[k].kind == dir[i].kind &&
		    dir[k].instance == dir[i].instance)
			return true;
	return false;
}

/* Copy the directory out, once, and judge the copy. An errno as pointer on failure. */
static struct ion_dir_entry *ion_window_directory(struct ion_window *w)
{
	const u8 *shared = w->base + w->hdr.dir_offset;
	struct ion_dir_entry *dir;
	struct ion_cursors c;
	struct ion_fault f;
	unsigned int i;

	dir = kvcalloc(w->hdr.dir_count, sizeof(*dir), GFP_KERNEL);
	if (!dir)
		return ERR_PTR(-ENOMEM);
	for (i = 0; i < w->hdr.dir_count; i++)
		memcpy(&dir[i], shared + (size_t)i * w->hdr.dir_entry_size,
		       sizeof(*dir));
	ion_cursors_init(&c, &w->hdr);
	for (i = 0; i < w->hdr.dir_count; i++) {
		if (!ion_validate_entry(&w->hdr, &dir[i],
					i ? &dir[i - 1] : NULL, i, &c, &f))
			goto reject;
		if (!dir[i].queue && ion_is_repeated(dir, i)) {
			ion_fail(&f, "kind and instance, must not repeat", i,
				 dir[i].instance);
			goto reject;
		}
	}
	return dir;

reject:
	ion_window_complain(w, &f);
	kvfree(dir);
	return ERR_PTR(-ENODEV);
}

/* The first stores into the window: now it is known to be ours, all of it. */
static void ion_window_greet(struct ion_window *w)
{
	struct ion_guest_header *guest = ion_window_guest(w);
	u8 instance[sizeof(guest->instance)];

	get_random_bytes(instance, sizeof(instance));
	memcpy(guest->instance, instance, sizeof(instance));
	ion_write(&guest->features, 0);
}

/* Make the device of an instance: @count queues, the first at @entries. */
static int ion_window_add_device(struct ion_window *w,
				 const struct ion_dir_entry *entries,
				 unsigned int count)
{
	struct ion_device *idev = ion_device_alloc(w, entries, count);
	int ret;

	if (!idev)
		return -ENOMEM;
	get_device(&idev->dev);
	list_add_tail(&idev->node, &w->devices);
	ret = ion_device_add(idev);
	if (ret) {
		list_del(&idev->node);
		put_device(&idev->dev);
	}
	return ret;
}

/* A device that cannot be made is missing until the window is bound again. */
static void ion_window_populate(struct ion_window *w,
				const struct ion_dir_entry *dir)
{
	unsigned int i, n;
	int ret;

	for (i = 0; i < w->hdr.dir_count; i += n) {
		n = ion_count_queues(dir, i, w->hdr.dir_count);
		ret = ion_window_add_device(w, &dir[i], n);
		if (ret)
			pr_err("%s: kind=%#x instance=%u: no device (%d)\n",
			       w->provider, dir[i].kind, dir[i].instance, ret);
	}
}

/*
 * A host that came back must offer the channels that we know, where they were:
 * the drivers hold pointers into them.
 */
static bool ion_window_same(struct ion_window *w, const struct ion_dir_entry *dir)
{
	struct ion_device *idev;
	unsigned int i = 0, q;

	list_for_each_entry(idev, &w->devices, node) {
		for (q = 0; q < idev->nr_channels; q++, i++) {
			if (i >= w->hdr.dir_count ||
			    memcmp(&idev->channels[q].entry, &dir[i],
				   sizeof(*dir)))
				return false;
		}
	}
	return true;
}

/* Read the directory of a new generation. */
static int ion_window_scan(struct ion_window *w, u64 generation)
{
	struct ion_dir_entry *dir;
	int ret = 0;

	dir = ion_window_directory(w);
	if (IS_ERR(dir)) {
		ret = PTR_ERR(dir);
		dir = NULL;
	} else if (!w->scanned) {
		pr_info("%s: window generation=%llu length=%llu channels=%u\n",
			w->provider, generation, w->hdr.length, w->hdr.dir_count);
		WRITE_ONCE(w->scanned, true);
		ion_window_greet(w);
		ion_window_populate(w, dir);
	} else if (!ion_window_same(w, dir)) {
		pr_err_ratelimited("%s: window generation=%llu refused: its channels differ from those in use\n",
				   w->provider, generation);
		ret = -ENODEV;
	}
	kvfree(dir);

	/* For want of memory nothing is refused: the next look tries again. */
	if (ret == -ENOMEM)
		return ret;
	w->have_refused = ret;
	w->refused = generation;
	if (!ret)
		w->generation = generation;
	return ret;
}

/* Has the host published a generation that we have not seen? Under @lock. */
static int ion_window_follow(struct ion_window *w)
{
	const struct ion_host_header *host = ion_window_host(w);
	u64 generation;

	/* Pairs with the release in ion_publish(). */
	if (ion_load_acquire(&host->state) != ION_HOST_READY)
		return 0;
	generation = ion_read(&host->generation);
	if (w->scanned && generation == w->generation)
		return 0;
	if (w->have_refused && generation == w->refused)
		return -ENODEV;
	return ion_window_scan(w, generation);
}

static void ion_window_beat(struct ion_window *w)
{
	u64 beat = ion_read(&ion_window_host(w)->heartbeat);

	if (beat != w->heartbeat) {
		WRITE_ONCE(w->heartbeat, beat);
		WRITE_ONCE(w->heartbeat_at, jiffies);
	}
	if (READ_ONCE(w->scanned))
		ion_write(&ion_window_guest(w)->heartbeat, ++w->own_heartbeat);
}

/* Reclaim may be waiting for a disk that is only in service again after this. */
static void ion_window_monitor(struct work_struct *work)
{
	struct ion_window *w =
		container_of(to_delayed_work(work), struct ion_window, monitor);
	unsigned int noio = memalloc_noio_save();
	struct ion_device *idev;
	bool pending = false;
	unsigned int q;

	/*
	 * Cleared first: who sends from here on sets it again. Pairs with barrier (C)
	 * in ion_prod_publish(): either what was sent is seen below, or its sender
	 * sees that we are not busy.
	 */
	WRITE_ONCE(w->busy, false);
	smp_mb();
	ion_window_beat(w);
	mutex_lock(&w->lock);
	if (!w->stopping)
		ion_window_follow(w);
	list_for_each_entry(idev, &w->devices, node)
		for (q = 0; q < idev->nr_channels; q++)
			pending |= ion_channel_step(&idev->channels[q]);
	pending |= !w->scanned;
	mutex_unlock(&w->lock);

	if (pending)
		WRITE_ONCE(w->busy, true);
	queue_delayed_work(w->wq, &w->monitor,
			   msecs_to_jiffies(pending ? ION_MONITOR_BUSY_MS :
						      ION_MONITOR_IDLE_MS));
	memalloc_noio_restore(noio);
}

/**
 * ion_window_look - have the monitor look at once
 * @w: window
 *
 * Context: any.
 */
void ion_window_look(struct ion_window *w)
{
	mod_delayed_work(w->wq, &w->monitor, 0);
}

/**
 * ion_window_busy - something is pending: the monitor goes at its fast pace
 * @w: window
 *
 * Context: any; cheap when it is so already.
 */
void ion_window_busy(struct ion_window *w)
{
	if (READ_ONCE(w->busy))
		return;
	WRITE_ONCE(w->busy, true);
	mod_delayed_work(w->wq, &w->monitor,
			 msecs_to_jiffies(ION_MONITOR_BUSY_MS));
}

/**
 * ion_window_host_alive - did the host's heartbeat move lately
 * @w: window
 *
 * Return: false when it stood still for ION_HOST_SILENT_MS.
 */
bool ion_window_host_alive(struct ion_window *w)
{
	/* The monitor may be late; that says nothing of the host. */
	if (ion_read(&ion_window_host(w)->heartbeat) != READ_ONCE(w->heartbeat))
		return true;
	return time_before(jiffies, READ_ONCE(w->heartbeat_at) +
					    msecs_to_jiffies(ION_HOST_SILENT_MS));
}

/**
 * ion_window_interrupt - the host rang a vector
 * @w: window
 * @vector: below w->nr_vectors
 *
 * Context: any.
 */
void ion_window_interrupt(struct ion_window *w, unsigned int vector)
{
	struct ion_channel *ch;

	rcu_read_lock();
	list_for_each_entry_rcu(ch, &w->vectors[vector], vector_node)
		ion_channel_interrupt(ch);
	rcu_read_unlock();
	if (vector == 0) {
		ion_window_look(w);
		wake_up_all(&w->changed);
	}
}

/**
 * ion_window_init - prepare a window, so that interrupts may come
 * @w: zeroed but for what its provider fills; ion_window_check() said 0
 *
 * Return: 0 or -ENOMEM. Undone by ion_window_exit().
 */
int ion_window_init(struct ion_window *w)
{
	unsigned int i;

	mutex_init(&w->lock);
	INIT_LIST_HEAD(&w->devices);
	for (i = 0; i < ION_MAX_VECTORS; i++)
		INIT_LIST_HEAD(&w->vectors[i]);
	spin_lock_init(&w->irq_lock);
	init_waitqueue_head(&w->changed);
	INIT_DELAYED_WORK(&w->monitor, ion_window_monitor);
	w->heartbeat_at = jiffies;

	w->id = ida_alloc(&ion_window_ids, GFP_KERNEL);
	if (w->id < 0)
		return w->id;
	w->wq = alloc_workqueue("nexus_ion%d", WQ_UNBOUND | WQ_MEM_RECLAIM, 1,
				w->id);
	if (!w->wq) {
		ida_free(&ion_window_ids, w->id);
		return -ENOMEM;
	}
	return 0;
}

/**
 * ion_window_exit - undo ion_window_init()
 * @w: window that is not in service and gets no interrupts any more
 */
void ion_window_exit(struct ion_window *w)
{
	/* An interrupt may have queued it after ion_window_remove(). */
	cancel_delayed_work_sync(&w->monitor);
	destroy_workqueue(w->wq);
	ida_free(&ion_window_ids, w->id);
}

static struct ion_device *ion_window_first(struct ion_window *w)
{
	struct ion_device *idev;

	mutex_lock(&w->lock);
	w->stopping = true;
	idev = list_first_entry_or_null(&w->devices, struct ion_device, node);
	mutex_unlock(&w->lock);
	return idev;
}

/**
 * ion_window_remove - take a window out of service
 * @w: added window
 *
 * Unbinds the drivers, which closes the channels. The monitor goes on until the
 * last is gone: a live host is being talked to while dirty data is written. When
 * it returns the mapping is not used any more.
 *
 * Context: process.
 */
void ion_window_remove(struct ion_window *w)
{
	struct ion_device *idev;

	while ((idev = ion_window_first(w))) {
		device_unregister(&idev->dev);
		mutex_lock(&w->lock);
		list_del(&idev->node);
		mutex_unlock(&w->lock);
		put_device(&idev->dev);
	}
	cancel_delayed_work_sync(&w->monitor);
}

/**
 * ion_window_add - take a window into service
 * @w: window after ion_window_init()
 *
 * When the host is READY the devices exist on return; otherwise they follow.
 *
 * Context: process.
 * Return: 0; -ENODEV when the directory was rejected; -ENOMEM.
 */
int ion_window_add(struct ion_window *w)
{
	bool scanned;
	int ret;

	mutex_lock(&w->lock);
	ret = ion_window_follow(w);
	/* An interrupt may have made the monitor read the directory before. */
	scanned = w->scanned;
	if (!ret && !scanned)
		pr_info("%s: the host is not ready, waiting for it\n",
			w->provider);
	mutex_unlock(&w->lock);
	if (ret && !scanned) {
		ion_window_remove(w);
		return ret;
	}
	ion_window_look(w);
	return 0;
}
