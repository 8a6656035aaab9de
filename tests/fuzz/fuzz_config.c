// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest believes of a disk. What is accepted must be usable after it was
 * clamped, by a list of what Linux asks of a disk; and a successor that is
 * accepted must be able to serve whatever was issued before.
 */
#include <string.h>

#include <nexus/nxblk_validate.h>

#include "fuzz.h"

void fuzz_setup(void)
{
}

static bool power_of_2(uint64_t v)
{
	return __builtin_popcountll(v) == 1;
}

static void check_blocks(const struct nxblk_config *c)
{
	FUZZ_CHECK(c->logical_block == 512 || c->logical_block == 1024 ||
		   c->logical_block == 2048 || c->logical_block == 4096);
	FUZZ_CHECK(power_of_2(c->physical_block) && c->physical_block <= 65536);
	FUZZ_CHECK(c->physical_block >= c->logical_block);
	FUZZ_CHECK((unsigned __int128)c->capacity * 512 < (unsigned __int128)1
								  << 63);
	FUZZ_CHECK((unsigned __int128)c->capacity * 512 % c->logical_block == 0);
}

static void check_limit(const struct nxblk_config *c, uint32_t sectors)
{
	FUZZ_CHECK((uint64_t)sectors * 512 % c->logical_block == 0);
	FUZZ_CHECK((uint64_t)sectors * 512 <= UINT32_MAX);
}

static void check_usable(const struct nxblk_config *c, uint32_t least,
			 uint32_t most)
{
	check_blocks(c);
	check_limit(c, c->max_sectors);
	check_limit(c, c->max_discard_sectors);
	check_limit(c, c->max_write_zeroes_sectors);
	FUZZ_CHECK(c->max_sectors >= least && c->max_sectors <= most);
	FUZZ_CHECK(c->max_segments >= 1 && c->max_segments <= 256);
	FUZZ_CHECK(c->io_min <= 16u << 20 && c->io_min % c->physical_block == 0);
	FUZZ_CHECK(c->io_opt <= 16u << 20 && c->io_opt % c->physical_block == 0);
	FUZZ_CHECK(c->discard_granularity &&
		   c->discard_granularity % c->logical_block == 0);
	FUZZ_CHECK(c->discard_alignment < c->discard_granularity &&
		   c->discard_alignment % c->logical_block == 0);
	FUZZ_CHECK(!(c->flags & ~7u));
}

/* Once clamped, a configuration is its own successor, and stays as it is. */
static void check_settled(const struct nxblk_config *c, uint32_t least,
			  uint32_t most)
{
	struct nxblk_config again = *c;
	struct nxblk_fault f;

	FUZZ_CHECK(nxblk_validate_config(&again, least, &f) && !f.what);
	nxblk_clamp_config(&again, most);
	FUZZ_CHECK(!memcmp(&again, c, sizeof(again)));
	FUZZ_CHECK(nxblk_validate_successor(&again, c, &f) && !f.what);
}

static bool take(struct fuzz_in *in, struct nxblk_config *c, uint32_t least,
		 uint32_t most)
{
	struct nxblk_fault f = { 0 };

	fuzz_bytes(in, c, sizeof(*c));
	if (!nxblk_validate_config(c, least, &f)) {
		FUZZ_CHECK(f.what);
		return false;
	}
	nxblk_clamp_config(c, most);
	check_usable(c, least, most);
	check_settled(c, least, most);
	return true;
}

/* Whatever could be issued to @was can be issued to @now, and lands there. */
static bool can_succeed(const struct nxblk_config *now,
			const struct nxblk_config *was)
{
	return !memcmp(now->uuid, was->uuid, 16) &&
	       now->logical_block == was->logical_block &&
	       now->max_sectors >= was->max_sectors &&
	       now->max_segments >= was->max_segments &&
	       now->max_discard_sectors >= was->max_discard_sectors &&
	       now->max_write_zeroes_sectors >= was->max_write_zeroes_sectors &&
	       ((was->flags & 2) || !(now->flags & 2));
}

/* A second one: the first, here and there another byte. */
static void change(struct fuzz_in *in, struct nxblk_config *c)
{
	while (in->left) {
		uint8_t where = fuzz_u8(in);

		((uint8_t *)c)[where] ^= fuzz_u8(in);
	}
}

void fuzz_one(struct fuzz_in *in)
{
	uint8_t how = fuzz_u8(in);
	/* A page's sectors: 4 KiB, 16 KiB or 64 KiB; and a pool's. */
	uint32_t least = 8u << (how & 3) % 3 * 2;
	uint32_t most = least << (how >> 2 & 7);
	struct nxblk_config was, changed, now;
	struct nxblk_fault f;
	struct fuzz_in second = { (const uint8_t *)&changed, sizeof(changed) };

	if (!take(in, &was, least, most))
		return;
	changed = was;
	change(in, &changed);
	if (!take(&second, &now, least, most))
		return;
	FUZZ_CHECK(nxblk_validate_successor(&now, &was, &f) ==
		   can_succeed(&now, &was));
}
