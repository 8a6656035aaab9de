// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files to and from the host, over two raw disks: one that the host has filled
 * and one that it will read.  A file travels as its bytes, so that what has no
 * size of its own (/proc, a block device) travels as well; a directory travels
 * as a tar archive.  Everything starts at a multiple of the sector size.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init.h"

#define PUT_SERIAL "nexus-put"
#define GET_SERIAL "nexus-get"
#define SECTOR 512

/* Copies up to len bytes, or to the end of file; how many, or -1. */
static int64_t copy(int from, int to, int64_t len)
{
	static char buffer[1 << 20];
	int64_t done = 0;

	while (done < len) {
		int64_t want = len - done;
		ssize_t got;

		if (want > (int64_t)sizeof(buffer))
			want = sizeof(buffer);
		got = read(from, buffer, want);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -1 : done;
		for (ssize_t put = 0, n; put < got; put += n) {
			n = write(to, buffer + put, got - put);
			if (n < 0)
				return -1;
		}
		done += got;
	}
	return done;
}

static void make_parents(const char *path)
{
	char *copy = strdup(path);

	for (char *at = copy + 1; (at = strchr(at, '/')); at++) {
		*at = '\0';
		mkdir(copy, 0755);
		*at = '/';
	}
	free(copy);
}

static void put_file(int disk, int64_t len, mode_t mode, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || copy(disk, fd, len) != len || fchmod(fd, mode))
		fatal("cannot put %s: %m", path);
	close(fd);
}

static void put_directory(int disk, const char *path)
{
	char *const argv[] = { "tar", "-x", "-f", "-", "-C", (char *)path, NULL };

	if (mkdir(path, 0755) && errno != EEXIST)
		fatal("cannot put %s: %m", path);
	if (helper_run(disk, STDERR_FILENO, argv))
		fatal("cannot put directory %s", path);
}

/* "KIND OFFSET LENGTH MODE PATH", where KIND is f or d. */
static void put_one(int disk, const char *order)
{
	int64_t offset, len;
	unsigned int mode;
	char kind;
	const char *path;
	int at;

	if (sscanf(order, "%c %" SCNd64 " %" SCNd64 " %o%n", &kind, &offset,
		   &len, &mode, &at) < 4)
		fatal("cannot read the order to put \"%s\"", order);
	/* One blank, then the path, which may itself begin with blanks. */
	path = order + at + 1;
	make_parents(path);
	if (lseek(disk, offset, SEEK_SET) != offset)
		fatal("cannot seek to what is put: %m");
	if (kind == 'd')
		put_directory(disk, path);
	else
		put_file(disk, len, mode, path);
}

void transfer_in(const struct conf *conf)
{
	const char *order = NULL;
	int disk = -1;

	while ((order = conf_next(conf, "put", order))) {
		if (disk < 0)
			disk = open_disk(PUT_SERIAL, O_RDONLY);
		put_one(disk, order);
	}
	close(disk);
}

static bool get_file(int disk, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool good = fd >= 0 && copy(fd, disk, INT64_MAX) >= 0;
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
	return good;
}

static bool get_directory(int disk, const char *path)
{
	char *const argv[] = { "tar", "-c",	    "-f", "-",
			       "-C",  (char *)path, ".",  NULL };
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int status = helper_run(null, disk, argv);

	close(null);
	errno = EIO;
	return !status;
}

/* The next free sector of the disk, which is also where the next one starts. */
static int64_t align_position(int disk)
{
	int64_t at = lseek(disk, 0, SEEK_CUR);

	return lseek(disk, (at + SECTOR - 1) / SECTOR * SECTOR, SEEK_SET);
}

/* Reported: "get KIND OFFSET LENGTH MODE", or why not, in the order asked. */
static void get_one(int disk, const char *path)
{
	int64_t start = align_position(disk);
	struct stat st;
	bool good;

	if (stat(path, &st)) {
		report("noget %s", strerror(errno));
		return;
	}
	if (S_ISDIR(st.st_mode))
		good = get_directory(disk, path);
	else
		good = get_file(disk, path);
	if (good && fsync(disk))
		good = false;
	if (good)
		report("get %c %" PRId64 " %" PRId64 " %o",
		       S_ISDIR(st.st_mode) ? 'd' : 'f', start,
		       (int64_t)lseek(disk, 0, SEEK_CUR) - start,
		       st.st_mode & 07777);
	else
		report("noget %s", strerror(errno));
}

void transfer_out(const struct conf *conf)
{
	const char *path = NULL;
	int disk = -1;

	while ((path = conf_next(conf, "get", path))) {
		if (disk < 0)
			disk = open_disk(GET_SERIAL, O_RDWR);
		get_one(disk, path);
	}
	if (disk >= 0)
		close(disk);
}
