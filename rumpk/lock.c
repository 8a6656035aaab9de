/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Image locks. Two kinds on one open file description:
 *
 * - flock(2), exclusive for a writer, shared for readers: the fence. It goes
 *   with the last reference to the description, and a dead process's requests
 *   in the kernel hold one: who gets it knows that no old write can land.
 * - QEMU's OFD byte locks (its block/file-posix.c), so that its tools refuse an
 *   image that we serve and we one that they use: byte 100 + n says "I use
 *   permission n", byte 200 + n "I do not share permission n".
 */
#include "image.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util.h"

#define LOCK_USES 100
#define LOCK_DENIES 200
#define PERM_CONSISTENT_READ 0
#define PERM_WRITE 1
#define PERM_RESIZE 3
#define LOCK_RETRY_MS 1

static int ofd_lock(int fd, int byte)
{
	struct flock fl = {
		.l_type = F_RDLCK,
		.l_whence = SEEK_SET,
		.l_start = byte,
		.l_len = 1,
	};

	return fcntl(fd, F_OFD_SETLK, &fl) < 0 ? -errno : 0;
}

/* Does another description hold the byte in any way? */
static int ofd_probe(int fd, int byte)
{
	struct flock fl = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = byte,
		.l_len = 1,
	};

	if (fcntl(fd, F_OFD_GETLK, &fl) < 0)
		return -errno;
	return fl.l_type == F_UNLCK ? 0 : -EBUSY;
}

static int ofd_drop(int fd)
{
	struct flock fl = {
		.l_type = F_UNLCK,
		.l_whence = SEEK_SET,
		.l_start = LOCK_USES,
		.l_len = 2 * (LOCK_DENIES - LOCK_USES),
	};

	return fcntl(fd, F_OFD_SETLK, &fl);
}

/* First claim, then look: of two that race, at least one sees the other. */
static int ofd_claim(int fd, bool read_only)
{
	int err = ofd_lock(fd, LOCK_USES + PERM_CONSISTENT_READ);

	if (!err && !read_only)
		err = ofd_lock(fd, LOCK_USES + PERM_WRITE);
	if (!err)
		err = ofd_lock(fd, LOCK_DENIES + PERM_WRITE);
	if (!err)
		err = ofd_lock(fd, LOCK_DENIES + PERM_RESIZE);
	if (!err)
		err = ofd_probe(fd, LOCK_DENIES + PERM_CONSISTENT_READ);
	if (!err && !read_only)
		err = ofd_probe(fd, LOCK_DENIES + PERM_WRITE);
	if (!err)
		err = ofd_probe(fd, LOCK_USES + PERM_WRITE);
	if (!err)
		err = ofd_probe(fd, LOCK_USES + PERM_RESIZE);
	return err;
}

static int lock_once(int fd, bool read_only)
{
	int err;

	if (flock(fd, (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	err = ofd_claim(fd, read_only);
	if (err) {
		ofd_drop(fd);
		flock(fd, LOCK_UN);
	}
	return err == -EAGAIN || err == -EACCES ? -EBUSY : err;
}

/**
 * image_lock - take all locks of an image
 * @fd: description that nobody else has a copy of
 * @read_only: share with other readers
 * @wait_ms: how long to try
 *
 * Return: 0; -EBUSY when somebody else uses it; another -errno.
 */
int image_lock(int fd, bool read_only, unsigned int wait_ms)
{
	uint64_t until = now_ms() + wait_ms;
	int err;

	for (;;) {
		err = lock_once(fd, read_only);
		if (err != -EBUSY || now_ms() >= until)
			return err;
		usleep(LOCK_RETRY_MS * 1000);
	}
}

/* Does /proc/@pid/fdinfo/@fd show a lock? */
static bool fdinfo_locked(const char *pid, const char *fd)
{
	char path[320];
	char line[256];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.16s/fdinfo/%.16s", pid, fd);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = strncmp(line, "lock:", 5) == 0;
	fclose(f);
	return found;
}

/* The nodes of a block device are many, the device is one. */
static bool same_image(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
		return a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool process_holds(const char *pid, const struct stat *image)
{
	char path[320];
	struct dirent *d;
	struct stat st;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (d = readdir(dir))) {
		if (fstatat(dirfd(dir), d->d_name, &st, 0) < 0 ||
		    !same_image(&st, image))
			continue;
		found = fdinfo_locked(pid, d->d_name);
	}
	closedir(dir);
	return found;
}

static void process_name(const char *pid, char *text, unsigned int length)
{
	char path[64];
	char comm[32] = "process";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.16s/comm", pid);
	f = fopen(path, "re");
	if (f) {
		if (fgets(comm, sizeof(comm), f))
			comm[strcspn(comm, "\n")] = '\0';
		fclose(f);
	}
	snprintf(text, length, "%s (pid %.16s)", comm, pid);
}

/**
 * image_holder - name who holds locks on an image
 * @fd: the image
 * @text: filled, always
 * @length: of @text
 *
 * OFD locks name no process, so this asks every process that we may look into.
 *
 * Return: whether there is one; a request that the kernel still does for the dead
 * is none.
 */
bool image_holder(int fd, char *text, unsigned int length)
{
	struct dirent *d;
	struct stat st;
	bool found = false;
	DIR *proc;

	if (fstat(fd, &st) == 0 && S_ISBLK(st.st_mode))
		snprintf(text, length,
			 "another process, a mount or another device");
	else
		snprintf(text, length, "another process");
	proc = opendir("/proc");
	if (!proc)
		return false;
	while (!found && fstat(fd, &st) == 0 && (d = readdir(proc))) {
		if (!isdigit((unsigned char)d->d_name[0]))
			continue;
		if (!process_holds(d->d_name, &st))
			continue;
		process_name(d->d_name, text, length);
		found = true;
	}
	closedir(proc);
	return found;
}
