/* SPDX-License-Identifier: GPL-2.0-only */
#include "shed.h"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

static int compare_ints(const void *a, const void *b)
{
	int x = *(const int *)a;
	int y = *(const int *)b;

	return (x > y) - (x < y);
}

/**
 * open_descriptors - find all descriptors but the standard ones
 * @fds: filled
 * @most: room in it
 *
 * Return: how many there are in @fds.
 */
unsigned int open_descriptors(int *fds, unsigned int most)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *d;
	unsigned int n = 0;

	while (dir && n < most && (d = readdir(dir))) {
		int fd = atoi(d->d_name);

		if (fd > STDERR_FILENO && fd != dirfd(dir))
			fds[n++] = fd;
	}
	if (dir)
		closedir(dir);
	return n;
}

/**
 * close_all_but - close all descriptors but the standard ones and some
 * @keep: these stay, negative ones are ignored; is sorted
 * @n: of them
 */
void close_all_but(int *keep, unsigned int n)
{
	unsigned int from = 3;
	unsigned int i;

	qsort(keep, n, sizeof(*keep), compare_ints);
	for (i = 0; i < n; i++) {
		if (keep[i] < 0 || (unsigned int)keep[i] < from)
			continue;
		if ((unsigned int)keep[i] > from)
			close_range(from, (unsigned int)keep[i] - 1, 0);
		from = (unsigned int)keep[i] + 1;
	}
	close_range(from, ~0u, 0);
}
