/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The safety state: what a guest that crashes its worker must not undo. Two
 * pieces of memory that the keeper holds as well, so that they live as long as
 * the cell:
 *
 *                 supervisor          worker
 *   authority     writes              reads: its description is read-only
 *   ledger        reads, clears       writes
 *
 * A latch goes from the ledger to the authority, and never back.
 */
#ifndef RUMPK_SAFETY_H
#define RUMPK_SAFETY_H

#include <stdint.h>

#include "beat.h"
#include "cspace.h"
#include "oplog.h"
#include "options.h"
#include "valve.h"
#include "virtio_blk.h"
#include "window.h"

/**
 * struct safety_header - what memory of an earlier rumpk must begin with
 * @magic: which of the two it is
 * @version: SAFETY_VERSION
 * @bytes: length
 * @reserved: 0
 */
struct safety_header {
	uint32_t magic;
	uint32_t version;
	uint32_t bytes;
	uint32_t reserved;
};

/* To be changed with whatever stands below, or in what it contains. */
#define SAFETY_VERSION 4u

/**
 * struct authority - what the cell may do, and what it may not be promised
 * @header: header
 * @cspace: capabilities
 * @changes: counts what workers are to take notice of
 * @limit: by disk: most sectors that may be offered, while it shrinks; 0: no limit
 * @sized: by disk: how often its size was changed
 * @sync_failed: by disk: data may be lost, until somebody reopens it
 * @reopened: by disk: how often somebody did. A worker's latch names the count that it
 *	belongs to, so that one of before is not taken for a new one
 */
struct authority {
	struct safety_header header;
	struct cspace cspace;
	uint64_t changes;
	uint64_t limit[WINDOW_MAX_DISKS];
	uint32_t sized[WINDOW_MAX_DISKS];
	uint32_t sync_failed[WINDOW_MAX_DISKS];
	uint32_t reopened[WINDOW_MAX_DISKS];
};

/**
 * enum ledger_phase - what the worker is about
 * @LEDGER_STARTING: it opens and waits for locks: a turn with each disk that it begins
 *	with, no beats
 * @LEDGER_SERVING: it turns and beats
 * @LEDGER_FINISHING: a sync may take its time: it beats
 */
enum ledger_phase {
	LEDGER_STARTING,
	LEDGER_SERVING,
	LEDGER_FINISHING,
};

/**
 * struct ledger_stamps - when a worker got how far, monotonic nanoseconds
 * @running: it ran
 * @locking: it began to wait for what its predecessor has under way
 * @fenced: nothing of that can land any more
 * @serving: it serves
 */
struct ledger_stamps {
	uint64_t running;
	uint64_t locking;
	uint64_t fenced;
	uint64_t serving;
};

/**
 * struct ledger_disk - what a worker knows of a disk, for one that cannot ask it
 * @capacity: bytes
 * @lost: as in &struct hal
 * @reserved: 0
 * @limits: of a device
 * @id: of a device
 */
struct ledger_disk {
	uint64_t capacity;
	uint32_t lost;
	uint32_t reserved;
	struct virtio_blk_limits limits;
	char id[VIRTIO_BLK_ID_BYTES + 4];
};

/**
 * struct ledger - what the worker tells
 * @header: header
 * @phase: &enum ledger_phase
 * @zero_copy: disks that were offered with zero copy to the guest that is there,
 *	one bit each
 * @seen: of &struct authority.changes: what this worker goes by. All that it judged
 *	before is pending in @channel, or over
 * @beat: signs of life
 * @stamps: of this worker
 * @log: what is known of the operation log
 * @channel: what each channel goes on from
 * @disk: what each disk goes on from
 */
struct ledger {
	struct safety_header header;
	uint32_t phase;
	uint32_t zero_copy;
	uint64_t seen;
	struct beat_words beat;
	struct ledger_stamps stamps;
	struct oplog_known log;
	struct valve_account channel[WINDOW_MAX_DISKS];
	struct ledger_disk disk[WINDOW_MAX_DISKS];
};

/**
 * struct safety_load - what a ledger says is under way
 * @requests: number
 * @bytes: of their buffers
 * @oldest_ms: age of the oldest
 */
struct safety_load {
	unsigned int requests;
	uint64_t bytes;
	uint32_t oldest_ms;
};

int safety_create(int *authority_fd, int *ledger_fd);
struct authority *safety_map_authority(int fd);
const struct authority *safety_map_authority_read_only(int fd);
struct ledger *safety_map_ledger(int fd);
void safety_unmap(void *state, uint64_t length);
int safety_fence(int ledger_fd, unsigned int wait_ms);

void safety_grant(struct authority *a, const struct options *o, bool again);
bool safety_regrant(struct authority *a, unsigned int n,
		    const struct disk_options *d);
void safety_held(const struct authority *a, unsigned int n,
		 struct disk_options *d);
void safety_changed(struct authority *a);
bool safety_latched(const struct authority *a, const struct ledger *l,
		    unsigned int n);
void safety_reopen(struct authority *a, unsigned int n);
void safety_keep_latches(struct authority *a, const struct ledger *l);
struct safety_load safety_load(const struct ledger *l);
void safety_clear_worker(struct ledger *l);

#endif /* RUMPK_SAFETY_H */
