/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The CSpace: nothing is allowed that was not granted, grants only shrink, and
 * a revoked slot is revoked.
 */
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "rumpk/cspace.h"

#define KIND 0x0700

static const struct cspace_cap whole = {
	.kind = KIND,
	.instance = 1,
	.rights = CSPACE_READ | CSPACE_WRITE,
	.first = 100,
	.last = 199,
};

static struct cspace_cap found;

static void cspace_is_empty_by_default(void **state)
{
	struct cspace cs = { 0 };
	unsigned int i;

	for (i = 0; i < 256; i++)
		assert_null(cspace_lookup(&cs, i, 0, 0, &found));
}

static void cspace_names_one_channel(void **state)
{
	struct cspace cs = { 0 };

	assert_int_equal(cspace_grant(&cs, 63, &whole), 0);
	assert_non_null(cspace_lookup(&cs, 63, KIND, 1, &found));
	assert_null(cspace_lookup(&cs, 63, KIND, 0, &found));
	assert_null(cspace_lookup(&cs, 63, KIND + 1, 1, &found));
	assert_null(cspace_lookup(&cs, 62, KIND, 1, &found));
	assert_null(cspace_lookup(&cs, 64, KIND, 1, &found));
	assert_null(cspace_lookup(&cs, 255, KIND, 1, &found));
}

static void cspace_refuses_bad_grants(void **state)
{
	struct cspace cs = { 0 };
	struct cspace_cap cap = whole;

	assert_int_equal(cspace_grant(&cs, 64, &whole), -EINVAL);
	cap.rights = 0;
	assert_int_equal(cspace_grant(&cs, 0, &cap), -EINVAL);
	cap.rights = CSPACE_ALL + 1;
	assert_int_equal(cspace_grant(&cs, 0, &cap), -EINVAL);
	cap = whole;
	cap.first = cap.last + 1;
	assert_int_equal(cspace_grant(&cs, 0, &cap), -EINVAL);
	assert_int_equal(cspace_grant(&cs, 0, &whole), 0);
	assert_int_equal(cspace_grant(&cs, 0, &whole), -EBUSY);
}

static void cspace_only_narrows(void **state)
{
	struct cspace cs = { 0 };
	const struct cspace_cap *cap;

	assert_int_equal(cspace_narrow(&cs, 0, CSPACE_READ, 100, 199), -ENOENT);
	assert_int_equal(cspace_narrow(&cs, 64, CSPACE_READ, 1, 1), -ENOENT);
	cspace_grant(&cs, 0, &whole);
	assert_int_equal(cspace_narrow(&cs, 0, CSPACE_ALL, 100, 199), -EPERM);
	assert_int_equal(cspace_narrow(&cs, 0, CSPACE_READ, 99, 199), -EPERM);
	assert_int_equal(cspace_narrow(&cs, 0, CSPACE_READ, 100, 200), -EPERM);
	assert_int_equal(cspace_narrow(&cs, 0, CSPACE_READ, 150, 149), -EPERM);
	assert_int_equal(cspace_narrow(&cs, 0, 0, 100, 199), -EPERM);
	assert_int_equal(cspace_narrow(&cs, 0, CSPACE_READ, 110, 120), 0);
	cap = cspace_lookup(&cs, 0, KIND, 1, &found);
	assert_int_equal(cap->rights, CSPACE_READ);
	assert_int_equal(cap->first, 110);
	assert_int_equal(cap->last, 120);
	assert_int_equal(cspace_narrow(&cs, 0, CSPACE_WRITE, 110, 120), -EPERM);
}

static void cspace_revokes_at_once(void **state)
{
	struct cspace cs = { 0 };
	uint64_t epoch;

	assert_int_equal(cspace_revoke(&cs, 5), -ENOENT);
	assert_int_equal(cspace_revoke(&cs, 64), -ENOENT);
	cspace_grant(&cs, 5, &whole);
	epoch = cs.epoch;
	assert_int_equal(cspace_revoke(&cs, 5), 0);
	assert_null(cspace_lookup(&cs, 5, KIND, 1, &found));
	assert_int_equal(cspace_revoke(&cs, 5), -ENOENT);
	assert_int_equal(cspace_narrow(&cs, 5, CSPACE_READ, 100, 199), -ENOENT);
	assert_int_equal(cspace_grant(&cs, 5, &whole), 0);
	assert_non_null(cspace_lookup(&cs, 5, KIND, 1, &found));
	assert_true(cs.epoch > epoch + 1);
}

static void cspace_is_set_as_a_whole(void **state)
{
	struct cspace cs = { 0 };
	struct cspace_cap other = whole;
	int former;

	other.rights = CSPACE_ALL;
	other.first = 150;
	other.last = 500;
	assert_int_equal(cspace_set(&cs, 64, &whole), -EINVAL);
	other.rights = 0;
	assert_int_equal(cspace_set(&cs, 0, &other), -EINVAL);
	other.rights = CSPACE_ALL;
	assert_int_equal(cspace_set(&cs, 0, &whole), 0);
	former = memcmp(&cs.slot[0].cap[0], &whole, sizeof(whole)) != 0;
	assert_int_equal(cspace_set(&cs, 0, &other), 0);
	assert_non_null(cspace_lookup(&cs, 0, KIND, 1, &found));
	assert_memory_equal(&found, &other, sizeof(found));
	/* Who is copying the former one meanwhile still finds it whole. */
	assert_memory_equal(&cs.slot[0].cap[former], &whole, sizeof(whole));
	assert_int_equal(cspace_epoch(&cs, 0), 2);
	assert_int_equal(cspace_epoch(&cs, 1), 0);
	assert_int_equal(cspace_revoke(&cs, 0), 0);
	assert_false(cspace_read(&cs, 0, &found));
	assert_int_equal(cspace_set(&cs, 0, &whole), 0);
	assert_true(cspace_read(&cs, 0, &found));
	assert_memory_equal(&found, &whole, sizeof(found));
	assert_int_equal(cspace_epoch(&cs, 0), 4);
}

/*
 * A reader has what was held before a change or after it, whole: no mixture of two
 * that would allow what neither does. One runs a single instruction at a time, and
 * the other, all of it, between two of them: each two in turn. What order a processor
 * may give to stores is not seen so.
 */
#define SINGLE_STEP 0x100

static struct cspace shared;
static struct cspace_cap wide;
static volatile bool stepping;
static volatile unsigned int step;
static unsigned int when;
static unsigned int torn;
static void (*intrude)(void);

static void on_step(int sig, siginfo_t *info, void *context)
{
	greg_t *flags = &((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL];

	if (!stepping) {
		*flags &= ~SINGLE_STEP;
		return;
	}
	*flags |= SINGLE_STEP;
	if (step++ == when)
		intrude();
}

/* Return: whether @run was not over before step @when. */
static bool run_with_intruder(void (*run)(void))
{
	step = 0;
	stepping = true;
	raise(SIGTRAP);
	run();
	stepping = false;
	return step > when;
}

/* Judged afterwards: what fails jumps, and would go on a step at a time. */
static void look(void)
{
	if (!cspace_lookup(&shared, 3, KIND, 1, &found) ||
	    (memcmp(&found, &whole, sizeof(found)) &&
	     memcmp(&found, &wide, sizeof(found))))
		torn++;
}

static void change(void)
{
	cspace_set(&shared, 3, &wide);
}

/* The place that is being read is written to by the second change alone. */
static void change_twice(void)
{
	cspace_set(&shared, 3, &whole);
	cspace_set(&shared, 3, &wide);
}

static void at_each_step(void (*run)(void), void (*other)(void))
{
	intrude = other;
	torn = 0;
	when = 0;
	do {
		memset(&shared, 0, sizeof(shared));
		assert_int_equal(cspace_set(&shared, 3, &whole), 0);
	} while (run_with_intruder(run) && ++when);
	assert_int_equal(torn, 0);
	assert_true(when > 20);
}

static void cspace_is_never_torn(void **state)
{
	const struct sigaction sa = { .sa_sigaction = on_step,
				      .sa_flags = SA_SIGINFO };

	wide = whole;
	wide.rights = CSPACE_ALL;
	wide.first = 1000;
	wide.last = 1999;
	assert_int_equal(sigaction(SIGTRAP, &sa, NULL), 0);
	at_each_step(look, change);
	at_each_step(look, change_twice);
	at_each_step(change, look);
	signal(SIGTRAP, SIG_DFL);
}

static void cspace_covers_without_overflow(void **state)
{
	struct cspace_cap cap = whole;

	assert_true(cspace_covers(&cap, 100, 100));
	assert_true(cspace_covers(&cap, 199, 1));
	assert_false(cspace_covers(&cap, 199, 2));
	assert_false(cspace_covers(&cap, 99, 2));
	assert_false(cspace_covers(&cap, 100, 101));
	assert_false(cspace_covers(&cap, UINT64_MAX, 2));
	assert_false(cspace_covers(&cap, 150, UINT64_MAX));
	cap.first = 0;
	cap.last = UINT64_MAX;
	assert_true(cspace_covers(&cap, UINT64_MAX, 1));
	assert_false(cspace_covers(&cap, UINT64_MAX, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cspace_is_empty_by_default),
		cmocka_unit_test(cspace_names_one_channel),
		cmocka_unit_test(cspace_refuses_bad_grants),
		cmocka_unit_test(cspace_only_narrows),
		cmocka_unit_test(cspace_revokes_at_once),
		cmocka_unit_test(cspace_is_set_as_a_whole),
		cmocka_unit_test(cspace_is_never_torn),
		cmocka_unit_test(cspace_covers_without_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
