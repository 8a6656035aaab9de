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
 * Whether there is a device is not known here (vio_life.c): without one, requests
 * wait or fail.
 */
#include "vio.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "log.h"
#include "util.h"

#define SECTOR_SHIFT 9
/* After having been asked for its configuration, a device rests so much longer. */
#define CONFIG_REST 10u
#define SYNC_MS 30000u

static struct hal_virtio *to_vio(struct hal *hal)
{
	return container_of(hal, struct hal_virtio, hal);
}

/**
 * vio_count - say how many operations end without an event
 * @v: disk
 *
 * While there is no device none does: then its successor makes an event.
 */
void vio_count(struct hal_virtio *v)
{
	v->hal.polled = v->dev ? v->busy : 0;
}

static void vio_finish(struct hal_virtio *v, struct vio_request *r, int error)
{
	struct hal_io *io = r->io;

	r->next = v->free;
	v->free = r;
	v->busy--;
	vio_count(v);
	io->error = error;
	/* With a device that is lost all is, until it is reopened: no word of a sync. */
	io->unsynced = error && io->step == VIO_FLUSH && !v->hal.lost;
	io->done(io);
}

static void vio_hang(struct hal_virtio *v, struct vio_request *r)
{
	r->next = NULL;
	*v->waiting_end = r;
	v->waiting_end = &r->next;
}

/**
 * vio_keep_all - let all requests wait, in the order of their issue
 * @v: disk whose device is no longer there
 *
 * Each is at the beginning of its step, which is carried out anew.
 */
void vio_keep_all(struct hal_virtio *v)
{
	struct vio_request *later = v->waiting;
	struct vio_request **end = v->waiting_end;
	struct vio_request *r;

	v->waiting = NULL;
	v->waiting_end = &v->waiting;
	while ((r = virtq_forget(&v->dev->q)))
		vio_hang(v, r);
	if (!later)
		return;
	*v->waiting_end = later;
	v->waiting_end = end;
}

/**
 * vio_end_waiting - end requests that wait with EIO
 * @v: disk without a device
 * @lent: those with lent buffers too
 *
 * Return: how many still wait.
 */
unsigned int vio_end_waiting(struct hal_virtio *v, bool lent)
{
	struct vio_request *next = v->waiting;
	struct vio_request *r;

	v->waiting = NULL;
	v->waiting_end = &v->waiting;
	while ((r = next)) {
		next = r->next;
		if (r->lent && !lent)
			vio_hang(v, r);
		else
			vio_finish(v, r, EIO);
	}
	return v->busy;
}

/* The region of the owner's memory in which a piece lies, or @ndata. */
static unsigned int region_of(const struct hal_virtio *v, const struct iovec *iov)
{
	unsigned int i;

	for (i = 0; i < v->spec.ndata; i++) {
		const struct hal_virtio_region *d = &v->spec.data[i];
		uint64_t at = (uintptr_t)iov->iov_base - (uintptr_t)d->base;

		if (at <= d->length && iov->iov_len <= d->length - at)
			break;
	}
	return i;
}

/* Where the device sees a piece of the owner's memory; 0: it does not. */
static uint64_t data_addr(const struct hal_virtio *v, const struct iovec *iov)
{
	unsigned int i = region_of(v, iov);

	if (i == v->spec.ndata)
		return 0;
	return VIO_DATA_ADDR(i) +
	       ((uintptr_t)iov->iov_base - (uintptr_t)v->spec.data[i].base);
}

static bool is_lent(const struct hal_virtio *v, const struct hal_io *io)
{
	int i;

	if (io->op != HAL_READ && io->op != HAL_WRITE)
		return false;
	for (i = 0; i < io->niov; i++) {
		unsigned int n = region_of(v, &io->iov[i]);

		if (n < v->spec.ndata && v->spec.data[n].lent)
			return true;
	}
	return false;
}

/*
 * What does not fit goes in a request of its own, which has to begin with a block.
 * There is always a whole one: a buffer has no more pieces than the device takes, so
 * that one of them was cut, into parts that are not smaller than a block.
 */
static unsigned int trim_to_blocks(const struct hal_virtio *v,
				   struct vio_request *r, struct virtq_seg *seg,
				   unsigned int n)
{
	uint64_t extra = r->moved % v->hal.block;

	r->moved -= extra;
	while (n && extra >= seg[n - 1].len)
		extra -= seg[--n].len;
	if (n)
		seg[n - 1].len -= (uint32_t)extra;
	return n;
}

/* Pieces of the owner's memory; how many, or 0 when one does not lie there. */
static unsigned int map_data(const struct hal_virtio *v, struct vio_request *r,
			     struct virtq_seg *seg)
{
	const struct hal_io *io = r->io;
	uint64_t all = 0;
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
		all += io->iov[i].iov_len;
	}
	return r->moved < all ? trim_to_blocks(v, r, seg, n) : n;
}

static unsigned int map_zeroes(const struct hal_virtio *v,
			       struct vio_request *r, struct virtq_seg *seg)
{
	r->moved = min_u64(r->io->length, VIO_ZERO_BYTES);
	seg->addr = vio_own_addr(v->dev, v->dev->own->zeroes);
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
	seg->addr = vio_own_addr(v->dev, range);
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
	ion_write(&f->status, VIO_NO_STATUS);
	seg[0].addr = vio_own_addr(v->dev, &f->header);
	seg[0].len = sizeof(f->header);
	seg[0].write = false;
	seg[n + 1].addr = vio_own_addr(v->dev, &f->status);
	seg[n + 1].len = sizeof(f->status);
	seg[n + 1].write = true;
	r->writable = 0;
	for (i = 0; i < n + 2; i++)
		r->writable += seg[i].write ? seg[i].len : 0;
	return virtq_add(&v->dev->q, seg, (unsigned int)n + 2, r);
}

/* The next request of an operation; it waits when there is no room. */
static void vio_issue(struct hal_virtio *v, struct vio_request *r)
{
	int err = v->waiting || !v->dev ? -ENOSPC : vio_add(v, r);

	if (err == -ENOSPC)
		vio_hang(v, r);
	else if (err)
		vio_finish(v, r, -err);
}

/**
 * vio_issue_waiting - give the device what waits, as far as there is room
 * @v: disk with a device
 */
void vio_issue_waiting(struct hal_virtio *v)
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
	bool last = io->step == VIO_FLUSH;

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
		/* It may not even have ended what it says has ended. */
		vio_hang(v, r);
		vio_broken(v, status > VIRTIO_BLK_S_UNSUPP ?
				      "a status is none" :
				      "a used length is impossible");
	}
}

static void vio_kick(struct hal *hal)
{
	struct hal_virtio *v = to_vio(hal);

	if (v->dev && virtq_publish(&v->dev->q))
		eventfd_write(v->dev->kick, 1);
}

/* After a failed exchange: one that is gone, or silent, tells no lies. */
static void vio_failed(struct hal_virtio *v, int err)
{
	if (err == -ECONNRESET || err == -ETIMEDOUT)
		vio_gone(v, v->dev->vu.broken);
	else
		vio_broken(v, v->dev->vu.broken);
}

/* Is the device still there, and has it something to say? */
static void vio_look(struct hal_virtio *v)
{
	uint64_t now = now_ms();
	char complaints[64];
	int err;

	if (now == v->looked)
		return;
	v->looked = now;
	err = vhost_user_look(&v->dev->vu, &v->told);
	if (err) {
		vio_failed(v, err);
		return;
	}
	if (read(v->dev->err, complaints, sizeof(complaints)) > 0) {
		vio_broken(v, "it reports an error");
		return;
	}
	if (v->told && now >= v->next_config) {
		v->told = false;
		v->hal.changed = true;
	}
}

static unsigned int vio_poll(struct hal *hal)
{
	struct hal_virtio *v = to_vio(hal);
	struct vio_request *r;
	unsigned int n = 0;
	uint32_t written;

	if (!v->dev && !vio_live(v))
		return 0;
	while (v->dev && (r = virtq_take(&v->dev->q, &written))) {
		v->proved = true;
		vio_answer(v, r, written);
		n++;
	}
	if (v->dev && v->dev->q.broken)
		vio_broken(v, v->dev->q.broken);
	if (v->dev)
		vio_look(v);
	if (n && v->dev) {
		vio_issue_waiting(v);
		vio_kick(hal);
	}
	return n;
}

static void vio_begin(struct hal_virtio *v, struct hal_io *io, enum vio_step step)
{
	struct vio_request *r = v->free;

	io->error = v->hal.lost ? EIO : r || step == VIO_END ? 0 : EBUSY;
	io->unsynced = false;
	if (io->error || step == VIO_END) {
		io->done(io);
		return;
	}
	io->step = (uint8_t)step;
	v->free = r->next;
	v->busy++;
	vio_count(v);
	r->io = io;
	r->lent = is_lent(v, io);
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

/* With a fence, a device that is away need not be waited for: it has it all. */
static int vio_sync(struct hal *hal)
{
	struct hal_virtio *v = to_vio(hal);
	struct hal_io io = { .op = HAL_SYNC, .blocking = true, .done = wait_done };
	uint64_t deadline = now_ms() + SYNC_MS;

	if (v->away)
		return 0;
	vio_begin(v, &io, first_step(v, &io));
	vio_kick(hal);
	while (io.blocking) {
		vio_poll(hal);
		if (io.blocking && now_ms() >= deadline)
			vio_broken(v, "it does not answer");
		if (io.blocking)
			usleep(20);
	}
	return -io.error;
}

static int vio_resize(struct hal *hal)
{
	struct hal_virtio *v = to_vio(hal);
	struct virtio_blk_config config;
	struct virtio_blk_limits limits;
	uint64_t start = now_ms();
	const char *why;
	int err;

	hal->changed = false;
	if (!v->dev)
		return -EIO;
	memset(&config, 0, sizeof(config));
	err = vhost_user_get_config(&v->dev->vu, &config,
				    VIRTIO_BLK_CONFIG_BYTES);
	/* The other disks wait meanwhile: of their time, it gets a tenth. */
	v->next_config = now_ms() + CONFIG_REST * (now_ms() - start);
	if (err) {
		vio_failed(v, err);
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

const struct hal_ops hal_virtio_ops = {
	.name = "virtio",
	.submit = vio_submit,
	.poll = vio_poll,
	.kick = vio_kick,
	.resize = vio_resize,
	.reopen = vio_reopen,
	.sync = vio_sync,
	.close = vio_close,
};
