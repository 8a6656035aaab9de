/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The CSpace: nothing is allowed that was not granted, grants only shrink, and
 * a revoked slot is revoked.
 */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

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
 * A reader has one or the other, whole: no mixture of two that would allow what
 * neither does. It has none only where more changes came during one lookup than
 * COPY_TRIES of cspace.c, which a thread that does nothing else can bring about.
 */
#define ROUNDS 300000u
#define MANY 64u

static struct cspace shared;

static void *change(void *arg)
{
	struct cspace_cap wide = whole;
	unsigned int i;

	(void)arg;
	wide.rights = CSPACE_ALL;
	wide.first = 1000;
	wide.last = 1999;
	for (i = 0; i < ROUNDS; i++)
		cspace_set(&shared, 3, i & 1 ? &whole : &wide);
	return NULL;
}

static void cspace_is_never_torn(void **state)
{
	struct cspace_cap cap;
	uint64_t seen = 0;
	uint64_t before;
	pthread_t writer;

	assert_int_equal(cspace_set(&shared, 3, &whole), 0);
	assert_int_equal(pthread_create(&writer, NULL, change, NULL), 0);
	while ((before = cspace_epoch(&shared, 3)) <= ROUNDS || !seen) {
		if (!cspace_lookup(&shared, 3, KIND, 1, &cap)) {
			assert_true(cspace_epoch(&shared, 3) - before >= MANY);
			continue;
		}
		assert_int_equal(cap.last - cap.first,
				 cap.rights == CSPACE_ALL ? 999 : 99);
		seen++;
	}
	pthread_join(writer, NULL);
	assert_non_null(cspace_lookup(&shared, 3, KIND, 1, &cap));
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
