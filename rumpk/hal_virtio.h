/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A disk behind somebody else's virtio block device, over vhost-user.
 */
#ifndef RUMPK_HAL_VIRTIO_H
#define RUMPK_HAL_VIRTIO_H

#include "hal.h"
#include "virtio_blk.h"

#define HAL_VIRTIO_MAX_REGIONS 2u
#define HAL_VIRTIO_MAX_REGION (1ull << 44)

/**
 * struct hal_virtio_region - memory that a device may use
 * @fd: the memory
 * @base: its mapping
 * @length: of it, whole pages; at most HAL_VIRTIO_MAX_REGION
 * @lent: a buffer in it is somebody else's memory again as soon as its operation
 *	has ended, so that none ends while a device may still use it
 */
struct hal_virtio_region {
	int fd;
	uint8_t *base;
	uint64_t length;
	bool lent;
};

/**
 * struct hal_virtio_former - what is known of a device that an earlier process had
 * @limits: its limits
 * @id: its name for itself
 * @lost: its disk was lost, and stays so until it is reopened
 * @sock: connection to it, the driver's from then on: what it may still do with lent
 *	buffers is over when it has closed its end; -1: nobody knows when it is
 */
struct hal_virtio_former {
	struct virtio_blk_limits limits;
	char id[VIRTIO_BLK_ID_BYTES + 1];
	bool lost;
	int sock;
};

/**
 * struct hal_virtio_options - what the driver is handed
 * @connect: makes a connection to the device, or to its successor, and does not
 *	wait for it: a descriptor, the driver's from then on, or -errno; -EINPROGRESS:
 *	it is to be called again
 * @arg: for @connect
 * @name: for messages, and part of the disk's identity
 * @read_only: write nothing, whatever the device allows
 * @block: logical block in bytes; 0: the device's own
 * @timeout_ms: for an exchange of the set-up
 * @open_ms: how long to go on trying at first
 * @fence: whoever is connected to is alone with the medium, and all that was
 *	sent over earlier connections is over before it answers
 * @reconnect_ms: with @fence: how long to wait for a successor
 * @former: the disk had a device before: without waiting for it, the disk begins as
 *	one whose device is gone; NULL: it had none
 * @region: memory in which all buffers lie; the caller keeps it
 * @regions: of them, 1 .. HAL_VIRTIO_MAX_REGIONS
 */
struct hal_virtio_options {
	int (*connect)(void *arg);
	void *arg;
	const char *name;
	bool read_only;
	uint32_t block;
	unsigned int timeout_ms;
	unsigned int open_ms;
	bool fence;
	unsigned int reconnect_ms;
	const struct hal_virtio_former *former;
	struct hal_virtio_region region[HAL_VIRTIO_MAX_REGIONS];
	unsigned int regions;
};

struct hal *hal_virtio_open(const struct hal_virtio_options *opt);
const struct virtio_blk_limits *hal_virtio_limits(const struct hal *hal);
const char *hal_virtio_id(const struct hal *hal);

#endif /* RUMPK_HAL_VIRTIO_H */
