/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VirtIO block driver's own: what its two halves share.
 */
#ifndef RUMPK_VIO_H
#define RUMPK_VIO_H

#include "hal_virtio.h"
#include "vhost_user.h"
#include "virtio_blk.h"
#include "virtqueue.h"

#define VIO_QUEUE_SIZE 256u
#define VIO_SEGS (VIRTIO_BLK_MAX_SEGS + 2)
#define VIO_ZERO_BYTES 65536u

/* Where the device sees the driver's memory, and the owner's regions. */
#define VIO_OWN_ADDR (1ull << 16)
#define VIO_DATA_ADDR(n) (((n) + 1ull) * HAL_VIRTIO_MAX_REGION)

enum vio_step {
	VIO_DATA,
	VIO_FILL,
	VIO_RANGE,
	VIO_FLUSH,
	VIO_ID,
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
 */
struct vio_request {
	struct hal_io *io;
	struct vio_request *next;
	uint64_t moved;
	uint32_t writable;
};

/**
 * struct hal_virtio - a disk behind a device
 * @hal: what the owner sees
 * @vu: connection
 * @limits: of the device
 * @q: virtqueue
 * @own: the driver's memory
 * @own_bytes: of it
 * @own_fd: of it
 * @kick: eventfd on which the device waits
 * @call: eventfd that the device is not asked to use
 * @err: eventfd on which the device complains
 * @data: the owner's memory
 * @ndata: regions of it
 * @name: for messages
 * @looked: when the connection was last looked at, in milliseconds
 * @free: requests that are free
 * @waiting: those that did not fit, in order
 * @waiting_end: where the next one is hung
 * @request: all
 * @dead: gone or broken
 */
struct hal_virtio {
	struct hal hal;
	struct vhost_user vu;
	struct virtio_blk_limits limits;
	struct virtq q;
	struct vio_own *own;
	uint64_t own_bytes;
	int own_fd;
	int kick;
	int call;
	int err;
	struct hal_virtio_region data[HAL_VIRTIO_MAX_REGIONS];
	unsigned int ndata;
	char *name;
	uint64_t looked;
	struct vio_request *free;
	struct vio_request *waiting;
	struct vio_request **waiting_end;
	struct vio_request request[VIO_QUEUE_SIZE];
	bool dead;
};

static inline uint64_t vio_own_addr(const struct hal_virtio *v, const void *p)
{
	return VIO_OWN_ADDR + (uint64_t)((const uint8_t *)p - (uint8_t *)v->own);
}

static inline struct vio_frame *vio_frame_of(const struct hal_virtio *v,
					     const struct vio_request *r)
{
	return &v->own->frame[r - v->request];
}

extern const struct hal_ops hal_virtio_ops;

int vio_wait(struct hal_virtio *v, enum vio_step step, unsigned int timeout_ms);

#endif /* RUMPK_VIO_H */
