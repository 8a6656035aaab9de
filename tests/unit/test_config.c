// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest believes of a disk's configuration (nxblk_validate.h): each thing
 * that can be wrong is rejected by name, what is too large is clamped, and what
 * was clamped is sane whatever it was before.
 */
#include "unit.h"

#include <string.h>

#include <nexus/nxblk_validate.h>

#define PAGE_SECTORS 8u
#define MOST_SECTORS 2048u

static struct nxblk_config right(void)
{
	struct nxblk_config c = {
		.capacity = 4096,
		.logical_block = 512,
		.physical_block = 4096,
		.io_min = 4096,
		.io_opt = 65536,
		.max_sectors = 2048,
		.max_segments = 64,
		.max_discard_sectors = 65536,
		.discard_granularity = 4096,
		.max_write_zeroes_sectors = 65536,
		.uuid = { 1, 2, 3 },
	};

	return c;
}

/* One field made wrong; the complaint begins with the field and has the value. */
#define rejected(field, wrong, text)                                           \
	do {                                                                   \
		struct nxblk_config c = right();                               \
		struct nxblk_fault f;                                          \
		c.field = (wrong);                                             \
		assert_false(nxblk_validate_config(&c, PAGE_SECTORS, &f));     \
		assert_memory_equal(f.what, text, strlen(text));               \
		assert_true(strlen(f.what) < NXBLK_FAULT_ROOM);                \
		assert_int_equal(f.value, c.field);                            \
	} while (0)

#define accepted(field, value)                                                 \
	do {                                                                   \
		struct nxblk_config c = right();                               \
		struct nxblk_fault f;                                          \
		c.field = (value);                                             \
		assert_true(nxblk_validate_config(&c, PAGE_SECTORS, &f));      \
		assert_null(f.what);                                           \
	} while (0)

static void config_blocks(void **state)
{
	static const __u32 wrong[] = { 0, 1, 256, 511, 513, 3000, 8192, 1u << 31 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		rejected(logical_block, wrong[i], "logical block");
	rejected(physical_block, 0, "physical block");
	rejected(physical_block, 256, "physical block");
	rejected(physical_block, 513, "physical block");
	accepted(physical_block, 512);
	accepted(logical_block, 4096);
	accepted(logical_block, 1024);
}

static void config_capacity(void **state)
{
	struct nxblk_config c = right();
	struct nxblk_fault f;

	accepted(capacity, 0);
	accepted(capacity, NXBLK_CAPACITY_MAX);
	rejected(capacity, NXBLK_CAPACITY_MAX + 1, "capacity, must be below");
	rejected(capacity, ~0ull, "capacity, must be below");
	c.logical_block = 4096;
	c.capacity = 4095;
	assert_false(nxblk_validate_config(&c, PAGE_SECTORS, &f));
	assert_string_equal(f.what,
			    "capacity, must be a multiple of the logical block");
}

static void config_limits(void **state)
{
	rejected(max_sectors, 0, "most sectors");
	rejected(max_sectors, PAGE_SECTORS - 1, "most sectors");
	accepted(max_sectors, PAGE_SECTORS);
	accepted(max_sectors, ~0u);
	rejected(max_segments, 0, "most segments");
	accepted(max_segments, ~0u);
}

static void check_sane(const struct nxblk_config *c)
{
	__u32 block_sectors = c->logical_block / NXBLK_SECTOR_SIZE;

	assert_false(c->flags & ~NXBLK_CFG_FLAGS_ALL);
	assert_true(c->physical_block <= NXBLK_PHYSICAL_BLOCK_MAX);
	assert_true(c->max_sectors >= block_sectors);
	assert_true(c->max_sectors <= MOST_SECTORS);
	assert_true(c->max_segments >= 1 && c->max_segments <= NXBLK_MAX_SEGS);
	assert_int_equal(c->max_sectors % block_sectors, 0);
	assert_int_equal(c->max_discard_sectors % block_sectors, 0);
	assert_int_equal(c->max_write_zeroes_sectors % block_sectors, 0);
	/* In bytes they fit in 32 bits, which is what Linux has for a request. */
	assert_true((__u64)c->max_discard_sectors * 512 <= 0xffffffffu);
	assert_true((__u64)c->max_write_zeroes_sectors * 512 <= 0xffffffffu);
	assert_true(c->io_min <= 16u << 20 && c->io_opt <= 16u << 20);
	assert_int_equal(c->io_min % c->physical_block, 0);
	assert_int_equal(c->io_opt % c->physical_block, 0);
	assert_true(c->discard_granularity > 0);
	assert_int_equal(c->discard_granularity % c->logical_block, 0);
	assert_true(c->discard_alignment < c->discard_granularity);
	assert_true(c->zero_copy_min <= c->max_sectors * 512 ||
		    c->zero_copy_min == NXBLK_ZERO_COPY_NEVER);
}

static void config_clamps(void **state)
{
	struct nxblk_config c = right();

	memset(&c.flags, 0xff, sizeof(c.flags));
	c.max_sectors = c.max_segments = ~0u;
	c.max_discard_sectors = c.max_write_zeroes_sectors = ~0u;
	c.io_min = 777;
	c.io_opt = ~0u;
	c.discard_granularity = 3;
	c.discard_alignment = ~0u;
	nxblk_clamp_config(&c, MOST_SECTORS);
	check_sane(&c);
	assert_int_equal(c.max_sectors, MOST_SECTORS);
	assert_int_equal(c.io_min, 0);
	assert_int_equal(c.io_opt, 0);
	assert_int_equal(c.discard_granularity, 512);
	assert_int_equal(c.discard_alignment, 0);
	c = right();
	c.io_opt = 16u << 20;
	nxblk_clamp_config(&c, MOST_SECTORS);
	assert_int_equal(c.io_opt, 16u << 20);
	c.io_opt = 32u << 20;
	nxblk_clamp_config(&c, MOST_SECTORS);
	assert_int_equal(c.io_opt, 0);
	/* What is right already stays as it is. */
	c = right();
	nxblk_clamp_config(&c, MOST_SECTORS);
	assert_int_equal(c.io_min, 4096);
	assert_int_equal(c.io_opt, 65536);
	assert_int_equal(c.discard_granularity, 4096);
	assert_int_equal(c.max_discard_sectors, 65536);
}

/* Advice is advice: whatever it says, the disk is there. */
static void config_zero_copy(void **state)
{
	static const struct {
		__u32 advice;
		__u32 taken;
	} cases[] = {
		{ 0, 0 },
		{ 1, 1 },
		{ 16384, 16384 },
		{ MOST_SECTORS * 512, MOST_SECTORS * 512 },
		{ MOST_SECTORS * 512 + 1, NXBLK_ZERO_COPY_NEVER },
		{ 1u << 31, NXBLK_ZERO_COPY_NEVER },
		{ ~0u, NXBLK_ZERO_COPY_NEVER },
	};
	struct nxblk_config c;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		accepted(zero_copy_min, cases[i].advice);
		c = right();
		c.max_sectors = ~0u;
		c.zero_copy_min = cases[i].advice;
		nxblk_clamp_config(&c, MOST_SECTORS);
		assert_int_equal(c.zero_copy_min, cases[i].taken);
	}
}

static __u64 random_next(__u64 *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Whatever is believed is sane after clamping: random bytes over most fields. */
static void config_random_damage(void **state)
{
	__u64 seed = 0x9e3779b97f4a7c15ull;
	unsigned long i, believed = 0;
	struct nxblk_fault f;

	for (i = 0; i < 1000000; i++) {
		struct nxblk_config c = right();
		unsigned int hits = 1 + random_next(&seed) % 6;

		while (hits--) {
			__u32 value = (__u32)random_next(&seed);
			size_t at = random_next(&seed) % (64 / 4) * 4;

			if (random_next(&seed) % 2)
				value = 1u << value % 32;
			memcpy((__u8 *)&c + at, &value, sizeof(value));
		}
		if (!nxblk_validate_config(&c, PAGE_SECTORS, &f)) {
			assert_non_null(f.what);
			assert_true(strlen(f.what) < NXBLK_FAULT_ROOM);
			continue;
		}
		nxblk_clamp_config(&c, MOST_SECTORS);
		check_sane(&c);
		believed++;
	}
	assert_true(believed > 10000);
}

#define successor(change, text)                                                \
	do {                                                                   \
		struct nxblk_config was = right(), now = right();              \
		struct nxblk_fault f;                                          \
		now.change;                                                    \
		assert_false(nxblk_validate_successor(&now, &was, &f));        \
		assert_memory_equal(f.what, text, strlen(text));               \
		assert_true(strlen(f.what) < NXBLK_FAULT_ROOM);                \
	} while (0)

/* A new generation may have another size, but is the same disk with no less. */
static void config_successor(void **state)
{
	struct nxblk_config was = right(), now = right();
	struct nxblk_fault f;

	assert_true(nxblk_validate_successor(&now, &was, &f));
	now.capacity = 8;
	now.flags |= NXBLK_CFG_READ_ONLY;
	now.max_sectors++;
	now.max_segments++;
	assert_true(nxblk_validate_successor(&now, &was, &f));
	successor(uuid[15] = 9, "UUID");
	successor(logical_block = 4096, "logical block");
	successor(max_sectors -= 1, "most sectors of a request");
	successor(max_segments -= 1, "most segments");
	successor(max_discard_sectors -= 1, "most sectors of a DISCARD");
	successor(max_write_zeroes_sectors -= 1,
		  "most sectors of a WRITE_ZEROES");
	successor(flags |= NXBLK_CFG_VOLATILE_CACHE, "flags");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config_blocks),
		cmocka_unit_test(config_capacity),
		cmocka_unit_test(config_limits),
		cmocka_unit_test(config_clamps),
		cmocka_unit_test(config_zero_copy),
		cmocka_unit_test(config_random_damage),
		cmocka_unit_test(config_successor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
