/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VirtIO block driver against a device in memory (virtio_device.h): what it
 * asks of a good one, what it does not accept, and how a bad one ends.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rumpk/hal_virtio.h"
#include "rumpk/util.h"
#include "virtio_device.h"

#define WINDOW (8u << 20)
#define RAM (4u << 20)

static struct hal *hal;
static uint8_t *window;
static uint8_t *ram;
static int window_fd;
static int ram_fd;
static uint32_t block;

static uint8_t *make_memory(const char *name, size_t size, int *fd)
{
	uint8_t *base;

	*fd = memfd_create(name, MFD_CLOEXEC);
	assert_int_equal(ftruncate(*fd, (off_t)size), 0);
	base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	assert_true(base != MAP_FAILED);
	return base;
}

static int setup(void **state)
{
	device_reset();
	block = 512;
	window = make_memory("window", WINDOW, &window_fd);
	ram = make_memory("ram", RAM, &ram_fd);
	hal = NULL;
	return 0;
}

static int teardown(void **state)
{
	hal_close(hal);
	device_end();
	munmap(window, WINDOW);
	munmap(ram, RAM);
	close(window_fd);
	close(ram_fd);
	return 0;
}

static int connect_device(void *arg)
{
	int sock;

	device_pair(&sock);
	return sock;
}

static void open_disk(void)
{
	struct hal_virtio_options opt = {
		.connect = connect_device,
		.name = "fake",
		.block = block,
		.timeout_ms = 2000,
		.region = { { window_fd, window, WINDOW }, { ram_fd, ram, RAM } },
		.regions = 2,
	};

	hal = hal_virtio_open(&opt);
}

static void op_done(struct hal_io *io)
{
	io->blocking = false;
}

static void begin(struct hal_io *io, enum hal_op op, uint64_t offset,
		  uint64_t length)
{
	io->op = op;
	io->offset = offset;
	io->length = length;
	io->blocking = true;
	io->done = op_done;
	hal_submit(hal, io);
	hal_kick(hal);
}

static int end(struct hal_io *io)
{
	uint64_t until = now_ms() + 10000;

	while (io->blocking) {
		hal_poll(hal);
		assert_true(now_ms() < until);
	}
	return io->error;
}

static int carry_out(enum hal_op op, uint64_t offset, uint64_t length,
		     bool durable)
{
	struct iovec iov = { window + 4096, length };
	struct hal_io io = { .durable = durable, .iov = &iov, .niov = 1 };

	begin(&io, op, offset, length);
	return end(&io);
}

static void types(const uint32_t *expected, unsigned int n)
{
	/* The first one asked for the name. */
	assert_int_equal(dev.ntypes, n + 1);
	assert_int_equal(dev.types[0], VIRTIO_BLK_T_GET_ID);
	assert_memory_equal(dev.types + 1, expected, n * sizeof(*expected));
}

static void opens(void **state)
{
	open_disk();
	assert_non_null(hal);
	assert_int_equal(hal->info.capacity, BYTES);
	assert_false(hal->info.read_only);
	assert_true(dev.accepted & 1ull << 32);
	assert_int_equal(hal->polled, 0);
}

/* As QEMU has it. */
static void segment_size_unlimited(void **state)
{
	dev.features |= 1 << 1;
	open_disk();
	assert_non_null(hal);
	assert_int_equal(carry_out(HAL_READ, 0, 64 << 10, false), 0);
	assert_int_equal(dev.ntypes, 2);
}

static void read_only_medium(void **state)
{
	dev.features |= 1 << 5;
	open_disk();
	assert_non_null(hal);
	assert_true(hal->info.read_only);
}

static void rejects(void (*spoil)(void))
{
	setup(NULL);
	spoil();
	open_disk();
	assert_null(hal);
	/* Nothing was shared with it. */
	assert_int_equal(dev.regions, 0);
	teardown(NULL);
}

static void no_version(void)
{
	dev.features &= ~(1ull << 32);
}

static void no_protocol(void)
{
	dev.features &= ~(1ull << 30);
}

static void no_ack(void)
{
	dev.protocol &= ~(1ull << 3);
}

static void no_config(void)
{
	dev.protocol &= ~(1ull << 9);
}

static void no_capacity(void)
{
	dev.config.capacity = 0;
}

static void huge_capacity(void)
{
	dev.config.capacity = UINT64_MAX / 512;
}

static void odd_block(void)
{
	block = 4096;
	dev.config.blk_size = 1000;
}

static void no_block(void)
{
	dev.config.blk_size = 0;
}

static void large_block(void)
{
	dev.config.blk_size = 4096;
}

static void no_segments(void)
{
	dev.config.seg_max = 0;
}

static void small_segments(void)
{
	dev.features |= 1 << 1;
	dev.config.size_max = 511;
}

static void no_discard(void)
{
	dev.config.max_discard_sectors = 0;
}

static void no_zeroes(void)
{
	dev.config.max_write_zeroes_seg = 0;
}

static void rejects_what_cannot_be(void **state)
{
	static void (*const spoil[])(void) = {
		no_version,  no_protocol,   no_ack,	    no_config,
		no_capacity, huge_capacity, odd_block,	    no_block,
		large_block, no_segments,   small_segments, no_discard,
		no_zeroes,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(spoil); i++)
		rejects(spoil[i]);
	setup(NULL);
	open_disk();
}

/* More pieces than a request may have, with and without indirect tables. */
static void moves_data(bool indirect)
{
	struct iovec iov[20];
	struct hal_io io = { .iov = iov, .niov = 20 };
	uint64_t i;

	if (!indirect)
		dev.features &= ~(3ull << 28);
	open_disk();
	assert_non_null(hal);
	for (i = 0; i < WINDOW; i++)
		window[i] = (uint8_t)(i * 7 + i / 512);
	for (i = 0; i < 20; i++)
		iov[i] = (struct iovec){ window + i * 8192, 1024 + 512 * (i % 2) };
	begin(&io, HAL_WRITE, 512, 20 * 1024 + 10 * 512);
	assert_int_equal(end(&io), 0);
	assert_int_equal(dev.most_segs, 4);
	assert_memory_equal(dev.disk + 512, window, 1024);
	assert_memory_equal(dev.disk + 512 + 1024, window + 8192, 1536);
	assert_int_equal(dev.disk[0], 0);
	memset(window, 0, WINDOW);
	assert_int_equal(carry_out(HAL_READ, 512, 2560, false), 0);
	assert_memory_equal(window + 4096, dev.disk + 512, 2560);
	assert_int_equal(window[4095], 0);
	assert_int_equal(window[4096 + 2560], 0);
}

static void moves_data_indirect(void **state)
{
	moves_data(true);
}

static void moves_data_in_chains(void **state)
{
	moves_data(false);
}

static void durable_is_write_then_flush(void **state)
{
	const uint32_t expected[] = { VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH,
				      VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH };

	open_disk();
	assert_int_equal(carry_out(HAL_WRITE, 0, 512, true), 0);
	assert_int_equal(carry_out(HAL_WRITE, 0, 512, false), 0);
	assert_int_equal(carry_out(HAL_SYNC, 0, 0, true), 0);
	types(expected, 4);
}

/* The device's limit is 16 sectors. */
static void ranges_in_pieces(void **state)
{
	const uint32_t expected[] = {
		VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_T_WRITE_ZEROES,
		VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_T_FLUSH,
		VIRTIO_BLK_T_DISCARD,	   VIRTIO_BLK_T_DISCARD
	};

	open_disk();
	memset(dev.disk, 0xaa, BYTES);
	assert_int_equal(carry_out(HAL_ZERO, 1024, 40 * 512, true), 0);
	assert_int_equal(dev.disk[1023], 0xaa);
	assert_int_equal(dev.disk[1024], 0);
	assert_int_equal(dev.disk[1024 + 40 * 512 - 1], 0);
	assert_int_equal(dev.disk[1024 + 40 * 512], 0xaa);
	assert_int_equal(carry_out(HAL_DISCARD, 1u << 20, 32 * 512, false), 0);
	types(expected, 6);
}

/* No WRITE_ZEROES: zeroes are written. No DISCARD: nothing is done. */
static void ranges_without_the_feature(void **state)
{
	const uint32_t expected[] = { VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_OUT };

	dev.features &= ~(3ull << 13);
	open_disk();
	memset(dev.disk, 0xaa, BYTES);
	assert_int_equal(carry_out(HAL_ZERO, 512, 100 << 10, false), 0);
	assert_int_equal(dev.disk[511], 0xaa);
	assert_int_equal(dev.disk[512], 0);
	assert_int_equal(dev.disk[512 + (100 << 10) - 1], 0);
	assert_int_equal(dev.disk[512 + (100 << 10)], 0xaa);
	assert_int_equal(carry_out(HAL_DISCARD, 0, 4096, false), 0);
	types(expected, 2);
}

/* 250 at once, in chains that do not all fit into the queue. */
static void many_at_once(void **state)
{
	static struct hal_io io[250];
	static struct iovec iov[250];
	unsigned int i;

	dev.features &= ~(1ull << 28);
	open_disk();
	for (i = 0; i < 250; i++) {
		memset(window + i * 4096, (int)i, 4096);
		iov[i] = (struct iovec){ window + i * 4096, 4096 };
		memset(&io[i], 0, sizeof(io[i]));
		io[i].iov = &iov[i];
		io[i].niov = 1;
		begin(&io[i], HAL_WRITE, i * 4096, 4096);
	}
	for (i = 0; i < 250; i++)
		assert_int_equal(end(&io[i]), 0);
	assert_memory_equal(dev.disk, window, 250 * 4096);
	assert_int_equal(hal->polled, 0);
}

/* The device has it in the very pages, up to the last byte of each region. */
static void data_in_each_region(void **state)
{
	struct iovec iov[] = { { window + WINDOW - 512, 512 },
			       { ram + RAM - 512, 512 },
			       { ram, 512 } };
	struct hal_io io = { .iov = iov, .niov = 3 };

	open_disk();
	assert_int_equal(dev.regions, 3);
	memset(iov[0].iov_base, 0x11, 512);
	memset(iov[1].iov_base, 0x22, 512);
	memset(iov[2].iov_base, 0x33, 512);
	begin(&io, HAL_WRITE, 0, 3 * 512);
	assert_int_equal(end(&io), 0);
	assert_int_equal(dev.disk[0], 0x11);
	assert_int_equal(dev.disk[512], 0x22);
	assert_int_equal(dev.disk[3 * 512 - 1], 0x33);
	iov[0] = (struct iovec){ ram + 4096, 3 * 512 };
	io = (struct hal_io){ .iov = iov, .niov = 1 };
	begin(&io, HAL_READ, 0, 3 * 512);
	assert_int_equal(end(&io), 0);
	assert_memory_equal(ram + 4096, dev.disk, 3 * 512);
}

static void outside_the_regions(void **state)
{
	uint8_t elsewhere[512];
	struct iovec iov[] = { { elsewhere, 512 },
			       { window + WINDOW - 511, 512 },
			       { ram + RAM - 511, 512 },
			       { elsewhere, SIZE_MAX } };
	size_t i;

	open_disk();
	for (i = 0; i < ARRAY_SIZE(iov); i++) {
		struct hal_io io = { .iov = &iov[i], .niov = 1 };

		begin(&io, HAL_WRITE, 0, 512);
		assert_int_equal(end(&io), EFAULT);
	}
	assert_int_equal(carry_out(HAL_WRITE, 0, 512, false), 0);
}

static void errors_are_answers(void **state)
{
	open_disk();
	dev.misdeed = IO_ERROR;
	assert_int_equal(carry_out(HAL_READ, 0, 512, false), EIO);
	dev.misdeed = UNSUPPORTED;
	assert_int_equal(carry_out(HAL_ZERO, 0, 512, false), EOPNOTSUPP);
	dev.misdeed = NONE;
	assert_int_equal(carry_out(HAL_READ, 0, 512, false), 0);
}

/* All that it has ends with EIO, and all that comes later; no event is left. */
static void broken_device(void **state)
{
	static const enum misdeed misdeeds[] = {
		BAD_STATUS, NO_STATUS, SHORT_LENGTH, LONG_LENGTH,
		BAD_ID,	    JUMP,      HANG_UP,	     COMPLAIN,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(misdeeds); i++) {
		struct iovec iov[2] = { { window, 512 }, { window + 512, 512 } };
		struct hal_io a = { .iov = &iov[0], .niov = 1 };
		struct hal_io b = { .iov = &iov[1], .niov = 1 };
		struct pollfd p = { .events = POLLIN };

		if (i) {
			teardown(NULL);
			setup(NULL);
		}
		open_disk();
		assert_non_null(hal);
		/* Both are there before it looks. */
		dev.misdeed = SILENT;
		begin(&a, HAL_READ, 0, 512);
		begin(&b, HAL_READ, 512, 512);
		dev.misdeed = misdeeds[i];
		if (misdeeds[i] < HANG_UP) {
			assert_int_equal(end(&a), EIO);
			assert_int_equal(end(&b), EIO);
		} else {
			end(&a);
			end(&b);
			usleep(5000);
			hal_poll(hal);
		}
		assert_int_equal(carry_out(HAL_WRITE, 0, 512, false), EIO);
		assert_int_equal(hal_sync(hal), -EIO);
		assert_int_equal(hal_resize(hal), -EIO);
		assert_int_equal(hal->polled, 0);
		/* It has its end of the pipe still. */
		eventfd_write(dev.err, 1);
		p.fd = hal->event_fd;
		assert_int_equal(poll(&p, 1, 0), 0);
	}
}

static void configuration_changes(void **state)
{
	const uint32_t message[3] = { 2, 1, 0 };
	uint64_t until = now_ms() + 10000;
	struct pollfd p = { .events = POLLIN };

	open_disk();
	dev.config.capacity = BYTES / 1024;
	assert_int_equal(send(dev.backend, message, 12, 0), 12);
	p.fd = hal->event_fd;
	assert_int_equal(poll(&p, 1, 10000), 1);
	while (!hal->changed && now_ms() < until)
		hal_poll(hal);
	assert_true(hal->changed);
	assert_int_equal(hal_resize(hal), 0);
	assert_false(hal->changed);
	assert_int_equal(hal->info.capacity, BYTES / 2);
	/* Nonsense changes nothing. */
	dev.config.capacity = 0;
	assert_int_equal(hal_resize(hal), -EINVAL);
	assert_int_equal(hal->info.capacity, BYTES / 2);
	assert_int_equal(carry_out(HAL_READ, 0, 512, false), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* What does not fit is cut where a block ends, wherever the pieces end. */
static void cut_between_blocks(void **state)
{
	struct iovec iov[3] = { { window, 3584 },
				{ window + 8192, 8192 },
				{ window + 32768, 512 } };
	struct hal_io io = { .iov = iov, .niov = 3 };
	uint64_t i;

	dev.config.seg_max = 3;
	dev.config.size_max = 4096;
	dev.config.blk_size = 4096;
	block = 4096;
	open_disk();
	assert_non_null(hal);
	assert_int_equal(hal->info.max_segs, 3);
	for (i = 0; i < WINDOW; i++)
		window[i] = (uint8_t)(i * 5 + i / 512);
	begin(&io, HAL_WRITE, 4096, 3584 + 8192 + 512);
	assert_int_equal(end(&io), 0);
	assert_true(dev.ntypes > 1);
	for (i = 0; i < dev.ntypes; i++)
		assert_int_equal(dev.sectors[i] % 8, 0);
	assert_memory_equal(dev.disk + 4096, window, 3584);
	assert_memory_equal(dev.disk + 4096 + 3584, window + 8192, 8192);
	assert_memory_equal(dev.disk + 4096 + 3584 + 8192, window + 32768, 512);
}

/* The device has our memory's descriptor, and our pipes' other ends. */
static void shared_descriptors_are_harmless(void **state)
{
	open_disk();
	assert_non_null(hal);
	assert_false(dev.shrunk);
	assert_int_equal(fcntl(dev.err, F_SETFL, 0), 0);
	assert_int_equal(fcntl(dev.kick, F_SETFL, 0), 0);
	assert_int_equal(carry_out(HAL_WRITE, 0, 512, true), 0);
	assert_int_equal(hal_poll(hal), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(cut_between_blocks),
		TEST(shared_descriptors_are_harmless),
		TEST(opens),
		TEST(segment_size_unlimited),
		TEST(read_only_medium),
		cmocka_unit_test_teardown(rejects_what_cannot_be, teardown),
		TEST(moves_data_indirect),
		TEST(moves_data_in_chains),
		TEST(durable_is_write_then_flush),
		TEST(ranges_in_pieces),
		TEST(ranges_without_the_feature),
		TEST(many_at_once),
		TEST(data_in_each_region),
		TEST(outside_the_regions),
		TEST(errors_are_answers),
		TEST(broken_device),
		TEST(configuration_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
