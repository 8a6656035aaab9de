/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The heartbeat: it shows, and it gets the serving thread out of a wait that
 * would be for ever.
 */
#include "unit.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "rumpk/beat.h"

/* An eventfd that is full: a blocking write to it waits. */
static int full_bell(void)
{
	const uint64_t most = UINT64_MAX - 1;
	int fd = eventfd(0, 0);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, &most, sizeof(most)), sizeof(most));
	return fd;
}

static void beat_ends_a_wait(void **state)
{
	struct ion_host_header header = { .heartbeat = 0 };
	struct beat_words words = { 0 };
	struct beat beat = { .stop = false };
	const uint64_t one = 1;
	int fd = full_bell();

	assert_int_equal(beat_start(&beat, &header, &words), 0);
	assert_int_equal(write(fd, &one, sizeof(one)), -1);
	assert_int_equal(errno, EINTR);
	assert_true(ion_read(&header.heartbeat) > 0);
	assert_true(__atomic_load_n(&words.beats, __ATOMIC_RELAXED) > 0);
	assert_int_equal(words.turns, 0);
	beat_stop(&beat);
	close(fd);
}

static void beat_leaves_a_busy_server_alone(void **state)
{
	const struct timespec tenth = { .tv_nsec = 100000000l };
	struct ion_host_header header = { .heartbeat = 0 };
	struct beat_words words = { 0 };
	struct beat beat = { .stop = false };
	int i;

	assert_int_equal(beat_start(&beat, &header, &words), 0);
	for (i = 0; i < 20; i++) {
		beat_turn(&beat);
		assert_int_equal(nanosleep(&tenth, NULL), 0);
	}
	beat_stop(&beat);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(beat_ends_a_wait),
		cmocka_unit_test(beat_leaves_a_busy_server_alone),
	};

	return cmocka_run_group_tests_name("beat", tests, NULL, NULL);
}
