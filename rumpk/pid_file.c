/* SPDX-License-Identifier: GPL-2.0-only */
#include "pid_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

/* No number of a process is longer, its newline included. */
#define NUMBER_BYTES 16

static int refuse(const char *path, const char *why)
{
	rumpk_error("--pid-file %s: %s", path, why);
	return -EINVAL;
}

/* Empty, or a number, as one that was killed left it. */
static bool is_number(const char *text, size_t length)
{
	size_t digits = strspn(text, "0123456789");

	return digits == length ||
	       (digits && digits + 1 == length && text[digits] == '\n');
}

/* What is there is an image, say, when the path is not the one that was meant. */
static int judge(const char *path, int fd)
{
	char text[NUMBER_BYTES + 1] = "";
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return refuse(path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return refuse(path, "must be a regular file");
	n = pread(fd, text, NUMBER_BYTES, 0);
	if (n < 0)
		return refuse(path, strerror(errno));
	if (st.st_size != n || !is_number(text, (size_t)n))
		return refuse(path,
			      "is no file of a process number, must be empty or not be there");
	return 0;
}

/* A FIFO that nobody reads must not be waited for. */
static int open_file(const char *path, int flags)
{
	return open(path, flags | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK,
		    0666);
}

static int refuse_open(const char *path)
{
	return refuse(path, errno == ELOOP ? "must not be a symbolic link" :
					     strerror(errno));
}

/**
 * pid_file_check - may this file be overwritten
 * @path: of it; need not be there
 *
 * Return: 0, or -EINVAL after a message.
 */
int pid_file_check(const char *path)
{
	int fd = open_file(path, O_RDWR);
	int err;

	if (fd < 0)
		return errno == ENOENT ? 0 : refuse_open(path);
	err = judge(path, fd);
	close(fd);
	return err;
}

/**
 * pid_file_write - put the number of this process into a file
 * @path: of it; made where it is not there
 *
 * Return: 0, or -EINVAL after a message.
 */
int pid_file_write(const char *path)
{
	int fd = open_file(path, O_RDWR | O_CREAT);
	int err;

	if (fd < 0)
		return refuse_open(path);
	err = judge(path, fd);
	if (!err &&
	    (ftruncate(fd, 0) < 0 || dprintf(fd, "%d\n", (int)getpid()) < 0))
		err = refuse(path, strerror(errno));
	close(fd);
	return err;
}
