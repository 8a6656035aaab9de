/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A disk behind somebody else's virtio block device, over vhost-user.
 */
#ifndef RUMPK_HAL_VIRTIO_H
#define RUMPK_HAL_VIRTIO_H

#include "hal.h"

#define HAL_VIRTIO_MAX_REGIONS 2u
#define HAL_VIRTIO_MAX_REGION (1ull << 44)

/**
 * struct hal_virtio_region - memory that a device may use
 * @fd: the memory
 * @base: its mapping
 * @length: of it, whole pages; at most HAL_VIRTIO_MAX_REGION
 */
struct hal_virtio_region {
	int fd;
	uint8_t *base;
	uint64_t length;
};

/**
 * struct hal_virtio_options - what the driver is handed
 * @sock: connected to the device; the driver's from now on, also after a failure
 * @name: for messages, and part of the disk's identity
 * @read_only: write nothing, whatever the device allows
 * @block: logical block in bytes
 * @timeout_ms: for an exchange of the set-up
 * @region: memory in which all buffers lie; the caller keeps it
 * @regions: of them, 1 .. HAL_VIRTIO_MAX_REGIONS
 */
struct hal_virtio_options {
	int sock;
	const char *name;
	bool read_only;
	uint32_t block;
	unsigned int timeout_ms;
	struct hal_virtio_region region[HAL_VIRTIO_MAX_REGIONS];
	unsigned int regions;
};

struct hal *hal_virtio_open(const struct hal_virtio_options *opt);

#endif /* RUMPK_HAL_VIRTIO_H */
