/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From a connected socket to a device that can be used: all that the device
 * says of itself is judged before it is given anything, memory least of all. It
 * may run in a thread of its own, and touches nothing but the device.
 */
#include "vio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "sealed.h"
#include "util.h"

#define F_CONFIG_WCE (1ull << VIRTIO_BLK_F_CONFIG_WCE)

static int reject(struct vio_device *d, const char *why)
{
	d->why = why;
	return why ? -EINVAL : 0;
}

/* A device that is gone or silent may be another one at the next try. */
static int talked(struct vio_device *d, int err)
{
	if (err)
		d->why = d->vu.broken ? d->vu.broken : strerror(-err);
	return err == -ECONNRESET || err == -ETIMEDOUT ? -EAGAIN : err;
}

static int agree_on_protocol(struct vio_device *d)
{
	const uint64_t must = VHOST_USER_PROTOCOL_F_REPLY_ACK |
			      VHOST_USER_PROTOCOL_F_CONFIG;
	struct vhost_user *vu = &d->vu;
	uint64_t protocol;
	int err = vhost_user_get(vu, VHOST_USER_GET_PROTOCOL_FEATURES, &protocol);

	if (err)
		return talked(d, err);
	if (must & ~protocol)
		return reject(d,
			      "it has no configuration or no acknowledgements");
	protocol &= must | VHOST_USER_PROTOCOL_F_BACKEND_REQ;
	err = vhost_user_set(vu, VHOST_USER_SET_PROTOCOL_FEATURES, protocol);
	if (!err)
		err = vhost_user_set_owner(vu);
	if (!err && (protocol & VHOST_USER_PROTOCOL_F_BACKEND_REQ))
		err = vhost_user_set_backend(vu);
	return talked(d, err);
}

/* What is in flight, and what the guest was told, must hold with it as well. */
static const char *judge_successor(const struct virtio_blk_limits *l,
				   const struct vio_spec *spec)
{
	const struct virtio_blk_limits *former = &spec->former;

	if (!former->features)
		return NULL;
	if (former->features & ~(l->features | (l->wce ? F_CONFIG_WCE : 0)))
		return "it lacks features of the device before it";
	if (l->read_only && !former->read_only)
		return "its medium has become read-only";
	if (l->capacity < spec->capacity)
		return "it is smaller than the device before it";
	return NULL;
}

/* What the device says of itself, judged before it is told anything. */
static int setup_state(struct vio_device *d, const struct vio_spec *spec)
{
	struct virtio_blk_config config;
	uint64_t features;
	const char *why;
	int err = vhost_user_get(&d->vu, VHOST_USER_GET_FEATURES, &features);

	if (err)
		return talked(d, err);
	if (!(features & VHOST_USER_F_PROTOCOL_FEATURES))
		return reject(d, "it has no protocol features");
	err = agree_on_protocol(d);
	if (err)
		return err;
	memset(&config, 0, sizeof(config));
	err = vhost_user_get_config(&d->vu, &config, VIRTIO_BLK_CONFIG_BYTES);
	if (err)
		return talked(d, err);
	why = virtio_blk_judge(features, &config, spec->block, &d->limits);
	if (!why)
		why = judge_successor(&d->limits, spec);
	if (!why && spec->write_through && d->limits.flush && !d->limits.wce)
		why = "its volatile cache cannot be switched off, which a fence needs";
	return reject(d, why);
}

static int make_own(struct vio_device *d)
{
	struct virtq_layout l;

	virtq_layout(&l, VIO_QUEUE_SIZE, VIO_SEGS, d->limits.features);
	d->own_bytes = (sizeof(*d->own) + l.bytes + 4095) & ~4095ull;
	d->own_fd = sealed_create("rumpk-virtio", d->own_bytes);
	if (d->own_fd < 0)
		return d->own_fd;
	d->own = mmap(NULL, d->own_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		      d->own_fd, 0);
	if (d->own != MAP_FAILED)
		return 0;
	d->own = NULL;
	return -errno;
}

/*
 * Pipes, which serve as eventfds do, eight bytes at a time. Of an eventfd the device
 * would have the very description that we use, and could make it blocking. Both
 * ends stay open here: what a device closes is no event, and no SIGPIPE.
 *
 * A device may write to @call all the same: it must have something there.
 */
static int make_events(struct vio_device *d)
{
	int kick[2];
	int complaint[2];

	d->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->call < 0 || pipe2(kick, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	d->kick_end = kick[0];
	d->kick = kick[1];
	if (pipe2(complaint, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	d->err = complaint[0];
	d->err_end = complaint[1];
	return 0;
}

static int make_queue(struct vio_device *d)
{
	struct virtq_spec spec = {
		.size = VIO_QUEUE_SIZE,
		.max_segs = VIO_SEGS,
		.features = d->limits.features,
	};
	int err = make_own(d);

	if (!err)
		err = make_events(d);
	if (err)
		return err;
	spec.base = d->own->queue;
	spec.addr = vio_own_addr(d, d->own->queue);
	return virtq_init(&d->q, &spec);
}

/*
 * Switches off a cache that would end with the device. What the field says
 * before that is no answer: QEMU's exports have 0 there, and a cache.
 */
static int switch_cache_off(struct vio_device *d)
{
	const uint8_t off = 0;
	struct virtio_blk_config config = { .wce = 1 };
	int err = vhost_user_set_config(&d->vu,
					offsetof(struct virtio_blk_config, wce),
					&off, 1);

	if (!err)
		err = vhost_user_get_config(&d->vu, &config,
					    VIRTIO_BLK_CONFIG_BYTES);
	if (!err && config.wce)
		return reject(d, "its volatile cache stays switched on");
	return talked(d, err);
}

static int share_features(struct vio_device *d, const struct vio_spec *spec)
{
	bool off = spec->write_through && d->limits.flush;
	int err;

	if (off)
		d->limits.features |= F_CONFIG_WCE;
	err = vhost_user_set(&d->vu, VHOST_USER_SET_FEATURES, d->limits.features);
	return err || !off ? talked(d, err) : switch_cache_off(d);
}

static int share_memory(struct vio_device *d, const struct vio_spec *spec)
{
	struct vhost_user_region region[1 + HAL_VIRTIO_MAX_REGIONS] = {
		{ VIO_OWN_ADDR, d->own_bytes, VIO_OWN_ADDR, 0 },
	};
	int fds[1 + HAL_VIRTIO_MAX_REGIONS] = { d->own_fd };
	unsigned int i;

	for (i = 0; i < spec->ndata; i++) {
		region[1 + i].guest_addr = VIO_DATA_ADDR(i);
		region[1 + i].user_addr = VIO_DATA_ADDR(i);
		region[1 + i].size = spec->data[i].length;
		fds[1 + i] = spec->data[i].fd;
	}
	return vhost_user_set_memory(&d->vu, region, fds, 1 + spec->ndata);
}

static int share_queue(struct vio_device *d)
{
	const struct vhost_user_vring_addr addr = {
		.desc = vio_own_addr(d, d->q.desc),
		.avail = vio_own_addr(d, d->q.avail),
		.used = vio_own_addr(d, d->q.used),
	};
	struct vhost_user *vu = &d->vu;
	int err = vhost_user_set_vring(vu, VHOST_USER_SET_VRING_NUM, 0,
				       VIO_QUEUE_SIZE);

	if (!err)
		err = vhost_user_set_vring(vu, VHOST_USER_SET_VRING_BASE, 0, 0);
	if (!err)
		err = vhost_user_set_vring_addr(vu, &addr);
	if (!err)
		err = vhost_user_set_vring_fd(vu, VHOST_USER_SET_VRING_CALL, 0,
					      d->call);
	if (!err)
		err = vhost_user_set_vring_fd(vu, VHOST_USER_SET_VRING_ERR, 0,
					      d->err_end);
	if (!err)
		err = vhost_user_set_vring_fd(vu, VHOST_USER_SET_VRING_KICK, 0,
					      d->kick_end);
	if (!err)
		err = vhost_user_set_vring(vu, VHOST_USER_SET_VRING_ENABLE, 0, 1);
	return err;
}

static int setup_queue(struct vio_device *d, const struct vio_spec *spec)
{
	int err = make_queue(d);

	if (err)
		return reject(d, strerror(-err));
	err = share_features(d, spec);
	if (err)
		return err;
	err = share_memory(d, spec);
	if (!err)
		err = share_queue(d);
	return talked(d, err);
}

/* Wait for the one request that there is. */
static int await_answer(struct vio_device *d, unsigned int timeout_ms,
			uint32_t *written)
{
	uint64_t deadline = now_ms() + timeout_ms;
	bool changed;
	int err;

	while (!virtq_take(&d->q, written)) {
		if (d->q.broken)
			return reject(d, d->q.broken);
		err = vhost_user_look(&d->vu, &changed);
		if (err)
			return talked(d, err);
		if (now_ms() >= deadline) {
			d->why = "it does not answer";
			return -EAGAIN;
		}
		usleep(50);
	}
	return 0;
}

/* A device that has no name, and says so, is as good as any. */
static int setup_identity(struct vio_device *d, const struct vio_spec *spec)
{
	struct vio_frame *f = &d->own->frame[0];
	const struct virtq_seg seg[] = {
		{ vio_own_addr(d, &f->header), sizeof(f->header), false },
		{ vio_own_addr(d, f->id), sizeof(f->id), true },
		{ vio_own_addr(d, &f->status), sizeof(f->status), true },
	};
	uint32_t written;
	uint8_t status;
	int err;

	f->header.type = VIRTIO_BLK_T_GET_ID;
	ion_write(&f->status, VIO_NO_STATUS);
	err = virtq_add(&d->q, seg, ARRAY_SIZE(seg), f);
	if (err)
		return reject(d, strerror(-err));
	if (virtq_publish(&d->q))
		eventfd_write(d->kick, 1);
	err = await_answer(d, spec->timeout_ms, &written);
	if (err)
		return err;
	status = ion_read(&f->status);
	if (status > VIRTIO_BLK_S_UNSUPP)
		return reject(d, "a status is none");
	if (!written || (!status && written != sizeof(f->id) + 1))
		return reject(d, "a used length is impossible");
	if (!status)
		memcpy(d->id, f->id, sizeof(f->id));
	if (spec->former.features && memcmp(d->id, spec->id, sizeof(d->id)))
		return reject(d, "it has another name than the device before it");
	return 0;
}

/**
 * vio_device_alloc - a device that is connected, but not set up yet
 * @sock: connected; the device's from now on, also after a failure
 * @timeout_ms: for an exchange
 *
 * Return: it, or NULL.
 */
struct vio_device *vio_device_alloc(int sock, unsigned int timeout_ms)
{
	struct vio_device *d = calloc(1, sizeof(*d));

	if (!d) {
		close(sock);
		return NULL;
	}
	d->own_fd = -1;
	d->kick = -1;
	d->kick_end = -1;
	d->call = -1;
	d->err = -1;
	d->err_end = -1;
	vhost_user_open(&d->vu, sock, timeout_ms);
	return d;
}

/**
 * vio_device_setup - judge a device and begin to use it
 * @d: just allocated
 * @spec: how, and what it must be like
 *
 * Return: 0, -EAGAIN when it is gone or silent, another -errno when it is not
 * accepted; @d->why says why.
 */
int vio_device_setup(struct vio_device *d, const struct vio_spec *spec)
{
	int err = setup_state(d, spec);

	if (!err)
		err = setup_queue(d, spec);
	if (!err)
		err = setup_identity(d, spec);
	return err;
}

/**
 * vio_device_free - end the connection, and release what was made for it
 * @d: device, or NULL
 */
void vio_device_free(struct vio_device *d)
{
	if (!d)
		return;
	vhost_user_close(&d->vu);
	virtq_exit(&d->q);
	close_fd(&d->kick);
	close_fd(&d->kick_end);
	close_fd(&d->call);
	close_fd(&d->err);
	close_fd(&d->err_end);
	close_fd(&d->own_fd);
	if (d->own)
		munmap(d->own, d->own_bytes);
	free(d);
}
