// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ring of ion_ring.h: a producing and a consuming end over one piece of
 * memory, and a peer that lies about its index.
 */
#include "unit.h"

#include <string.h>

#include <nexus/ion_abi.h>
#include <nexus/ion_ring.h>

#define ENTRIES 8u
#define ENTRY_SIZE 16u

struct ring {
	__u32 prod;
	__u32 cons;
	__u32 event;
	__u8 entries[ENTRIES * ENTRY_SIZE];
	struct ion_prod p;
	struct ion_cons c;
};

struct entry {
	__u64 number;
	__u64 inverse;
};

static void ring_init(struct ring *r, __u32 initial)
{
	memset(r, 0, sizeof(*r));
	r->p.shared_prod = &r->prod;
	r->c.shared_prod = &r->prod;
	r->p.shared_cons = &r->cons;
	r->c.shared_cons = &r->cons;
	r->p.shared_event = &r->event;
	r->c.shared_event = &r->event;
	r->p.entries = r->entries;
	r->c.entries = r->entries;
	r->p.entry_size = r->c.entry_size = ENTRY_SIZE;
	r->p.mask = r->c.mask = ENTRIES - 1;
	ion_prod_reset(&r->p, initial);
	ion_cons_reset(&r->c, initial);
}

/* Starts that make every test cross zero, the sign bit and nothing at all. */
static const __u32 starts[] = { 0, 0xfffffff0u, 0xfffffffcu, 0xffffffffu,
				0x7ffffffcu };

#define for_each_start(r, i)                                                   \
	for (i = 0; i < ARRAY_SIZE(starts) && (ring_init(r, starts[i]), 1); i++)

static void put(struct ring *r, __u64 number)
{
	struct entry e = { number, ~number };

	ion_prod_put(&r->p, &e);
}

static void get(struct ring *r, __u64 number)
{
	struct entry e;

	ion_cons_get(&r->c, &e);
	assert_int_equal(e.number, number);
	assert_int_equal(e.inverse, ~number);
}

/* Fill by half, so that both ends are away from their start. */
static void ring_half(struct ring *r)
{
	__u32 i;

	for (i = 0; i < ENTRIES / 2; i++)
		put(r, i);
	ion_prod_publish(&r->p);
}

static void ring_reset_stores_initial(void **state)
{
	struct ring r;
	unsigned int i;

	for_each_start(&r, i)
	{
		assert_int_equal(r.prod, starts[i]);
		assert_int_equal(r.cons, starts[i]);
		assert_int_equal(r.event, starts[i]);
		assert_int_equal(ion_prod_free(&r.p), ENTRIES);
		assert_int_equal(ion_cons_avail(&r.c), 0);
	}
}

static void ring_fills_and_empties(void **state)
{
	struct ring r;
	unsigned int i, k;

	for_each_start(&r, i)
	{
		for (k = 0; k < ENTRIES; k++) {
			assert_int_equal(ion_prod_free(&r.p), ENTRIES - k);
			put(&r, k);
		}
		assert_int_equal(ion_prod_free(&r.p), 0);
		assert_false(r.p.broken);
		/* Nothing is visible before it is published. */
		assert_int_equal(ion_cons_avail(&r.c), 0);
		ion_prod_publish(&r.p);
		assert_int_equal(ion_cons_avail(&r.c), ENTRIES);
		for (k = 0; k < ENTRIES; k++)
			get(&r, k);
		assert_int_equal(ion_cons_avail(&r.c), 0);
		/* Nothing is free before it is released. */
		assert_int_equal(ion_prod_free(&r.p), 0);
		ion_cons_release(&r.c);
		assert_int_equal(ion_prod_free(&r.p), ENTRIES);
		assert_false(r.p.broken || r.c.broken);
	}
}

static void ring_wraps_at_2_32(void **state)
{
	__u64 sent = 0, seen = 0;
	struct ring r;
	__u32 n;

	ring_init(&r, ION_INITIAL_INDEX);
	while (seen < 1000) {
		for (n = 1 + sent % 5; n && ion_prod_free(&r.p); n--)
			put(&r, sent++);
		ion_prod_publish(&r.p);
		for (n = ion_cons_avail(&r.c); n; n--)
			get(&r, seen++);
		ion_cons_release(&r.c);
	}
	assert_int_equal(r.prod, (__u32)(ION_INITIAL_INDEX + sent));
	assert_true(r.prod < ION_INITIAL_INDEX);
}

static void ring_rejects_producer_jump(void **state)
{
	static const __u32 jumps[] = { ENTRIES + 1, ENTRIES * 2, 1u << 31,
				       (1u << 31) + 1, 0xffffffffu };
	struct ring r;
	unsigned int i, k;

	for_each_start(&r, i)
	{
		for (k = 0; k < ARRAY_SIZE(jumps); k++) {
			ring_init(&r, starts[i]);
			r.prod = r.c.cons + jumps[k];
			assert_int_equal(ion_cons_avail(&r.c), 0);
			assert_true(r.c.broken);
			/* Broken it stays, though the index becomes right again. */
			r.prod = r.c.cons + 1;
			assert_int_equal(ion_cons_avail(&r.c), 0);
			assert_true(ion_cons_arm(&r.c));
			ion_cons_reset(&r.c, starts[i]);
			r.prod = starts[i] + 1;
			assert_int_equal(ion_cons_avail(&r.c), 1);
		}
	}
}

static void ring_takes_exactly_full(void **state)
{
	struct ring r;
	unsigned int i;

	for_each_start(&r, i)
	{
		r.prod = starts[i] + ENTRIES;
		assert_int_equal(ion_cons_avail(&r.c), ENTRIES);
		assert_false(r.c.broken);
	}
}

/* Back to an index that was already seen, though it is still ahead of ours. */
static void ring_rejects_producer_backwards(void **state)
{
	struct ring r;
	unsigned int i;

	for_each_start(&r, i)
	{
		ring_half(&r);
		assert_int_equal(ion_cons_avail(&r.c), ENTRIES / 2);
		r.prod--;
		assert_int_equal(ion_cons_avail(&r.c), 0);
		assert_true(r.c.broken);
	}
	for_each_start(&r, i)
	{
		ring_half(&r);
		assert_int_equal(ion_cons_avail(&r.c), ENTRIES / 2);
		get(&r, 0);
		get(&r, 1);
		r.prod = starts[i] + 1;
		assert_int_equal(ion_cons_avail(&r.c), 0);
		assert_true(r.c.broken);
	}
}

static void ring_rejects_consumer_outside_span(void **state)
{
	struct ring r;
	unsigned int i;

	/* Beyond what was published, though not beyond what was written. */
	for_each_start(&r, i)
	{
		ring_half(&r);
		put(&r, 99);
		r.cons = starts[i] + ENTRIES / 2 + 1;
		assert_int_equal(ion_prod_free(&r.p), 0);
		assert_true(r.p.broken);
	}
	/* Behind what was seen before. */
	for_each_start(&r, i)
	{
		ring_half(&r);
		r.cons = starts[i] + 2;
		assert_int_equal(ion_prod_free(&r.p), ENTRIES - 2);
		r.cons = starts[i] + 1;
		assert_int_equal(ion_prod_free(&r.p), 0);
		assert_true(r.p.broken);
		/* And it stays so. */
		r.cons = starts[i] + 2;
		assert_int_equal(ion_prod_free(&r.p), 0);
		ion_prod_reset(&r.p, starts[i]);
		r.cons = starts[i];
		assert_int_equal(ion_prod_free(&r.p), ENTRIES);
	}
	for_each_start(&r, i)
	{
		ring_half(&r);
		r.cons = starts[i] + (1u << 31);
		assert_int_equal(ion_prod_free(&r.p), 0);
		assert_true(r.p.broken);
	}
	for_each_start(&r, i)
	{
		r.cons = starts[i] - 1;
		assert_int_equal(ion_prod_free(&r.p), 0);
		assert_true(r.p.broken);
	}
}

/*
 * The rule in words: an index moved from old to now and passed event, that is,
 * event is one of old, old + 1, .. now - 1. Every small case, around zero and
 * elsewhere.
 */
static void ring_event_arithmetic(void **state)
{
	__u32 base, moved, at, i;
	bool passed;

	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		base = starts[i] - 20;
		for (moved = 0; moved <= 16; moved++) {
			for (at = 0; at < 60; at++) {
				passed = at >= 20 && at < 20 + moved;
				assert_int_equal(ion_need_event(base + at,
								base + 20 + moved,
								base + 20),
						 passed);
			}
		}
	}
}

static void ring_rings_armed_consumer_only(void **state)
{
	struct ring r;
	unsigned int i;

	for_each_start(&r, i)
	{
		/* Armed since its reset. */
		put(&r, 0);
		assert_true(ion_prod_publish(&r.p));
		/* Not armed again: nobody is to be rung. */
		put(&r, 1);
		assert_false(ion_prod_publish(&r.p));
		assert_false(ion_prod_publish(&r.p));
		assert_int_equal(ion_cons_avail(&r.c), 2);
		get(&r, 0);
		/* Armed with an entry left: it must not sleep. */
		assert_true(ion_cons_arm(&r.c));
		get(&r, 1);
		ion_cons_release(&r.c);
		assert_false(ion_cons_arm(&r.c));
		/* A batch that passes the event index in its middle rings once. */
		put(&r, 2);
		put(&r, 3);
		put(&r, 4);
		assert_true(ion_prod_publish(&r.p));
	}
}

/* What is published between the last look and the arming is not slept over. */
static void ring_arm_looks_again(void **state)
{
	struct ring r;
	unsigned int i;

	for_each_start(&r, i)
	{
		assert_int_equal(ion_cons_avail(&r.c), 0);
		put(&r, 7);
		ion_prod_publish(&r.p);
		assert_true(ion_cons_arm(&r.c));
		get(&r, 7);
	}
}

/* Whatever the other side writes over an end's own index, the end knows it. */
static void ring_keeps_its_own_index(void **state)
{
	struct ring r;
	unsigned int i;

	for_each_start(&r, i)
	{
		ring_half(&r);
		assert_int_equal(ion_cons_avail(&r.c), ENTRIES / 2);
		get(&r, 0);
		r.prod = starts[i] + 1000;
		r.cons = starts[i];
		put(&r, ENTRIES / 2);
		ion_prod_publish(&r.p);
		assert_int_equal(r.prod, starts[i] + ENTRIES / 2 + 1);
		r.cons = starts[i] - 1000;
		get(&r, 1);
		ion_cons_release(&r.c);
		assert_int_equal(r.cons, starts[i] + 2);
		assert_int_equal(ion_cons_avail(&r.c), ENTRIES / 2 - 1);
		assert_int_equal(ion_prod_free(&r.p), ENTRIES / 2 + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ring_reset_stores_initial),
		cmocka_unit_test(ring_fills_and_empties),
		cmocka_unit_test(ring_wraps_at_2_32),
		cmocka_unit_test(ring_rejects_producer_jump),
		cmocka_unit_test(ring_takes_exactly_full),
		cmocka_unit_test(ring_rejects_producer_backwards),
		cmocka_unit_test(ring_rejects_consumer_outside_span),
		cmocka_unit_test(ring_event_arithmetic),
		cmocka_unit_test(ring_rings_armed_consumer_only),
		cmocka_unit_test(ring_arm_looks_again),
		cmocka_unit_test(ring_keeps_its_own_index),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
