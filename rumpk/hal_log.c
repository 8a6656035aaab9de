/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A disk that records what it has another one do (oplog.h).
 *
 * The data of a write is what was in the buffer when the write was handed on. A
 * guest that changes a buffer which it has given away gets what it deserves; its
 * log does not say which of the two.
 */
#include "oplog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image.h"
#include "log.h"
#include "util.h"

/* One record before what hal_io.iov can have. */
#define MOST_PIECES 1024
#define TAKE_MS 1000u
#define TAKE_RETRY_US 200

/**
 * struct logged - an operation that is under way
 * @io: as the disk below has it
 * @outer: as the owner gave it
 * @log: the disk
 * @next: free
 * @id: in the log
 */
struct logged {
	struct hal_io io;
	struct hal_io *outer;
	struct hal_log *log;
	struct logged *next;
	uint64_t id;
};

/**
 * struct hal_log - a disk whose operations are logged
 * @hal: what the owner sees
 * @below: what does the work
 * @fd: the log; -1 once it could not be written
 * @end: how far it is whole, for all disks; OPLOG_ENDED
 * @disk: number
 * @next_id: of the next operation
 * @free: entries of @pool that are free
 * @pool: as many as can be under way
 */
struct hal_log {
	struct hal hal;
	struct hal *below;
	int fd;
	uint64_t *end;
	uint8_t disk;
	uint64_t next_id;
	struct logged *free;
	struct logged *pool;
};

static bool is_file(int fd)
{
	struct stat st;

	return fd_stat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static struct hal_log *to_log(struct hal *hal)
{
	return container_of(hal, struct hal_log, hal);
}

/* A log with a hole would be believed: better none from here on, of any disk. */
static void log_stop(struct hal_log *l, int error)
{
	rumpk_log(RUMPK_ERROR, l->disk, "the operation log ends here: %s",
		  strerror(error));
	if (is_file(l->fd) && ftruncate(l->fd, (off_t)*l->end) < 0)
		rumpk_log(RUMPK_ERROR, l->disk,
			  "what was written of the last record stays: %s",
			  strerror(errno));
	*l->end = OPLOG_ENDED;
}

static void log_write(struct hal_log *l, const struct oplog_record *rec,
		      const struct iovec *iov, int niov)
{
	struct iovec all[MOST_PIECES] = { { (void *)(uintptr_t)rec,
					    sizeof(*rec) } };
	size_t length = sizeof(*rec);
	int i;

	if (*l->end == OPLOG_ENDED)
		return;
	errno = ENOSPC;
	for (i = 0; i < niov && i + 1 < MOST_PIECES; i++) {
		all[i + 1] = iov[i];
		length += iov[i].iov_len;
	}
	if (i < niov || writev(l->fd, all, niov + 1) != (ssize_t)length)
		log_stop(l, errno);
	else
		__atomic_store_n(l->end, *l->end + length, __ATOMIC_RELEASE);
}

static void log_begin(struct logged *g)
{
	const struct hal_io *io = &g->io;
	const struct oplog_record rec = {
		.magic = OPLOG_MAGIC,
		.type = OPLOG_BEGIN,
		.disk = g->log->disk,
		.op = (uint8_t)io->op,
		.flags = io->durable ? OPLOG_DURABLE : 0,
		.id = g->id,
		.offset = io->offset,
		.length = io->op == HAL_SYNC ? 0 : io->length,
	};

	log_write(g->log, &rec, io->iov, io->op == HAL_WRITE ? io->niov : 0);
}

static void log_end(struct hal_log *l, enum hal_op op, uint64_t id, int error)
{
	const struct oplog_record rec = {
		.magic = OPLOG_MAGIC,
		.type = OPLOG_END,
		.disk = l->disk,
		.op = (uint8_t)op,
		.id = id,
		.length = (uint64_t)error,
	};

	log_write(l, &rec, NULL, 0);
}

/* What the owner reads of the disk below without asking. */
static void log_mirror(struct hal_log *l)
{
	l->hal.info = l->below->info;
	l->hal.event_fd = l->below->event_fd;
	l->hal.polled = l->below->polled;
	l->hal.changed = l->below->changed;
	l->hal.lost = l->below->lost;
	l->hal.waiting = l->below->waiting;
}

static void log_done(struct hal_io *io)
{
	struct logged *g = container_of(io, struct logged, io);
	struct hal_log *l = g->log;
	struct hal_io *outer = g->outer;

	log_end(l, io->op, g->id, io->error);
	outer->error = io->error;
	outer->unsynced = io->unsynced;
	g->next = l->free;
	l->free = g;
	log_mirror(l);
	outer->done(outer);
}

static void log_submit(struct hal *hal, struct hal_io *io)
{
	struct hal_log *l = to_log(hal);
	struct logged *g = l->free;

	if (io->op == HAL_READ) {
		hal_submit(l->below, io);
		log_mirror(l);
		return;
	}
	if (!g) {
		io->error = EBUSY;
		io->done(io);
		return;
	}
	l->free = g->next;
	g->io = *io;
	g->io.done = log_done;
	g->outer = io;
	g->id = l->next_id++;
	log_begin(g);
	hal_submit(l->below, &g->io);
	log_mirror(l);
}

static unsigned int log_poll(struct hal *hal)
{
	struct hal_log *l = to_log(hal);
	unsigned int n = hal_poll(l->below);

	log_mirror(l);
	return n;
}

static void log_kick(struct hal *hal)
{
	hal_kick(to_log(hal)->below);
}

static int log_start(struct hal *hal, unsigned int depth)
{
	struct hal_log *l = to_log(hal);
	unsigned int i;
	int err = hal_start(l->below, depth);

	if (err)
		return err;
	l->pool = calloc(depth, sizeof(*l->pool));
	if (!l->pool)
		return -ENOMEM;
	for (i = 0; i < depth; i++) {
		l->pool[i].log = l;
		l->pool[i].next = l->free;
		l->free = &l->pool[i];
	}
	log_mirror(l);
	return 0;
}

static int log_resize(struct hal *hal)
{
	struct hal_log *l = to_log(hal);
	int err = hal_resize(l->below);

	log_mirror(l);
	return err;
}

static void log_reopen(struct hal *hal)
{
	struct hal_log *l = to_log(hal);

	hal_reopen(l->below);
	log_mirror(l);
}

static int log_sync(struct hal *hal)
{
	struct hal_log *l = to_log(hal);
	const struct oplog_record begin = {
		.magic = OPLOG_MAGIC,
		.type = OPLOG_BEGIN,
		.disk = l->disk,
		.op = HAL_SYNC,
		.id = l->next_id++,
	};
	int err;

	log_write(l, &begin, NULL, 0);
	err = hal_sync(l->below);
	log_end(l, HAL_SYNC, begin.id, -err);
	return err;
}

static void log_close(struct hal *hal)
{
	struct hal_log *l = to_log(hal);

	hal_close(l->below);
	close_fd(&l->fd);
	free(l->pool);
	free(l);
}

static const struct hal_ops log_ops = {
	.name = "log",
	.start = log_start,
	.submit = log_submit,
	.poll = log_poll,
	.kick = log_kick,
	.resize = log_resize,
	.reopen = log_reopen,
	.sync = log_sync,
	.close = log_close,
};

static uint64_t data_bytes(const struct oplog_record *rec)
{
	return rec->type == OPLOG_BEGIN && rec->op == HAL_WRITE ? rec->length : 0;
}

/* What is shorter than a record is the beginning of one, as far as that can be seen. */
static bool begins_record(int fd, uint64_t at, uint64_t bytes)
{
	const uint32_t magic = OPLOG_MAGIC;
	size_t length = min_u64(bytes, sizeof(magic));
	uint32_t found;

	return pread(fd, &found, length, (off_t)at) == (ssize_t)length &&
	       memcmp(&found, &magic, length) == 0;
}

/* How far a log that somebody else has left is whole; -EINVAL: it is none. */
static int64_t whole_records(int fd, uint64_t size)
{
	struct oplog_record rec;
	uint64_t at = 0;

	while (size - at >= sizeof(rec)) {
		if (pread(fd, &rec, sizeof(rec), (off_t)at) != sizeof(rec) ||
		    rec.magic != OPLOG_MAGIC)
			return -EINVAL;
		if (data_bytes(&rec) > size - at - sizeof(rec))
			return (int64_t)at;
		at += sizeof(rec) + data_bytes(&rec);
	}
	return begins_record(fd, at, size - at) ? (int64_t)at : -EINVAL;
}

/* How far a file is whole, by what is known, or else by what is in it. */
static int64_t judge(int fd, uint64_t size, struct oplog_known *log,
		     bool successor)
{
	bool same = image_is(fd, log->file);

	/* Nobody would miss what was not logged meanwhile. */
	if (same && log->end == OPLOG_ENDED)
		return -ESTALE;
	if (!same && successor)
		return -EEXIST;
	image_identity(fd, log->file);
	if (!same || !log->end)
		return whole_records(fd, size);
	return log->end > size ? -ENODATA : (int64_t)log->end;
}

/* Cut off what is not whole, so that what follows can be read. */
static int repair(int fd, const char *path, struct oplog_known *log,
		  bool successor)
{
	struct stat st;
	int64_t whole;
	int err;

	if (!is_file(fd)) {
		memset(log, 0, sizeof(*log));
		return 0;
	}
	/*
	 * Two that append to one log would each cut off what the other has written. A
	 * worker's hold goes with it, but not before its successor looks for it.
	 */
	err = flock_within(fd, TAKE_MS, TAKE_RETRY_US);
	if (err)
		return err;
	if (fstat(fd, &st) < 0)
		return -errno;
	whole = judge(fd, (uint64_t)st.st_size, log, successor);
	if (whole < 0)
		return (int)whole;
	log->end = (uint64_t)whole;
	if (whole == st.st_size)
		return 0;
	rumpk_info("--op-log %s: %lld bytes of a record that nobody ended are cut off",
		   path, (long long)(st.st_size - whole));
	return ftruncate(fd, whole) < 0 ? -errno : 0;
}

static const char *fault(int err)
{
	switch (err) {
	case -EINVAL:
		return "is no operation log";
	case -ENODATA:
		return "is shorter than it was";
	case -EWOULDBLOCK:
		return "is written by another rumpk";
	case -EEXIST:
		return "is another file than it was";
	case -ESTALE:
		return "ended before, and would have a hole: nothing is logged, name another file";
	default:
		return strerror(-err);
	}
}

/**
 * oplog_open - open the log to append to it
 * @path: of the log, which need not be there
 * @log: what is known of it; filled
 * @successor: a worker before this one has written to it: it goes on without the
 *	log rather than not at all
 *
 * A log that has ended is not gone on with, nor by a rumpk that comes again: another
 * file is a new log.
 *
 * Return: a descriptor, or -EINVAL after a message; with OPLOG_ENDED in @log there is
 * no log any more, and that is no reason not to serve.
 */
int oplog_open(const char *path, struct oplog_known *log, bool successor)
{
	const int flags = O_RDWR | O_APPEND | O_CLOEXEC;
	int fd = -1;
	int err = 0;

	if (successor && log->end == OPLOG_ENDED)
		return -EINVAL;
	fd = open(path, successor ? flags : flags | O_CREAT, 0600);
	if (fd < 0)
		err = -errno;
	else
		err = repair(fd, path, log, successor);
	if (!err)
		return fd;
	close_fd(&fd);
	rumpk_error("--op-log %s: %s", path, fault(err));
	if (successor)
		log->end = OPLOG_ENDED;
	return -EINVAL;
}

/**
 * hal_log_open - log what a disk does
 * @below: the disk; this one's from now on, also after a failure
 * @fd: the log, open for appending; duplicated
 * @disk: its number
 * @end: how far the log is whole, oplog_open()
 *
 * Return: the disk, or NULL after a message.
 */
struct hal *hal_log_open(struct hal *below, int fd, unsigned int disk,
			 uint64_t *end)
{
	const struct oplog_record rec = {
		.magic = OPLOG_MAGIC,
		.type = OPLOG_DISK,
		.disk = (uint8_t)disk,
		.length = below->info.capacity,
	};
	struct hal_log *l = calloc(1, sizeof(*l));

	errno = ENOMEM;
	if (l)
		l->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (!l || l->fd < 0) {
		rumpk_error("operation log: %s", strerror(errno));
		hal_close(below);
		free(l);
		return NULL;
	}
	l->hal.ops = &log_ops;
	l->hal.block = below->block;
	l->hal.copies = below->copies;
	l->below = below;
	l->end = end;
	l->disk = (uint8_t)disk;
	log_mirror(l);
	log_write(l, &rec, NULL, 0);
	return &l->hal;
}
