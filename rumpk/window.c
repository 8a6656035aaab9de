/* SPDX-License-Identifier: GPL-2.0-only */
#include "window.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ivshmem.h"
#include "log.h"
#include "sealed.h"
#include "valve.h"

#define LOG2_ENTRIES 8
#define MIN_DEPTH 16u
#define MAX_SECTORS 2048u
#define MIN_SECTORS 128u
/* Beside the largest request, a channel's data area must hold a little more. */
#define SPARE_BYTES 65536u

static void plan_spec(struct ion_channel_spec *spec, uint32_t n, uint32_t depth)
{
	memset(spec, 0, sizeof(*spec));
	spec->kind = ION_KIND_BLK;
	spec->instance = (__u16)n;
	spec->queue_class = ION_CLASS_INTERRUPT;
	spec->cap_slot = (__u8)n;
	spec->log2_entries = LOG2_ENTRIES;
	spec->req_size = sizeof(struct nxblk_req);
	spec->rsp_size = sizeof(struct nxblk_resp);
	spec->indirect_bytes = depth * NXBLK_INDIRECT_STRIDE;
	spec->config_bytes = sizeof(struct nxblk_config);
	spec->data_weight = 1;
	spec->host_peer = IVSHMEM_HOST_PEER;
	spec->host_vector = (__u16)n;
}

/* Bytes of data area that each disk gets. */
static uint64_t plan_try(struct window_plan *p, uint64_t length, uint32_t depth)
{
	struct ion_channel_spec spec[WINDOW_MAX_DISKS];
	uint32_t i;

	for (i = 0; i < p->count; i++)
		plan_spec(&spec[i], i, depth);
	p->depth = depth;
	if (!ion_layout(&p->hdr, p->dir, spec, p->count, length,
			ION_INITIAL_INDEX))
		return 0;
	return p->dir[0].data.length;
}

/**
 * window_plan - lay a window out for a number of disks
 * @p: filled
 * @length: of the window
 * @disks: 1 .. WINDOW_MAX_DISKS
 *
 * The largest request comes first, then the depth: in a small window a deep
 * queue of small requests serves nobody.
 *
 * Return: false when the window is too small.
 */
bool window_plan(struct window_plan *p, uint64_t length, uint32_t disks)
{
	uint32_t sectors;
	uint32_t depth;

	p->count = disks;
	for (sectors = MAX_SECTORS; sectors >= MIN_SECTORS; sectors /= 2) {
		for (depth = VALVE_MAX_DEPTH; depth >= MIN_DEPTH; depth /= 2) {
			p->max_sectors = sectors;
			if (plan_try(p, length, depth) >=
			    (sectors << NXBLK_SECTOR_SHIFT) + SPARE_BYTES)
				return true;
		}
	}
	return false;
}

/* A file of somebody's that was named by mistake is left alone. */
static bool window_was_here(int fd)
{
	uint32_t magic;

	return pread(fd, &magic, sizeof(magic), 0) == sizeof(magic) &&
	       magic == ION_MAGIC;
}

/* Truncating what another cell has mapped would kill it: hence the lock. */
static int window_take_file(int fd, bool fresh, uint64_t length)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (!fresh && !window_was_here(fd))
		return -EEXIST;
	/* Whoever still maps what an earlier run left must not see ours. */
	if (ftruncate(fd, 0) < 0 || fchmod(fd, 0600) < 0 ||
	    ftruncate(fd, (off_t)length) < 0)
		return -errno;
	return 0;
}

static int window_create_file(const char *file, uint64_t length)
{
	int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	int fd = open(file, flags | O_CREAT | O_EXCL, 0600);
	bool fresh = fd >= 0;
	int err;

	if (!fresh && errno == EEXIST)
		fd = open(file, flags);
	if (fd < 0)
		return -errno;
	err = window_take_file(fd, fresh, length);
	if (!err)
		return fd;
	close(fd);
	return err;
}

/**
 * window_create - make the window's memory
 * @length: bytes
 * @file: NULL for a sealed memfd
 * @fd: filled on success
 *
 * Return: 0 or -errno.
 */
int window_create(uint64_t length, const char *file, int *fd)
{
	int f = file ? window_create_file(file, length) :
		       sealed_create("ion-window", length);

	if (f < 0)
		return f;
	*fd = f;
	return 0;
}

/**
 * window_create_record - make the memory of a record
 * @fd: filled on success
 *
 * Return: 0 or -errno.
 */
int window_create_record(int *fd)
{
	return window_create(sizeof(struct window_record), NULL, fd);
}

/**
 * window_map_record - map a record
 * @fd: record
 *
 * Return: it, or NULL with errno.
 */
struct window_record *window_map_record(int fd)
{
	void *record = mmap(NULL, sizeof(struct window_record),
			    PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return record == MAP_FAILED ? NULL : record;
}

/**
 * window_map - map window and record
 * @w: filled
 * @window_fd: window
 * @record_fd: record
 * @length: of the window
 *
 * Return: 0, or -errno: -ENODATA when its file has been truncated.
 */
int window_map(struct window *w, int window_fd, int record_fd, uint64_t length)
{
	struct stat st;
	int err;

	if (fstat(window_fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size < length)
		return -ENODATA;
	w->record = window_map_record(record_fd);
	if (!w->record)
		return -errno;
	w->base = mmap(NULL, length, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_NORESERVE, window_fd, 0);
	if (w->base != MAP_FAILED)
		return 0;
	err = -errno;
	w->base = NULL;
	munmap(w->record, sizeof(*w->record));
	w->record = NULL;
	return err;
}

/**
 * window_unmap - undo window_map()
 * @w: window without a heartbeat
 */
void window_unmap(struct window *w)
{
	if (w->base)
		munmap(w->base, w->plan.hdr.length);
	if (w->record)
		munmap(w->record, sizeof(*w->record));
	w->base = NULL;
	w->record = NULL;
}

static struct ion_host_header *window_header(const struct window *w)
{
	return (struct ion_host_header *)w->base;
}

static void window_complete_plan(struct window *w)
{
	w->plan.hdr.magic = ION_MAGIC;
	memcpy(w->plan.hdr.instance, w->record->instance, 16);
	w->plan.hdr.generation = w->record->generation;
	w->plan.hdr.state = ION_HOST_READY;
}

/**
 * window_publish - make a fresh window known
 * @w: mapped window of zeroes with its plan
 * @instance: random
 */
void window_publish(struct window *w, const uint8_t instance[16])
{
	memcpy(w->record->instance, instance, 16);
	w->record->generation = 1;
	window_complete_plan(w);
	ion_publish(w->base, &w->plan.hdr, w->plan.dir);
}

/* Everything that is constant for a generation lies in the first lines. */
static bool window_intact(const struct window *w)
{
	const size_t constant = offsetof(struct ion_host_header, heartbeat);

	return memcmp(w->base, &w->plan.hdr, constant) == 0 &&
	       memcmp(w->base + w->plan.hdr.dir_offset, w->plan.dir,
		      w->plan.count * sizeof(*w->plan.dir)) == 0;
}

/**
 * window_repair - put header and directory right again
 * @w: published window
 *
 * A guest can write to all of the window. What it broke must not keep the next
 * one out.
 *
 * Return: true when something was broken.
 */
bool window_repair(struct window *w)
{
	if (window_intact(w))
		return false;
	ion_publish(w->base, &w->plan.hdr, w->plan.dir);
	return true;
}

/**
 * window_restart - a window that an earlier rumpk published is served again
 * @w: mapped window with its plan
 */
void window_restart(struct window *w)
{
	struct ion_host_header *h = window_header(w);

	w->record->generation++;
	window_complete_plan(w);
	ion_store_release(&h->state, ION_HOST_DOWN);
	ion_write(&h->reason, ION_REASON_NONE);
	ion_store_release(&h->generation, w->record->generation);
	ion_store_release(&h->state, ION_HOST_READY);
	window_repair(w);
}

/**
 * window_gone - say that the host ends in an orderly way
 * @w: published window
 */
void window_gone(struct window *w)
{
	ion_store_release(&window_header(w)->state, ION_HOST_GONE);
}

/**
 * window_set_config - change a disk's page
 * @w: window
 * @disk: index
 * @config: new contents; its sequence is advanced
 */
void window_set_config(struct window *w, uint32_t disk,
		       struct nxblk_config *config)
{
	struct nxblk_config *page =
		(struct nxblk_config *)(w->base + w->plan.dir[disk].config.offset);
	const size_t head = sizeof(page->sequence);

	ion_write(&page->sequence, config->sequence | 1);
	ion_wmb(); /* A reader that sees new contents sees the odd number. */
	memcpy((uint8_t *)page + head, (const uint8_t *)config + head,
	       sizeof(*page) - head);
	config->sequence = (config->sequence | 1) + 1;
	ion_store_release(&page->sequence, config->sequence);
}
