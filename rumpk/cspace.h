/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The cell's CSpace: what a guest may do, in 64 slots. Empty by default; a
 * holder can only narrow what it was granted; a revocation holds from the next
 * lookup on. One process changes it; others that serve the guest map it
 * read-only, and may look while it is changed.
 */
#ifndef RUMPK_CSPACE_H
#define RUMPK_CSPACE_H

#include <stdbool.h>
#include <stdint.h>

#define CSPACE_SLOTS 64u

/* Rights. FLUSH and WRITE_ZEROES need CSPACE_WRITE. */
#define CSPACE_READ (1u << 0)
#define CSPACE_WRITE (1u << 1)
#define CSPACE_DISCARD (1u << 2)
#define CSPACE_DMA (1u << 3)
#define CSPACE_ALL 0x0fu

/**
 * struct cspace_cap - what a slot allows
 * @kind: of the channel that it names
 * @instance: of the channel that it names
 * @rights: CSPACE_*
 * @first: first sector
 * @last: last sector, inclusive
 */
struct cspace_cap {
	uint16_t kind;
	uint16_t instance;
	uint32_t rights;
	uint64_t first;
	uint64_t last;
};

/**
 * struct cspace_slot - one slot
 * @cap: two places; what the slot allows is in one of them, a change is written to
 *	the other
 * @state: which one, whether it is valid, and the epoch of the last change. One
 *	store here grants, narrows or revokes
 */
struct cspace_slot {
	struct cspace_cap cap[2];
	uint64_t state;
};

/**
 * struct cspace - a cell's capabilities
 * @epoch: of the last change
 * @slot: the slots
 */
struct cspace {
	uint64_t epoch;
	struct cspace_slot slot[CSPACE_SLOTS];
};

int cspace_set(struct cspace *cs, unsigned int slot,
	       const struct cspace_cap *cap);
int cspace_grant(struct cspace *cs, unsigned int slot,
		 const struct cspace_cap *cap);
int cspace_narrow(struct cspace *cs, unsigned int slot, uint32_t rights,
		  uint64_t first, uint64_t last);
int cspace_revoke(struct cspace *cs, unsigned int slot);
const struct cspace_cap *cspace_lookup(const struct cspace *cs, unsigned int slot,
				       uint16_t kind, uint16_t instance,
				       struct cspace_cap *copy);
bool cspace_read(const struct cspace *cs, unsigned int slot,
		 struct cspace_cap *copy);
uint64_t cspace_epoch(const struct cspace *cs, unsigned int slot);

/**
 * cspace_covers - does a capability's range contain sectors
 * @cap: capability
 * @lba: first sector
 * @count: sectors, not 0
 *
 * Return: whether all of them lie inside.
 */
static inline bool cspace_covers(const struct cspace_cap *cap, uint64_t lba,
				 uint64_t count)
{
	return lba >= cap->first && lba <= cap->last &&
	       count - 1 <= cap->last - lba;
}

#endif /* RUMPK_CSPACE_H */
