/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a connected socket to a disk: all that the device says of itself is
 * judged before it is given anything, memory least of all.
 */
#include "vio.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "log.h"
#include "util.h"

/* What the device says of itself, judged before it is told anything. */
static const char *setup_state(struct hal_virtio *v,
			       const struct hal_virtio_options *opt)
{
	const uint64_t must = VHOST_USER_PROTOCOL_F_REPLY_ACK |
			      VHOST_USER_PROTOCOL_F_CONFIG;
	struct virtio_blk_config config;
	uint64_t features;
	uint64_t protocol;

	memset(&config, 0, sizeof(config));
	if (vhost_user_get(&v->vu, VHOST_USER_GET_FEATURES, &features))
		return v->vu.broken;
	if (!(features & VHOST_USER_F_PROTOCOL_FEATURES))
		return "it has no protocol features";
	if (vhost_user_get(&v->vu, VHOST_USER_GET_PROTOCOL_FEATURES, &protocol))
		return v->vu.broken;
	if (must & ~protocol)
		return "it has no configuration or no acknowledgements";
	protocol &= must | VHOST_USER_PROTOCOL_F_BACKEND_REQ;
	if (vhost_user_set(&v->vu, VHOST_USER_SET_PROTOCOL_FEATURES, protocol) ||
	    vhost_user_set_owner(&v->vu) ||
	    ((protocol & VHOST_USER_PROTOCOL_F_BACKEND_REQ) &&
	     vhost_user_set_backend(&v->vu)) ||
	    vhost_user_get_config(&v->vu, &config, VIRTIO_BLK_CONFIG_BYTES))
		return v->vu.broken;
	return virtio_blk_judge(features, &config, opt->block, &v->limits);
}

static int make_own(struct hal_virtio *v)
{
	struct virtq_layout l;

	virtq_layout(&l, VIO_QUEUE_SIZE, VIO_SEGS, v->limits.features);
	v->own_bytes = (sizeof(*v->own) + l.bytes + 4095) & ~4095ull;
	v->own_fd = memfd_create("rumpk-virtio", MFD_CLOEXEC);
	if (v->own_fd < 0 || ftruncate(v->own_fd, (off_t)v->own_bytes) < 0)
		return -errno;
	v->own = mmap(NULL, v->own_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		      v->own_fd, 0);
	if (v->own != MAP_FAILED)
		return 0;
	v->own = NULL;
	return -errno;
}

/* A device may write to @call all the same: it must have something there. */
static int make_events(struct hal_virtio *v)
{
	v->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	v->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	v->err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return v->kick < 0 || v->call < 0 || v->err < 0 ? -errno : 0;
}

static int make_queue(struct hal_virtio *v)
{
	struct virtq_spec spec = {
		.size = VIO_QUEUE_SIZE,
		.max_segs = VIO_SEGS,
		.features = v->limits.features,
	};
	int err = make_own(v);

	if (!err)
		err = make_events(v);
	if (err)
		return err;
	spec.base = v->own->queue;
	spec.addr = vio_own_addr(v, v->own->queue);
	return virtq_init(&v->q, &spec);
}

static int share_memory(struct hal_virtio *v)
{
	struct vhost_user_region region[1 + HAL_VIRTIO_MAX_REGIONS] = {
		{ VIO_OWN_ADDR, v->own_bytes, VIO_OWN_ADDR, 0 },
	};
	int fds[1 + HAL_VIRTIO_MAX_REGIONS] = { v->own_fd };
	unsigned int i;

	for (i = 0; i < v->ndata; i++) {
		region[1 + i].guest_addr = VIO_DATA_ADDR(i);
		region[1 + i].user_addr = VIO_DATA_ADDR(i);
		region[1 + i].size = v->data[i].length;
		fds[1 + i] = v->data[i].fd;
	}
	return vhost_user_set_memory(&v->vu, region, fds, 1 + v->ndata);
}

static int share_queue(struct hal_virtio *v)
{
	const struct vhost_user_vring_addr addr = {
		.desc = vio_own_addr(v, v->q.desc),
		.avail = vio_own_addr(v, v->q.avail),
		.used = vio_own_addr(v, v->q.used),
	};
	struct vhost_user *vu = &v->vu;
	int err = vhost_user_set_vring(vu, VHOST_USER_SET_VRING_NUM, 0,
				       VIO_QUEUE_SIZE);

	if (!err)
		err = vhost_user_set_vring(vu, VHOST_USER_SET_VRING_BASE, 0, 0);
	if (!err)
		err = vhost_user_set_vring_addr(vu, &addr);
	if (!err)
		err = vhost_user_set_vring_fd(vu, VHOST_USER_SET_VRING_CALL, 0,
					      v->call);
	if (!err)
		err = vhost_user_set_vring_fd(vu, VHOST_USER_SET_VRING_ERR, 0,
					      v->err);
	if (!err)
		err = vhost_user_set_vring_fd(vu, VHOST_USER_SET_VRING_KICK, 0,
					      v->kick);
	if (!err)
		err = vhost_user_set_vring(vu, VHOST_USER_SET_VRING_ENABLE, 0, 1);
	return err;
}

static int watch(struct hal_virtio *v)
{
	const int fds[] = { v->vu.sock, v->err, v->vu.backend };
	struct epoll_event ev = { .events = EPOLLIN };
	unsigned int i;

	v->hal.event_fd = epoll_create1(EPOLL_CLOEXEC);
	if (v->hal.event_fd < 0)
		return -errno;
	for (i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0 &&
		    epoll_ctl(v->hal.event_fd, EPOLL_CTL_ADD, fds[i], &ev) < 0)
			return -errno;
	return 0;
}

static const char *setup_queue(struct hal_virtio *v)
{
	int err = make_queue(v);

	if (!err)
		err = watch(v);
	if (err)
		return strerror(-err);
	if (vhost_user_set(&v->vu, VHOST_USER_SET_FEATURES, v->limits.features) ||
	    share_memory(v) || share_queue(v))
		return v->vu.broken;
	return NULL;
}

static uint64_t fnv1a(uint64_t hash, const void *data, size_t length)
{
	const uint8_t *p = data;

	while (length--)
		hash = (hash ^ *p++) * 0x100000001b3ull;
	return hash;
}

/*
 * A device has a name for itself and no more. With where it is found it makes
 * the disk's UUID, of version 8: of our own making.
 */
static const char *setup_identity(struct hal_virtio *v, unsigned int timeout_ms)
{
	uint8_t id[VIRTIO_BLK_ID_BYTES] = { 0 };
	const struct vio_request *r = v->free;
	uint8_t *uuid = v->hal.info.uuid;
	uint64_t half[2];
	int err = vio_wait(v, VIO_ID, timeout_ms);
	int i;

	if (v->dead)
		return "it cannot be asked for its name";
	if (!err)
		memcpy(id, vio_frame_of(v, r)->id, sizeof(id));
	for (i = 0; i < 2; i++) {
		half[i] = fnv1a(0xcbf29ce484222325ull + (uint64_t)i, id,
				sizeof(id));
		half[i] = fnv1a(half[i], v->name, strlen(v->name));
	}
	memcpy(uuid, half, sizeof(half));
	uuid[6] = (uuid[6] & 0x0f) | 0x80;
	uuid[8] = (uuid[8] & 0x3f) | 0x80;
	return NULL;
}

static struct hal_virtio *vio_alloc(const struct hal_virtio_options *opt)
{
	struct hal_virtio *v = calloc(1, sizeof(*v));
	unsigned int i;

	if (!v)
		return NULL;
	v->hal.ops = &hal_virtio_ops;
	v->hal.event_fd = -1;
	v->hal.block = opt->block;
	v->own_fd = -1;
	v->kick = -1;
	v->call = -1;
	v->err = -1;
	v->ndata = opt->regions;
	memcpy(v->data, opt->region, sizeof(v->data));
	v->waiting_end = &v->waiting;
	v->name = strdup(opt->name);
	for (i = 0; i < VIO_QUEUE_SIZE; i++) {
		v->request[i].next = v->free;
		v->free = &v->request[i];
	}
	return v;
}

/**
 * hal_virtio_open - judge a device and begin to use it
 * @opt: what the driver is handed
 *
 * Return: the disk, or NULL after a message.
 */
struct hal *hal_virtio_open(const struct hal_virtio_options *opt)
{
	struct hal_virtio *v = vio_alloc(opt);
	const char *why;

	if (!v) {
		close(opt->sock);
		return NULL;
	}
	why = vhost_user_open(&v->vu, opt->sock, opt->timeout_ms) || !v->name ?
		      "it cannot be talked to" :
		      setup_state(v, opt);
	if (!why)
		why = setup_queue(v);
	if (!why)
		why = setup_identity(v, opt->timeout_ms);
	if (why) {
		rumpk_error("disk %s: the device is rejected: %s", opt->name,
			    why);
		hal_close(&v->hal);
		return NULL;
	}
	v->hal.info.capacity = v->limits.capacity;
	v->hal.info.read_only = opt->read_only || v->limits.read_only;
	return &v->hal;
}
