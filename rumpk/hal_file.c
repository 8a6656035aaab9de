/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A disk in a file or on a block device.
 *
 * An operation is a row of steps. Each step is done in place by the thread that
 * polls, where that is known to be quick, or by io_uring:
 *
 *   READ   READ again until all is there. In place with RWF_NOWAIT; what is not
 *          in the page cache goes through io_uring.
 *   WRITE  likewise; in place as long as it was seen to be quick.
 *          When it must be durable: then SYNC, and not RWF_DSYNC, whose error would
 *          not tell a write that had no room from data that is lost.
 *   ZERO   PUNCH (when it may deallocate) or RANGE; where the file system has
 *          neither, FILL writes zeroes; then SYNC when it must be durable.
 *   DISCARD  PUNCH.
 *   SYNC   fdatasync, one at a time: the kernel tells each open file once that
 *          writing back has failed. Of several at once one would fail, and the
 *          others would vouch for what is lost. Whoever comes meanwhile waits for
 *          the next one, which is for all of them; when the one before fails it
 *          is not made, since it would know nothing of that.
 *
 * An image that an earlier process has served may not be there yet: as long as its
 * lock is held the disk is @waiting, for what the kernel still does for the dead, or
 * when it cannot be had it is @lost.
 *
 * On file systems in memory everything is done in place: there is no device to
 * wait for, and a hand-over to another thread costs more than the copy.
 */
#include "hal.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image.h"
#include "log.h"
#include "uring.h"
#include "util.h"

/* After a write in place that took longer, so many go through io_uring. */
#define SLOW_NS 1000000u
#define SLOW_PENALTY 64u
/* A copy may take this long for each KiB without being called slow. */
#define SLOW_NS_PER_KIB 1000u
#define ZERO_BYTES 65536u
/* A lock is tried for a second, then more rarely, and its holder named. */
#define LOCK_TRY_MS 1u
#define LOCK_EAGER_MS 1000u
#define LOCK_NAME_MS 10000u
#define LOCK_PATIENT_MS 100u

enum step {
	STEP_IO,
	STEP_PUNCH,
	STEP_RANGE,
	STEP_FILL,
	STEP_SYNC,
	STEP_END,
};

/**
 * struct hal_file - an image that is being served
 * @hal: what the owner sees
 * @img: the image; without a descriptor while the disk is waiting or lost
 * @former: of an image that was served before
 * @since: when it began to wait, in milliseconds
 * @next_try: not to be tried before
 * @next_name: holder not to be named before
 * @asking: @former.open() has no answer yet
 * @naming: it was asked for who holds the lock as well
 * @path: for messages
 * @ring: valid when @has_ring
 * @has_ring: io_uring may be used
 * @no_nowait: the file system does not know RWF_NOWAIT
 * @penalty: writes that still go through io_uring because one was slow
 * @queued: prepared, not yet handed to the kernel
 * @syncing: operations that io_uring's sync is for; NULL: none is under way
 * @to_sync: those that wait for the next one
 */
struct hal_file {
	struct hal hal;
	struct image img;
	struct hal_file_former former;
	uint64_t since;
	uint64_t next_try;
	uint64_t next_name;
	bool asking;
	bool naming;
	char *path;
	struct io_uring ring;
	bool has_ring;
	bool no_uring;
	bool no_nowait;
	unsigned int penalty;
	unsigned int queued;
	struct hal_io *syncing;
	struct hal_io *to_sync;
};

static uint8_t zeroes[ZERO_BYTES];

static void io_finish(struct hal_io *io, int error)
{
	io->error = error;
	io->step = STEP_END;
}

static enum step io_first_step(const struct hal_io *io)
{
	switch (io->op) {
	case HAL_READ:
	case HAL_WRITE:
		return STEP_IO;
	case HAL_DISCARD:
		return STEP_PUNCH;
	case HAL_ZERO:
		return io->unmap ? STEP_PUNCH : STEP_RANGE;
	default:
		return STEP_SYNC;
	}
}

/* All is written, or reads zero. */
static void io_written(struct hal_io *io)
{
	if (io->durable && (io->op == HAL_WRITE || io->op == HAL_ZERO))
		io->step = STEP_SYNC;
	else
		io_finish(io, 0);
}

static void io_after_transfer(struct hal_io *io, long res)
{
	if (res < 0) {
		io_finish(io, (int)-res);
	} else if (res == 0) {
		/* Past the end of a file that has shrunk. */
		io_finish(io, EIO);
	} else {
		hal_advance(io, min_u64((uint64_t)res, io->length));
		if (!io->length)
			io_written(io);
	}
}

static bool cannot_fallocate(long res)
{
	return res == -EOPNOTSUPP || res == -ENOSYS || res == -EINVAL;
}

static void io_after_fallocate(struct hal_io *io, long res)
{
	if (!res) {
		io_written(io);
	} else if (!cannot_fallocate(res)) {
		io_finish(io, (int)-res);
	} else if (io->op == HAL_DISCARD) {
		/* Contents that nobody needs may as well stay. */
		io_finish(io, 0);
	} else {
		io->step = io->step == STEP_PUNCH ? STEP_RANGE : STEP_FILL;
	}
}

static void io_after_fill(struct hal_io *io, long res)
{
	if (res < 0) {
		io_finish(io, (int)-res);
		return;
	}
	io->offset += (uint64_t)res;
	io->length -= min_u64((uint64_t)res, io->length);
	if (!io->length)
		io_written(io);
}

/* Take the result of the present step and decide on the next. */
static void io_result(struct hal_io *io, long res)
{
	io->blocking = res == -EINTR || res == -EAGAIN;
	if (io->blocking)
		return;
	switch (io->step) {
	case STEP_IO:
		io_after_transfer(io, res);
		break;
	case STEP_PUNCH:
	case STEP_RANGE:
		io_after_fallocate(io, res);
		break;
	case STEP_FILL:
		io_after_fill(io, res);
		break;
	default:
		io->unsynced = res < 0;
		io_finish(io, (int)-res);
		break;
	}
}

static int io_fallocate_mode(const struct hal_io *io)
{
	return FALLOC_FL_KEEP_SIZE |
	       (io->step == STEP_PUNCH ? FALLOC_FL_PUNCH_HOLE :
					 FALLOC_FL_ZERO_RANGE);
}

static struct iovec *io_zero_iov(struct hal_io *io)
{
	io->zeroes.iov_base = zeroes;
	io->zeroes.iov_len = min_u64(io->length, ZERO_BYTES);
	return &io->zeroes;
}

static long file_transfer(struct hal_file *f, struct hal_io *io, int flags)
{
	ssize_t res;

	if (io->op == HAL_READ)
		res = preadv2(f->img.fd, io->iov, io->niov, (off_t)io->offset,
			      flags);
	else
		res = pwritev2(f->img.fd, io->iov, io->niov, (off_t)io->offset,
			       flags);
	return res < 0 ? -errno : res;
}

static long file_in_place(struct hal_file *f, struct hal_io *io)
{
	off_t at = (off_t)io->offset;
	long res;

	switch (io->step) {
	case STEP_IO:
		return file_transfer(f, io, 0);
	case STEP_PUNCH:
	case STEP_RANGE:
		res = fallocate(f->img.fd, io_fallocate_mode(io), at,
				(off_t)io->length);
		break;
	case STEP_FILL:
		res = pwrite(f->img.fd, zeroes, min_u64(io->length, ZERO_BYTES),
			     at);
		break;
	default:
		res = fdatasync(f->img.fd);
		break;
	}
	return res < 0 ? -errno : res;
}

static struct io_uring_sqe *file_sqe(struct hal_file *f)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&f->ring);

	if (sqe)
		return sqe;
	io_uring_submit(&f->ring);
	return io_uring_get_sqe(&f->ring);
}

/* Prepare the present step for io_uring; false when its queue is full. */
static bool file_queue(struct hal_file *f, struct hal_io *io)
{
	struct io_uring_sqe *sqe = file_sqe(f);
	int fd = f->img.fd;

	if (!sqe)
		return false;
	switch (io->step) {
	case STEP_IO:
		if (io->op == HAL_READ)
			io_uring_prep_readv(sqe, fd, io->iov,
					    (unsigned int)io->niov, io->offset);
		else
			io_uring_prep_writev(sqe, fd, io->iov,
					     (unsigned int)io->niov, io->offset);
		break;
	case STEP_PUNCH:
	case STEP_RANGE:
		io_uring_prep_fallocate(sqe, fd, io_fallocate_mode(io),
					(off_t)io->offset, (off_t)io->length);
		break;
	case STEP_FILL:
		io_uring_prep_writev(sqe, fd, io_zero_iov(io), 1, io->offset);
		break;
	default:
		io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
		break;
	}
	io_uring_sqe_set_data(sqe, io);
	f->queued++;
	return true;
}

/* What the page cache has is read at once; true when the step is done. */
static bool file_read_now(struct hal_file *f, struct hal_io *io)
{
	long res;

	if (f->no_nowait)
		return false;
	res = file_transfer(f, io, RWF_NOWAIT);
	if (res == -EOPNOTSUPP)
		f->no_nowait = true;
	if (res <= 0)
		return false;
	io_result(io, res);
	return true;
}

/* A write into the page cache; true when the step is done. */
static bool file_write_now(struct hal_file *f, struct hal_io *io)
{
	uint64_t limit = SLOW_NS + io->length / 1024 * SLOW_NS_PER_KIB;
	uint64_t start;

	if (f->penalty) {
		f->penalty--;
		return false;
	}
	start = now_ns();
	io_result(io, file_transfer(f, io, 0));
	if (now_ns() - start > limit)
		f->penalty = SLOW_PENALTY;
	return true;
}

static bool file_step_now(struct hal_file *f, struct hal_io *io)
{
	if (io->step != STEP_IO)
		return false;
	return io->op == HAL_READ ? file_read_now(f, io) : file_write_now(f, io);
}

static bool file_blocks(const struct hal_file *f, const struct hal_io *io)
{
	return !f->has_ring || f->img.memory_fs || io->blocking;
}

static void file_run(struct hal_file *f, struct hal_io *io);

static void file_end_sync(struct hal_file *f, struct hal_io *list, long res)
{
	struct hal_io *io;

	while ((io = list)) {
		list = io->next;
		io_result(io, res);
		file_run(f, io);
	}
}

/* One sync for all of @list, when none is under way. */
static void file_sync_all(struct hal_file *f, struct hal_io *list)
{
	if (!file_blocks(f, list) && file_queue(f, list))
		f->syncing = list;
	else
		file_end_sync(f, list, file_in_place(f, list));
}

static void file_sync_one(struct hal_file *f, struct hal_io *io)
{
	io->next = NULL;
	if (f->syncing) {
		io->next = f->to_sync;
		f->to_sync = io;
	} else {
		file_sync_all(f, io);
	}
}

/* io_uring's sync has ended. The next one begins first: ends may bring more. */
static void file_synced(struct hal_file *f, long res)
{
	struct hal_io *ended = f->syncing;
	struct hal_io *waiting = f->to_sync;
	bool failed = res < 0 && res != -EINTR && res != -EAGAIN;

	f->syncing = NULL;
	f->to_sync = NULL;
	if (waiting && !failed)
		file_sync_all(f, waiting);
	file_end_sync(f, ended, res);
	if (failed)
		file_end_sync(f, waiting, res);
}

/* Go on until the operation is done, or io_uring has it or a sync that is for it. */
static void file_run(struct hal_file *f, struct hal_io *io)
{
	while (io->step != STEP_END) {
		if (io->step == STEP_SYNC) {
			file_sync_one(f, io);
			return;
		}
		if (!file_blocks(f, io)) {
			if (file_step_now(f, io))
				continue;
			if (file_queue(f, io))
				return;
		}
		io_result(io, file_in_place(f, io));
	}
	io->done(io);
}

static void file_submit(struct hal *hal, struct hal_io *io)
{
	struct hal_file *f = container_of(hal, struct hal_file, hal);

	io->step = io_first_step(io);
	io->blocking = false;
	io->error = 0;
	io->unsynced = false;
	if (f->img.fd < 0)
		io_finish(io, EIO);
	file_run(f, io);
}

static void file_kick(struct hal *hal)
{
	struct hal_file *f = container_of(hal, struct hal_file, hal);
	int n;

	if (!f->queued)
		return;
	/* What the kernel does not take now stays queued for the next kick. */
	n = io_uring_submit(&f->ring);
	if (n > 0)
		f->queued = io_uring_sq_ready(&f->ring);
}

/* What was opened is the disk, when it is the same one. */
static int file_adopt(struct hal_file *f, struct image *img)
{
	if (memcmp(img->uuid, f->former.uuid, sizeof(img->uuid))) {
		rumpk_error("disk %s: is another image than the one that was served",
			    f->path);
		close_fd(&img->fd);
		return -ESTALE;
	}
	f->img = *img;
	f->hal.info.capacity = img->size;
	return 0;
}

static int file_open_late(struct hal_file *f, bool name)
{
	struct image img;
	int err = f->former.open(f->former.arg, name, &img);

	return err ? err : file_adopt(f, &img);
}

static void file_set_lost(struct hal_file *f, bool lost)
{
	f->hal.lost = lost;
	f->hal.waiting = false;
	f->hal.polled = 0;
	f->hal.changed = true;
}

/* While it waits the owner looks often, at first. */
static void file_try(struct hal_file *f)
{
	uint64_t now = now_ms();
	bool eager = now - f->since < LOCK_EAGER_MS;
	bool name = !eager && now >= f->next_name;
	int err;

	if (now < f->next_try && !f->asking)
		return;
	if (!f->asking)
		f->naming = name;
	err = file_open_late(f, f->naming);
	f->asking = err == -EINPROGRESS;
	f->hal.polled = eager;
	if (f->asking)
		return;
	if (f->naming)
		f->next_name = now + LOCK_NAME_MS;
	f->next_try = now + (eager ? LOCK_TRY_MS : LOCK_PATIENT_MS);
	if (err == -EBUSY)
		return;
	if (err)
		rumpk_error("disk %s: its requests fail until it is reopened",
			    f->path);
	file_set_lost(f, err != 0);
}

/* Once for each time that an operator asks: until it is answered. */
static void file_reopen(struct hal *hal)
{
	struct hal_file *f = container_of(hal, struct hal_file, hal);
	int err = hal->lost ? file_open_late(f, true) : 0;

	f->asking = err == -EINPROGRESS;
	if (f->asking)
		return;
	if (err)
		rumpk_error("disk %s: not reopened: %s", f->path, strerror(-err));
	else if (hal->lost)
		file_set_lost(f, false);
}

static unsigned int file_poll(struct hal *hal)
{
	struct hal_file *f = container_of(hal, struct hal_file, hal);
	struct io_uring_cqe *cqe;
	struct hal_io *io;
	unsigned int n = 0;
	int res;

	if (hal->waiting)
		file_try(f);
	else if (f->asking)
		file_reopen(hal);
	if (!f->has_ring)
		return 0;
	while (io_uring_peek_cqe(&f->ring, &cqe) == 0) {
		io = io_uring_cqe_get_data(cqe);
		res = cqe->res;
		io_uring_cqe_seen(&f->ring, cqe);
		if (io == f->syncing) {
			file_synced(f, res);
		} else {
			io_result(io, res);
			file_run(f, io);
		}
		n++;
	}
	return n;
}

static int file_start(struct hal *hal, unsigned int depth)
{
	struct hal_file *f = container_of(hal, struct hal_file, hal);
	int err = f->no_uring ? -EPERM : uring_open(&f->ring, depth);

	if (err) {
		rumpk_warn("disk %s: io_uring is not available (%s), serving it with preadv2 and pwritev2",
			   f->path, strerror(-err));
		return 0;
	}
	f->has_ring = true;
	hal->event_fd = f->ring.ring_fd;
	return 0;
}

static int file_resize(struct hal *hal)
{
	struct hal_file *f = container_of(hal, struct hal_file, hal);
	const char *why;
	uint64_t size;
	int err;

	hal->changed = false;
	if (f->img.fd < 0)
		return -EIO;
	err = image_size(f->img.fd, hal->block, &size, &why);
	if (err) {
		rumpk_warn("disk %s: %s, the former size stays", f->path, why);
		return err;
	}
	f->img.size = size;
	hal->info.capacity = size;
	return 0;
}

static int file_sync(struct hal *hal)
{
	struct hal_file *f = container_of(hal, struct hal_file, hal);

	if (f->img.fd < 0)
		return -EIO;
	while (fdatasync(f->img.fd) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static void file_close(struct hal *hal)
{
	struct hal_file *f = container_of(hal, struct hal_file, hal);

	if (f->has_ring)
		io_uring_queue_exit(&f->ring);
	close_fd(&f->img.fd);
	free(f->path);
	free(f);
}

static const struct hal_ops file_ops = {
	.name = "file",
	.start = file_start,
	.submit = file_submit,
	.poll = file_poll,
	.kick = file_kick,
	.resize = file_resize,
	.reopen = file_reopen,
	.sync = file_sync,
	.close = file_close,
};

/* An image that was served before: it may have to be waited for, or be lost. */
static void file_take_over(struct hal_file *f, const struct hal_file_options *opt)
{
	const struct hal_file_former *former = opt->former;
	struct image img;
	int err = -EIO;

	f->former = *former;
	f->img.fd = -1;
	f->hal.info.capacity = former->capacity;
	memcpy(f->hal.info.uuid, former->uuid, sizeof(f->hal.info.uuid));
	if (!former->lost)
		err = image_open_again(&img, former->known, f->path,
				       opt->read_only, opt->block);
	if (!err)
		err = file_adopt(f, &img);
	if (!err)
		return;
	f->hal.waiting = err == -EBUSY;
	f->hal.lost = !f->hal.waiting;
	f->hal.changed = true;
	f->hal.polled = f->hal.waiting;
	f->since = now_ms();
	if (f->hal.lost)
		rumpk_error("disk %s: its requests fail until it is reopened",
			    f->path);
}

static int file_open(struct hal_file *f, const struct hal_file_options *opt)
{
	int err;

	if (opt->former) {
		file_take_over(f, opt);
		return 0;
	}
	err = image_open(&f->img, opt->path, opt->read_only, opt->block,
			 opt->wait_ms);
	f->hal.info.capacity = f->img.size;
	memcpy(f->hal.info.uuid, f->img.uuid, sizeof(f->hal.info.uuid));
	return err;
}

/**
 * hal_file_open - open, judge and lock an image
 * @opt: which and how
 *
 * Return: the disk, or NULL after a message.
 */
struct hal *hal_file_open(const struct hal_file_options *opt)
{
	struct hal_file *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->path = strdup(opt->path);
	if (!f->path || file_open(f, opt)) {
		free(f->path);
		free(f);
		return NULL;
	}
	f->no_uring = opt->no_uring;
	f->hal.ops = &file_ops;
	f->hal.event_fd = -1;
	f->hal.block = opt->block;
	f->hal.info.read_only = opt->read_only;
	return &f->hal;
}
