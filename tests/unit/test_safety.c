/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The safety state: who can write what, what only ever becomes stricter, and
 * what a command line that comes again can do to it.
 */
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rumpk/log.h"
#include "rumpk/safety.h"
#include "rumpk/util.h"

struct bench {
	int authority_fd;
	int ledger_fd;
	struct authority *a;
	struct ledger *l;
	struct options o;
};

static int setup(void **state)
{
	static struct bench bench;
	struct bench *b = &bench;

	rumpk_log_level(RUMPK_ERROR);
	memset(b, 0, sizeof(*b));
	assert_int_equal(safety_create(&b->authority_fd, &b->ledger_fd), 0);
	b->a = safety_map_authority(b->authority_fd);
	b->l = safety_map_ledger(b->ledger_fd);
	assert_non_null(b->a);
	assert_non_null(b->l);
	b->o.disks = 2;
	b->o.disk[0].rights = CSPACE_READ | CSPACE_WRITE;
	b->o.disk[0].last = UINT64_MAX;
	b->o.disk[1].rights = CSPACE_READ;
	b->o.disk[1].first = 100;
	b->o.disk[1].last = 199;
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	safety_unmap(b->a, sizeof(*b->a));
	safety_unmap(b->l, sizeof(*b->l));
	close(b->authority_fd);
	close(b->ledger_fd);
	return 0;
}

static bool holds(const struct bench *b, unsigned int slot, struct cspace_cap *cap)
{
	return cspace_lookup(&b->a->cspace, slot, ION_KIND_BLK, (uint16_t)slot,
			     cap) != NULL;
}

/* What a worker does with its read-only mapping, in a child; the signal. */
static int in_child(void (*body)(const struct bench *b), const struct bench *b)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		body(b);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static void write_to_it(const struct bench *b)
{
	const struct authority *a =
		safety_map_authority_read_only(b->authority_fd);

	((volatile struct authority *)(uintptr_t)a)->sync_failed[0] = 0;
}

static void make_it_writable(const struct bench *b)
{
	const struct authority *a =
		safety_map_authority_read_only(b->authority_fd);

	if (!a || a->sync_failed[3] != 1)
		_exit(1);
	if (mprotect((void *)(uintptr_t)a, sizeof(*a), PROT_READ | PROT_WRITE) ==
		    0 ||
	    errno != EACCES)
		_exit(2);
}

static void use_the_parents(const struct bench *b)
{
	*(volatile uint32_t *)&b->a->sync_failed[0] = 0;
}

/* A worker has the authority read-only, for good, and no other mapping of it. */
static void authority_is_read_only(void **state)
{
	struct bench *b = *state;

	b->a->sync_failed[3] = 1;
	assert_int_equal(in_child(write_to_it, b), SIGSEGV);
	assert_int_equal(in_child(make_it_writable, b), 0);
	assert_int_equal(in_child(use_the_parents, b), SIGSEGV);
}

/* What one changes, the other sees at its next look. */
static void revocation_is_seen(void **state)
{
	struct bench *b = *state;
	const struct authority *ro =
		safety_map_authority_read_only(b->authority_fd);
	struct cspace_cap cap;

	assert_non_null(ro);
	safety_grant(b->a, &b->o, false);
	assert_non_null(cspace_lookup(&ro->cspace, 0, ION_KIND_BLK, 0, &cap));
	assert_int_equal(cspace_revoke(&b->a->cspace, 0), 0);
	assert_null(cspace_lookup(&ro->cspace, 0, ION_KIND_BLK, 0, &cap));
	assert_non_null(cspace_lookup(&ro->cspace, 1, ION_KIND_BLK, 1, &cap));
	safety_unmap((void *)(uintptr_t)ro, sizeof(*ro));
}

/* A latch goes one way. */
static void latches_stay(void **state)
{
	struct bench *b = *state;

	safety_keep_latches(b->a, b->l);
	assert_int_equal(b->a->sync_failed[1], 0);
	b->l->channel[1].sync_failed = 1;
	safety_keep_latches(b->a, b->l);
	assert_int_equal(b->a->sync_failed[1], 1);
	assert_int_equal(b->a->sync_failed[0], 0);
	b->l->channel[1].sync_failed = 0;
	safety_keep_latches(b->a, b->l);
	safety_clear_worker(b->l);
	safety_keep_latches(b->a, b->l);
	assert_int_equal(b->a->sync_failed[1], 1);
}

/* Only an operator takes one back, and only those of before. */
static void latches_are_reopened(void **state)
{
	struct bench *b = *state;

	b->l->channel[1].sync_failed = valve_latch(&b->a->reopened[1]);
	assert_true(safety_latched(b->a, b->l, 1));
	safety_keep_latches(b->a, b->l);
	safety_reopen(b->a, 1);
	assert_false(safety_latched(b->a, b->l, 1));
	safety_keep_latches(b->a, b->l);
	assert_int_equal(b->a->sync_failed[1], 0);
	/* The next failure is a new one, whenever the worker has heard of it. */
	b->l->channel[1].sync_failed = valve_latch(&b->a->reopened[1]);
	safety_keep_latches(b->a, b->l);
	b->l->channel[1].sync_failed = 0;
	assert_true(safety_latched(b->a, b->l, 1));
	assert_false(safety_latched(b->a, b->l, 0));
}

/* What an operator says at run time gives back as well as it takes. */
static void regrant_is_the_last_word(void **state)
{
	struct bench *b = *state;
	struct disk_options d = { .rights = CSPACE_READ, .first = 1, .last = 5 };
	struct cspace_cap cap;
	uint64_t changes;

	safety_grant(b->a, &b->o, false);
	assert_true(safety_regrant(b->a, 0, &d));
	assert_true(holds(b, 0, &cap));
	assert_int_equal(cap.rights, CSPACE_READ);
	assert_int_equal(cap.last, 5);
	changes = b->a->changes;
	assert_false(safety_regrant(b->a, 0, &d));
	assert_int_equal(b->a->changes, changes);
	d.rights = 0;
	assert_true(safety_regrant(b->a, 0, &d));
	assert_false(holds(b, 0, &cap));
	assert_false(safety_regrant(b->a, 0, &d));
	assert_int_equal(b->a->changes, changes + 1);
	assert_true(safety_regrant(b->a, 0, &b->o.disk[0]));
	assert_true(holds(b, 0, &cap));
	assert_int_equal(cap.rights, CSPACE_READ | CSPACE_WRITE);
	/* And what it took, a restart does not give back. */
	safety_regrant(b->a, 0, &d);
	safety_grant(b->a, &b->o, true);
	assert_false(holds(b, 0, &cap));
}

/* Of a worker that is gone only that is forgotten which was its alone. */
static void counters_go_on(void **state)
{
	struct bench *b = *state;
	struct safety_load load;

	b->l->channel[0].stats.writes = 5;
	b->l->channel[0].generation = 77;
	b->l->channel[0].pending[3].since_ms = coarse_ms() - 50;
	b->l->channel[0].pending[3].bytes = 4096;
	b->l->channel[1].pending[0].since_ms = coarse_ms();
	b->l->phase = LEDGER_SERVING;
	b->l->beat.turns = 9;
	load = safety_load(b->l);
	assert_int_equal(load.requests, 2);
	assert_int_equal(load.bytes, 4096);
	assert_in_range(load.oldest_ms, 50, 5000);
	safety_clear_worker(b->l);
	assert_int_equal(safety_load(b->l).requests, 0);
	assert_int_equal(b->l->phase, LEDGER_STARTING);
	assert_int_equal(b->l->beat.turns, 0);
	assert_int_equal(b->l->channel[0].stats.writes, 5);
	assert_int_equal(b->l->channel[0].generation, 77);
}

static void other_versions_are_refused(void **state)
{
	struct bench *b = *state;

	b->a->header.version++;
	assert_null(safety_map_authority(b->authority_fd));
	assert_int_equal(errno, EPROTO);
	assert_null(safety_map_ledger(b->authority_fd));
	b->a->header.version--;
	b->l->header.magic++;
	assert_null(safety_map_ledger(b->ledger_fd));
	assert_int_equal(errno, EPROTO);
}

/* The same command line gives back nothing that was taken meanwhile. */
static void restart_widens_nothing(void **state)
{
	struct bench *b = *state;
	struct cspace_cap cap;

	safety_grant(b->a, &b->o, false);
	assert_true(holds(b, 0, &cap));
	assert_int_equal(cap.rights, CSPACE_READ | CSPACE_WRITE);
	assert_false(holds(b, 2, &cap));
	assert_int_equal(cspace_narrow(&b->a->cspace, 0, CSPACE_READ, 10, 20), 0);
	assert_int_equal(cspace_revoke(&b->a->cspace, 1), 0);
	safety_grant(b->a, &b->o, true);
	assert_true(holds(b, 0, &cap));
	assert_int_equal(cap.rights, CSPACE_READ);
	assert_int_equal(cap.first, 10);
	assert_int_equal(cap.last, 20);
	assert_false(holds(b, 1, &cap));
}

/* One that says less takes away. */
static void restart_narrows(void **state)
{
	struct bench *b = *state;
	int out = memfd_create("said", MFD_CLOEXEC);
	int saved = dup(STDERR_FILENO);
	struct cspace_cap cap;
	char said[1024] = "";

	safety_grant(b->a, &b->o, false);
	b->o.disk[0].rights = CSPACE_READ | CSPACE_DISCARD;
	b->o.disk[0].first = 5;
	b->o.disk[0].last = 6;
	b->o.disk[1].first = 200;
	b->o.disk[1].last = 300;
	rumpk_log_level(RUMPK_INFO);
	dup2(out, STDERR_FILENO);
	safety_grant(b->a, &b->o, true);
	dup2(saved, STDERR_FILENO);
	close(saved);
	assert_true(pread(out, said, sizeof(said) - 1, 0) > 0);
	close(out);
	assert_non_null(
		strstr(said,
		       "channel=0 started again with less: capability now r:5-6, before rw"));
	assert_true(holds(b, 0, &cap));
	assert_int_equal(cap.rights, CSPACE_READ);
	assert_int_equal(cap.first, 5);
	assert_int_equal(cap.last, 6);
	/* Nothing is left of it. */
	assert_false(holds(b, 1, &cap));
	b->o.disk[0].rights = 0;
	safety_grant(b->a, &b->o, true);
	assert_false(holds(b, 0, &cap));
}

static void hold_fence(const struct bench *b)
{
	if (safety_fence(b->ledger_fd, 0) < 0)
		_exit(1);
	pause();
}

/* One worker at a time: its end, also by SIGKILL, lets the next one in. */
static void fence_holds(void **state)
{
	struct bench *b = *state;
	int fd = safety_fence(b->ledger_fd, 0);
	pid_t pid;
	int i;

	assert_true(fd >= 0);
	assert_int_equal(safety_fence(b->ledger_fd, 20), -EBUSY);
	close(fd);
	pid = fork();
	if (pid == 0)
		hold_fence(b);
	for (i = 0; i < 500; i++) {
		fd = safety_fence(b->ledger_fd, 0);
		if (fd == -EBUSY)
			break;
		close(fd);
		usleep(10000);
	}
	assert_int_equal(fd, -EBUSY);
	kill(pid, SIGKILL);
	fd = safety_fence(b->ledger_fd, 5000);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

#define safety_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		safety_test(authority_is_read_only),
		safety_test(revocation_is_seen),
		safety_test(latches_stay),
		safety_test(latches_are_reopened),
		safety_test(regrant_is_the_last_word),
		safety_test(counters_go_on),
		safety_test(other_versions_are_refused),
		safety_test(restart_widens_nothing),
		safety_test(restart_narrows),
		safety_test(fence_holds),
	};

	return cmocka_run_group_tests_name("safety", tests, NULL, NULL);
}
