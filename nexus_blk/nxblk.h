/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Inside nexus_blk: a disk, its queues, and the tags of a queue.
 *
 * Locks, outermost first:
 *   ion_channel.lock    the transport's; held in ->offer, ->up, ->down, ->changed
 *   nxblk_disk.lock     state of a disk; nothing that takes a channel's lock is
 *                       called under it, and no I/O is waited for
 *   ion_channel.cons_lock, prod_lock   the transport's; held in nxblk_answer()
 *   nxblk_pool.lock     leaf
 */
#ifndef NEXUS_BLK_NXBLK_H
#define NEXUS_BLK_NXBLK_H

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/interrupt.h>
#include <linux/kref.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/ratelimit.h>
#include <linux/workqueue.h>

#include <nexus/nxblk_abi.h>
#include <nexus/nxblk_validate.h>

#include "ion.h"
#include "nexus_compat_blk.h"

/* Tags of a queue, the one for INFO included. */
#define NXBLK_MAX_DEPTH 128u
/* Pieces of the pool that one request may be spread over. */
#define NXBLK_MAX_RUNS 64u
/* Of one READ or WRITE, whatever the host would take. */
#define NXBLK_MAX_BYTES (4u << 20)
#define NXBLK_MINORS 16
/* Least data area of a queue: room for two pages of any kernel, twice. */
#define NXBLK_DATA_MIN (256ull << 10)
#define NXBLK_FEATURES                                                         \
	(NXBLK_F_FLUSH | NXBLK_F_FUA | NXBLK_F_DISCARD |                       \
	 NXBLK_F_WRITE_ZEROES | NXBLK_F_INDIRECT | NXBLK_F_ZERO_COPY)
/* Bytes from which on zero copy is taken, where the host gives no advice. */
#define NXBLK_ZERO_COPY_MIN 16384u

/**
 * struct nxblk_run - neighbouring chunks of a pool
 * @first: chunk number
 * @count: chunks
 */
struct nxblk_run {
	u16 first;
	u16 count;
};

/**
 * struct nxblk_pool - a queue's bounce memory, divided by the guest alone
 * @lock: protects @map and @free
 * @map: a bit per chunk that is taken
 * @nr: chunks for requests; one more behind them belongs to INFO
 * @free: clear bits
 * @shift: log2 of a chunk's bytes
 * @base: as mapped here
 * @offset: in the window
 * @starved: bit 0: a request was turned away; see nxblk_pool_take()
 * @waits: requests turned away
 * @copied: bytes, to and from it
 */
struct nxblk_pool {
	spinlock_t lock;
	unsigned long *map;
	unsigned int nr;
	unsigned int free;
	unsigned int shift;
	u8 *base;
	u64 offset;
	unsigned long starved;
	atomic_long_t waits;
	atomic64_t copied;
};

/**
 * struct nxblk_pins - pages that Linux must not use again yet
 * @nr: of @pages
 * @pages: with a reference on each
 */
struct nxblk_pins {
	unsigned int nr;
	struct page *pages[];
};

/**
 * enum nxblk_slot_state - where a tag's request is
 * @NXBLK_SLOT_IDLE: nowhere; the tag may be issued
 * @NXBLK_SLOT_IN_FLIGHT: with the host
 * @NXBLK_SLOT_ANSWERED: the first answer was taken; it is being completed
 * @NXBLK_SLOT_QUARANTINE: ended here without an answer; the host may still
 *	execute it, so that tag and chunks are not reused
 *
 *   IDLE -> IN_FLIGHT -> ANSWERED -> IDLE        nxblk_issue, _answer, _finish
 *           IN_FLIGHT -> IDLE                    drained: to be issued again
 *           IN_FLIGHT -> QUARANTINE -> IDLE      ended early; late answer or drain
 *
 * A zero-copy request is ended early by nothing but a removal: when an outage has
 * lasted too long it is held, which is IN_FLIGHT on a disk that fails.
 *
 * IN_FLIGHT is left by cmpxchg alone: whoever succeeds owns the request's end.
 */
enum nxblk_slot_state {
	NXBLK_SLOT_IDLE,
	NXBLK_SLOT_IN_FLIGHT,
	NXBLK_SLOT_ANSWERED,
	NXBLK_SLOT_QUARANTINE,
};

/**
 * struct nxblk_slot - private shadow of what a tag was issued for
 * @state: &enum nxblk_slot_state; all else is written in IDLE, before the
 *	release that makes it IN_FLIGHT, but for @status and @done
 * @op: &enum nxblk_op
 * @fua: the request carries FUA
 * @zero_copy: the host has the request's own pages
 * @misfit: it has not, although the request is large enough
 * @nr_runs: used of @runs; 0 with @zero_copy
 * @bytes: of buffer
 * @cookie: of the last issue
 * @issued: when, in ns
 * @since: when its request was issued first, in ns
 * @rq: the request; NULL for INFO
 * @status: of the answer, valid in ANSWERED
 * @done: in nxblk_queue.done while ANSWERED
 * @runs: where the buffer is
 * @pins: taken when a zero-copy request was ended early; exchanged atomically
 * @lost: pages likewise, for which there was no memory to remember them
 */
struct nxblk_slot {
	atomic_t state;
	u8 op;
	bool fua;
	bool zero_copy;
	bool misfit;
	u16 nr_runs;
	u32 bytes;
	u64 cookie;
	u64 issued;
	u64 since;
	struct request *rq;
	blk_status_t status;
	struct llist_node done;
	struct nxblk_run runs[NXBLK_MAX_RUNS];
	struct nxblk_pins *pins;
	unsigned int lost;
};

/**
 * struct nxblk_pdu - what is kept of a request from its first issue to its end
 * @since: when that issue was, in ns
 */
struct nxblk_pdu {
	u64 since;
};

/**
 * struct nxblk_spin - how long to watch for an answer after a submit
 * @busy: bit 0: somebody watches; also ends recursion through completions
 * @budget: ns; 0: do not watch
 * @misses: in a row
 * @rest: submits to let pass before watching is tried again
 * @pause: @rest after the next failure; doubles
 */
struct nxblk_spin {
	unsigned long busy;
	unsigned int budget;
	unsigned int misses;
	unsigned int rest;
	unsigned int pause;
};

/**
 * struct nxblk_queue - one channel of a disk
 * @disk: the disk
 * @ch: the channel
 * @index: number
 * @up: between ->up() and ->down(); under nxblk_disk.lock
 * @depth: tags, the last of them for INFO; 0 before the first offer, fixed
 *	afterwards
 * @features: accepted; fixed with @depth
 * @max_segs: segments a request may have
 * @max_runs: likewise, of a request that is bounced
 * @generation: low 32 bits; changed only while nothing can be sent
 * @pool: bounce memory
 * @slots: NXBLK_MAX_DEPTH of them
 * @done: answered and not completed
 * @tasklet: completes what a hard interrupt found
 * @spin: watching after a submit
 * @requests: issued
 * @zero_copy: of these, with the request's own pages
 * @zero_copy_bytes: of these
 * @zero_copy_bounced: requests that were large enough, but bounced all the same
 * @stale: answers of another generation, dropped; under the consumer lock
 * @late: answers to requests that had been ended; under the consumer lock
 * @spin_hits: answers found by watching
 * @spin_misses: watched in vain
 */
struct nxblk_queue {
	struct nxblk_disk *disk;
	struct ion_channel *ch;
	unsigned int index;
	bool up;
	u32 depth;
	u64 features;
	u32 max_segs;
	u32 max_runs;
	u32 generation;
	struct nxblk_pool pool;
	struct nxblk_slot *slots;
	struct llist_head done;
	struct tasklet_struct tasklet;
	struct nxblk_spin spin;
	atomic_long_t requests;
	atomic_long_t zero_copy;
	atomic64_t zero_copy_bytes;
	atomic_long_t zero_copy_bounced;
	unsigned long stale;
	unsigned long late;
	unsigned long spin_hits;
	unsigned long spin_misses;
};

/**
 * enum nxblk_state - of a disk
 * @NXBLK_WAITING: no disk yet: a channel is down, or INFO is not answered
 * @NXBLK_LIVE: in service
 * @NXBLK_DOWN: a channel is down; queues are quiesced, the outage clock runs
 * @NXBLK_REFUSED: the host is there, but what it says of the disk cannot be
 *	accepted; otherwise like DOWN (or like WAITING when there is no disk)
 * @NXBLK_FAILING: the outage lasted too long; requests end with an error until
 *	the host is back
 * @NXBLK_DEAD: being removed, without the host's help
 */
enum nxblk_state {
	NXBLK_WAITING,
	NXBLK_LIVE,
	NXBLK_DOWN,
	NXBLK_REFUSED,
	NXBLK_FAILING,
	NXBLK_DEAD,
};

/* nxblk_disk.outage, where it is no number of seconds */
#define NXBLK_OUTAGE_FAIL 0u
#define NXBLK_OUTAGE_REQUEUE UINT_MAX
#define NXBLK_OUTAGE_DEFAULT 60u
#define NXBLK_OUTAGE_MAX (30u * 24 * 3600)

/**
 * struct nxblk_disk - one ion device, and the disk that it becomes
 * @ref: held by the driver and by the gendisk
 * @log_limit: how often this disk is written about
 * @idev: valid until the driver is unbound
 * @disk: NULL before the first good answer to INFO
 * @added: the disk is known to user space; add_work and removal alone
 * @set: tags of @disk
 * @index: n of nxblk<n>
 * @lock: protects all from here to @info_warned
 * @state: &enum nxblk_state
 * @reason: why it is in @state, for sysfs
 * @quiesced: no request is being dispatched
 * @removing: the driver is being unbound
 * @removing_since: jiffies when that began
 * @want_info: INFO is to be asked
 * @info_at: jiffies, but not before then
 * @down_since: jiffies when @state left LIVE, unless it had been LIVE in vain
 * @live_since: jiffies when @state became LIVE
 * @served: a request has been answered since then
 * @cfg: what INFO last said, checked and clamped
 * @depth: tags per queue without INFO's
 * @features: accepted on every queue
 * @outage: seconds until pending requests fail, or NXBLK_OUTAGE_*
 * @info_warned: it was said that INFO is not answered
 * @fail: what every new request ends with, unless BLK_STS_OK; read without lock
 * @read_only: refuse writes; read without lock
 * @zero_copy_min: bytes from which on a request is not bounced; read without lock
 * @silent: bit 0: it was said that the host is silent; cleared by an answer
 * @last_answer: jiffies of the last answer to a request, INFO aside
 * @quarantined: slots in NXBLK_SLOT_QUARANTINE
 * @work: moves the disk along: INFO, and what follows from it
 * @add_work: makes the disk known, which reads from it
 * @outage_work: ends what has been pending for too long; drains what was ended
 * @reap_work: ends a removal that makes no progress
 * @nr_queues: of @queues
 * @queues: one a channel
 */
struct nxblk_disk {
	struct kref ref;
	struct ratelimit_state log_limit;
	struct ion_device *idev;
	struct gendisk *disk;
	bool added;
	struct blk_mq_tag_set set;
	int index;

	struct mutex lock;
	enum nxblk_state state;
	char reason[NXBLK_FAULT_ROOM];
	bool quiesced;
	bool removing;
	unsigned long removing_since;
	bool want_info;
	unsigned long info_at;
	unsigned long down_since;
	unsigned long live_since;
	struct nxblk_config cfg;
	u32 depth;
	u64 features;
	u32 outage;
	bool info_warned;

	blk_status_t fail;
	bool served;
	bool read_only;
	u32 zero_copy_min;
	unsigned long silent;
	unsigned long last_answer;
	atomic_t quarantined;
	struct delayed_work work;
	struct work_struct add_work;
	struct delayed_work outage_work;
	struct delayed_work reap_work;
	unsigned int nr_queues;
	struct nxblk_queue queues[];
};

/* The host decides how often there is something to say, for each disk apart. */
#define nxblk_log(level, d, fmt, ...)                                          \
	do {                                                                   \
		if (__ratelimit(&(d)->log_limit))                              \
			dev_##level(&(d)->idev->dev, fmt, ##__VA_ARGS__);      \
	} while (0)

/* main.c */
extern int nxblk_major;
extern struct workqueue_struct *nxblk_wq;
extern struct workqueue_struct *nxblk_add_wq;
const char *nxblk_transport(struct ion_device *idev);

/* disk.c */
int nxblk_disk_probe(struct ion_device *idev);
void nxblk_disk_remove(struct ion_device *idev);
void nxblk_disk_shutdown(struct ion_device *idev);
void nxblk_disk_kick(struct nxblk_disk *d);
void nxblk_disk_set_state(struct nxblk_disk *d, enum nxblk_state state,
			  const char *reason);
void nxblk_disk_quiesce(struct nxblk_disk *d);
void nxblk_disk_resume(struct nxblk_disk *d);
void nxblk_disk_put(struct nxblk_disk *d);
bool nxblk_disk_all_up(struct nxblk_disk *d);
bool nxblk_disk_served(struct nxblk_disk *d);
const char *nxblk_disk_name(struct nxblk_disk *d);
const char *nxblk_state_name(enum nxblk_state state);

/* channel.c */
extern const struct ion_channel_ops nxblk_channel_ops;

/* geometry.c */
int nxblk_geometry_create(struct nxblk_disk *d);
void nxblk_geometry_refresh(struct nxblk_disk *d);

/* info.c */
void nxblk_info_work(struct work_struct *work);
void nxblk_info_answer(struct nxblk_queue *q, struct nxblk_slot *slot);

/* outage.c */
void nxblk_outage_clock(struct nxblk_disk *d, bool live);
void nxblk_outage_begin(struct nxblk_disk *d);
void nxblk_outage_work(struct work_struct *work);
void nxblk_outage_reap(struct work_struct *work);
void nxblk_outage_fail(struct nxblk_disk *d, enum nxblk_state state,
		       blk_status_t status, const char *why);
void nxblk_outage_revive(struct nxblk_disk *d);
unsigned int nxblk_outage_held(const struct nxblk_disk *d);
enum blk_eh_timer_return nxblk_outage_timeout(struct request *rq);

/* queue.c */
extern const struct blk_mq_ops nxblk_mq_ops;
void nxblk_queue_drained(struct nxblk_queue *q);
unsigned int nxblk_queue_end_all(struct nxblk_queue *q, blk_status_t status,
				 bool removal);
unsigned int nxblk_queue_closed(struct nxblk_queue *q, bool drained);
unsigned int nxblk_queue_count(const struct nxblk_queue *q,
			       enum nxblk_slot_state state);
u64 nxblk_queue_oldest(struct nxblk_queue *q);
bool nxblk_queue_release(struct nxblk_queue *q, struct nxblk_slot *slot,
			 enum nxblk_slot_state from);

/* answer.c */
u32 nxblk_answer(struct ion_channel *ch, const void *data);
void nxblk_event(struct ion_channel *ch);
void nxblk_reap(struct nxblk_queue *q);
void nxblk_reap_tasklet(struct tasklet_struct *t);
void nxblk_watch(struct nxblk_queue *q);

/* bounce.c */
int nxblk_copy_init(void);
int nxblk_pool_init(struct nxblk_pool *p, const struct ion_channel *ch);
void nxblk_pool_exit(struct nxblk_pool *p);
bool nxblk_pool_take(struct nxblk_pool *p, struct nxblk_slot *slot,
		     unsigned int max_runs);
void nxblk_pool_give(struct nxblk_pool *p, struct nxblk_slot *slot);
void nxblk_pool_fill(struct nxblk_pool *p, struct nxblk_slot *slot);
void nxblk_pool_drain(struct nxblk_pool *p, struct nxblk_slot *slot);
void nxblk_pool_segs(const struct nxblk_pool *p, const struct nxblk_slot *slot,
		     struct nxblk_seg *segs);
bool nxblk_pool_fed(struct nxblk_pool *p);

/* What requests have of it. */
static inline u64 nxblk_pool_bytes(const struct nxblk_pool *p)
{
	return (u64)p->nr << p->shift;
}

/* INFO's own chunk, behind those for requests. */
static inline u64 nxblk_pool_info_offset(const struct nxblk_pool *p)
{
	return p->offset + nxblk_pool_bytes(p);
}

/* zerocopy.c */
extern atomic_long_t nxblk_leaked_pages;
u64 nxblk_zero_copy_feature(void);
bool nxblk_zero_copy_wanted(const struct nxblk_queue *q, u32 bytes);
bool nxblk_zero_copy_attach(struct nxblk_queue *q, struct request *rq,
			    struct nxblk_req *req);
void nxblk_zero_copy_read(struct request *rq);
void nxblk_zero_copy_pin(struct nxblk_slot *slot);
void nxblk_zero_copy_unpin(struct nxblk_slot *slot);
unsigned int nxblk_zero_copy_leak(struct nxblk_slot *slot);

/* sysfs.c */
extern const struct attribute_group *nxblk_sysfs_groups[];

#endif /* NEXUS_BLK_NXBLK_H */
