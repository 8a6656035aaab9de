/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Image files: opening, judging and locking them.
 */
#ifndef RUMPK_IMAGE_H
#define RUMPK_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct image - an open and locked image
 * @fd: an open file description of its own: with the last reference to it,
 *	requests of a dead process included, the locks go
 * @size: bytes, a multiple of the block
 * @memory_fs: a file in a file system that never waits for a device
 * @uuid: derived from the file's identity
 */
struct image {
	int fd;
	uint64_t size;
	bool memory_fs;
	uint8_t uuid[16];
};

int image_open(struct image *img, const char *path, bool read_only,
	       uint32_t block, unsigned int wait_ms);
int image_open_again(struct image *img, int known, const char *path,
		     bool read_only, uint32_t block);
bool image_is_held(int known, const char *path, char *text, unsigned int length);
int image_witness(const char *path);
bool image_is(int fd, const uint8_t uuid[16]);
int image_size(int fd, uint32_t block, uint64_t *size, const char **why);
void image_identity(int fd, uint8_t uuid[16]);
int image_lock(int fd, bool read_only, unsigned int wait_ms);
bool image_holder(int fd, char *text, unsigned int length);

#endif /* RUMPK_IMAGE_H */
