/* SPDX-License-Identifier: GPL-2.0-only */
#include "caps_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util.h"

/* A word that is longer is none. */
#define WORD_BYTES 64u

/**
 * struct reader - a file that is being read
 * @path: for messages
 * @line: number of the line
 * @disks: that there are
 * @caps: what it has said so far
 */
struct reader {
	const char *path;
	unsigned int line;
	unsigned int disks;
	struct caps *caps;
};

static int fault(const struct reader *r, const char *word, const char *right)
{
	rumpk_error("--caps %s, line %u: %s: %s", r->path, r->line, word, right);
	return -EINVAL;
}

/*
 * The next word of a line, made fit to be printed; "" at the line's end. A byte
 * that is no printable character makes a word that means nothing.
 */
static const char *next_word(const char **at, const char *end, char *word)
{
	const char *p = *at;
	size_t n = 0;

	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	for (; p < end && *p != ' ' && *p != '\t' && *p != '#'; p++)
		if (n < WORD_BYTES)
			word[n++] = *p > ' ' && *p <= '~' ? *p : '?';
	word[n] = '\0';
	if (n == WORD_BYTES)
		memcpy(word + n - 3, "...", 3);
	*at = p < end && *p == '#' ? end : p;
	return word;
}

static int named_twice(const struct reader *r, const char *word, unsigned int n)
{
	char text[64];

	snprintf(text, sizeof(text), "was named in line %u already",
		 r->caps->line[n]);
	return fault(r, word, text);
}

static int read_disk(const struct reader *r, const char *word, unsigned int *n)
{
	char text[96];

	if (!parse_disk_number(word, r->disks, n))
		return 0;
	snprintf(text, sizeof(text),
		 "must be the number of a disk, from 0 to %u", r->disks - 1);
	return fault(r, word, text);
}

static int read_line(struct reader *r, const char *at, const char *end)
{
	char disk[WORD_BYTES + 1];
	char cap[WORD_BYTES + 1];
	char more[WORD_BYTES + 1];
	unsigned int n;

	if (!*next_word(&at, end, disk))
		return 0;
	if (read_disk(r, disk, &n))
		return -EINVAL;
	if (r->caps->line[n])
		return named_twice(r, disk, n);
	if (!*next_word(&at, end, cap))
		return fault(r, disk,
			     "a capability must follow, as in rw:0-2047");
	if (parse_cap(cap, &r->caps->disk[n]))
		return fault(r, cap, PARSE_CAP_RIGHT);
	if (*next_word(&at, end, more))
		return fault(r, more,
			     "nothing may follow a capability but # and a comment");
	r->caps->line[n] = r->line;
	return 0;
}

/**
 * caps_parse - read the text of a capability file
 * @path: for messages
 * @text: its contents
 * @length: of @text
 * @disks: that there are
 * @caps: filled
 *
 * Return: 0, or -EINVAL after a message that names the line.
 */
int caps_parse(const char *path, const char *text, size_t length,
	       unsigned int disks, struct caps *caps)
{
	struct reader r = { .path = path, .disks = disks, .caps = caps };
	const char *end = text + length;
	int err = 0;

	memset(caps, 0, sizeof(*caps));
	while (text < end && !err) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *stop = newline ? newline : end;

		r.line++;
		err = read_line(&r, text, stop);
		/* Of "0 r:0-7" the beginning is a capability too, for more. */
		if (!err && !newline)
			err = fault(&r, "ends without a newline",
				    "each line must have one, so that a file that was cut off is known");
		text = stop + 1;
	}
	return err;
}

static int refuse(const char *path, const char *why)
{
	rumpk_error("--caps %s: %s", path, why);
	return -EINVAL;
}

static int read_whole(const char *path, int fd, char *text, size_t *length)
{
	struct stat st;
	ssize_t n = 1;

	if (fstat(fd, &st) < 0)
		return refuse(path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return refuse(path, "must be a regular file");
	/* Who may write it may grant, and an owner may always do so. */
	if (st.st_uid && st.st_uid != geteuid())
		return refuse(path,
			      "must be owned by root or by the user that rumpk runs as");
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return refuse(path,
			      "may be written by others than its owner, must be as after chmod go-w");
	for (*length = 0; n > 0 && *length <= CAPS_FILE_MAX;
	     *length += (size_t)n) {
		n = read(fd, text + *length, CAPS_FILE_MAX + 1 - *length);
		if (n < 0)
			return refuse(path, strerror(errno));
	}
	if (*length > CAPS_FILE_MAX)
		return refuse(path, "must have at most 65536 bytes");
	return 0;
}

/**
 * caps_read - read a capability file
 * @path: of it
 * @disks: that there are
 * @caps: filled
 *
 * Return: 0, or -EINVAL after a message.
 */
int caps_read(const char *path, unsigned int disks, struct caps *caps)
{
	static char text[CAPS_FILE_MAX + 1];
	size_t length;
	/* A FIFO without a writer must not be waited for. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int err;

	if (fd < 0)
		return refuse(path, strerror(errno));
	err = read_whole(path, fd, text, &length);
	close(fd);
	return err ? err : caps_parse(path, text, length, disks, caps);
}
