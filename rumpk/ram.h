/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The cell's RAM, as its operator hands it over: a file that QEMU's machine uses
 * for its memory, mapped here as well. What is guest-physical becomes a place in
 * the mapping by the machine's layout.
 *
 * Whoever can truncate the file can end this process (SIGBUS): that is the
 * operator's to prevent, best by a memfd with F_SEAL_SHRINK.
 */
#ifndef RUMPK_RAM_H
#define RUMPK_RAM_H

#include <stdint.h>

#define RAM_MAX_RANGES 3u

/**
 * enum ram_machine - how QEMU lays out RAM
 * @RAM_Q35: x86, machine q35
 * @RAM_PC: x86, machine pc (i440FX)
 * @RAM_VIRT: ARM64, machine virt
 */
enum ram_machine {
	RAM_Q35,
	RAM_PC,
	RAM_VIRT,
};

/**
 * struct ram_range - RAM without a hole
 * @first: guest-physical address
 * @length: bytes
 * @offset: in the file
 */
struct ram_range {
	uint64_t first;
	uint64_t length;
	uint64_t offset;
};

/**
 * struct ram - a cell's RAM
 * @fd: the file; valid while @base is
 * @base: mapping of the whole file; NULL: there is no RAM
 * @length: of it
 * @range: what of it is RAM to the guest
 * @ranges: of them
 */
struct ram {
	int fd;
	uint8_t *base;
	uint64_t length;
	struct ram_range range[RAM_MAX_RANGES];
	unsigned int ranges;
};

const char *ram_layout(struct ram *r, enum ram_machine machine, uint64_t length);
int ram_open(struct ram *r, const char *path, enum ram_machine machine);
void ram_close(struct ram *r);
uint8_t *ram_at(const struct ram *r, uint64_t addr, uint64_t length);

#endif /* RUMPK_RAM_H */
