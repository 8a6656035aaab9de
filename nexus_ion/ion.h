/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ion bus: what nexus_ion offers to drivers of channels and to providers of
 * windows. The transport knows nothing of what the messages mean.
 *
 * Calling rules
 *
 * - A driver opens each channel of its device with ion_channel_open() and closes
 *   it with ion_channel_close(); between the two the transport calls its
 *   &struct ion_channel_ops. ion_channel_close_begin() for all of several channels
 *   first has the host drain them together.
 * - ->offer(), ->up(), ->down() and ->changed() run in process context, never two
 *   of them at once for one channel, and may sleep. They must not call
 *   ion_channel_close() or ion_channel_close_begin().
 * - ->event() runs in any context, hard interrupt included, possibly on several
 *   CPUs at once; it is meant to call ion_channel_receive().
 * - A message that was sent belongs to the host until it is answered, or until
 *   ->up() or a successful ion_channel_close() says that the host has drained
 *   the generation in which it was sent. ->down() alone frees nothing.
 */
#ifndef NEXUS_ION_ION_H
#define NEXUS_ION_ION_H

#include <linux/device.h>
#include <linux/mutex.h>
#include <linux/ratelimit.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include <nexus/ion_abi.h>
#include <nexus/ion_guest.h>

struct ion_channel;
struct ion_device;
struct ion_window;

/**
 * struct ion_channel_ops - what a driver does about one channel
 * @offer: the host offers a generation: fill @t (features, depth; the transport
 *	fills vector and class). 0 accepts; an errno leaves the channel down until
 *	the host offers another generation.
 * @up: the channel is live; messages may be sent. Everything sent in earlier
 *	generations has been drained: it will have no effect and get no answer.
 * @down: the generation is lost. No send or receive is running any more and
 *	none will succeed before @up. @why is for the log.
 * @event: answers may have arrived
 * @changed: the kind's configuration may have changed (a hint). Optional.
 * @one_way: messages are not answered one by one, as a console's: what comes in
 *	answers nothing, and nothing waits for an answer. Otherwise each message
 *	gets exactly one back, and while one is missing the safety poll looks for it
 *	ten times a second instead of once.
 *
 * A message that ion_channel_send() has no room for (-ENOSPC) is to be tried again
 * after the next @event: nothing else tells that the ring has room.
 */
struct ion_channel_ops {
	int (*offer)(struct ion_channel *ch, const struct ion_offer *o,
		     struct ion_terms *t);
	void (*up)(struct ion_channel *ch);
	void (*down)(struct ion_channel *ch, const char *why);
	void (*event)(struct ion_channel *ch);
	void (*changed)(struct ion_channel *ch);
	bool one_way;
};

/**
 * enum ion_channel_state - the transport's own view of an open channel
 * @ION_CH_CLOSED: no driver has it open
 * @ION_CH_RESETTING: a reset is published; waiting for the drained offer
 * @ION_CH_UP: live
 * @ION_CH_LOST: the host left the generation; waiting for its next offer
 * @ION_CH_BACKOFF: latched by either side; a reset follows at @retry_at
 * @ION_CH_REFUSED: the driver refused the offer; waiting for another
 */
enum ion_channel_state {
	ION_CH_CLOSED,
	ION_CH_RESETTING,
	ION_CH_UP,
	ION_CH_LOST,
	ION_CH_BACKOFF,
	ION_CH_REFUSED,
};

/* Add to a counter that is written under a lock, and read without. */
#define ion_count(counter, n) WRITE_ONCE(counter, (counter) + (n))

/**
 * struct ion_channel_stats - counters of one channel, for sysfs
 * @sent: messages sent
 * @received: messages received
 * @doorbells: rung by this side
 * @interrupts: taken for this channel's vector
 * @rescued: messages that only the safety poll found
 * @resets: resets asked for
 * @latches: latched by this side
 */
struct ion_channel_stats {
	u64 sent;
	u64 received;
	u64 doorbells;
	atomic64_t interrupts;
	u64 rescued;
	u64 resets;
	u64 latches;
};

/**
 * struct ion_channel - one queue pair
 * @idev: device it belongs to
 * @index: queue number
 * @entry: private, validated copy of the directory entry
 * @data: the data area as mapped here, NULL when empty
 * @indirect: the indirect area, NULL when empty
 * @config: the configuration span, NULL when empty
 * @priv: the driver's
 *
 * The rest is the transport's own.
 *
 * @ops: set while open
 * @lock: serialises state changes and the calls of @ops; taken first
 * @cons_lock: owns the consuming end; taken after @lock
 * @prod_lock: owns the producing end; taken after @cons_lock where both are,
 *	since a message may be sent while one is received
 * @end: the guest's half of the channel
 * @state: &enum ion_channel_state; written under all three locks
 * @latch: reason noted under a ring lock, acted upon under @lock
 * @vector: of this guest
 * @backoff_ms: before the next reset after a latch
 * @retry_at: jiffies of that reset
 * @closing_since: jiffies of the last reset, valid in CLOSED while @ops is set
 * @up_since: jiffies when the channel last became live
 * @refused_generation: of the offer that the driver refused
 * @unanswered: sent and not received in this generation
 * @vector_node: in the window's list of its vector
 * @waiting: the safety poll saw an answer lie at @waiting_at
 * @waiting_at: consumer index at that time
 * @waiting_since: jiffies at that time
 * @unfinished: a receiver left answers to the monitor, having had its share
 * @config_sequence: first word of @config as last reported
 * @log_limit: how often this channel is written about
 * @stats: counters, each written under the lock of its end or @lock, but for
 *	interrupts, which several vectors may count at once
 */
struct ion_channel {
	struct ion_device *idev;
	unsigned int index;
	struct ion_dir_entry entry;
	void *data;
	void *indirect;
	const void *config;
	void *priv;

	const struct ion_channel_ops *ops;
	struct mutex lock;
	spinlock_t cons_lock;
	spinlock_t prod_lock;
	struct ion_guest_end end;
	enum ion_channel_state state;
	u32 latch;
	u16 vector;
	unsigned int backoff_ms;
	unsigned long retry_at;
	unsigned long closing_since;
	unsigned long up_since;
	u64 refused_generation;
	atomic_t unanswered;
	struct list_head vector_node;
	bool waiting;
	u32 waiting_at;
	unsigned long waiting_since;
	bool unfinished;
	u32 config_sequence;
	struct ratelimit_state log_limit;
	struct ion_channel_stats stats;
};

/**
 * struct ion_device - what drivers bind to: all queues of one kind and instance
 * @dev: on the ion bus
 * @window: where the channels are
 * @kind: &enum ion_kind
 * @instance: device number
 * @node: in the window's list
 * @nr_channels: queues
 * @channels: the queues
 */
struct ion_device {
	struct device dev;
	struct ion_window *window;
	u16 kind;
	u16 instance;
	struct list_head node;
	unsigned int nr_channels;
	struct ion_channel channels[];
};

#define to_ion_device(d) container_of(d, struct ion_device, dev)

/**
 * struct ion_driver - a driver of one channel kind
 * @driver: name and owner filled by the driver
 * @kind: &enum ion_kind that it serves; the module says
 *	MODULE_ALIAS("ion:k0700*") so that modprobe finds it
 * @probe: bind; open channels here
 * @remove: unbind; close them here. The host may be silent: must be bounded.
 * @shutdown: reboot or power off. Optional.
 */
struct ion_driver {
	struct device_driver driver;
	u16 kind;
	int (*probe)(struct ion_device *idev);
	void (*remove)(struct ion_device *idev);
	void (*shutdown)(struct ion_device *idev);
};

int ion_driver_register(struct ion_driver *drv);
void ion_driver_unregister(struct ion_driver *drv);

static inline void ion_set_drvdata(struct ion_device *idev, void *data)
{
	dev_set_drvdata(&idev->dev, data);
}

static inline void *ion_get_drvdata(struct ion_device *idev)
{
	return dev_get_drvdata(&idev->dev);
}

/* Channels: nexus_ion/channel.c */

int ion_channel_open(struct ion_channel *ch, const struct ion_channel_ops *ops,
		     void *priv);
void ion_channel_close_begin(struct ion_channel *ch);
int ion_channel_close(struct ion_channel *ch);
void ion_channel_fault(struct ion_channel *ch, u32 reason);
int ion_channel_send_marked(struct ion_channel *ch, const void *msg,
			    atomic_t *mark, int value);
void ion_channel_flush(struct ion_channel *ch);

/**
 * ion_channel_send - write one message, not visible before ion_channel_flush()
 * @ch: channel
 * @msg: entry.req.entry_size bytes
 *
 * Context: any.
 * Return: as ion_channel_send_marked().
 */
static inline int ion_channel_send(struct ion_channel *ch, const void *msg)
{
	return ion_channel_send_marked(ch, msg, NULL, 0);
}

/**
 * typedef ion_receive_fn - handle one message
 * @ch: channel
 * @msg: private copy, valid during the call
 *
 * Runs with the consuming end locked and interrupts off: no sleeping, no
 * ion_channel_receive(). Sending is allowed.
 *
 * Return: ION_REASON_NONE, or the &enum ion_reason that latches the channel.
 */
typedef u32 (*ion_receive_fn)(struct ion_channel *ch, const void *msg);

unsigned int ion_channel_receive(struct ion_channel *ch, ion_receive_fn fn);
unsigned int ion_channel_try_receive(struct ion_channel *ch, ion_receive_fn fn);

/**
 * ion_channel_is_up - may messages be sent
 * @ch: channel
 *
 * A hint that can be old by the time it is used; ion_channel_send() decides.
 *
 * Return: whether the channel is live.
 */
static inline bool ion_channel_is_up(const struct ion_channel *ch)
{
	return READ_ONCE(ch->state) == ION_CH_UP;
}

bool ion_device_host_alive(struct ion_device *idev);
const char *ion_reason_name(u32 reason);

/* Loopback windows: nexus_ion/loopback.c */

struct ion_loopback;

/**
 * struct ion_loopback_ops - the in-kernel host of a loopback window
 * @ring: the guest rang @vector; any context, must not sleep
 */
struct ion_loopback_ops {
	void (*ring)(void *ctx, u16 vector);
};

struct ion_loopback *ion_loopback_create(size_t length, unsigned int vectors,
					 const struct ion_loopback_ops *ops,
					 void *ctx);
void *ion_loopback_base(struct ion_loopback *lb);
int ion_loopback_start(struct ion_loopback *lb);
void ion_loopback_ring(struct ion_loopback *lb, u16 vector);
void ion_loopback_stop(struct ion_loopback *lb);
void ion_loopback_destroy(struct ion_loopback *lb);

bool ion_have_external_window(void);

#endif /* NEXUS_ION_ION_H */
