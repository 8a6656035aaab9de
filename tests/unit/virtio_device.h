/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A virtio block device in a thread of its own, which serves a disk in memory
 * over vhost-user and misbehaves where a test asks for it. It finds memory and
 * queue by what it was sent and nothing else.
 */
#ifndef NEXUS_TESTS_VIRTIO_DEVICE_H
#define NEXUS_TESTS_VIRTIO_DEVICE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "rumpk/vhost_user.h"
#include "rumpk/virtio_blk.h"

#define BYTES (4u << 20)
#define MOST_TYPES 64

/*
 * How a device misbehaves with requests. UNANSWERED carries them out, and says
 * its name alone. A SILENT one does not touch them, nor one that COMPLAINs, nor a
 * MUTE one, which answers no message either. A STUBBORN one does not switch its
 * cache off.
 */
enum misdeed {
	NONE,
	BAD_STATUS,
	NO_STATUS,
	SHORT_LENGTH,
	LONG_LENGTH,
	BAD_ID,
	JUMP,
	IO_ERROR,
	UNSUPPORTED,
	SILENT,
	SLOW,
	HANG_UP,
	COMPLAIN,
	UNANSWERED,
	MUTE,
	STUBBORN,
};

struct region {
	struct vhost_user_region r;
	uint8_t *base;
};

/**
 * struct device - the device, and what it has seen
 * @features: that it offers
 * @accepted: of them
 * @protocol: protocol features that it offers
 * @config: its configuration
 * @id: its name for itself
 * @messages: that it takes before it hangs up; 0: all
 * @regions: that it was given
 * @disk: contents
 * @types: of the first requests
 * @sectors: of them
 * @ranges: sectors of the first discards
 * @nranges: of them
 * @ntypes: of them
 * @most_segs: of data, in one request
 * @shrunk: the driver's memory could be truncated
 * @misdeed: &enum misdeed
 * @lingers: it does not close a connection that the driver has shut down
 * @started: the thread runs
 * @stop: the thread ends
 */
struct device {
	int sock;
	int backend;
	int kick;
	int err;
	uint64_t features;
	uint64_t accepted;
	uint64_t protocol;
	struct virtio_blk_config config;
	char id[VIRTIO_BLK_ID_BYTES];
	unsigned int messages;
	struct region region[8];
	unsigned int regions;
	uint32_t size;
	struct vhost_user_vring_addr addr;
	bool enabled;
	uint16_t seen;
	uint8_t disk[BYTES];
	uint32_t types[MOST_TYPES];
	uint64_t sectors[MOST_TYPES];
	unsigned int ntypes;
	uint64_t ranges[2 * MOST_TYPES];
	unsigned int nranges;
	uint32_t most_segs;
	bool shrunk;
	bool started;
	atomic_int misdeed;
	atomic_bool lingers;
	atomic_bool stop;
};

extern struct device dev;

void device_reset(void);
void device_start(int sock);
void device_accept(int listener);
void device_end(void);
void device_pair(int *sock);

#endif /* NEXUS_TESTS_VIRTIO_DEVICE_H */
