/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VirtIO block driver: one polled virtqueue of a vhost-user device.
 *
 * The device sees the owner's regions of memory, in which all data lies, so that
 * it moves without a copy, and the driver's own, with the rings, headers and
 * status bytes. None is where it lies in this process.
 *
 * An operation is a row of steps, each one request to the device: DATA until all
 * is moved, FILL or RANGE until all is zero or discarded, then FLUSH when it
 * must be durable, since virtio knows no FUA.
 *
 * A device that is gone or broken stays so: what it has ends with EIO, and so
 * does all that comes later. Data that it may still write then lands in buffers
 * of this disk alone, whose every request has failed.
 */
#include "vio.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "log.h"
#include "util.h"

#define SECTOR_SHIFT 9
#define SYNC_MS 30000u
/* Before the device has written one. */
#define NO_STATUS 0xff

static struct hal_virtio *to_vio(struct hal *hal)
{
	return container_of(hal, struct hal_virtio, hal);
}

static void vio_finish(struct hal_virtio *v, struct vio_request *r, int error)
{
	struct hal_io *io = r->io;

	r->next = v->free;
	v->free = r;
	v->hal.polled--;
	io->error = error;
	io->done(io);
}

static void vio_end_all(struct hal_virtio *v)
{
	struct vio_request *r;

	while ((r = virtq_forget(&v->q)))
		vio_finish(v, r, EIO);
	while ((r = v->waiting)) {
		v->waiting = r->next;
		vio_finish(v, r, EIO);
	}
	v->waiting_end = &v->waiting;
}

static void vio_break(struct hal_virtio *v, const char *why)
{
	if (v->dead)
		return;
	v->dead = true;
	rumpk_error("disk %s: the device is broken: %s; its requests fail from now on",
		    v->name, why);
	/* Else what cannot be mended would be an event for ever. */
	close_fd(&v->vu.backend);
	epoll_ctl(v->hal.event_fd, EPOLL_CTL_DEL, v->vu.sock, NULL);
	epoll_ctl(v->hal.event_fd, EPOLL_CTL_DEL, v->err, NULL);
	vio_end_all(v);
}

/* Where the device sees a piece of the owner's memory; 0: it does not. */
static uint64_t data_addr(const struct hal_virtio *v, const struct iovec *iov)
{
	unsigned int i;

	for (i = 0; i < v->ndata; i++) {
		const struct hal_virtio_region *d = &v->data[i];
		uint64_t at = (uintptr_t)iov->iov_base - (uintptr_t)d->base;

		if (at <= d->length && iov->iov_len <= d->length - at)
			return VIO_DATA_ADDR(i) + at;
	}
	return 0;
}

/* Pieces of the owner's memory; how many, or 0 when one does not lie there. */
static unsigned int map_data(const struct hal_virtio *v, struct vio_request *r,
			     struct virtq_seg *seg)
{
	const struct hal_io *io = r->io;
	unsigned int n = 0;
	int i;

	r->moved = 0;
	for (i = 0; i < io->niov; i++) {
		uint64_t at = data_addr(v, &io->iov[i]);
		uint64_t left = io->iov[i].iov_len;

		if (!at)
			return 0;
		while (left && n < v->limits.segs) {
			uint64_t len = min_u64(left, v->limits.seg_bytes);

			seg[n].addr = at;
			seg[n].len = (uint32_t)len;
			seg[n++].write = io->op == HAL_READ;
			at += len;
			left -= len;
			r->moved += len;
		}
	}
	return n;
}

static unsigned int map_zeroes(const struct hal_virtio *v,
			       struct vio_request *r, struct virtq_seg *seg)
{
	r->moved = min_u64(r->io->length, VIO_ZERO_BYTES);
	seg->addr = vio_own_addr(v, v->own->zeroes);
	seg->len = (uint32_t)r->moved;
	seg->write = false;
	return 1;
}

static unsigned int map_range(const struct hal_virtio *v, struct vio_request *r,
			      struct virtq_seg *seg)
{
	struct virtio_blk_discard_write_zeroes *range = &vio_frame_of(v, r)->range;
	const struct hal_io *io = r->io;
	bool zero = io->op == HAL_ZERO;

	r->moved = min_u64(io->length, zero ? v->limits.zero : v->limits.discard);
	range->sector = io->offset >> SECTOR_SHIFT;
	range->num_sectors = (uint32_t)(r->moved >> SECTOR_SHIFT);
	range->flags = zero && io->unmap && v->limits.may_unmap ?
			       VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP :
			       0;
	seg->addr = vio_own_addr(v, range);
	seg->len = sizeof(*range);
	seg->write = false;
	return 1;
}

/* What lies between header and status; negative when it cannot be. */
static int map_step(const struct hal_virtio *v, struct vio_request *r,
		    struct virtq_seg *seg)
{
	unsigned int n;

	r->moved = 0;
	switch (r->io->step) {
	case VIO_DATA:
		n = map_data(v, r, seg);
		return n ? (int)n : -EFAULT;
	case VIO_FILL:
		return (int)map_zeroes(v, r, seg);
	case VIO_RANGE:
		return (int)map_range(v, r, seg);
	case VIO_ID:
		seg->addr = vio_own_addr(v, vio_frame_of(v, r)->id);
		seg->len = VIRTIO_BLK_ID_BYTES;
		seg->write = true;
		return 1;
	default:
		return 0;
	}
}

static uint32_t type_of(const struct hal_io *io)
{
	switch (io->step) {
	case VIO_DATA:
		return io->op == HAL_READ ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT;
	case VIO_FILL:
		return VIRTIO_BLK_T_OUT;
	case VIO_RANGE:
		return io->op == HAL_ZERO ? VIRTIO_BLK_T_WRITE_ZEROES :
					    VIRTIO_BLK_T_DISCARD;
	case VIO_ID:
		return VIRTIO_BLK_T_GET_ID;
	default:
		return VIRTIO_BLK_T_FLUSH;
	}
}

/* Section 5.2.6: header, data, status. */
static int vio_add(struct hal_virtio *v, struct vio_request *r)
{
	struct vio_frame *f = vio_frame_of(v, r);
	const struct hal_io *io = r->io;
	struct virtq_seg seg[VIO_SEGS];
	int n = map_step(v, r, seg + 1);
	int i;

	if (n < 0)
		return n;
	f->header.type = type_of(io);
	f->header.ioprio = 0;
	f->header.sector = io->step == VIO_DATA || io->step == VIO_FILL ?
				   io->offset >> SECTOR_SHIFT :
				   0;
	ion_write(&f->status, NO_STATUS);
	seg[0].addr = vio_own_addr(v, &f->header);
	seg[0].len = sizeof(f->header);
	seg[0].write = false;
	seg[n + 1].addr = vio_own_addr(v, &f->status);
	seg[n + 1].len = sizeof(f->status);
	seg[n + 1].write = true;
	r->writable = 0;
	for (i = 0; i < n + 2; i++)
		r->writable += seg[i].write ? seg[i].len : 0;
	return virtq_add(&v->q, seg, (unsigned int)n + 2, r);
}

/* The next request of an operation; it waits when there is no room. */
static void vio_issue(struct hal_virtio *v, struct vio_request *r)
{
	int err = v->waiting ? -ENOSPC : vio_add(v, r);

	if (err == -ENOSPC) {
		r->next = NULL;
		*v->waiting_end = r;
		v->waiting_end = &r->next;
	} else if (err) {
		vio_finish(v, r, -err);
	}
}

static void vio_issue_waiting(struct hal_virtio *v)
{
	while (v->waiting) {
		struct vio_request *r = v->waiting;
		struct vio_request *next = r->next;
		int err = vio_add(v, r);

		if (err == -ENOSPC)
			return;
		v->waiting = next;
		if (!next)
			v->waiting_end = &v->waiting;
		if (err)
			vio_finish(v, r, -err);
	}
}

static enum vio_step first_step(const struct hal_virtio *v,
				const struct hal_io *io)
{
	switch (io->op) {
	case HAL_READ:
	case HAL_WRITE:
		return VIO_DATA;
	case HAL_ZERO:
		return v->limits.zero ? VIO_RANGE : VIO_FILL;
	case HAL_DISCARD:
		/* To keep the contents is as good an answer as any. */
		return v->limits.discard ? VIO_RANGE : VIO_END;
	default:
		return v->limits.flush ? VIO_FLUSH : VIO_END;
	}
}

static void io_advance(struct hal_io *io, uint64_t n)
{
	if (io->step == VIO_DATA) {
		hal_advance(io, n);
		return;
	}
	io->offset += n;
	io->length -= n;
}

/* A step was done. */
static void vio_go_on(struct hal_virtio *v, struct vio_request *r)
{
	struct hal_io *io = r->io;
	bool last = io->step == VIO_FLUSH || io->step == VIO_ID;

	io_advance(io, r->moved);
	if (!io->length && !last)
		io->step = io->durable && io->op != HAL_READ && v->limits.flush ?
				   VIO_FLUSH :
				   VIO_END;
	else if (last)
		io->step = VIO_END;
	if (io->step == VIO_END)
		vio_finish(v, r, 0);
	else
		vio_issue(v, r);
}

/* An answer; the request is the driver's again. */
static void vio_answer(struct hal_virtio *v, struct vio_request *r,
		       uint32_t written)
{
	uint8_t status = ion_read(&vio_frame_of(v, r)->status);

	if (status == VIRTIO_BLK_S_OK && written == r->writable) {
		vio_go_on(v, r);
	} else if (status == VIRTIO_BLK_S_IOERR && written) {
		vio_finish(v, r, EIO);
	} else if (status == VIRTIO_BLK_S_UNSUPP && written) {
		vio_finish(v, r, EOPNOTSUPP);
	} else {
		vio_finish(v, r, EIO);
		vio_break(v, status > VIRTIO_BLK_S_UNSUPP ?
				     "a status is none" :
				     "a used length is impossible");
	}
}

static void vio_kick(struct hal *hal)
{
	struct hal_virtio *v = to_vio(hal);

	if (virtq_publish(&v->q))
		eventfd_write(v->kick, 1);
}

/* Is the device still there, and has it something to say? */
static void vio_look(struct hal_virtio *v)
{
	uint64_t now = now_ms();
	eventfd_t complaints;

	if (v->dead || now == v->looked)
		return;
	v->looked = now;
	if (vhost_user_look(&v->vu, &v->hal.changed))
		vio_break(v, v->vu.broken);
	else if (eventfd_read(v->err, &complaints) == 0)
		vio_break(v, "it reports an error");
}

static unsigned int vio_poll(struct hal *hal)
{
	struct hal_virtio *v = to_vio(hal);
	struct vio_request *r;
	unsigned int n = 0;
	uint32_t written;

	while (!v->dead && (r = virtq_take(&v->q, &written))) {
		vio_answer(v, r, written);
		n++;
	}
	if (v->q.broken && !v->dead)
		vio_break(v, v->q.broken);
	vio_look(v);
	if (n && !v->dead) {
		vio_issue_waiting(v);
		vio_kick(hal);
	}
	return n;
}

static void vio_begin(struct hal_virtio *v, struct hal_io *io, enum vio_step step)
{
	struct vio_request *r = v->free;

	io->error = v->dead ? EIO : r || step == VIO_END ? 0 : EBUSY;
	if (io->error || step == VIO_END) {
		io->done(io);
		return;
	}
	io->step = (uint8_t)step;
	v->free = r->next;
	v->hal.polled++;
	r->io = io;
	vio_issue(v, r);
}

static void vio_submit(struct hal *hal, struct hal_io *io)
{
	struct hal_virtio *v = to_vio(hal);

	vio_begin(v, io, first_step(v, io));
}

static void wait_done(struct hal_io *io)
{
	io->blocking = false;
}

/**
 * vio_wait - carry out one step and wait for its end
 * @v: disk
 * @step: without data
 * @timeout_ms: a device that does not answer in time is broken
 *
 * Return: 0 or -errno.
 */
int vio_wait(struct hal_virtio *v, enum vio_step step, unsigned int timeout_ms)
{
	struct hal_io io = { .op = HAL_SYNC, .blocking = true, .done = wait_done };
	uint64_t deadline = now_ms() + timeout_ms;

	vio_begin(v, &io, step);
	vio_kick(&v->hal);
	while (io.blocking) {
		vio_poll(&v->hal);
		if (io.blocking && now_ms() >= deadline)
			vio_break(v, "it does not answer");
		if (io.blocking)
			usleep(20);
	}
	return -io.error;
}

static int vio_sync(struct hal *hal)
{
	struct hal_virtio *v = to_vio(hal);
	const struct hal_io io = { .op = HAL_SYNC };

	return vio_wait(v, first_step(v, &io), SYNC_MS);
}

static int vio_resize(struct hal *hal)
{
	struct hal_virtio *v = to_vio(hal);
	struct virtio_blk_config config;
	struct virtio_blk_limits limits;
	const char *why;

	hal->changed = false;
	if (v->dead)
		return -EIO;
	memset(&config, 0, sizeof(config));
	if (vhost_user_get_config(&v->vu, &config, VIRTIO_BLK_CONFIG_BYTES)) {
		vio_break(v, v->vu.broken);
		return -EIO;
	}
	why = virtio_blk_judge(v->limits.features, &config, hal->block, &limits);
	if (why) {
		rumpk_warn("disk %s: %s, the former size stays", v->name, why);
		return -EINVAL;
	}
	hal->info.capacity = limits.capacity;
	return 0;
}

static void vio_close(struct hal *hal)
{
	struct hal_virtio *v = to_vio(hal);

	vhost_user_close(&v->vu);
	virtq_exit(&v->q);
	close_fd(&v->hal.event_fd);
	close_fd(&v->kick);
	close_fd(&v->call);
	close_fd(&v->err);
	close_fd(&v->own_fd);
	if (v->own)
		munmap(v->own, v->own_bytes);
	free(v->name);
	free(v);
}

const struct hal_ops hal_virtio_ops = {
	.name = "virtio",
	.submit = vio_submit,
	.poll = vio_poll,
	.kick = vio_kick,
	.resize = vio_resize,
	.sync = vio_sync,
	.close = vio_close,
};
