/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The worker dies at each step of a request, of a handshake and of its own start,
 * the last once and twice in a row. Every request is answered once, and what was
 * written is there.
 *
 * The whole daemon is forked from here, and its parts are linked so that a call of
 * one by another, or of the C library's, comes by here first (--wrap in the Makefile):
 * "NAME<" is the step before the call, "NAME>" the one after it.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "rumpk/cell.h"
#include "rumpk/confine.h"
#include "rumpk/image.h"
#include "rumpk/uring.h"
#include "rumpk/util.h"
#include "rumpk/worker.h"
#include "daemon.h"
#include "sim_guest.h"
#include "worker_of.h"

#define ALL (~0ull)
#define DEPTH 64
#define BYTES (8u << 20)
#define WRITES 8u
#define SECTORS 8u
#define PATIENCE_MS 20000u

/**
 * struct page - what all processes see
 * @step: where a worker dies; empty: nowhere
 * @at: which time it comes there
 * @times: workers that are to die there, one after the other
 * @died: workers that have
 */
struct page {
	char step[40];
	unsigned int at;
	unsigned int times;
	unsigned int died;
};

static struct page *page;
static bool in_worker;
static char dir[64];
static char socket_path[80];
static char log_path[80];
static char image[96];
static char disk[128];
static pid_t daemon_pid;
static struct sim_guest g;
static uint8_t round_number;

/* No cleaning up: as a signal does it, which confinement does not allow. */
static void here(const char *step)
{
	if (!in_worker || !*step || strcmp(page->step, step) || --page->at)
		return;
	page->died++;
	page->at = 1;
	if (page->died == page->times)
		page->step[0] = '\0';
	syscall(SYS_exit_group, 99);
}

#define STEP(type, name, parameters, arguments)                                \
	type __real_##name parameters;                                         \
	type __wrap_##name parameters;                                         \
	type __wrap_##name parameters                                          \
	{                                                                      \
		type result;                                                   \
                                                                               \
		here(#name "<");                                               \
		result = __real_##name arguments;                              \
		here(#name ">");                                               \
		return result;                                                 \
	}

#define STEP_VOID(name, parameters, arguments)                                 \
	void __real_##name parameters;                                         \
	void __wrap_##name parameters;                                         \
	void __wrap_##name parameters                                          \
	{                                                                      \
		here(#name "<");                                               \
		__real_##name arguments;                                       \
		here(#name ">");                                               \
	}

/* A request. */
STEP_VOID(valve_submit, (struct valve * v, const struct nxblk_req *req), (v, req))
STEP_VOID(valve_published, (struct valve * v), (v))
STEP(ssize_t, pwritev2,
     (int fd, const struct iovec *iov, int n, off_t at, int flags),
     (fd, iov, n, at, flags))
STEP(int, fdatasync, (int fd), (fd))

/* A handshake. */
STEP_VOID(valve_live, (struct valve * v, const struct valve_terms *t), (v, t))

/* A start. */
STEP(int, safety_fence, (int fd, unsigned int ms), (fd, ms))
STEP(int, window_map, (struct window * w, int fd, int record, uint64_t length),
     (w, fd, record, length))
STEP(int, cell_open_disks,
     (struct cell * c, const struct options *o, bool again), (c, o, again))
STEP(int, image_open_again,
     (struct image * img, int known, const char *path, bool ro, uint32_t block),
     (img, known, path, ro, block))
STEP(int, image_lock, (int fd, bool ro, unsigned int ms), (fd, ro, ms))
STEP(int, confine_files, (bool *none), (none))
STEP(int, cell_prepare, (struct cell * c), (c))
STEP(int, valve_init, (struct valve * v, uint32_t depth), (v, depth))
STEP(int, uring_open, (struct io_uring * r, unsigned int entries), (r, entries))
STEP(int, beat_start,
     (struct beat * b, struct ion_host_header *h, struct beat_words *w),
     (b, h, w))
STEP(int, cell_loop_init, (struct cell * c), (c))
STEP(int, confine_calls, (void), ())
STEP(int, cell_start, (struct cell * c, bool again), (c, again))
STEP_VOID(window_set_config,
	  (struct window * w, uint32_t n, struct nxblk_config *config),
	  (w, n, config))
STEP_VOID(channel_start, (struct cell_channel * ch), (ch))
STEP_VOID(window_restart, (struct window * w), (w))
STEP(ssize_t, send, (int fd, const void *p, size_t n, int flags),
     (fd, p, n, flags))

int __real_worker_main(const void *arg, const struct worker_seat *seat);
int __wrap_worker_main(const void *arg, const struct worker_seat *seat);
int __wrap_worker_main(const void *arg, const struct worker_seat *seat)
{
	in_worker = true;
	return __real_worker_main(arg, seat);
}

/* A doorbell, or a line of the log about the channel's life. */
static const char *write_step(int fd, const char *text, size_t n, bool after)
{
	if (fd != STDERR_FILENO && n == 8)
		return after ? "doorbell>" : "doorbell<";
	if (fd == STDERR_FILENO && memmem(text, n, "channel=0 draining", 18))
		return "draining";
	if (fd == STDERR_FILENO && memmem(text, n, "channel=0 ready", 15))
		return "ready";
	if (fd == STDERR_FILENO && memmem(text, n, "channel=0 live", 14))
		return "live";
	return "";
}

ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n)
{
	ssize_t done;

	if (!in_worker)
		return __real_write(fd, p, n);
	here(write_step(fd, p, n, false));
	done = __real_write(fd, p, n);
	here(write_step(fd, p, n, true));
	return done;
}

static void arm(const char *step, unsigned int at, unsigned int times)
{
	memset(page, 0, sizeof(*page));
	page->at = at;
	page->times = times;
	strcpy(page->step, step);
}

static void start(void)
{
	const char *args[] = { "--socket", socket_path, "--log-level", "debug",
			       "--disk",   disk,	NULL };

	arm("", 0, 0);
	daemon_pid = daemon_start(args, log_path);
	assert_int_equal(sim_connect(&g, socket_path, 1, 2), 0);
	assert_int_equal(sim_bind(&g, 0), 0);
	assert_int_equal(sim_attach(&g, ALL, DEPTH), 0);
}

/* A host that has not seen a reset yet still shows the former generation as LIVE. */
static bool is_live(void)
{
	return g.end.state == ION_GUEST_LIVE &&
	       ion_load_acquire(&g.end.theirs->state) == ION_HOST_LIVE &&
	       ion_read(&g.end.theirs->generation) == g.end.generation;
}

/* As the kernel does it: acknowledge whatever is offered, until one serves. */
static void follow(void)
{
	uint64_t until = now_ms() + PATIENCE_MS;

	do {
		assert_true(now_ms() < until);
		if (ion_guest_offer(&g.end, &g.offer) &&
		    (g.end.state != ION_GUEST_LIVE ||
		     g.offer.generation != g.end.generation))
			sim_ack(&g, g.offer.features, DEPTH);
		usleep(50);
	} while (!is_live());
}

/**
 * struct batch - requests that a user waits for
 * @req: requests
 * @answers: that each has got
 * @count: of them
 */
struct batch {
	struct nxblk_req req[WRITES];
	unsigned int answers[WRITES];
	unsigned int count;
};

/* What is not answered yet, in the present generation. */
static void issue(struct batch *b)
{
	unsigned int i;

	for (i = 0; i < b->count; i++) {
		if (b->answers[i])
			continue;
		b->req[i].generation = (uint32_t)g.end.generation;
		b->req[i].cookie = ++g.cookie;
		sim_put(&g, &b->req[i]);
	}
	if (ion_prod_publish(&g.end.req))
		sim_ring(&g);
}

static void take_answers(struct batch *b)
{
	struct nxblk_resp rsp;

	while (ion_cons_avail(&g.end.rsp)) {
		ion_cons_get(&g.end.rsp, &rsp);
		ion_cons_release(&g.end.rsp);
		if (rsp.generation != (uint32_t)g.end.generation)
			continue;
		assert_true(rsp.tag < b->count);
		assert_true(rsp.cookie == b->req[rsp.tag].cookie);
		assert_int_equal(rsp.status, NXBLK_S_OK);
		assert_int_equal(++b->answers[rsp.tag], 1);
	}
	/* A host that starts anew puts its indices back. */
	if (g.end.rsp.broken)
		assert_true(ion_guest_lost(&g.end));
	else
		ion_cons_arm(&g.end.rsp);
}

static bool is_done(const struct batch *b)
{
	unsigned int i;

	for (i = 0; i < b->count; i++)
		if (!b->answers[i])
			return false;
	return true;
}

static void await(struct batch *b)
{
	uint64_t until = now_ms() + PATIENCE_MS;

	while (!is_done(b)) {
		assert_true(now_ms() < until);
		take_answers(b);
		if (is_done(b))
			break;
		if (ion_guest_lost(&g.end)) {
			follow();
			issue(b);
		}
		usleep(50);
	}
}

static void await_deaths(unsigned int times)
{
	uint64_t until = now_ms() + PATIENCE_MS;

	while (page->died < times) {
		assert_true(now_ms() < until);
		usleep(1000);
	}
}

static uint64_t sector_of(unsigned int i)
{
	return 128 * i + 8;
}

static void make_writes(struct batch *b)
{
	unsigned int i;

	memset(b, 0, sizeof(*b));
	b->count = WRITES;
	round_number++;
	for (i = 0; i < WRITES; i++) {
		struct nxblk_req *req = &b->req[i];

		sim_prepare(&g, req, NXBLK_OP_WRITE, (uint16_t)i);
		req->lba = sector_of(i);
		req->count = SECTORS;
		req->nseg = 1;
		req->seg[0].addr = g.dir.data.offset + 4096 * i;
		req->seg[0].len = 4096;
		memset(sim_data(&g) + 4096 * i, round_number + (int)i, 4096);
	}
}

static void make_flush(struct batch *b)
{
	memset(b, 0, sizeof(*b));
	b->count = 1;
	sim_prepare(&g, &b->req[0], NXBLK_OP_FLUSH, 0);
}

static void expect_written(void)
{
	uint8_t found[4096];
	int fd = open(image, O_RDONLY | O_CLOEXEC);
	unsigned int i;

	for (i = 0; i < WRITES; i++) {
		uint8_t want = (uint8_t)(round_number + i);

		assert_int_equal(pread(fd, found, 4096, (off_t)sector_of(i) * 512),
				 4096);
		assert_int_equal(found[0], want);
		assert_memory_equal(found, found + 1, 4095);
	}
	close(fd);
}

/* Nothing is left, and nothing comes that nobody asked for. */
static void settle(const char *step, unsigned int times)
{
	struct batch b;

	make_flush(&b);
	issue(&b);
	await(&b);
	expect_written();
	if (page->died != times)
		fail_msg("%s: %u workers died there, not %u", step, page->died,
			 times);
	make_writes(&b);
	issue(&b);
	await(&b);
	expect_written();
}

static void each_step_of_a_request(void **state)
{
	static const struct {
		const char *step;
		unsigned int at;
	} steps[] = {
		{ "valve_submit<", 1 },	   { "valve_submit<", 5 },
		{ "pwritev2<", 1 },	   { "pwritev2<", 8 },
		{ "pwritev2>", 1 },	   { "pwritev2>", 8 },
		{ "valve_submit>", 1 },	   { "valve_submit>", 8 },
		{ "valve_published<", 1 }, { "valve_published>", 1 },
		{ "doorbell<", 1 },	   { "doorbell>", 1 },
		{ "fdatasync<", 1 },	   { "fdatasync>", 1 },
	};
	struct batch b;
	unsigned int i;

	(void)state;
	start();
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		make_writes(&b);
		arm(steps[i].step, steps[i].at, 1);
		issue(&b);
		await(&b);
		settle(steps[i].step, 1);
	}
}

/* With requests in the rings, so that there is something to drain and to repeat. */
static void each_step_of_a_handshake(void **state)
{
	static const struct {
		const char *step;
		unsigned int at;
	} steps[] = {
		{ "draining", 1 },    { "ready", 1 },	  { "ready", 2 },
		{ "doorbell<", 1 },   { "doorbell>", 1 }, { "valve_live<", 1 },
		{ "valve_live>", 1 }, { "live", 1 },	  { "live", 2 },
		{ "doorbell<", 2 },   { "doorbell>", 2 },
	};
	struct batch b;
	unsigned int i;

	(void)state;
	start();
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		make_writes(&b);
		issue(&b);
		arm(steps[i].step, steps[i].at, 1);
		ion_guest_reset(&g.end, now_ns());
		sim_ring(&g);
		follow();
		issue(&b);
		await(&b);
		settle(steps[i].step, 1);
	}
}

/* The fence, the disks, confinement, the offer: once, and again by who comes next. */
static void each_step_of_a_start(void **state)
{
	static const char *const steps[] = {
		"safety_fence<",
		"safety_fence>",
		"window_map<",
		"window_map>",
		"cell_open_disks<",
		"image_open_again<",
		"image_lock<",
		"image_lock>",
		"image_open_again>",
		"cell_open_disks>",
		"confine_files<",
		"confine_files>",
		"cell_prepare<",
		"valve_init>",
		"uring_open<",
		"uring_open>",
		"beat_start<",
		"beat_start>",
		"cell_prepare>",
		"cell_loop_init>",
		"confine_calls<",
		"confine_calls>",
		"cell_start<",
		"window_set_config<",
		"window_set_config>",
		"channel_start<",
		"channel_start>",
		"window_restart<",
		"window_restart>",
		"cell_start>",
		"send<",
		"send>",
	};
	struct batch b;
	unsigned int i;

	(void)state;
	start();
	for (i = 0; i < 2 * ARRAY_SIZE(steps); i++) {
		make_writes(&b);
		arm(steps[i / 2], 1, 1 + i % 2);
		issue(&b);
		kill(worker_of(daemon_pid), SIGKILL);
		await(&b);
		/* It may have been answered before the signal came. */
		await_deaths(1 + i % 2);
		settle(steps[i / 2], 1 + i % 2);
	}
}

static int setup(void **state)
{
	int fd;

	(void)state;
	strcpy(dir, "/dev/shm/rumpk-unit-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(socket_path, sizeof(socket_path), "%s/s", dir);
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	snprintf(image, sizeof(image), "%s/image", dir);
	snprintf(disk, sizeof(disk), "file=%s", image);
	fd = open(image, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, BYTES), 0);
	close(fd);
	memset(&g, 0, sizeof(g));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (g.base)
		sim_disconnect(&g);
	arm("", 0, 0);
	if (daemon_pid > 0)
		assert_int_equal(daemon_end(&daemon_pid, SIGTERM), 0);
	daemon_wait_keeper(socket_path);
	unlink(log_path);
	unlink(image);
	return rmdir(dir);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_step_of_a_request),
		TEST(each_step_of_a_handshake),
		TEST(each_step_of_a_start),
	};

	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return cmocka_run_group_tests_name("steps", tests, NULL, NULL);
}
