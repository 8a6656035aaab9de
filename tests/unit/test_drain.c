/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When a change of the authority is all there is, seen through a ledger that the test
 * writes as a worker would.
 */
#include "unit.h"

#include <string.h>

#include "rumpk/drain.h"
#include "rumpk/util.h"

#define DISK 3u

static struct authority a;
static struct ledger l;
static struct drain d;

static void pend(unsigned int tag, uint32_t since)
{
	l.channel[DISK].pending[tag].since_ms = since;
}

static enum drain_state look(void)
{
	return drain_look(&d, &l, DISK);
}

static int setup(void **state)
{
	memset(&a, 0, sizeof(a));
	memset(&l, 0, sizeof(l));
	a.changes = 5;
	l.seen = 4;
	l.channel[DISK].state = ION_HOST_LIVE;
	drain_begin(&d, &a);
	return 0;
}

static void drain_waits_for_notice(void **state)
{
	assert_int_equal(look(), DRAIN_WAITS);
	/* A later change is one as well; that of before is not. */
	l.seen = 6;
	assert_int_equal(look(), DRAIN_OVER);
}

static void drain_waits_for_each(void **state)
{
	pend(0, 100);
	pend(7, 101);
	assert_int_equal(drain_left(&d, &l, DISK), 2);
	l.seen = 5;
	assert_int_equal(look(), DRAIN_WAITS);
	/* What began after the worker took notice is not waited for. */
	pend(9, 102);
	pend(7, 0);
	assert_int_equal(look(), DRAIN_WAITS);
	assert_int_equal(drain_left(&d, &l, DISK), 1);
	/* The tag is another request's by now. */
	pend(0, 103);
	assert_int_equal(look(), DRAIN_OVER);
	pend(0, 100);
	assert_int_equal(look(), DRAIN_OVER);
}

static void drain_is_of_one_disk(void **state)
{
	l.seen = 5;
	l.channel[DISK + 1].pending[0].since_ms = 1;
	assert_int_equal(look(), DRAIN_OVER);
}

/* A worker dies; the next one offers the disk when nothing of it can land. */
static void drain_waits_for_the_fence(void **state)
{
	pend(1, 50);
	l.seen = 5;
	assert_int_equal(look(), DRAIN_WAITS);
	safety_clear_worker(&l);
	assert_int_equal(look(), DRAIN_WAITS);
	l.channel[DISK].state = ION_HOST_DOWN;
	l.seen = 5;
	assert_int_equal(look(), DRAIN_WAITS);
	l.channel[DISK].state = ION_HOST_READY;
	assert_int_equal(look(), DRAIN_OVER);
}

/* It was served without a fence, perhaps; what an operator reopens, he answers for. */
static void drain_knows_nothing_of_the_lost(void **state)
{
	l.disk[DISK].lost = 1;
	l.seen = 5;
	assert_int_equal(look(), DRAIN_WAITS);
	d.until_ms = now_ms();
	assert_int_equal(look(), DRAIN_LATE);
	assert_non_null(drain_obstacle(&l, DISK));
	l.disk[DISK].lost = 0;
	assert_int_equal(look(), DRAIN_OVER);
}

static void drain_has_an_end(void **state)
{
	pend(2, 1);
	l.seen = 5;
	d.until_ms = now_ms();
	assert_int_equal(look(), DRAIN_LATE);
	assert_int_equal(drain_left(&d, &l, DISK), 1);
	pend(2, 0);
	assert_int_equal(look(), DRAIN_OVER);
	l.seen = 4;
	assert_int_equal(look(), DRAIN_LATE);
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(drain_waits_for_notice),
		TEST(drain_waits_for_each),
		TEST(drain_is_of_one_disk),
		TEST(drain_waits_for_the_fence),
		TEST(drain_knows_nothing_of_the_lost),
		TEST(drain_has_an_end),
	};

	return cmocka_run_group_tests_name("drain", tests, NULL, NULL);
}
