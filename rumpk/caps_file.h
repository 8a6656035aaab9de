/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The capability file of --caps: one grant a line, what it does not name gets
 * nothing.
 *
 *	# disk  capability, as behind cap=
 *	0       rwdm
 *	1       r:0-2047
 *
 * A file with a fault anywhere says nothing at all.
 */
#ifndef RUMPK_CAPS_FILE_H
#define RUMPK_CAPS_FILE_H

#include <stddef.h>

#include "options.h"

#define CAPS_FILE_MAX 65536u

/**
 * struct caps - what a capability file says
 * @disk: by number of the disk; of each only rights, first and last
 * @line: that named it; 0: none did
 */
struct caps {
	struct disk_options disk[OPTIONS_MAX_DISKS];
	unsigned int line[OPTIONS_MAX_DISKS];
};

int caps_parse(const char *path, const char *text, size_t length,
	       unsigned int disks, struct caps *caps);
int caps_read(const char *path, unsigned int disks, struct caps *caps);

#endif /* RUMPK_CAPS_FILE_H */
