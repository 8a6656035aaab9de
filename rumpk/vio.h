/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VirtIO block driver's own: what its parts share. hal_virtio.c moves data,
 * vio_setup.c makes a device ready, vio_life.c knows which device there is.
 */
#ifndef RUMPK_VIO_H
#define RUMPK_VIO_H

#include <pthread.h>

#include "hal_virtio.h"
#include "vhost_user.h"
#include "virtqueue.h"

#define VIO_QUEUE_SIZE 256u
#define VIO_SEGS (VIRTIO_BLK_MAX_SEGS + 2)
#define VIO_ZERO_BYTES 65536u
/* Before the device has written one. */
#define VIO_NO_STATUS 0xff

/* Where the device sees the driver's memory, and the owner's regions. */
#define VIO_OWN_ADDR (1ull << 16)
#define VIO_DATA_ADDR(n) (((n) + 1ull) * HAL_VIRTIO_MAX_REGION)

enum vio_step {
	VIO_DATA,
	VIO_FILL,
	VIO_RANGE,
	VIO_FLUSH,
	VIO_END,
};

/**
 * struct vio_frame - what of a request lies beside its data
 * @header: the device reads it
 * @range: of DISCARD and WRITE_ZEROES
 * @id: the device's, for GET_ID
 * @status: the device's
 */
struct vio_frame {
	struct virtio_blk_outhdr header;
	struct virtio_blk_discard_write_zeroes range;
	uint8_t id[VIRTIO_BLK_ID_BYTES];
	uint8_t status;
};

/**
 * struct vio_own - the driver's memory
 * @frame: of each request
 * @zeroes: the device reads them
 * @queue: virtqueue
 */
struct vio_own {
	struct vio_frame frame[VIO_QUEUE_SIZE];
	uint8_t zeroes[VIO_ZERO_BYTES] __attribute__((aligned(4096)));
	uint8_t queue[] __attribute__((aligned(4096)));
};

/**
 * struct vio_request - an operation that has not ended
 * @io: the operation
 * @next: free, or waiting for room in the queue
 * @moved: bytes of the operation in the present step
 * @writable: bytes that the device is to write in it
 * @lent: its buffer is (&hal_virtio_region.lent)
 */
struct vio_request {
	struct hal_io *io;
	struct vio_request *next;
	uint64_t moved;
	uint32_t writable;
	bool lent;
};

/**
 * struct vio_device - a connection to a device, and all that was made for it
 * @vu: connection
 * @limits: of the device
 * @id: its name for itself
 * @q: virtqueue
 * @own: the driver's memory
 * @own_bytes: of it
 * @own_fd: of it
 * @kick: pipe: what is written here wakes the device
 * @kick_end: its other end, which the device has too
 * @call: eventfd that the device is not asked to use
 * @err: pipe: what the device complains of
 * @err_end: its other end, which the device has too
 * @why: why it could not be set up
 */
struct vio_device {
	struct vhost_user vu;
	struct virtio_blk_limits limits;
	char id[VIRTIO_BLK_ID_BYTES + 1];
	struct virtq q;
	struct vio_own *own;
	uint64_t own_bytes;
	int own_fd;
	int kick;
	int kick_end;
	int call;
	int err;
	int err_end;
	const char *why;
};

/**
 * struct vio_spec - what a device is set up with, and must be like
 * @data: the owner's memory
 * @ndata: regions of it
 * @block: logical block; 0: the device's own
 * @timeout_ms: for an exchange
 * @write_through: what it acknowledges must outlive it
 * @former: of the device before it; no @features: there was none
 * @id: of the device before it
 * @capacity: bytes that it must have
 */
struct vio_spec {
	struct hal_virtio_region data[HAL_VIRTIO_MAX_REGIONS];
	unsigned int ndata;
	uint32_t block;
	unsigned int timeout_ms;
	bool write_through;
	struct virtio_blk_limits former;
	char id[VIRTIO_BLK_ID_BYTES + 1];
	uint64_t capacity;
};

/**
 * struct vio_attempt - a device that is being set up by a thread of its own, so
 * that one that is slow to answer delays no other disk
 * @dev: the thread's, while it runs; NULL: nobody is set up
 * @spec: how
 * @thread: that does it
 * @done: eventfd, written to when the thread ends
 * @result: of vio_device_setup()
 */
struct vio_attempt {
	struct vio_device *dev;
	struct vio_spec spec;
	pthread_t thread;
	int done;
	int result;
};

/**
 * struct hal_virtio - a disk behind a device
 * @hal: what the owner sees
 * @connect: makes connections
 * @arg: for @connect
 * @spec: of any device
 * @reconnect_ms: how long to wait for a successor; 0: there is no fence
 * @name: for messages
 * @dev: the device that serves; NULL: none does
 * @limits: of that device, or the last one
 * @looked: when the connection was last looked at, in milliseconds
 * @told: the device says that its configuration has changed
 * @next_config: not to be asked for before, in milliseconds
 * @waiting: requests that the device does not have yet, in order
 * @waiting_end: where the next one is hung
 * @free: requests that are free
 * @busy: requests that are not
 * @request: all
 * @away: there is no device, but there is to be one: requests wait
 * @former: connection of the device before, which may still use lent buffers of
 *	requests that wait; -1: none does. There is no @dev then.
 * @until: as long as that, in milliseconds
 * @proved: the device has answered since it came, or had nothing to answer
 * @next_try: when to look for one again
 * @reopening: an operator has asked for it, and @connect has no answer yet
 * @last_error: what became of the last try
 * @attempt: device that is being set up
 */
struct hal_virtio {
	struct hal hal;
	int (*connect)(void *arg);
	void *arg;
	struct vio_spec spec;
	unsigned int reconnect_ms;
	char *name;
	struct vio_device *dev;
	struct virtio_blk_limits limits;
	uint64_t looked;
	bool told;
	uint64_t next_config;
	struct vio_request *waiting;
	struct vio_request **waiting_end;
	struct vio_request *free;
	unsigned int busy;
	struct vio_request request[VIO_QUEUE_SIZE];
	bool away;
	int former;
	uint64_t until;
	bool proved;
	uint64_t next_try;
	bool reopening;
	const char *last_error;
	struct vio_attempt attempt;
};

static inline uint64_t vio_own_addr(const struct vio_device *d, const void *p)
{
	return VIO_OWN_ADDR + (uint64_t)((const uint8_t *)p - (uint8_t *)d->own);
}

static inline struct vio_frame *vio_frame_of(const struct hal_virtio *v,
					     const struct vio_request *r)
{
	return &v->dev->own->frame[r - v->request];
}

extern const struct hal_ops hal_virtio_ops;

/* hal_virtio.c */
void vio_count(struct hal_virtio *v);
unsigned int vio_end_waiting(struct hal_virtio *v, bool lent);
void vio_keep_all(struct hal_virtio *v);
void vio_issue_waiting(struct hal_virtio *v);

/* vio_setup.c */
struct vio_device *vio_device_alloc(int sock, unsigned int timeout_ms);
int vio_device_setup(struct vio_device *d, const struct vio_spec *spec);
void vio_device_free(struct vio_device *d);

/* vio_life.c */
void vio_gone(struct hal_virtio *v, const char *why);
void vio_broken(struct hal_virtio *v, const char *why);
bool vio_live(struct hal_virtio *v);
void vio_reopen(struct hal *hal);
void vio_close(struct hal *hal);

#endif /* RUMPK_VIO_H */
