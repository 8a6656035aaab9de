/* SPDX-License-Identifier: GPL-2.0-only */
#include "blk_sync.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hal_virtio.h"
#include "log.h"
#include "sealed.h"
#include "unix.h"
#include "util.h"

/* Through so much memory all data goes. */
#define BUFFER_BYTES (1u << 20)
#define BUFFER_SECTORS (BUFFER_BYTES / BLK_SYNC_SECTOR)

/**
 * struct blk_sync - a device
 * @hal: driver; NULL after a time limit: the request is still the device's
 * @fd: the memory that the device may use
 * @buffer: its mapping
 * @path: of the device's socket
 * @timeout_ms: for a call
 * @info: what is known
 */
struct blk_sync {
	struct hal *hal;
	int fd;
	uint8_t *buffer;
	const char *path;
	unsigned int timeout_ms;
	struct blk_sync_info info;
};

static int connect_device(void *path)
{
	return unix_connect(path, SOCK_STREAM | SOCK_NONBLOCK);
}

static int make_buffer(struct blk_sync *b)
{
	b->fd = sealed_create("rumpk-blk", BUFFER_BYTES);
	if (b->fd < 0)
		return b->fd;
	b->buffer = mmap(NULL, BUFFER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
			 b->fd, 0);
	return b->buffer == MAP_FAILED ? -errno : 0;
}

static void learn(struct blk_sync *b)
{
	struct blk_sync_info *info = &b->info;

	info->sectors = b->hal->info.capacity / BLK_SYNC_SECTOR;
	info->block = b->hal->block;
	info->read_only = b->hal->info.read_only;
	info->limits = *hal_virtio_limits(b->hal);
	memcpy(info->id, hal_virtio_id(b->hal), sizeof(info->id));
}

/**
 * blk_sync_open - connect to a device and judge it
 * @path: of its socket; kept
 * @timeout_ms: for each call, and for each exchange of the set-up
 *
 * Return: the device, or NULL after a message.
 */
struct blk_sync *blk_sync_open(const char *path, unsigned int timeout_ms)
{
	struct blk_sync *b = calloc(1, sizeof(*b));
	struct hal_virtio_options opt = {
		.connect = connect_device,
		.arg = (void *)path,
		.name = path,
		.timeout_ms = timeout_ms,
		.regions = 1,
	};
	int err;

	if (!b)
		return NULL;
	b->path = path;
	b->timeout_ms = timeout_ms;
	err = make_buffer(b);
	if (err) {
		rumpk_error("memory for %s: %s", path, strerror(-err));
	} else {
		opt.region[0] = (struct hal_virtio_region){ b->fd, b->buffer,
							    BUFFER_BYTES, false };
		b->hal = hal_virtio_open(&opt);
	}
	if (b->hal) {
		learn(b);
		return b;
	}
	blk_sync_close(b);
	return NULL;
}

/**
 * blk_sync_info - what is known of the device
 * @b: device
 * @info: filled
 */
void blk_sync_info(const struct blk_sync *b, struct blk_sync_info *info)
{
	*info = b->info;
}

static void op_done(struct hal_io *io)
{
	io->blocking = false;
}

/* No event tells of an answer: look, and after a while look less often. */
static void look(struct blk_sync *b, struct hal_io *io, uint64_t until)
{
	unsigned int looks = 0;

	while (io->blocking && now_ms() < until) {
		hal_poll(b->hal);
		if (io->blocking && ++looks > 1000)
			usleep(50);
	}
}

/* One operation, in what is left of the time. */
static int carry_out(struct blk_sync *b, enum hal_op op, uint64_t lba,
		     uint64_t count, uint64_t until)
{
	struct iovec iov = { b->buffer, count * BLK_SYNC_SECTOR };
	struct hal_io io = {
		.op = op,
		.iov = &iov,
		.niov = 1,
		.offset = lba * BLK_SYNC_SECTOR,
		.length = count * BLK_SYNC_SECTOR,
		.blocking = true,
		.done = op_done,
	};

	if (!b->hal)
		return -ESHUTDOWN;
	hal_submit(b->hal, &io);
	hal_kick(b->hal);
	look(b, &io, until);
	if (!io.blocking)
		return b->hal->lost ? -ESHUTDOWN : -io.error;
	/* The device has it still: nothing more may be asked of this driver. */
	hal_close(b->hal);
	b->hal = NULL;
	return -ETIMEDOUT;
}

static int check_range(const struct blk_sync *b, uint64_t lba, uint64_t count)
{
	uint32_t block = b->info.block / BLK_SYNC_SECTOR;

	if (lba % block || count % block)
		return -EINVAL;
	if (count > b->info.sectors || lba > b->info.sectors - count)
		return -ERANGE;
	return 0;
}

/**
 * blk_sync_read - read sectors
 * @b: device
 * @lba: first one
 * @count: number of them
 * @buf: filled on success
 *
 * Return: 0 or -errno.
 */
int blk_sync_read(struct blk_sync *b, uint64_t lba, uint64_t count, void *buf)
{
	uint64_t until = now_ms() + b->timeout_ms;
	int err = check_range(b, lba, count);
	uint8_t *to = buf;

	while (!err && count) {
		uint64_t n = min_u64(count, BUFFER_SECTORS);

		err = carry_out(b, HAL_READ, lba, n, until);
		if (err)
			return err;
		memcpy(to, b->buffer, n * BLK_SYNC_SECTOR);
		to += n * BLK_SYNC_SECTOR;
		lba += n;
		count -= n;
	}
	return err;
}

/**
 * blk_sync_write - write sectors
 * @b: device
 * @lba: first one
 * @count: number of them
 * @buf: contents
 *
 * They are durable after blk_sync_flush().
 *
 * Return: 0 or -errno; -EROFS when it is read-only.
 */
int blk_sync_write(struct blk_sync *b, uint64_t lba, uint64_t count,
		   const void *buf)
{
	uint64_t until = now_ms() + b->timeout_ms;
	int err = b->info.read_only ? -EROFS : check_range(b, lba, count);
	const uint8_t *from = buf;

	while (!err && count) {
		uint64_t n = min_u64(count, BUFFER_SECTORS);

		memcpy(b->buffer, from, n * BLK_SYNC_SECTOR);
		err = carry_out(b, HAL_WRITE, lba, n, until);
		from += n * BLK_SYNC_SECTOR;
		lba += n;
		count -= n;
	}
	return err;
}

/**
 * blk_sync_flush - make everything durable that was written
 * @b: device
 *
 * Return: 0 or -errno.
 */
int blk_sync_flush(struct blk_sync *b)
{
	return carry_out(b, HAL_SYNC, 0, 0, now_ms() + b->timeout_ms);
}

/**
 * blk_sync_close - end the connection
 * @b: device, or NULL
 */
void blk_sync_close(struct blk_sync *b)
{
	if (!b)
		return;
	hal_close(b->hal);
	if (b->buffer && b->buffer != MAP_FAILED)
		munmap(b->buffer, BUFFER_BYTES);
	close_fd(&b->fd);
	free(b);
}
