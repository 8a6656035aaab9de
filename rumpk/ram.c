/* SPDX-License-Identifier: GPL-2.0-only */
#include "ram.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "util.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define PAGE 4096u

/* VGA and ROMs; what lies behind them in the file is not the guest's RAM. */
#define PC_HOLE_FIRST 0xa0000u
#define PC_HOLE_END 0x100000u
#define PC_HIGH (4 * GIB)
/* Above 1012 GiB an AMD machine moves its RAM; stay well below. */
#define PC_MOST (512 * GIB)
#define VIRT_FIRST (1 * GIB)
/* More than that moves the machine's devices, not its RAM. */
#define VIRT_MOST (512 * GIB)

static void add_range(struct ram *r, uint64_t first, uint64_t length,
		      uint64_t offset)
{
	r->range[r->ranges++] = (struct ram_range){ first, length, offset };
}

/*
 * RAM below @limit lies below it in one piece, RAM of more is cut at @cut, and
 * the rest begins at 4 GiB. The file has no holes. Seen so with QEMU 7.2's "info
 * mtree -f" on both sides of both limits.
 */
static void layout_pc(struct ram *r, uint64_t limit, uint64_t cut)
{
	uint64_t low = r->length < limit ? r->length : cut;

	add_range(r, 0, PC_HOLE_FIRST, 0);
	add_range(r, PC_HOLE_END, low - PC_HOLE_END, PC_HOLE_END);
	if (r->length > low)
		add_range(r, PC_HIGH, r->length - low, low);
}

/**
 * ram_layout - where in a machine's address space its RAM lies
 * @r: zeroed; @r->length and the ranges are filled
 * @machine: kind of machine
 * @length: bytes of RAM
 *
 * Return: NULL, or what is wrong with the length.
 */
const char *ram_layout(struct ram *r, enum ram_machine machine, uint64_t length)
{
	if (length < 2 * MIB || length % PAGE)
		return "must have the size of the machine's RAM, at least 2M and whole pages";
	if (length > (machine == RAM_VIRT ? VIRT_MOST : PC_MOST))
		return "is larger than 512G, whose layout is not known";
	r->length = length;
	switch (machine) {
	case RAM_Q35:
		layout_pc(r, 2816 * MIB, 2 * GIB);
		break;
	case RAM_PC:
		layout_pc(r, 3584 * MIB, 3 * GIB);
		break;
	case RAM_VIRT:
		add_range(r, VIRT_FIRST, length, 0);
		break;
	}
	return NULL;
}

static const char *open_file(struct ram *r, const char *path, struct stat *st)
{
	/* Not to wait for whom nobody writes to, should it be a FIFO. */
	r->fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (r->fd < 0 || fstat(r->fd, st) < 0)
		return strerror(errno);
	return S_ISREG(st->st_mode) ? NULL : "must be a regular file or a memfd";
}

static const char *map_file(struct ram *r)
{
	void *base = mmap(NULL, r->length, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_NORESERVE, r->fd, 0);

	if (base == MAP_FAILED)
		return strerror(errno);
	/* No part of it is for a core dump, or for the keeper. */
	madvise(base, r->length, MADV_DONTDUMP);
	madvise(base, r->length, MADV_DONTFORK);
	r->base = base;
	return NULL;
}

/**
 * ram_open - map a cell's RAM
 * @r: zeroed
 * @path: file
 * @machine: that has it
 *
 * Return: 0, or -EINVAL after a message, and then there is no RAM.
 */
int ram_open(struct ram *r, const char *path, enum ram_machine machine)
{
	struct stat st;
	const char *why = open_file(r, path, &st);

	if (!why)
		why = ram_layout(r, machine, (uint64_t)st.st_size);
	if (!why)
		why = map_file(r);
	if (!why)
		return 0;
	rumpk_error("--ram %s: %s", path, why);
	close_fd(&r->fd);
	memset(r, 0, sizeof(*r));
	return -EINVAL;
}

/**
 * ram_close - undo ram_open()
 * @r: RAM, or none
 */
void ram_close(struct ram *r)
{
	if (!r->base)
		return;
	munmap(r->base, r->length);
	close(r->fd);
	memset(r, 0, sizeof(*r));
}

/**
 * ram_at - find guest-physical memory
 * @r: RAM, or none
 * @addr: guest-physical address
 * @length: bytes
 *
 * Return: where it is mapped; NULL when not all of it is RAM without a hole.
 */
uint8_t *ram_at(const struct ram *r, uint64_t addr, uint64_t length)
{
	unsigned int i;

	for (i = 0; i < r->ranges; i++) {
		const struct ram_range *range = &r->range[i];
		uint64_t at = addr - range->first;

		if (addr >= range->first && at <= range->length &&
		    length <= range->length - at)
			return r->base + range->offset + at;
	}
	return NULL;
}
