/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The Block Valve: every request of a guest passes here, is judged on a private
 * copy, and only then moves sectors. It passes sectors and never interprets
 * them.
 *
 * A request handed to valve_submit() is either dropped (it is of an older
 * generation) or answered exactly once through &valve_owner.answer.
 */
#ifndef RUMPK_VALVE_H
#define RUMPK_VALVE_H

#include <stdbool.h>
#include <stdint.h>

#include <nexus/nxblk_check.h>

#include "cspace.h"
#include "hal.h"
#include "log.h"
#include "ram.h"

/*
 * A channel's exact counters, in the order in which they are printed. To add
 * one, add a line.
 */
#define VALVE_COUNTERS(X)                                                      \
	X(requests)                                                            \
	X(reads)                                                               \
	X(read_bytes)                                                          \
	X(writes)                                                              \
	X(written_bytes)                                                       \
	X(flushes)                                                             \
	X(fua)                                                                 \
	X(discards)                                                            \
	X(write_zeroes)                                                        \
	X(infos)                                                               \
	X(zero_copy)                                                           \
	X(zero_copy_bytes)                                                     \
	X(copied_bytes)                                                        \
	X(doorbells_in)                                                        \
	X(doorbells_out)                                                       \
	X(perm)                                                                \
	X(ro)                                                                  \
	X(range)                                                               \
	X(inval)                                                               \
	X(unsupp)                                                              \
	X(ioerr)                                                               \
	X(nospc)                                                               \
	X(stale)                                                               \
	X(latches)                                                             \
	X(resets)

/**
 * struct valve_stats - counters of a channel since its window was made
 *
 * @requests counts what was consumed, stale ones included. The operations count
 * requests that passed all checks, @read_bytes and @written_bytes what was
 * answered OK, the statuses answers. @zero_copy and @zero_copy_bytes are those of
 * them whose buffer was the guest's own pages, @copied_bytes what this process
 * copied from one memory to another. @doorbells_in and @doorbells_out are
 * doorbells of the channel, @latches and @resets events of its life.
 */
struct valve_stats {
#define VALVE_FIELD(name) uint64_t name;
	VALVE_COUNTERS(VALVE_FIELD)
#undef VALVE_FIELD
};

/* Tags of a channel at most. */
#define VALVE_MAX_DEPTH 128u

/*
 * What INFO has said to a guest and cannot take back while it is there, whatever
 * becomes of its rights: limits do not fall, a volatile cache does not appear.
 */
#define VALVE_TOLD (1u << 0)
#define VALVE_TOLD_CACHE (1u << 1)
#define VALVE_TOLD_DISCARD (1u << 2)

/**
 * struct valve_pending - a request that the HAL has
 * @since_ms: monotonic, when it got it; 0: the tag has none
 * @bytes: of its buffer
 */
struct valve_pending {
	uint32_t since_ms;
	uint32_t bytes;
};

/**
 * struct valve_account - what of a valve outlives the process that serves it
 * @stats: counters
 * @generation: last one that the channel offered
 * @capacity: sectors that are offered; for whoever watches
 * @sync_failed: data that was acknowledged may be lost: &struct valve.reopened as it
 *	was then, plus 1
 * @told: VALVE_TOLD_*: what INFO said to the guest that is there
 * @state: &enum ion_host_state; for whoever watches
 * @reserved: 0
 * @suppressed: lines about refusals that are not said yet
 * @pending: by tag; for whoever watches, never read back
 */
struct valve_account {
	struct valve_stats stats;
	uint64_t generation;
	uint64_t capacity;
	uint32_t sync_failed;
	uint32_t told;
	uint32_t state;
	uint32_t reserved;
	uint64_t suppressed;
	struct valve_pending pending[VALVE_MAX_DEPTH];
};

/**
 * struct valve_disk - a disk as the valve knows it
 * @hal: below
 * @config: geometry, limits, identity; with all rights the answer to INFO
 * @strict: every WRITE is durable when it is answered
 * @zero_copy: it may move data to and from the cell's RAM
 * @sync_failed: data that was acknowledged may be lost: FLUSH, FUA and, when
 *	strict, WRITE fail from now on
 * @lost: the medium is, as far as was taken notice
 */
struct valve_disk {
	struct hal *hal;
	struct nxblk_config config;
	bool strict;
	bool zero_copy;
	bool sync_failed;
	bool lost;
};

/**
 * struct valve_owner - who takes the answers
 * @answer: called once for each request that is not dropped
 */
struct valve_owner {
	void (*answer)(struct valve_owner *owner, const struct nxblk_resp *rsp);
};

/**
 * struct valve_terms - what a guest and the host agreed upon
 * @generation: of the channel
 * @features: accepted
 * @depth: tags, at most the depth given to valve_init()
 */
struct valve_terms {
	uint64_t generation;
	uint64_t features;
	uint32_t depth;
};

struct valve_request;

/**
 * struct valve - one channel's way to its disk
 * @owner: takes the answers
 * @cspace: the cell's
 * @reopened: how often an operator has said that what was lost is made good; NULL: never
 * @lost: where it is told that the disk is; NULL: nowhere
 * @disk: the disk
 * @window: start of the mapping
 * @ram: the cell's, or none
 * @channel: for messages
 * @kind: that capabilities name
 * @instance: that capabilities name
 * @limits: that requests are judged against
 * @generation: whole, for messages
 * @max_depth: entries of @slots
 * @in_flight: requests that the HAL has
 * @slots: by tag
 * @answered: tags whose answers were not published yet: until then they are
 *	in use
 * @nanswered: of them
 * @account: counters and the like, where they are kept
 * @audit: limits the lines about refusals
 */
struct valve {
	struct valve_owner *owner;
	const struct cspace *cspace;
	const uint32_t *reopened;
	uint32_t *lost;
	struct valve_disk *disk;
	uint8_t *window;
	const struct ram *ram;
	int channel;
	uint16_t kind;
	uint16_t instance;
	struct nxblk_limits limits;
	uint64_t generation;
	uint32_t max_depth;
	uint32_t in_flight;
	struct valve_request *slots;
	uint16_t *answered;
	uint32_t nanswered;
	struct valve_account *account;
	struct rumpk_ratelimit audit;
};

/**
 * valve_latch - what marks a sync that fails now
 * @reopened: as in &struct valve
 *
 * Return: it; never 0, as long as an operator's patience lasts.
 */
static inline uint32_t valve_latch(const uint32_t *reopened)
{
	return (reopened ? __atomic_load_n(reopened, __ATOMIC_ACQUIRE) : 0) + 1;
}

int valve_init(struct valve *v, uint32_t max_depth);
void valve_exit(struct valve *v);
void valve_live(struct valve *v, const struct valve_terms *terms);
void valve_submit(struct valve *v, const struct nxblk_req *req);
void valve_published(struct valve *v);
void valve_show_config(const struct valve *v, uint32_t rights,
		       struct nxblk_config *config);
void valve_print_stats(const struct valve *v, uint64_t generation);

#endif /* RUMPK_VALVE_H */
