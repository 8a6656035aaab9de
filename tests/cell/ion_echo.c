// SPDX-License-Identifier: GPL-2.0-only
/*
 * A second client of the transport, which knows nothing of blocks: a loopback
 * host that sends every message back, and a driver that sends numbers and
 * compares. insmod succeeds when everything came back, once and in order.
 *
 *   driver --request ring--> echo host (a work item) --response ring--> driver
 *
 * One device with two queues and one with a single queue, so that several
 * channels and devices are in use at once.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include <nexus/ion_host.h>
#include <nexus/ion_layout.h>

#include "ion.h"

#define ECHO_CHANNELS 3
#define ECHO_LOG2_ENTRIES 4
#define ECHO_MESSAGES 100000u
#define ECHO_SECONDS 60

struct echo_msg {
	u64 number;
	u64 check;
	u64 reserved;
};

/* The host: one work item for all channels. */
struct echo_host {
	struct ion_loopback *lb;
	struct work_struct work;
	struct ion_host_end ends[ECHO_CHANNELS];
};

/* The driver's view of one channel. */
struct echo_client {
	spinlock_t lock; /* of sent: ->up() and answers fill at the same time */
	u64 sent;
	u64 received;
	u64 wrong;
	struct completion done;
};

static struct echo_host echo_host;
static struct echo_client echo_clients[ECHO_CHANNELS];

static const struct ion_channel_spec echo_spec[ECHO_CHANNELS] = {
	{ .kind = ION_KIND_TEST,
	  .instance = 0,
	  .queue = 0,
	  .host_vector = 0,
	  .log2_entries = ECHO_LOG2_ENTRIES,
	  .req_size = sizeof(struct echo_msg),
	  .rsp_size = sizeof(struct echo_msg) },
	{ .kind = ION_KIND_TEST,
	  .instance = 0,
	  .queue = 1,
	  .host_vector = 1,
	  .log2_entries = ECHO_LOG2_ENTRIES,
	  .req_size = sizeof(struct echo_msg),
	  .rsp_size = sizeof(struct echo_msg) },
	{ .kind = ION_KIND_TEST,
	  .instance = 1,
	  .queue = 0,
	  .host_vector = 2,
	  .log2_entries = ECHO_LOG2_ENTRIES,
	  .req_size = sizeof(struct echo_msg),
	  .rsp_size = sizeof(struct echo_msg) },
};

static void echo_serve(struct ion_host_end *e)
{
	struct echo_msg msg;
	u32 room = ion_prod_free(&e->rsp);
	u32 n = min(room, ion_cons_avail(&e->req));

	while (n--) {
		ion_cons_get(&e->req, &msg);
		ion_prod_put(&e->rsp, &msg);
	}
	ion_cons_release(&e->req);
	if (ion_prod_publish(&e->rsp))
		ion_loopback_ring(echo_host.lb, e->vector);
}

static void echo_host_look(struct ion_host_end *e)
{
	enum ion_host_event event = ion_host_look(e);

	if (event == ION_HOST_EV_RESET)
		ion_host_drained(e);
	if (event != ION_HOST_EV_NONE)
		ion_loopback_ring(echo_host.lb, 0);
}

static void echo_host_work(struct work_struct *work)
{
	struct ion_host_header *hdr = ion_loopback_base(echo_host.lb);
	bool again = false;
	int i;

	ion_write(&hdr->heartbeat, ion_read(&hdr->heartbeat) + 1);
	for (i = 0; i < ECHO_CHANNELS; i++) {
		struct ion_host_end *e = &echo_host.ends[i];

		echo_host_look(e);
		if (e->state != ION_HOST_LIVE)
			continue;
		echo_serve(e);
		if (e->req.broken || e->rsp.broken) {
			ion_host_set_state(e, ION_HOST_LATCHED,
					   e->req.broken ? ION_REASON_REQ_PROD :
							   ION_REASON_RSP_CONS);
			continue;
		}
		/* A full response ring is left to the guest's next doorbell. */
		again |= ion_cons_arm(&e->req);
	}
	if (again)
		queue_work(system_unbound_wq, &echo_host.work);
}

static void echo_host_ring(void *ctx, u16 vector)
{
	queue_work(system_unbound_wq, &echo_host.work);
}

static const struct ion_loopback_ops echo_host_ops = {
	.ring = echo_host_ring,
};

static int echo_host_publish(void *base)
{
	struct ion_dir_entry dir[ECHO_CHANNELS];
	struct ion_host_header hdr;
	int i;

	if (!ion_layout(&hdr, dir, echo_spec, ECHO_CHANNELS, ION_WINDOW_MIN,
			ION_INITIAL_INDEX))
		return -EINVAL;
	for (i = 0; i < ECHO_CHANNELS; i++) {
		struct ion_host_end *e = &echo_host.ends[i];

		e->max_depth = 1 << ECHO_LOG2_ENTRIES;
		e->vectors = ECHO_CHANNELS + 1;
		ion_host_bind(e, base, &dir[i]);
		ion_host_start(e, 0);
	}
	hdr.generation = 1;
	ion_publish(base, &hdr, dir);
	return 0;
}

/* The driver. */

static struct echo_client *echo_client(struct ion_channel *ch)
{
	return ch->priv;
}

static u64 echo_check(u64 number)
{
	return number * 0x9E3779B97F4A7C15ull;
}

static void echo_fill(struct ion_channel *ch)
{
	struct echo_client *c = echo_client(ch);
	struct echo_msg msg = {};
	unsigned long flags;

	spin_lock_irqsave(&c->lock, flags);
	/* No more in flight than the terms allow: the depth is the ring. */
	while (c->sent < ECHO_MESSAGES &&
	       c->sent - c->received < 1 << ECHO_LOG2_ENTRIES) {
		msg.number = c->sent;
		msg.check = echo_check(c->sent);
		if (ion_channel_send(ch, &msg))
			break;
		c->sent++;
	}
	spin_unlock_irqrestore(&c->lock, flags);
	ion_channel_flush(ch);
}

static u32 echo_receive(struct ion_channel *ch, const void *data)
{
	struct echo_client *c = echo_client(ch);
	const struct echo_msg *msg = data;

	if (msg->number != c->received || msg->check != echo_check(c->received))
		c->wrong++;
	c->received++;
	echo_fill(ch);
	if (c->received == ECHO_MESSAGES)
		complete(&c->done);
	return ION_REASON_NONE;
}

static int echo_offer(struct ion_channel *ch, const struct ion_offer *o,
		      struct ion_terms *t)
{
	t->depth = o->max_depth;
	return 0;
}

static void echo_up(struct ion_channel *ch)
{
	echo_fill(ch);
}

/* A host in this very module does not go away: what was sent is not sent again. */
static void echo_down(struct ion_channel *ch, const char *why)
{
	pr_err("channel went down: %s\n", why);
}

static void echo_event(struct ion_channel *ch)
{
	ion_channel_receive(ch, echo_receive);
}

static const struct ion_channel_ops echo_ops = {
	.offer = echo_offer,
	.up = echo_up,
	.down = echo_down,
	.event = echo_event,
};

static struct echo_client *echo_client_of(struct ion_device *idev, int q)
{
	return &echo_clients[idev->instance ? ECHO_CHANNELS - 1 : q];
}

static int echo_probe(struct ion_device *idev)
{
	unsigned int q;
	int ret;

	for (q = 0; q < idev->nr_channels; q++) {
		ret = ion_channel_open(&idev->channels[q], &echo_ops,
				       echo_client_of(idev, q));
		if (ret)
			goto close;
	}
	return 0;

close:
	while (q--)
		ion_channel_close(&idev->channels[q]);
	return ret;
}

static void echo_remove(struct ion_device *idev)
{
	unsigned int q;

	for (q = 0; q < idev->nr_channels; q++)
		if (ion_channel_close(&idev->channels[q]))
			pr_err("queue %u: not drained\n", q);
}

static struct ion_driver echo_driver = {
	.driver = { .name = "ion_echo", .owner = THIS_MODULE },
	.kind = ION_KIND_TEST,
	.probe = echo_probe,
	.remove = echo_remove,
};

static int echo_verdict(void)
{
	int i;

	for (i = 0; i < ECHO_CHANNELS; i++) {
		struct echo_client *c = &echo_clients[i];

		if (!wait_for_completion_timeout(&c->done, ECHO_SECONDS * HZ) ||
		    c->wrong || c->received != ECHO_MESSAGES) {
			pr_err("channel %d: %llu sent, %llu received, %llu wrong\n",
			       i, c->sent, c->received, c->wrong);
			return -EIO;
		}
	}
	pr_info("%u messages echoed on each of %d channels\n", ECHO_MESSAGES,
		ECHO_CHANNELS);
	return 0;
}

static void echo_stop(void)
{
	ion_loopback_stop(echo_host.lb);
	cancel_work_sync(&echo_host.work);
	ion_loopback_destroy(echo_host.lb);
}

static int __init echo_init(void)
{
	int ret, i;

	INIT_WORK(&echo_host.work, echo_host_work);
	for (i = 0; i < ECHO_CHANNELS; i++) {
		spin_lock_init(&echo_clients[i].lock);
		init_completion(&echo_clients[i].done);
	}
	echo_host.lb = ion_loopback_create(ION_WINDOW_MIN, ECHO_CHANNELS + 1,
					   &echo_host_ops, NULL);
	if (!echo_host.lb)
		return -ENOMEM;
	ret = echo_host_publish(ion_loopback_base(echo_host.lb));
	if (ret)
		goto destroy;
	ret = ion_driver_register(&echo_driver);
	if (ret)
		goto destroy;
	ret = ion_loopback_start(echo_host.lb);
	if (ret)
		goto unregister;
	ret = echo_verdict();
	if (!ret)
		return 0;

	echo_stop();
	ion_driver_unregister(&echo_driver);
	return ret;

unregister:
	ion_driver_unregister(&echo_driver);
destroy:
	ion_loopback_destroy(echo_host.lb);
	return ret;
}

static void __exit echo_exit(void)
{
	echo_stop();
	ion_driver_unregister(&echo_driver);
}

module_init(echo_init);
module_exit(echo_exit);

MODULE_DESCRIPTION("Echo client and host over an ION loopback window (test)");
MODULE_LICENSE("GPL");
