/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A device that is broken, or mute, and lives: what it has of memory that is lent
 * does not end before the device has let go of it. Requests with an even number
 * lie in the guest's RAM, others in the window.
 */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rumpk/hal_virtio.h"
#include "rumpk/util.h"
#include "virtio_device.h"

#define MEMORY (1u << 20)
#define IOS 16

static struct hal *hal;
static struct hal_virtio_options opt;
static struct hal_io io[IOS];
static struct iovec iov[IOS];
static unsigned int done;
static bool present;
static unsigned int asked;
static int last;

static int connect_device(void *arg)
{
	int sock;

	asked++;
	if (!present)
		return -ECONNREFUSED;
	device_end();
	device_pair(&sock);
	last = sock;
	return sock;
}

static void make_region(struct hal_virtio_region *r, const char *name)
{
	r->fd = memfd_create(name, MFD_CLOEXEC);
	r->length = MEMORY;
	assert_int_equal(ftruncate(r->fd, MEMORY), 0);
	r->base = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		       0);
	assert_true(r->base != MAP_FAILED);
}

static int setup(void **state)
{
	device_reset();
	dev.features |= 1ull << VIRTIO_BLK_F_CONFIG_WCE;
	opt = (struct hal_virtio_options){
		.connect = connect_device,
		.name = "fake",
		.block = 512,
		.timeout_ms = 5000,
		.regions = 2,
	};
	make_region(&opt.region[0], "window");
	make_region(&opt.region[1], "ram");
	opt.region[1].lent = true;
	hal = NULL;
	present = true;
	asked = 0;
	done = 0;
	return 0;
}

static int teardown(void **state)
{
	unsigned int i;

	hal_close(hal);
	device_end();
	for (i = 0; i < opt.regions; i++) {
		munmap(opt.region[i].base, MEMORY);
		close(opt.region[i].fd);
	}
	return 0;
}

static void op_done(struct hal_io *op)
{
	assert_true(op->blocking);
	op->blocking = false;
	done++;
}

static bool in_ram(unsigned int n)
{
	return n % 2 == 0;
}

static void begin(unsigned int n)
{
	iov[n] = (struct iovec){ opt.region[in_ram(n)].base + n * 4096, 4096 };
	io[n] = (struct hal_io){
		.op = n % 4 < 2 ? HAL_READ : HAL_WRITE,
		.offset = n * 4096,
		.length = 4096,
		.iov = &iov[n],
		.niov = 1,
		.blocking = true,
		.done = op_done,
	};
	hal_submit(hal, &io[n]);
	hal_kick(hal);
}

/* Requests of both kinds that the device has and does not answer. */
static void open_and_fill(void)
{
	unsigned int i;

	hal = hal_virtio_open(&opt);
	assert_non_null(hal);
	dev.lingers = true;
	dev.misdeed = SILENT;
	for (i = 0; i < IOS; i++)
		begin(i);
	hal_poll(hal);
	assert_int_equal(done, 0);
}

static bool is_lost(void)
{
	return hal->lost;
}

static bool is_back(void)
{
	return !hal->lost;
}

static bool all_done(void)
{
	return done == IOS;
}

static void poll_until(bool (*good)(void))
{
	uint64_t until = now_ms() + 20000;

	while (!good()) {
		hal_poll(hal);
		assert_true(now_ms() < until);
		usleep(100);
	}
}

static int events(int timeout_ms)
{
	struct pollfd p = { .fd = hal->event_fd, .events = POLLIN };

	return poll(&p, 1, timeout_ms);
}

/* What lies in the window has failed, what lies in the guest's RAM waits. */
static void ram_is_held(void)
{
	unsigned int i;

	for (i = 0; i < 50; i++) {
		hal_poll(hal);
		usleep(1000);
	}
	assert_true(hal->lost);
	assert_int_equal(done, IOS / 2);
	for (i = 0; i < IOS; i++) {
		assert_int_equal(io[i].blocking, in_ram(i));
		if (!in_ram(i))
			assert_int_equal(io[i].error, EIO);
	}
	/* Nothing is polled for, and nothing wakes anybody. */
	assert_int_equal(hal->polled, 0);
	assert_int_equal(events(0), 0);
}

/* Its process ends, or it closes the connection at last. */
static void device_lets_go(void)
{
	unsigned int i;

	dev.lingers = false;
	assert_int_equal(events(20000), 1);
	poll_until(all_done);
	for (i = 0; i < IOS; i++)
		assert_int_equal(io[i].error, EIO);
	assert_int_equal(events(0), 0);
}

static void goes_on(void)
{
	done = 0;
	present = true;
	hal_reopen(hal);
	poll_until(is_back);
	begin(0);
	begin(1);
	while (done < 2)
		hal_poll(hal);
	assert_int_equal(io[0].error, 0);
	assert_int_equal(io[1].error, 0);
}

static const enum misdeed lies[] = {
	BAD_STATUS, NO_STATUS, SHORT_LENGTH, LONG_LENGTH,
	BAD_ID,	    JUMP,      COMPLAIN,
};

/* A lie holds what it is about too: what it says has ended may not have. */
static void each_lie(bool fence)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		if (i) {
			teardown(NULL);
			setup(NULL);
		}
		opt.fence = fence;
		opt.reconnect_ms = 60000;
		open_and_fill();
		dev.misdeed = lies[i];
		poll_until(is_lost);
		ram_is_held();
		device_lets_go();
		goes_on();
	}
}

static void broken_and_alive(void **state)
{
	each_lie(false);
}

static void broken_with_a_fence(void **state)
{
	each_lie(true);
}

/* It closes the connection as soon as the driver has shut it down. */
static void broken_and_honest(void **state)
{
	open_and_fill();
	dev.lingers = false;
	dev.misdeed = COMPLAIN;
	poll_until(all_done);
	assert_true(hal->lost);
	goes_on();
}

/* The operator says that it has ended, and it has not. */
static void not_reopened(void **state)
{
	open_and_fill();
	dev.misdeed = BAD_ID;
	poll_until(is_lost);
	asked = 0;
	hal_reopen(hal);
	ram_is_held();
	assert_int_equal(asked, 0);
	/* New ones never get to it. */
	begin(1);
	assert_int_equal(io[1].error, EIO);
	done--;
	assert_int_equal(hal_sync(hal), -EIO);
	device_lets_go();
	goes_on();
}

/* It answers no message; its connection is shut down, and it keeps its end. */
static void mute(void **state)
{
	opt.timeout_ms = 500;
	open_and_fill();
	dev.misdeed = MUTE;
	assert_int_equal(hal_resize(hal), -EIO);
	ram_is_held();
	device_lets_go();
	goes_on();
}

/* Nobody comes after it in time. */
static void mute_without_successor(void **state)
{
	opt.timeout_ms = 500;
	opt.fence = true;
	opt.reconnect_ms = 300;
	open_and_fill();
	present = false;
	dev.misdeed = MUTE;
	assert_int_equal(hal_resize(hal), -EIO);
	assert_int_equal(done, 0);
	poll_until(is_lost);
	ram_is_held();
	device_lets_go();
	goes_on();
}

/* By the fence, whoever comes after it comes after all that it was doing. */
static void mute_with_successor(void **state)
{
	unsigned int i;

	opt.timeout_ms = 500;
	opt.fence = true;
	opt.reconnect_ms = 60000;
	open_and_fill();
	dev.misdeed = MUTE;
	assert_int_equal(hal_resize(hal), -EIO);
	assert_int_equal(done, 0);
	dev.lingers = false;
	poll_until(all_done);
	for (i = 0; i < IOS; i++)
		assert_int_equal(io[i].error, 0);
	assert_false(hal->lost);
}

static unsigned int open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void closed_while_held(void **state)
{
	unsigned int before = open_fds();

	open_and_fill();
	dev.misdeed = BAD_ID;
	poll_until(is_lost);
	ram_is_held();
	hal_close(hal);
	hal = NULL;
	device_end();
	assert_int_equal(done, IOS / 2);
	assert_int_equal(open_fds(), before);
}

static void opened_before(struct hal_virtio_former *former)
{
	memset(former, 0, sizeof(*former));
	former->sock = -1;
	hal = hal_virtio_open(&opt);
	assert_non_null(hal);
	former->limits = *hal_virtio_limits(hal);
	memcpy(former->id, hal_virtio_id(hal), VIRTIO_BLK_ID_BYTES);
}

/* What a device has from an earlier process, this one does not know. */
static void former_process(void **state)
{
	struct hal_virtio_former former;

	opened_before(&former);
	hal_close(hal);
	device_end();
	opt.former = &former;
	hal = hal_virtio_open(&opt);
	assert_true(hal->lost);
	assert_true(hal->waiting);
	hal_poll(hal);
	assert_true(hal->waiting);
	hal_reopen(hal);
	poll_until(is_back);
	assert_false(hal->waiting);
	hal_close(hal);
	device_end();
	/* Nobody else gets the window. */
	opt.regions = 1;
	hal = hal_virtio_open(&opt);
	opt.regions = 2;
	assert_true(hal->lost);
	assert_false(hal->waiting);
}

static bool is_offered(void)
{
	return !hal->waiting;
}

/*
 * The supervisor has kept the connection: when the device has closed its end, nothing
 * of the dead is left that could reach the guest's pages.
 */
static void former_connection(void **state)
{
	struct hal_virtio_former former;
	unsigned int before;
	int i;

	opened_before(&former);
	former.sock = fcntl(last, F_DUPFD_CLOEXEC, 0);
	dev.lingers = true;
	hal_close(hal);
	before = open_fds();
	opt.former = &former;
	hal = hal_virtio_open(&opt);
	assert_true(hal->lost);
	for (i = 0; i < 50; i++) {
		hal_poll(hal);
		usleep(1000);
	}
	assert_true(hal->waiting);
	asked = 0;
	hal_reopen(hal);
	assert_int_equal(asked, 0);
	assert_true(hal->waiting);
	assert_int_equal(events(0), 0);
	hal->changed = false;
	dev.lingers = false;
	assert_int_equal(events(20000), 1);
	poll_until(is_offered);
	assert_true(hal->changed);
	assert_true(hal->lost);
	goes_on();
	hal_close(hal);
	hal = NULL;
	device_end();
	assert_in_range(open_fds(), 0, before);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(broken_and_alive),
		TEST(broken_with_a_fence),
		TEST(broken_and_honest),
		TEST(not_reopened),
		TEST(mute),
		TEST(mute_without_successor),
		TEST(mute_with_successor),
		TEST(closed_while_held),
		TEST(former_process),
		TEST(former_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
