/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A disk behind somebody else's virtio block device, over vhost-user.
 */
#ifndef RUMPK_HAL_VIRTIO_H
#define RUMPK_HAL_VIRTIO_H

#include "hal.h"

/**
 * struct hal_virtio_options - what the driver is handed
 * @sock: connected to the device; the driver's from now on, also after a failure
 * @name: for messages, and part of the disk's identity
 * @read_only: write nothing, whatever the device allows
 * @block: logical block in bytes
 * @timeout_ms: for an exchange of the set-up
 * @fd: memory in which all buffers lie; the caller keeps it
 * @base: its mapping
 * @length: of it, whole pages
 */
struct hal_virtio_options {
	int sock;
	const char *name;
	bool read_only;
	uint32_t block;
	unsigned int timeout_ms;
	int fd;
	void *base;
	uint64_t length;
};

struct hal *hal_virtio_open(const struct hal_virtio_options *opt);

#endif /* RUMPK_HAL_VIRTIO_H */
