/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What lies below the valve: a disk that moves sectors and knows nothing of
 * guests, capabilities or rings.
 *
 * The owner fills a &struct hal_io and gives it to hal_submit(); it belongs to
 * the HAL until @done is called, which may be before hal_submit() returns, or
 * from hal_poll(). All calls come from one thread. Ranges have been checked.
 */
#ifndef RUMPK_HAL_H
#define RUMPK_HAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

/**
 * enum hal_op - what a HAL does
 * @HAL_READ: @length bytes from @offset into @iov
 * @HAL_WRITE: @length bytes from @iov to @offset
 * @HAL_SYNC: everything that was done before is durable when this is done
 * @HAL_DISCARD: contents no longer needed
 * @HAL_ZERO: reads zero afterwards
 */
enum hal_op {
	HAL_READ,
	HAL_WRITE,
	HAL_SYNC,
	HAL_DISCARD,
	HAL_ZERO,
};

/**
 * struct hal_io - one operation
 * @op: &enum hal_op
 * @durable: HAL_WRITE, HAL_ZERO: durable when done
 * @unmap: HAL_ZERO: the range may be deallocated
 * @step: the HAL's own: where in the operation it is
 * @blocking: the HAL's own: the next step is to be done in place
 * @niov: pieces in @iov
 * @iov: buffer; the HAL changes it as it goes
 * @offset: byte on the disk; the HAL changes it as it goes
 * @length: bytes left
 * @zeroes: the HAL's own: buffer of a step that writes zeroes
 * @next: the HAL's own: another one that waits for the same
 * @error: 0 or a positive errno, valid in @done
 * @unsynced: with @error: it was a sync that failed, so that what was done before,
 *	and acknowledged, may be lost; valid in @done
 * @done: called exactly once
 */
struct hal_io {
	enum hal_op op;
	bool durable;
	bool unmap;
	bool blocking;
	uint8_t step;
	int niov;
	struct iovec *iov;
	uint64_t offset;
	uint64_t length;
	struct iovec zeroes;
	struct hal_io *next;
	int error;
	bool unsynced;
	void (*done)(struct hal_io *io);
};

/**
 * struct hal_info - geometry of a disk
 * @capacity: bytes
 * @read_only: the medium refuses writes
 * @max_segs: most pieces of a buffer; 0: any number
 * @uuid: the same for as long as the contents are the same disk's
 */
struct hal_info {
	uint64_t capacity;
	bool read_only;
	uint32_t max_segs;
	uint8_t uuid[16];
};

struct hal;

/**
 * struct hal_ops - a kind of disk
 * @name: for messages
 * @start: take what service needs, after the last fork; NULL: nothing
 * @submit: begin an operation
 * @poll: finish what can be finished; NULL: @submit finishes everything
 * @kick: hand what was submitted to the kernel; NULL: nothing to do
 * @resize: look at the medium's size again and update @info; -errno when it
 *	cannot be used, and then nothing changes; NULL: never changes
 * @reopen: an operator says that what was before is over: begin anew with a
 *	medium that was lost, without waiting; @changed tells of the end;
 *	NULL: never lost
 * @sync: make everything durable, blocking; 0 or -errno
 * @close: release all; nothing is in flight
 */
struct hal_ops {
	const char *name;
	int (*start)(struct hal *hal, unsigned int depth);
	void (*submit)(struct hal *hal, struct hal_io *io);
	unsigned int (*poll)(struct hal *hal);
	void (*kick)(struct hal *hal);
	int (*resize)(struct hal *hal);
	void (*reopen)(struct hal *hal);
	int (*sync)(struct hal *hal);
	void (*close)(struct hal *hal);
};

/**
 * struct hal - a disk
 * @ops: its kind
 * @info: geometry
 * @event_fd: readable when @ops->poll has something to do; -1: never
 * @block: logical block in bytes
 * @polled: operations whose end makes no event: only @ops->poll sees it
 * @copies: data goes through this process, from one memory to another
 * @changed: the medium may have another size, or @lost is another: the owner
 *	calls hal_resize()
 * @lost: all requests fail, and what was done before may be lost, until
 *	hal_reopen() brings the medium back
 * @waiting: what an earlier process began may still happen, here or in the buffers
 *	that it used: not to be offered to a guest before @changed tells of the end
 */
struct hal {
	const struct hal_ops *ops;
	struct hal_info info;
	int event_fd;
	uint32_t block;
	unsigned int polled;
	bool copies;
	bool changed;
	bool lost;
	bool waiting;
};

static inline int hal_start(struct hal *hal, unsigned int depth)
{
	return hal->ops->start ? hal->ops->start(hal, depth) : 0;
}

static inline void hal_submit(struct hal *hal, struct hal_io *io)
{
	hal->ops->submit(hal, io);
}

static inline unsigned int hal_poll(struct hal *hal)
{
	return hal->ops->poll ? hal->ops->poll(hal) : 0;
}

static inline void hal_kick(struct hal *hal)
{
	if (hal->ops->kick)
		hal->ops->kick(hal);
}

static inline int hal_resize(struct hal *hal)
{
	return hal->ops->resize ? hal->ops->resize(hal) : 0;
}

static inline void hal_reopen(struct hal *hal)
{
	if (hal->ops->reopen)
		hal->ops->reopen(hal);
}

static inline int hal_sync(struct hal *hal)
{
	return hal->ops->sync(hal);
}

static inline void hal_close(struct hal *hal)
{
	if (hal)
		hal->ops->close(hal);
}

uint8_t hal_status(int error);
void hal_advance(struct hal_io *io, uint64_t n);

int hal_mem_create(uint64_t size, int *fd);
struct hal *hal_mem_open(int fd, uint64_t size, bool read_only, uint32_t block,
			 const uint8_t uuid[16]);

struct image;

/**
 * struct hal_file_former - an image that an earlier process has served
 * @known: description of it, image_witness(); -1: none
 * @capacity: that it had
 * @uuid: that it must have
 * @lost: it was, and is not to be opened before hal_reopen()
 * @open: opens it again later, when this process has no names any more, and waits for
 *	nobody: -EINPROGRESS, it is to be called again; else as image_open_again(), and
 *	with @name it says who holds a lock: -ETXTBSY, when it is a process
 * @arg: for @open
 */
struct hal_file_former {
	int known;
	uint64_t capacity;
	uint8_t uuid[16];
	bool lost;
	int (*open)(void *arg, bool name, struct image *img);
	void *arg;
};

/**
 * struct hal_file_options - how to open an image
 * @path: of a regular file or block device
 * @read_only: open for reading; others may read it as well
 * @block: logical block in bytes
 * @wait_ms: how long to wait for a lock that somebody holds
 * @no_uring: do without io_uring
 * @former: it was served before: waits for nobody, and becomes a disk that is
 *	waiting or lost where it cannot be had; NULL: it was not
 */
struct hal_file_options {
	const char *path;
	bool read_only;
	uint32_t block;
	unsigned int wait_ms;
	bool no_uring;
	const struct hal_file_former *former;
};

struct hal *hal_file_open(const struct hal_file_options *opt);

#endif /* RUMPK_HAL_H */
