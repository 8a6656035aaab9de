/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A disk in memory: a sealed memfd, so that it can outlive the process that
 * serves it in the keeper's hands.
 */
#include "hal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "log.h"
#include "sealed.h"
#include "util.h"

struct hal_mem {
	struct hal hal;
	int fd;
	uint8_t *base;
};

/**
 * hal_mem_create - make the memory of a disk
 * @size: bytes
 * @fd: filled
 *
 * Return: 0 or -errno.
 */
int hal_mem_create(uint64_t size, int *fd)
{
	int m = sealed_create("rumpk-disk", size);

	if (m < 0)
		return m;
	*fd = m;
	return 0;
}

static void mem_read(struct hal_mem *m, const struct hal_io *io)
{
	const uint8_t *from = m->base + io->offset;
	int i;

	for (i = 0; i < io->niov; i++) {
		memcpy(io->iov[i].iov_base, from, io->iov[i].iov_len);
		from += io->iov[i].iov_len;
	}
}

static void mem_write(struct hal_mem *m, const struct hal_io *io)
{
	uint8_t *to = m->base + io->offset;
	int i;

	for (i = 0; i < io->niov; i++) {
		memcpy(to, io->iov[i].iov_base, io->iov[i].iov_len);
		to += io->iov[i].iov_len;
	}
}

/* A hole reads zero, and gives the memory back. */
static void mem_zero(struct hal_mem *m, const struct hal_io *io)
{
	if (fallocate(m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)io->offset, (off_t)io->length) < 0)
		memset(m->base + io->offset, 0, io->length);
}

static void mem_submit(struct hal *hal, struct hal_io *io)
{
	struct hal_mem *m = container_of(hal, struct hal_mem, hal);

	switch (io->op) {
	case HAL_READ:
		mem_read(m, io);
		break;
	case HAL_WRITE:
		mem_write(m, io);
		break;
	case HAL_DISCARD:
	case HAL_ZERO:
		mem_zero(m, io);
		break;
	case HAL_SYNC:
		break;
	}
	io->error = 0;
	io->unsynced = false;
	io->done(io);
}

static int mem_sync(struct hal *hal)
{
	(void)hal;
	return 0;
}

static void mem_close(struct hal *hal)
{
	struct hal_mem *m = container_of(hal, struct hal_mem, hal);

	munmap(m->base, m->hal.info.capacity);
	close(m->fd);
	free(m);
}

static const struct hal_ops mem_ops = {
	.name = "mem",
	.submit = mem_submit,
	.sync = mem_sync,
	.close = mem_close,
};

/**
 * hal_mem_open - serve a memory disk
 * @fd: from hal_mem_create(); duplicated
 * @size: bytes
 * @read_only: the medium refuses writes
 * @block: logical block in bytes
 * @uuid: of the disk
 *
 * Return: the disk, or NULL after a message.
 */
struct hal *hal_mem_open(int fd, uint64_t size, bool read_only, uint32_t block,
			 const uint8_t uuid[16])
{
	struct hal_mem *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (m->fd < 0)
		goto err_free;
	m->base = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_NORESERVE, m->fd, 0);
	if (m->base == MAP_FAILED)
		goto err_close;
	m->hal.ops = &mem_ops;
	m->hal.event_fd = -1;
	m->hal.block = block;
	m->hal.copies = true;
	m->hal.info.capacity = size;
	m->hal.info.read_only = read_only;
	memcpy(m->hal.info.uuid, uuid, 16);
	return &m->hal;

err_close:
	close(m->fd);
err_free:
	rumpk_error("disk of %llu bytes in memory: %s",
		    (unsigned long long)size, strerror(errno));
	free(m);
	return NULL;
}
