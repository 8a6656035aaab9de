/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The death of a disk's device, and who comes after it: devices in memory
 * (virtio_device.h), one at a time, of which the next one starts when the driver
 * asks for a connection.
 */
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rumpk/hal_virtio.h"
#include "rumpk/util.h"
#include "virtio_device.h"

#define WINDOW (1u << 20)
#define IOS 24
/* A chain takes three descriptors of 256. */
#define MANY 100
#define FEATURE(n) (1ull << (n))

static struct hal *hal;
static uint8_t *window;
static int window_fd;
static struct hal_virtio_options opt;
static struct hal_io io[IOS];
static struct iovec iov[IOS];
static unsigned int done;
/*
 * There is a device to connect to; how often was asked, and how often in vain at
 * first; what happens then.
 */
static bool present;
static unsigned int asked;
static unsigned int refused;
static void (*on_connect)(void);

static int connect_device(void *arg)
{
	int sock;

	asked++;
	if (!present || asked <= refused)
		return -ECONNREFUSED;
	device_end();
	if (on_connect)
		on_connect();
	device_pair(&sock);
	return sock;
}

static int setup(void **state)
{
	device_reset();
	dev.features |= FEATURE(VIRTIO_BLK_F_CONFIG_WCE);
	window_fd = memfd_create("window", MFD_CLOEXEC);
	assert_int_equal(ftruncate(window_fd, WINDOW), 0);
	window = mmap(NULL, WINDOW, PROT_READ | PROT_WRITE, MAP_SHARED,
		      window_fd, 0);
	assert_true(window != MAP_FAILED);
	opt = (struct hal_virtio_options){
		.connect = connect_device,
		.name = "fake",
		.block = 512,
		.timeout_ms = 5000,
		.fence = true,
		.reconnect_ms = 60000,
		.region[0] = { window_fd, window, WINDOW },
		.regions = 1,
	};
	hal = NULL;
	present = true;
	asked = 0;
	refused = 0;
	on_connect = NULL;
	done = 0;
	return 0;
}

static int teardown(void **state)
{
	hal_close(hal);
	device_end();
	munmap(window, WINDOW);
	close(window_fd);
	return 0;
}

static void open_disk(void)
{
	hal = hal_virtio_open(&opt);
	assert_non_null(hal);
}

static void op_done(struct hal_io *op)
{
	assert_true(op->blocking);
	op->blocking = false;
	done++;
}

static void begin(unsigned int n, enum hal_op op, uint64_t offset)
{
	iov[n] = (struct iovec){ window + n * 4096, 4096 };
	io[n] = (struct hal_io){
		.op = op,
		.offset = offset,
		.length = op == HAL_SYNC ? 0 : 4096,
		.iov = &iov[n],
		.niov = 1,
		.blocking = true,
		.error = -1,
		.done = op_done,
	};
	hal_submit(hal, &io[n]);
	hal_kick(hal);
}

static void poll_until(bool (*good)(void))
{
	uint64_t until = now_ms() + 20000;

	while (!good()) {
		hal_poll(hal);
		assert_true(now_ms() < until);
	}
}

static bool idle(void)
{
	unsigned int i;

	for (i = 0; i < IOS; i++)
		if (io[i].blocking)
			return false;
	return true;
}

static bool is_lost(void)
{
	return hal->lost;
}

static bool is_back(void)
{
	return !hal->lost;
}

/* It has noticed that the device is gone: something is in flight no more. */
static bool is_away(void)
{
	return !hal->polled;
}

static bool is_served(void)
{
	return hal->polled;
}

static bool asked_thrice(void)
{
	return asked >= 3;
}

static int carry_out(enum hal_op op, uint64_t offset)
{
	begin(IOS - 1, op, offset);
	poll_until(idle);
	return io[IOS - 1].error;
}

static bool serves_all(void)
{
	return dev.seen >= IOS - 3;
}

/* Reads, writes and a flush that the device has and does not answer. */
static void fill(enum misdeed how)
{
	unsigned int i;

	memset(window, 0x5a, WINDOW);
	memset(dev.disk, 0xa5, BYTES);
	dev.misdeed = how;
	for (i = 0; i < IOS - 2; i++)
		begin(i, i % 3 ? HAL_WRITE : HAL_READ, (IOS - i) * 8192);
	begin(IOS - 2, HAL_SYNC, 0);
	if (how == UNANSWERED)
		poll_until(serves_all);
	hal_poll(hal);
	assert_int_equal(done, 0);
}

static void all_ended(int error)
{
	unsigned int i;

	assert_int_equal(done, IOS - 1);
	for (i = 0; i < IOS - 1; i++)
		assert_int_equal(io[i].error, error);
	assert_int_equal(hal->polled, 0);
}

static void data_is_right(void)
{
	unsigned int i;

	for (i = 0; i < IOS - 2; i++) {
		const uint8_t *place = dev.disk + (IOS - i) * 8192;

		assert_int_equal(place[0], i % 3 ? 0x5a : 0xa5);
		assert_int_equal(place[4095], i % 3 ? 0x5a : 0xa5);
		assert_int_equal(place[4096], 0xa5);
		assert_int_equal(window[i * 4096], i % 3 ? 0x5a : 0xa5);
	}
}

/* The successor gets all of it once, in the order in which it was issued. */
static void in_order(void)
{
	unsigned int i;

	assert_int_equal(dev.ntypes, IOS);
	assert_int_equal(dev.types[0], VIRTIO_BLK_T_GET_ID);
	for (i = 0; i < IOS - 2; i++) {
		assert_int_equal(dev.types[i + 1],
				 i % 3 ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN);
		assert_int_equal(dev.sectors[i + 1], (IOS - i) * 16);
	}
	assert_int_equal(dev.types[IOS - 1], VIRTIO_BLK_T_FLUSH);
}

static void successor_goes_on(void **state)
{
	static const enum misdeed how[] = { SILENT, UNANSWERED };
	struct pollfd p = { .events = POLLIN };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(how); i++) {
		if (i) {
			teardown(NULL);
			setup(NULL);
		}
		open_disk();
		assert_true(dev.accepted & FEATURE(VIRTIO_BLK_F_CONFIG_WCE));
		fill(how[i]);
		present = false;
		asked = 0;
		device_end();
		poll_until(is_away);
		/* It is looked for again and again, and nothing is answered. */
		poll_until(asked_thrice);
		assert_int_equal(done, 0);
		assert_false(hal->lost);
		present = true;
		poll_until(idle);
		all_ended(0);
		in_order();
		data_is_right();
		p.fd = hal->event_fd;
		assert_int_equal(poll(&p, 1, 0), 0);
		assert_int_equal(carry_out(HAL_READ, 0), 0);
	}
}

static bool many_done(void)
{
	return done == MANY;
}

/* More operations than descriptors: some had never got to the device. */
static void what_waited_stays_behind(void **state)
{
	static struct hal_io many[MANY];
	unsigned int i;

	dev.features &= ~(FEATURE(28) | FEATURE(29));
	open_disk();
	dev.misdeed = SILENT;
	for (i = 0; i < MANY; i++) {
		many[i] = (struct hal_io){ .op = HAL_DISCARD,
					   .offset = i * 512,
					   .length = 512,
					   .blocking = true,
					   .done = op_done };
		hal_submit(hal, &many[i]);
		hal_kick(hal);
	}
	device_end();
	poll_until(many_done);
	for (i = 0; i < MANY; i++)
		assert_int_equal(dev.ranges[i], i);
}

static void new_requests_wait_too(void **state)
{
	open_disk();
	present = false;
	fill(SILENT);
	device_end();
	poll_until(is_away);
	begin(IOS - 1, HAL_WRITE, 512 << 10);
	assert_int_equal(hal->polled, 0);
	present = true;
	poll_until(idle);
	assert_int_equal(done, IOS);
	assert_int_equal(dev.types[IOS], VIRTIO_BLK_T_OUT);
	assert_int_equal(dev.sectors[IOS], 1024);
}

/* A write that must be durable dies before its flush. */
static void dies_between_write_and_flush(void **state)
{
	uint64_t until = now_ms() + 20000;

	open_disk();
	begin(0, HAL_WRITE, 0);
	poll_until(idle);
	assert_int_equal(dev.ntypes, 2);
	dev.misdeed = SILENT;
	begin(1, HAL_WRITE, 4096);
	io[1].durable = true;
	dev.misdeed = NONE;
	while (dev.ntypes < 3) {
		usleep(100);
		assert_true(now_ms() < until);
	}
	dev.misdeed = SILENT;
	hal_poll(hal);
	device_end();
	poll_until(idle);
	assert_int_equal(io[1].error, 0);
	assert_int_equal(dev.types[dev.ntypes - 1], VIRTIO_BLK_T_FLUSH);
}

static void leaves_unanswered(void)
{
	dev.misdeed = UNANSWERED;
}

static void two_deaths(void **state)
{
	open_disk();
	fill(SILENT);
	device_end();
	poll_until(is_away);
	/* The first successor takes it all and dies as well. */
	on_connect = leaves_unanswered;
	poll_until(is_served);
	assert_int_equal(done, 0);
	on_connect = NULL;
	device_end();
	poll_until(idle);
	all_ended(0);
	data_is_right();
}

static unsigned int messages;

static void die_soon(void)
{
	dev.messages = messages;
	on_connect = NULL;
}

/* After each of its messages; the next one is good. */
static void dies_during_setup(void **state)
{
	open_disk();
	for (messages = 1; messages < 17; messages++) {
		done = 0;
		fill(SILENT);
		on_connect = die_soon;
		asked = 0;
		device_end();
		poll_until(idle);
		assert_true(asked >= 2);
		all_ended(0);
		data_is_right();
	}
}

static uint64_t connected;

static void never_answers(void)
{
	dev.misdeed = MUTE;
	connected = now_ms();
	on_connect = NULL;
}

/* Nobody is kept waiting by it, and it is given up. */
static void mute_successor(void **state)
{
	unsigned int rounds = 0;

	opt.timeout_ms = 2000;
	open_disk();
	fill(SILENT);
	on_connect = never_answers;
	asked = 0;
	device_end();
	while (!idle()) {
		hal_poll(hal);
		rounds += asked == 1 && now_ms() - connected < 1500;
		usleep(500);
	}
	assert_true(asked >= 2);
	assert_true(rounds > 5);
	all_ended(0);
}

static void deadline(void **state)
{
	uint64_t begun;

	opt.reconnect_ms = 300;
	open_disk();
	fill(SILENT);
	present = false;
	begun = now_ms();
	device_end();
	poll_until(is_lost);
	assert_true(now_ms() - begun >= 300);
	all_ended(EIO);
	assert_true(hal->changed);
	assert_int_equal(hal_resize(hal), -EIO);
	assert_int_equal(carry_out(HAL_WRITE, 0), EIO);
	assert_int_equal(hal_sync(hal), -EIO);
	/* It is not looked for any more. */
	present = true;
	asked = 0;
	usleep(150000);
	hal_poll(hal);
	assert_int_equal(asked, 0);
}

/* The time is up while a successor is being set up. */
static void deadline_during_setup(void **state)
{
	opt.reconnect_ms = 300;
	opt.timeout_ms = 20000;
	open_disk();
	fill(SILENT);
	on_connect = never_answers;
	device_end();
	poll_until(is_lost);
	all_ended(EIO);
}

/* One that dies of what it gets is not followed by another one for ever. */
static void dies_of_its_requests(void **state)
{
	uint64_t until = now_ms() + 20000;

	opt.reconnect_ms = 500;
	open_disk();
	fill(SILENT);
	on_connect = leaves_unanswered;
	device_end();
	while (!hal->lost) {
		assert_true(now_ms() < until);
		hal_poll(hal);
		if (hal->polled) {
			device_end();
			poll_until(is_away);
		}
	}
	all_ended(EIO);
	assert_true(asked > 2);
}

static void other_name(void)
{
	memcpy(dev.id, "another", 8);
}

static void fewer_features(void)
{
	dev.features &= ~FEATURE(VIRTIO_BLK_F_WRITE_ZEROES);
}

static void smaller(void)
{
	dev.config.capacity /= 2;
}

static void bigger_blocks(void)
{
	dev.config.blk_size = 4096;
}

static void read_only(void)
{
	dev.features |= FEATURE(VIRTIO_BLK_F_RO);
}

static void keeps_its_cache(void)
{
	dev.features &= ~FEATURE(VIRTIO_BLK_F_CONFIG_WCE);
}

static void stubborn(void)
{
	dev.config.wce = 1;
	dev.misdeed = STUBBORN;
}

static void lies_in_setup(void)
{
	dev.misdeed = BAD_ID;
}

static void bad_status(void)
{
	dev.misdeed = BAD_STATUS;
}

static void no_capacity(void)
{
	dev.config.capacity = 0;
}

/* At once, and for good. */
static void successor_does_not_match(void **state)
{
	static void (*const other[])(void) = {
		other_name, fewer_features,  smaller,  bigger_blocks,
		read_only,  keeps_its_cache, stubborn, lies_in_setup,
		bad_status, no_capacity,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(other); i++) {
		if (i) {
			teardown(NULL);
			setup(NULL);
		}
		open_disk();
		fill(SILENT);
		on_connect = other[i];
		asked = 0;
		device_end();
		poll_until(is_lost);
		assert_int_equal(asked, 1);
		all_ended(EIO);
	}
}

static void better(void)
{
	dev.features |= FEATURE(VIRTIO_BLK_F_SIZE_MAX);
	dev.config.size_max = 4096;
	dev.config.seg_max = 1;
	dev.config.capacity = BYTES / 512;
}

/* Larger, and with other limits: requests are cut anew. */
static void successor_differs(void **state)
{
	dev.config.capacity = BYTES / 1024;
	open_disk();
	dev.misdeed = SILENT;
	iov[0] = (struct iovec){ window, 16384 };
	io[0] = (struct hal_io){ .op = HAL_WRITE,
				 .length = 16384,
				 .iov = &iov[0],
				 .niov = 1,
				 .blocking = true,
				 .done = op_done };
	hal_submit(hal, &io[0]);
	hal_kick(hal);
	hal->changed = false;
	on_connect = better;
	device_end();
	poll_until(idle);
	assert_int_equal(io[0].error, 0);
	assert_int_equal(dev.ntypes, 5);
	assert_int_equal(dev.sectors[4], 24);
	assert_true(hal->changed);
	assert_int_equal(hal_resize(hal), 0);
	assert_int_equal(hal->info.capacity, BYTES);
}

static void liar_is_not_followed(void **state)
{
	open_disk();
	fill(SILENT);
	asked = 0;
	dev.misdeed = BAD_ID;
	poll_until(is_lost);
	all_ended(EIO);
	usleep(150000);
	hal_poll(hal);
	assert_int_equal(asked, 0);
	/* An operator may say that it has ended. */
	hal_reopen(hal);
	poll_until(is_back);
	assert_int_equal(carry_out(HAL_WRITE, 0), 0);
}

static void no_fence(void)
{
	opt.fence = false;
	open_disk();
	/* Its cache is left alone. */
	assert_false(dev.accepted & FEATURE(VIRTIO_BLK_F_CONFIG_WCE));
	fill(SILENT);
	asked = 0;
	device_end();
	poll_until(is_lost);
	all_ended(EIO);
	assert_true(hal->changed);
	assert_int_equal(asked, 0);
}

static void without_a_fence(void **state)
{
	no_fence();
	assert_int_equal(carry_out(HAL_READ, 0), EIO);
	assert_int_equal(asked, 0);
}

static void reopened(void **state)
{
	no_fence();
	hal->changed = false;
	hal_reopen(hal);
	poll_until(is_back);
	assert_true(hal->changed);
	assert_int_equal(asked, 1);
	/* What failed is not done after all. */
	assert_int_equal(dev.ntypes, 1);
	assert_int_equal(carry_out(HAL_WRITE, 0), 0);
	/* It is nothing special: the next death is as the first one. */
	hal_reopen(hal);
	assert_int_equal(asked, 1);
	device_end();
	poll_until(is_lost);
}

static void reopened_smaller(void **state)
{
	no_fence();
	on_connect = smaller;
	hal_reopen(hal);
	poll_until(is_back);
	assert_int_equal(hal->info.capacity, BYTES / 2);
}

/* As long as something is under way, nothing is begun. */
static bool asked_again(void)
{
	hal_reopen(hal);
	return asked >= 2;
}

static bool is_back_in_the_end(void)
{
	hal_reopen(hal);
	return !hal->lost;
}

static void same_name(void)
{
	memcpy(dev.id, "the fake", 9);
}

static void reopening_fails(void **state)
{
	no_fence();
	present = false;
	hal_reopen(hal);
	assert_int_equal(asked, 1);
	assert_true(hal->lost);
	present = true;
	on_connect = other_name;
	asked = 0;
	poll_until(asked_again);
	assert_true(hal->lost);
	assert_int_equal(carry_out(HAL_READ, 0), EIO);
	on_connect = same_name;
	poll_until(is_back_in_the_end);
	assert_int_equal(carry_out(HAL_READ, 0), 0);
}

/* In the middle of whatever goes on. */
static void closed_at_any_time(void **state)
{
	open_disk();
	fill(SILENT);
	on_connect = never_answers;
	device_end();
	poll_until(is_away);
	hal_poll(hal);
	hal_close(hal);
	hal = NULL;
	assert_int_equal(done, 0);
}

static void cache_that_stays(void **state)
{
	dev.features &= ~FEATURE(VIRTIO_BLK_F_CONFIG_WCE);
	assert_null(hal_virtio_open(&opt));
	stubborn();
	dev.features |= FEATURE(VIRTIO_BLK_F_CONFIG_WCE);
	on_connect = stubborn;
	assert_null(hal_virtio_open(&opt));
	/* Without one there is nothing to switch off. */
	on_connect = NULL;
	dev.features &= ~(FEATURE(VIRTIO_BLK_F_CONFIG_WCE) |
			  FEATURE(VIRTIO_BLK_F_FLUSH));
	open_disk();
}

static void appear(void)
{
	if (asked < 4)
		dev.messages = 2;
}

/* At first, too, a device that is gone or silent is tried again for a while. */
static void opens_with_patience(void **state)
{
	opt.open_ms = 20000;
	refused = 2;
	on_connect = appear;
	open_disk();
	assert_int_equal(asked, 4);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(successor_goes_on),
		TEST(what_waited_stays_behind),
		TEST(new_requests_wait_too),
		TEST(dies_between_write_and_flush),
		TEST(two_deaths),
		TEST(dies_during_setup),
		TEST(mute_successor),
		TEST(deadline),
		TEST(deadline_during_setup),
		TEST(dies_of_its_requests),
		TEST(successor_does_not_match),
		TEST(successor_differs),
		TEST(liar_is_not_followed),
		TEST(without_a_fence),
		TEST(reopened),
		TEST(reopened_smaller),
		TEST(reopening_fails),
		TEST(closed_at_any_time),
		TEST(cache_that_stays),
		TEST(opens_with_patience),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
