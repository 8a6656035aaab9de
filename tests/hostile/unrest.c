// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a hostile host does all the time, in a thread of its own beside the one that
 * serves: a directory that flips, doorbells without end, noise all over the window.
 * Compiled twice, as rogue_host.c.
 */
#include "rogue_host.h"

#define FLIP_US 1000
#define NOISE_US 5000
/* One time in so many the data too; most of what matters lies before it. */
#define NOISE_ALL 16

static void flip(struct server *s, uint64_t n)
{
	struct ion_host_header *hdr = (struct ion_host_header *)s->mem;
	struct ion_dir_entry *dir =
		(struct ion_dir_entry *)(s->mem + hdr->dir_offset);
	static uint64_t right;

	if (!n)
		right = dir->rsp.offset;
	ion_write(&dir->rsp.offset, n & 1 ? right : 0);
	ion_wmb(); /* The guest that sees the generation sees the change. */
	ion_write(&hdr->generation, hdr->generation + 1);
	server_ring(s, 0);
}

const struct unrest unrest_flips = {
	.name = "flips",
	.unit = "generations",
	.round = flip,
	.pause_us = FLIP_US,
};

static void storm(struct server *s, uint64_t n)
{
	server_ring(s, n % SERVER_VECTORS);
}

const struct unrest unrest_storm = {
	.name = "storm",
	.unit = "doorbells",
	.round = storm,
};

static uint64_t noise_next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/*
 * One seed is one way to spoil: all of it by what is nonsense at first sight, or
 * here and there; by what looks like states, tags and counts; by what was true
 * elsewhere in the window, or a while ago.
 */
static uint64_t noise_word(const struct server *s, uint64_t seed, uint64_t r,
			   uint64_t was)
{
	switch (seed % 4) {
	case 0:
		return r;
	case 1:
		return r % 8 ? was : r;
	case 2:
		return r % 8 ? was : r & 0x0000000700000007ull;
	default:
		return r % 8 ? was : ((uint64_t *)s->mem)[r / 8 % (s->size / 8)];
	}
}

static void noise(struct server *s, uint64_t n)
{
	const uint64_t seed = n + 1;
	volatile uint64_t *mem = (uint64_t *)s->mem;
	size_t words = s->size / sizeof(*mem);
	uint64_t x = seed * 0x9e3779b97f4a7c15ull;
	size_t i;

	if (seed % NOISE_ALL)
		words /= NOISE_ALL;
	for (i = 0; i < words; i++)
		mem[i] = noise_word(s, seed, noise_next(&x), mem[i]);
	server_ring(s, seed % SERVER_VECTORS);
}

const struct unrest unrest_noise = {
	.name = "noise",
	.unit = "seeds",
	.round = noise,
	.pause_us = NOISE_US,
};
