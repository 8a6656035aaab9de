/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The window: memory, layout, and what the host writes into it besides rings.
 * What stands there is never believed again: plan and record are private.
 */
#ifndef RUMPK_WINDOW_H
#define RUMPK_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include <nexus/ion_layout.h>
#include <nexus/nxblk_abi.h>

#define WINDOW_MAX_DISKS 16u

/**
 * struct window_plan - how a window is laid out for a number of disks
 * @hdr: header
 * @dir: directory, one entry a disk
 * @count: disks
 * @depth: most tags of a channel
 * @max_sectors: of one READ or WRITE
 */
struct window_plan {
	struct ion_host_header hdr;
	struct ion_dir_entry dir[WINDOW_MAX_DISKS];
	uint32_t count;
	uint32_t depth;
	uint32_t max_sectors;
};

/**
 * struct window_identity - what a disk must still be when a rumpk comes again
 * @uuid: of the disk
 * @block: logical block
 * @flags: WINDOW_DISK_*
 */
struct window_identity {
	uint8_t uuid[16];
	uint32_t block;
	uint32_t flags;
};

#define WINDOW_DISK_MEM (1u << 0)
#define WINDOW_DISK_RO (1u << 1)
#define WINDOW_DISK_STRICT (1u << 2)

/**
 * struct window_ram - which file is the cell's RAM
 * @device: that it is on; 0: there is no RAM
 * @inode: number
 * @machine: that has it
 */
struct window_ram {
	uint64_t device;
	uint64_t inode;
	uint64_t machine;
};

/**
 * struct window_record - what must outlive a rumpk, out of the guest's reach
 * @length: of the window
 * @count: disks
 * @reserved: 0
 * @instance: of the window
 * @generation: of the window
 * @disk: what the window was laid out for
 * @ram: the cell's
 */
struct window_record {
	uint64_t length;
	uint32_t count;
	uint32_t reserved;
	uint8_t instance[16];
	uint64_t generation;
	struct window_identity disk[WINDOW_MAX_DISKS];
	struct window_ram ram;
};

/**
 * struct window - a mapped window
 * @base: start of the mapping
 * @plan: how it is laid out
 * @record: shared with the rumpks before and after, with nobody else
 */
struct window {
	uint8_t *base;
	struct window_plan plan;
	struct window_record *record;
};

bool window_plan(struct window_plan *p, uint64_t length, uint32_t disks);
int window_create(uint64_t length, const char *file, int *fd);
int window_create_record(int *fd);
struct window_record *window_map_record(int fd);
int window_map(struct window *w, int window_fd, int record_fd, uint64_t length);
void window_unmap(struct window *w);
void window_publish(struct window *w, const uint8_t instance[16]);
void window_restart(struct window *w);
bool window_repair(struct window *w);
void window_gone(struct window *w);
void window_set_config(struct window *w, uint32_t disk,
		       struct nxblk_config *config);

#endif /* RUMPK_WINDOW_H */
