/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What a guest checks of a disk's configuration before it believes any of it
 * (rules R-CFG-*): nonsense is rejected with a complaint that names the value
 * and what would be right; what is merely too large is clamped. Works on a
 * private copy alone. Built for user space too, for unit tests and fuzzing.
 */
#ifndef NEXUS_NXBLK_VALIDATE_H
#define NEXUS_NXBLK_VALIDATE_H

#include "nxblk_abi.h"

/* The largest disk that Linux can address: 2^63 - 1 bytes. */
#define NXBLK_CAPACITY_MAX ((1ull << (63 - NXBLK_SECTOR_SHIFT)) - 1)
#define NXBLK_PHYSICAL_BLOCK_MAX (1u << 16)
/* Linux reads ahead twice as much as is optimal, for each file that is read. */
#define NXBLK_IO_HINT_MAX (16u << 20)
#define NXBLK_CFG_FLAGS_ALL 0x0007u
/* A least size for zero copy that no request has. */
#define NXBLK_ZERO_COPY_NEVER 0xffffffffu
/* Room for each text of a &struct nxblk_fault, whole: one is told from another by it. */
#define NXBLK_FAULT_ROOM 96

/**
 * struct nxblk_fault - what is wrong with a configuration
 * @what: names the field and what would be right; NULL: nothing is wrong
 * @value: that was found
 */
struct nxblk_fault {
	const char *what;
	__u64 value;
};

static inline bool nxblk_fail(struct nxblk_fault *f, const char *what, __u64 value)
{
	f->what = what;
	f->value = value;
	return false;
}

static inline bool nxblk_power_of_2(__u32 value)
{
	return value && !(value & (value - 1));
}

/**
 * nxblk_validate_config - can a configuration be believed
 * @c: private copy
 * @least_sectors: fewest sectors of one request that this guest can live with
 *	(a page's), a power of two
 * @f: filled when something is wrong
 *
 * Return: true when it can be, after nxblk_clamp_config().
 */
static inline bool nxblk_validate_config(const struct nxblk_config *c,
					 __u32 least_sectors,
					 struct nxblk_fault *f)
{
	__u32 block = c->logical_block;

	f->what = NULL;
	if (!nxblk_power_of_2(block) || block < NXBLK_SECTOR_SIZE ||
	    block > NXBLK_MAX_BLOCK_SIZE)
		return nxblk_fail(f,
				  "logical block, must be 512, 1024, 2048 or 4096 bytes",
				  block);
	if (!nxblk_power_of_2(c->physical_block) || c->physical_block < block)
		return nxblk_fail(f,
				  "physical block, must be a power of two and not below the logical block",
				  c->physical_block);
	if (c->capacity > NXBLK_CAPACITY_MAX)
		return nxblk_fail(f,
				  "capacity, must be below 2^54 sectors of 512 bytes",
				  c->capacity);
	if (c->capacity & ((block >> NXBLK_SECTOR_SHIFT) - 1))
		return nxblk_fail(f,
				  "capacity, must be a multiple of the logical block",
				  c->capacity);
	if (c->max_sectors < least_sectors)
		return nxblk_fail(f,
				  "most sectors of a request, must hold at least one page of memory",
				  c->max_sectors);
	if (!c->max_segments)
		return nxblk_fail(f,
				  "most segments of a request, must be at least 1",
				  c->max_segments);
	return true;
}

static inline __u32 nxblk_round_down(__u32 value, __u32 power_of_2)
{
	return value & ~(power_of_2 - 1);
}

static inline __u32 nxblk_at_most(__u32 value, __u32 limit)
{
	return value < limit ? value : limit;
}

/**
 * nxblk_clamp_config - make limits and hints usable
 * @c: private copy that passed nxblk_validate_config()
 * @most_sectors: most sectors of a READ or WRITE that this guest issues
 */
static inline void nxblk_clamp_config(struct nxblk_config *c, __u32 most_sectors)
{
	__u32 block = c->logical_block;
	__u32 block_sectors = block >> NXBLK_SECTOR_SHIFT;
	/* What Linux can express of one request: less than 4 GiB. */
	__u32 express = nxblk_round_down(0xffffffffu >> NXBLK_SECTOR_SHIFT,
					 block_sectors);

	c->flags &= NXBLK_CFG_FLAGS_ALL;
	c->physical_block =
		nxblk_at_most(c->physical_block, NXBLK_PHYSICAL_BLOCK_MAX);
	c->max_sectors =
		nxblk_round_down(nxblk_at_most(c->max_sectors, most_sectors),
				 block_sectors);
	c->max_segments = nxblk_at_most(c->max_segments, NXBLK_MAX_SEGS);
	c->max_discard_sectors =
		nxblk_round_down(nxblk_at_most(c->max_discard_sectors, express),
				 block_sectors);
	c->max_write_zeroes_sectors =
		nxblk_round_down(nxblk_at_most(c->max_write_zeroes_sectors,
					       express),
				 block_sectors);
	if (c->zero_copy_min > (__u64)c->max_sectors << NXBLK_SECTOR_SHIFT)
		c->zero_copy_min = NXBLK_ZERO_COPY_NEVER;

	/* Hints: one that makes no sense is as good as none. */
	if (c->io_min > NXBLK_IO_HINT_MAX || c->io_min % c->physical_block)
		c->io_min = 0;
	if (c->io_opt > NXBLK_IO_HINT_MAX || c->io_opt % c->physical_block)
		c->io_opt = 0;
	if (!c->discard_granularity || c->discard_granularity % block)
		c->discard_granularity = block;
	if (c->discard_alignment % block ||
	    c->discard_alignment >= c->discard_granularity)
		c->discard_alignment = 0;
}

/**
 * nxblk_validate_successor - is it still the disk that we have in use
 * @now: a new generation's configuration, clamped
 * @was: the one in use, clamped
 * @f: filled when something is wrong
 *
 * Capacity and read-only may change; identity may not, and no limit may
 * fall, since requests made by the old ones are still to be issued.
 *
 * Return: true when @now can take the place of @was.
 */
static inline bool nxblk_validate_successor(const struct nxblk_config *now,
					    const struct nxblk_config *was,
					    struct nxblk_fault *f)
{
	__u64 id;

	f->what = NULL;
	if (memcmp(now->uuid, was->uuid, sizeof(now->uuid))) {
		memcpy(&id, now->uuid, sizeof(id));
		return nxblk_fail(f,
				  "UUID, must stay the same (its first 8 bytes)",
				  id);
	}
	if (now->logical_block != was->logical_block)
		return nxblk_fail(f, "logical block, must stay the same",
				  now->logical_block);
	if (now->max_sectors < was->max_sectors)
		return nxblk_fail(f, "most sectors of a request, must not fall",
				  now->max_sectors);
	if (now->max_segments < was->max_segments)
		return nxblk_fail(f, "most segments of a request, must not fall",
				  now->max_segments);
	if (now->max_discard_sectors < was->max_discard_sectors)
		return nxblk_fail(f, "most sectors of a DISCARD, must not fall",
				  now->max_discard_sectors);
	if (now->max_write_zeroes_sectors < was->max_write_zeroes_sectors)
		return nxblk_fail(f,
				  "most sectors of a WRITE_ZEROES, must not fall",
				  now->max_write_zeroes_sectors);
	/* Requests are already on their way that no FLUSH will follow. */
	if (now->flags & ~was->flags & NXBLK_CFG_VOLATILE_CACHE)
		return nxblk_fail(f, "flags, a volatile cache must not appear",
				  now->flags);
	return true;
}

#endif /* NEXUS_NXBLK_VALIDATE_H */
