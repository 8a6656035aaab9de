// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/block/nxblk<n>/serial and /sys/block/nxblk<n>/nexus/: what an operator
 * wants to know of a disk, and what there is to set: how long an outage of the
 * host may last before requests fail, and from which size on they are not copied.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ctype.h>
#include <linux/sysfs.h>
#include <linux/uuid.h>

#include "nxblk.h"

static struct nxblk_disk *nxblk_dev_disk(struct device *dev)
{
	return dev_to_disk(dev)->private_data;
}

static ssize_t serial_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	struct nxblk_disk *d = nxblk_dev_disk(dev);
	char serial[sizeof(d->cfg.serial) + 1] = {};
	char *c;

	mutex_lock(&d->lock);
	memcpy(serial, d->cfg.serial, sizeof(d->cfg.serial));
	mutex_unlock(&d->lock);
	for (c = serial; *c; c++)
		if (!isascii(*c) || !isprint(*c))
			*c = '?';
	return sysfs_emit(buf, "%s\n", serial);
}
static DEVICE_ATTR_RO(serial);

static ssize_t uuid_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	struct nxblk_disk *d = nxblk_dev_disk(dev);
	ssize_t n;

	mutex_lock(&d->lock);
	n = sysfs_emit(buf, "%pUb\n", d->cfg.uuid);
	mutex_unlock(&d->lock);
	return n;
}
static DEVICE_ATTR_RO(uuid);

static ssize_t state_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	struct nxblk_disk *d = nxblk_dev_disk(dev);

	return sysfs_emit(buf, "%s\n", nxblk_state_name(READ_ONCE(d->state)));
}
static DEVICE_ATTR_RO(state);

static ssize_t reason_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	struct nxblk_disk *d = nxblk_dev_disk(dev);
	ssize_t n;

	mutex_lock(&d->lock);
	n = sysfs_emit(buf, "%s\n", d->reason);
	mutex_unlock(&d->lock);
	return n;
}
static DEVICE_ATTR_RO(reason);

/* One line, one number a queue. */
static ssize_t generation_show(struct device *dev,
			       struct device_attribute *attr, char *buf)
{
	struct nxblk_disk *d = nxblk_dev_disk(dev);
	unsigned int i;
	ssize_t n = 0;

	for (i = 0; i < d->nr_queues; i++)
		n += sysfs_emit_at(buf, n, "%s%llu", i ? " " : "",
				   READ_ONCE(d->queues[i].ch->end.generation));
	return n + sysfs_emit_at(buf, n, "\n");
}
static DEVICE_ATTR_RO(generation);

static ssize_t transport_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	struct nxblk_disk *d = nxblk_dev_disk(dev);

	return sysfs_emit(buf, "%s\n", nxblk_transport(d->idev));
}
static DEVICE_ATTR_RO(transport);

static ssize_t outage_timeout_show(struct device *dev,
				   struct device_attribute *attr, char *buf)
{
	u32 outage = READ_ONCE(nxblk_dev_disk(dev)->outage);

	if (outage == NXBLK_OUTAGE_REQUEUE)
		return sysfs_emit(buf, "requeue\n");
	if (outage == NXBLK_OUTAGE_FAIL)
		return sysfs_emit(buf, "fail\n");
	return sysfs_emit(buf, "%u\n", outage);
}

static int nxblk_parse_outage(const char *buf, u32 *outage)
{
	unsigned int seconds;

	if (sysfs_streq(buf, "requeue")) {
		*outage = NXBLK_OUTAGE_REQUEUE;
		return 0;
	}
	if (sysfs_streq(buf, "fail")) {
		*outage = NXBLK_OUTAGE_FAIL;
		return 0;
	}
	if (kstrtouint(buf, 10, &seconds) || !seconds ||
	    seconds > NXBLK_OUTAGE_MAX)
		return -EINVAL;
	*outage = seconds;
	return 0;
}

/* "requeue", "fail", or seconds. Holds at once, for an outage under way too. */
static ssize_t outage_timeout_store(struct device *dev,
				    struct device_attribute *attr,
				    const char *buf, size_t count)
{
	struct nxblk_disk *d = nxblk_dev_disk(dev);
	u32 outage;
	int ret = nxblk_parse_outage(buf, &outage);

	if (ret)
		return ret;
	mutex_lock(&d->lock);
	WRITE_ONCE(d->outage, outage);
	mutex_unlock(&d->lock);
	mod_delayed_work(nxblk_wq, &d->outage_work, 0);
	return count;
}
static DEVICE_ATTR_RW(outage_timeout);

static ssize_t zero_copy_min_show(struct device *dev,
				  struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  READ_ONCE(nxblk_dev_disk(dev)->zero_copy_min));
}

/* Bytes; 0: all requests. Holds for what is issued from now on. */
static ssize_t zero_copy_min_store(struct device *dev,
				   struct device_attribute *attr,
				   const char *buf, size_t count)
{
	unsigned int bytes;

	if (kstrtouint(buf, 10, &bytes))
		return -EINVAL;
	WRITE_ONCE(nxblk_dev_disk(dev)->zero_copy_min, bytes);
	return count;
}
static DEVICE_ATTR_RW(zero_copy_min);

static ssize_t held_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	return sysfs_emit(buf, "%u\n", nxblk_outage_held(nxblk_dev_disk(dev)));
}
static DEVICE_ATTR_RO(held);

/* Of all disks since the module was loaded: this one still has its pages. */
static ssize_t leaked_pages_show(struct device *dev,
				 struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%ld\n", atomic_long_read(&nxblk_leaked_pages));
}
static DEVICE_ATTR_RO(leaked_pages);

/* Counters: the sum over the queues of whatever @expr says of queue q. */
#define NXBLK_COUNTER(name, expr)                                              \
	static ssize_t name##_show(struct device *dev,                         \
				   struct device_attribute *attr, char *buf)   \
	{                                                                      \
		struct nxblk_disk *d = nxblk_dev_disk(dev);                    \
		u64 sum = 0;                                                   \
		unsigned int i;                                                \
                                                                               \
		for (i = 0; i < d->nr_queues; i++) {                           \
			const struct nxblk_queue *q = &d->queues[i];           \
                                                                               \
			sum += (expr);                                         \
		}                                                              \
		return sysfs_emit(buf, "%llu\n", sum);                         \
	}                                                                      \
	static DEVICE_ATTR_RO(name)

NXBLK_COUNTER(requests, atomic_long_read(&q->requests));
NXBLK_COUNTER(stale_answers, READ_ONCE(q->stale));
NXBLK_COUNTER(late_answers, READ_ONCE(q->late));
NXBLK_COUNTER(bounce_waits, atomic_long_read(&q->pool.waits));
NXBLK_COUNTER(copied_bytes, atomic64_read(&q->pool.copied));
NXBLK_COUNTER(zero_copy, atomic_long_read(&q->zero_copy));
NXBLK_COUNTER(zero_copy_bytes, atomic64_read(&q->zero_copy_bytes));
NXBLK_COUNTER(zero_copy_bounced, atomic_long_read(&q->zero_copy_bounced));
NXBLK_COUNTER(spin_hits, READ_ONCE(q->spin_hits));
NXBLK_COUNTER(spin_misses, READ_ONCE(q->spin_misses));
NXBLK_COUNTER(latches, READ_ONCE(q->ch->stats.latches));
NXBLK_COUNTER(resets, READ_ONCE(q->ch->stats.resets));
NXBLK_COUNTER(doorbells, READ_ONCE(q->ch->stats.doorbells));
NXBLK_COUNTER(interrupts, atomic64_read(&q->ch->stats.interrupts));
NXBLK_COUNTER(rescued, READ_ONCE(q->ch->stats.rescued));

static struct attribute *nxblk_nexus_attrs[] = {
	&dev_attr_state.attr,
	&dev_attr_reason.attr,
	&dev_attr_generation.attr,
	&dev_attr_transport.attr,
	&dev_attr_uuid.attr,
	&dev_attr_outage_timeout.attr,
	&dev_attr_requests.attr,
	&dev_attr_stale_answers.attr,
	&dev_attr_late_answers.attr,
	&dev_attr_bounce_waits.attr,
	&dev_attr_spin_hits.attr,
	&dev_attr_spin_misses.attr,
	&dev_attr_latches.attr,
	&dev_attr_resets.attr,
	&dev_attr_doorbells.attr,
	&dev_attr_interrupts.attr,
	&dev_attr_rescued.attr,
	&dev_attr_zero_copy_min.attr,
	&dev_attr_copied_bytes.attr,
	&dev_attr_zero_copy.attr,
	&dev_attr_zero_copy_bytes.attr,
	&dev_attr_zero_copy_bounced.attr,
	&dev_attr_held.attr,
	&dev_attr_leaked_pages.attr,
	NULL,
};

static const struct attribute_group nxblk_nexus_group = {
	.name = "nexus",
	.attrs = nxblk_nexus_attrs,
};

static struct attribute *nxblk_disk_attrs[] = {
	&dev_attr_serial.attr,
	NULL,
};

static const struct attribute_group nxblk_disk_group = {
	.attrs = nxblk_disk_attrs,
};

const struct attribute_group *nxblk_sysfs_groups[] = {
	&nxblk_disk_group,
	&nxblk_nexus_group,
	NULL,
};
