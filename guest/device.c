// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices appear when their driver gets to it: everything here waits, with an
 * end.  There is no udev in a cell to listen to, and devtmpfs has no events of
 * its own, hence the short naps.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "init.h"

#define NAP_MS 5
#define NAPS (APPEAR_SECONDS * 1000 / NAP_MS)

static void nap(void)
{
	const struct timespec ts = { .tv_nsec = NAP_MS * 1000000L };

	nanosleep(&ts, NULL);
}

void wait_for_node(const char *path)
{
	for (int i = 0; i < NAPS; i++) {
		if (!access(path, F_OK))
			return;
		nap();
	}
	fatal("%s did not appear within %d s", path, APPEAR_SECONDS);
}

/*
 * A port's node is there a moment before the port can be opened (ENXIO).
 */
int open_node(const char *path, int flags)
{
	int fd = -1;

	for (int i = 0; i < NAPS; i++) {
		fd = open(path, flags | O_CLOEXEC);
		if (fd >= 0 || (errno != ENOENT && errno != ENXIO))
			break;
		nap();
	}
	if (fd < 0)
		fatal("cannot open %s: %m", path);
	return fd;
}

static bool serial_matches(const char *attribute, const char *serial)
{
	char text[64] = "";
	FILE *file = fopen(attribute, "re");
	bool matches;

	if (!file)
		return false;
	matches = fgets(text, sizeof(text), file) && !strcmp(text, serial);
	fclose(file);
	return matches;
}

static bool find_disk(const char *serial, char *path, size_t size)
{
	bool found = false;
	glob_t disks;

	if (glob("/sys/block/vd*/serial", 0, NULL, &disks))
		return false;
	for (size_t i = 0; i < disks.gl_pathc && !found; i++) {
		char name[32] = "";

		if (!serial_matches(disks.gl_pathv[i], serial))
			continue;
		sscanf(disks.gl_pathv[i], "/sys/block/%31[^/]", name);
		snprintf(path, size, "/dev/%s", name);
		found = true;
	}
	globfree(&disks);
	return found;
}

void disk_path(const char *serial, char *path, size_t size)
{
	for (int i = 0; i < NAPS; i++) {
		if (find_disk(serial, path, size) && !access(path, F_OK))
			return;
		nap();
	}
	fatal("disk %s did not appear within %d s", serial, APPEAR_SECONDS);
}

int open_disk(const char *serial, int flags)
{
	char path[64];

	disk_path(serial, path, sizeof(path));
	return open_node(path, flags);
}
