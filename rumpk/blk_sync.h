/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A vhost-user block device, one request after the other: for programs that
 * have nothing to do while they wait. Each call ends within the time limit that
 * was given to blk_sync_open(); when that is over, so is the device.
 *
 * Positions and counts are in sectors of 512 bytes, and must be multiples of
 * the device's block; ranges must lie on the disk. -EINVAL and -ERANGE say that
 * they are not, and then nothing was done; -ETIMEDOUT that it took too long,
 * -ESHUTDOWN that the device is gone or broken, and both are for good.
 */
#ifndef RUMPK_BLK_SYNC_H
#define RUMPK_BLK_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "virtio_blk.h"

#define BLK_SYNC_SECTOR 512u

struct blk_sync;

/**
 * struct blk_sync_info - what is known of a device
 * @sectors: capacity
 * @block: bytes
 * @read_only: it refuses writes
 * @limits: as the driver judged them
 * @id: its name for itself
 */
struct blk_sync_info {
	uint64_t sectors;
	uint32_t block;
	bool read_only;
	struct virtio_blk_limits limits;
	char id[VIRTIO_BLK_ID_BYTES + 1];
};

struct blk_sync *blk_sync_open(const char *path, unsigned int timeout_ms);
void blk_sync_info(const struct blk_sync *b, struct blk_sync_info *info);
int blk_sync_read(struct blk_sync *b, uint64_t lba, uint64_t count, void *buf);
int blk_sync_write(struct blk_sync *b, uint64_t lba, uint64_t count,
		   const void *buf);
int blk_sync_flush(struct blk_sync *b);
void blk_sync_close(struct blk_sync *b);

#endif /* RUMPK_BLK_SYNC_H */
