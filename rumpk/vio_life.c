/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which device a disk has. It is in one of three states:
 *
 *	live	@dev serves.
 *	away	the device is gone, but there is a fence: its successor exists only
 *		when it is dead with all that it was doing, and what it has
 *		acknowledged has outlived it. Nothing is answered; what it had is
 *		kept, in order, for the successor, which must be the same disk.
 *		Ends with it, or down when there is none in time; one that is gone
 *		again without having answered anything gets no time of its own.
 *	down	requests fail, until an operator says (hal_reopen()) that the former
 *		device has ended. Here ends a device that is gone without a fence,
 *		and one that lies, fence or not: it is not dead.
 *
 * A device that is dropped may live, and still use the buffers of what it had. A
 * disk that goes down ends requests into the window all the same: the window is
 * never given to anybody else. A lent buffer is somebody else's memory as soon as
 * its request has ended; so the connection is shut down from this side alone, which
 * tells an honest device to end what it has and close it, and until it is closed
 * (@former) such a request does not end. When a process dies its memory map goes
 * before its descriptors are closed, so it stores nothing any more then. A successor
 * that is adopted says as much, by the fence; without one, a disk is not reopened
 * while a request waits for the former device.
 *
 * A device that an earlier process had (@waiting) may use lent buffers too, of requests
 * that this one knows nothing of: the disk is not offered to its guest before there
 * is a successor of it by the fence, or it has closed the connection that it had with
 * that process (@former, broker.h). Without that connection an operator's word is needed.
 *
 * Away and down, one attempt at a time sets up a device, in a thread, since a
 * device that is slow to answer must delay no other disk.
 *
 * Each device gets rings and headers in memory of its own, so that a former one
 * cannot write to them.
 */
#include "vio.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "log.h"
#include "util.h"

#define TRY_MS 100u
#define CONNECT_MS 1000u
#define CONNECT_TRY_US 100u

static struct hal_virtio *to_vio(struct hal *hal)
{
	return container_of(hal, struct hal_virtio, hal);
}

static int watch(struct hal_virtio *v, int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };

	if (fd < 0)
		return 0;
	return epoll_ctl(v->hal.event_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno :
									0;
}

/* Others may hold the description: to close ours would not do. */
static void unwatch(struct hal_virtio *v, int fd)
{
	if (fd >= 0)
		epoll_ctl(v->hal.event_fd, EPOLL_CTL_DEL, fd, NULL);
}

static void unwatch_device(struct hal_virtio *v, const struct vio_device *d)
{
	unwatch(v, d->vu.sock);
	unwatch(v, d->err);
	unwatch(v, d->vu.backend);
}

static int watch_device(struct hal_virtio *v, const struct vio_device *d)
{
	int err = watch(v, d->vu.sock);

	if (!err)
		err = watch(v, d->err);
	if (!err)
		err = watch(v, d->vu.backend);
	if (err)
		unwatch_device(v, d);
	return err;
}

static void forget_former(struct hal_virtio *v)
{
	unwatch(v, v->former);
	close_fd(&v->former);
}

static bool has_closed(int sock)
{
	struct pollfd p = { .fd = sock, .events = POLLRDHUP };

	return poll(&p, 1, 0) > 0 && p.revents;
}

/*
 * Only its end is of interest: what it may still say, on and on, is not read, and
 * makes no event.
 */
static void keep_former(struct hal_virtio *v, int *sock)
{
	struct epoll_event ev = { .events = EPOLLRDHUP };

	v->former = *sock;
	*sock = -1;
	shutdown(v->former, SHUT_WR);
	/* Without an event it is found by the next look of any other cause. */
	epoll_ctl(v->hal.event_fd, EPOLL_CTL_ADD, v->former, &ev);
}

static void drop_device(struct hal_virtio *v)
{
	struct vio_device *d = v->dev;

	if (!d)
		return;
	vio_keep_all(v);
	v->dev = NULL;
	vio_count(v);
	unwatch_device(v, d);
	keep_former(v, &d->vu.sock);
	vio_device_free(d);
}

/* End what the disk's being down lets end, and find out whether more can. */
static void fail_waiting(struct hal_virtio *v)
{
	bool closed = v->former < 0 || has_closed(v->former);

	if (!vio_end_waiting(v, closed) && (closed || !v->hal.waiting))
		forget_former(v);
}

/* A former device has been waited for: has it let go? */
static void look_at_former(struct hal_virtio *v)
{
	unsigned int n = v->busy;

	if (v->former < 0 || !has_closed(v->former))
		return;
	forget_former(v);
	if (!v->hal.lost)
		return;
	if (v->hal.waiting) {
		rumpk_info("disk %s: the device has closed the connection of the worker before",
			   v->name);
		v->hal.waiting = false;
		v->hal.changed = true;
	}
	if (!n)
		return;
	rumpk_info("disk %s: the device has closed its connection, %u requests into the guest's memory end",
		   v->name, n);
	fail_waiting(v);
}

static void *attempt_main(void *arg)
{
	struct vio_attempt *a = arg;

	a->result = vio_device_setup(a->dev, &a->spec);
	eventfd_write(a->done, 1);
	return NULL;
}

/* 0 when a device is being set up; -EINPROGRESS: call it again. */
static int attempt_begin(struct hal_virtio *v)
{
	struct vio_attempt *a = &v->attempt;
	int sock = v->connect(v->arg);
	int err;

	if (sock < 0)
		return sock;
	a->dev = vio_device_alloc(sock, v->spec.timeout_ms);
	if (!a->dev)
		return -ENOMEM;
	a->spec = v->spec;
	a->spec.former = v->limits;
	/* An operator may bring a smaller disk, as one may shrink an image. */
	a->spec.capacity = v->away ? v->hal.info.capacity : 0;
	err = pthread_create(&a->thread, NULL, attempt_main, a);
	if (!err)
		return 0;
	vio_device_free(a->dev);
	a->dev = NULL;
	return -err;
}

/* Take the device out of the hands of the thread, which has ended. */
static struct vio_device *attempt_end(struct hal_virtio *v)
{
	struct vio_device *d = v->attempt.dev;
	eventfd_t n;

	pthread_join(v->attempt.thread, NULL);
	eventfd_read(v->attempt.done, &n);
	v->attempt.dev = NULL;
	return d;
}

/* A thread that waits for its device is woken up, and finds it gone. */
static void attempt_cancel(struct hal_virtio *v)
{
	if (!v->attempt.dev)
		return;
	shutdown(v->attempt.dev->vu.sock, SHUT_RDWR);
	vio_device_free(attempt_end(v));
}

static bool lends(const struct hal_virtio *v)
{
	unsigned int i;

	for (i = 0; i < v->spec.ndata; i++)
		if (v->spec.data[i].lent)
			return true;
	return false;
}

/* Whatever it was before. */
static void go_down(struct hal_virtio *v)
{
	attempt_cancel(v);
	drop_device(v);
	v->away = false;
	v->hal.lost = true;
	v->hal.waiting = v->hal.waiting && lends(v);
	v->hal.changed = true;
	fail_waiting(v);
	if (v->busy)
		rumpk_warn("disk %s: %u requests into the guest's memory wait until the device has closed its connection",
			   v->name, v->busy);
}

/**
 * vio_broken - the device lies, or does what cannot be
 * @v: disk that is not down
 * @why: for the message
 */
void vio_broken(struct hal_virtio *v, const char *why)
{
	rumpk_error("disk %s: the device is broken: %s; its requests fail until it is reopened",
		    v->name, why);
	go_down(v);
}

/**
 * vio_gone - the connection has ended
 * @v: disk that is live
 * @why: for the message
 */
void vio_gone(struct hal_virtio *v, const char *why)
{
	uint64_t now = now_ms();

	if (!v->reconnect_ms) {
		rumpk_error("disk %s: the device is gone: %s; its requests fail until it is reopened",
			    v->name, why);
		go_down(v);
		return;
	}
	rumpk_warn("disk %s: the device is gone: %s; waiting up to %u s for its successor, with %u requests",
		   v->name, why, v->reconnect_ms / 1000, v->busy);
	if (v->proved || !v->busy || !v->until)
		v->until = now + v->reconnect_ms;
	drop_device(v);
	v->away = true;
	v->next_try = now;
	v->last_error = NULL;
}

static void adopt(struct hal_virtio *v, struct vio_device *d)
{
	v->dev = d;
	v->limits = d->limits;
	v->hal.info.capacity = d->limits.capacity;
	v->hal.changed = true;
	v->hal.lost = false;
	v->hal.waiting = false;
	forget_former(v);
	if (v->away)
		rumpk_info("disk %s: served by the device's successor, which gets %u requests again",
			   v->name, v->busy);
	v->away = false;
	v->proved = !v->busy;
	vio_count(v);
	vio_issue_waiting(v);
	v->hal.ops->kick(&v->hal);
}

static void not_adopted(struct hal_virtio *v, int err, const char *why)
{
	if (!v->away) {
		rumpk_error("disk %s: not reopened: %s", v->name, why);
	} else if (err == -EAGAIN) {
		v->last_error = why;
		v->next_try = now_ms() + TRY_MS;
	} else {
		rumpk_error("disk %s: the device's successor is rejected: %s; requests fail until it is reopened",
			    v->name, why);
		go_down(v);
	}
}

static void conclude(struct hal_virtio *v)
{
	struct vio_device *d = attempt_end(v);
	int err = v->attempt.result;

	if (!err) {
		err = watch_device(v, d);
		d->why = err ? strerror(-err) : NULL;
	}
	if (!err) {
		adopt(v, d);
		return;
	}
	not_adopted(v, err, d->why);
	vio_device_free(d);
}

static void look_for_successor(struct hal_virtio *v)
{
	uint64_t now = now_ms();

	if (now >= v->until) {
		rumpk_error("disk %s: no successor of the device within %u s: %s; requests fail until it is reopened",
			    v->name, v->reconnect_ms / 1000,
			    v->last_error ? v->last_error : "none answers");
		go_down(v);
	} else if (!v->attempt.dev && now >= v->next_try) {
		int err = attempt_begin(v);

		if (err && err != -EINPROGRESS)
			not_adopted(v, -EAGAIN, strerror(-err));
	}
}

static void begin_reopen(struct hal_virtio *v)
{
	int err = attempt_begin(v);

	v->reopening = err == -EINPROGRESS;
	if (err && !v->reopening)
		not_adopted(v, err, strerror(-err));
}

/**
 * vio_live - see whether there is a device again
 * @v: disk that is not live
 *
 * Return: whether there is.
 */
bool vio_live(struct hal_virtio *v)
{
	struct pollfd p = { .fd = v->attempt.done, .events = POLLIN };

	look_at_former(v);
	if (v->attempt.dev && poll(&p, 1, 0) > 0)
		conclude(v);
	if (v->away)
		look_for_successor(v);
	else if (v->reopening)
		begin_reopen(v);
	return v->dev;
}

/**
 * vio_reopen - &hal_ops.reopen: a disk that is down may have a device again
 * @hal: disk
 */
void vio_reopen(struct hal *hal)
{
	struct hal_virtio *v = to_vio(hal);

	if (!hal->lost || v->attempt.dev || v->reopening)
		return;
	look_at_former(v);
	if (v->busy || v->former >= 0) {
		rumpk_error("disk %s: not reopened: the device before it has not closed its connection, and may still use the guest's memory",
			    v->name);
		return;
	}
	begin_reopen(v);
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
static void make_uuid(struct hal_virtio *v)
{
	uint8_t *uuid = v->hal.info.uuid;
	uint64_t half[2];
	int i;

	for (i = 0; i < 2; i++) {
		half[i] = fnv1a(0xcbf29ce484222325ull + (uint64_t)i, v->spec.id,
				VIRTIO_BLK_ID_BYTES);
		half[i] = fnv1a(half[i], v->name, strlen(v->name));
	}
	memcpy(uuid, half, sizeof(half));
	uuid[6] = (uuid[6] & 0x0f) | 0x80;
	uuid[8] = (uuid[8] & 0x3f) | 0x80;
}

static struct hal_virtio *vio_alloc(const struct hal_virtio_options *opt)
{
	struct hal_virtio *v = calloc(1, sizeof(*v));
	unsigned int i;

	if (!v)
		return NULL;
	v->hal.ops = &hal_virtio_ops;
	v->hal.event_fd = epoll_create1(EPOLL_CLOEXEC);
	v->attempt.done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	v->former = -1;
	v->connect = opt->connect;
	v->arg = opt->arg;
	v->spec.block = opt->block;
	v->spec.timeout_ms = opt->timeout_ms;
	v->spec.write_through = opt->fence;
	v->spec.ndata = opt->regions;
	memcpy(v->spec.data, opt->region, sizeof(v->spec.data));
	v->reconnect_ms = opt->fence ? opt->reconnect_ms : 0;
	v->waiting_end = &v->waiting;
	v->name = strdup(opt->name);
	for (i = 0; i < VIO_QUEUE_SIZE; i++) {
		v->request[i].next = v->free;
		v->free = &v->request[i];
	}
	if (v->name && !watch(v, v->attempt.done))
		return v;
	vio_close(&v->hal);
	return NULL;
}

/* Nothing is served yet that would have to wait meanwhile. */
static int connect_first(struct hal_virtio *v)
{
	uint64_t until = now_ms() + CONNECT_MS;
	int sock;

	while ((sock = v->connect(v->arg)) == -EINPROGRESS && now_ms() < until)
		usleep(CONNECT_TRY_US);
	return sock == -EINPROGRESS ? -ETIMEDOUT : sock;
}

/* One try; negative with @why when there is no device afterwards. */
static int first_device(struct hal_virtio *v, const char **why)
{
	int err = connect_first(v);
	struct vio_device *d;

	if (err < 0) {
		*why = strerror(-err);
		return -EAGAIN;
	}
	d = vio_device_alloc(err, v->spec.timeout_ms);
	err = d ? vio_device_setup(d, &v->spec) : -ENOMEM;
	if (!err)
		err = watch_device(v, d);
	*why = d && d->why ? d->why : strerror(-err);
	if (err)
		vio_device_free(d);
	else
		v->dev = d;
	return err;
}

static int open_first(struct hal_virtio *v, const struct hal_virtio_options *opt)
{
	uint64_t until = now_ms() + opt->open_ms;
	const char *why;
	int err;

	while ((err = first_device(v, &why)) == -EAGAIN && now_ms() < until)
		usleep(TRY_MS * 1000);
	if (err) {
		rumpk_error("disk %s: the device cannot be used: %s", opt->name,
			    why);
		return err;
	}
	v->limits = v->dev->limits;
	memcpy(v->spec.id, v->dev->id, sizeof(v->spec.id));
	return 0;
}

/* The device of an earlier process is gone, as far as this one is concerned. */
static void take_over(struct hal_virtio *v, const struct hal_virtio_former *former)
{
	v->limits = former->limits;
	memcpy(v->spec.id, former->id, sizeof(v->spec.id));
	v->hal.waiting = true;
	if (v->reconnect_ms && !former->lost) {
		v->away = true;
		v->until = now_ms() + v->reconnect_ms;
		return;
	}
	rumpk_error("disk %s: the device may still do what it was asked for before; its requests fail until it is reopened",
		    v->name);
	if (former->sock >= 0) {
		int sock = former->sock;

		keep_former(v, &sock);
	}
	go_down(v);
	look_at_former(v);
	if (v->hal.waiting)
		rumpk_warn("disk %s: may have requests into the guest's memory: not offered before %s",
			   v->name,
			   v->former < 0 ?
				   "it is reopened" :
				   "the device has closed its connection");
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

	if (!v) {
		rumpk_error("disk %s: %s", opt->name, strerror(ENOMEM));
		return NULL;
	}
	if (opt->former) {
		take_over(v, opt->former);
	} else if (open_first(v, opt)) {
		hal_close(&v->hal);
		return NULL;
	}
	if (!v->spec.block)
		v->spec.block = v->limits.block;
	v->hal.block = v->spec.block;
	v->hal.info.capacity = v->limits.capacity;
	v->hal.info.read_only = opt->read_only || v->limits.read_only;
	v->hal.info.max_segs = v->limits.segs;
	make_uuid(v);
	return &v->hal;
}

/**
 * hal_virtio_limits - what is known of the device
 * @hal: disk that hal_virtio_open() made
 *
 * Return: its limits, valid until the next call of the disk.
 */
const struct virtio_blk_limits *hal_virtio_limits(const struct hal *hal)
{
	return &container_of(hal, const struct hal_virtio, hal)->limits;
}

/**
 * hal_virtio_id - the device's name for itself
 * @hal: disk that hal_virtio_open() made
 *
 * Return: up to 20 bytes of any sort, and a zero.
 */
const char *hal_virtio_id(const struct hal *hal)
{
	return container_of(hal, const struct hal_virtio, hal)->spec.id;
}

/**
 * vio_close - &hal_ops.close
 * @hal: disk; what the device still has is forgotten
 */
void vio_close(struct hal *hal)
{
	struct hal_virtio *v = to_vio(hal);

	attempt_cancel(v);
	vio_device_free(v->dev);
	close_fd(&v->former);
	close_fd(&v->attempt.done);
	close_fd(&v->hal.event_fd);
	free(v->name);
	free(v);
}
