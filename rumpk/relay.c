/* SPDX-License-Identifier: GPL-2.0-only */
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "util.h"

#define TURN_BYTES 4096
/* More than a pipe holds, also when each of its pages has one line. */
#define LAST_TURNS 64

/**
 * relay_open - make the pipe
 * @r: filled on success
 *
 * Neither end waits: a line that finds no room is lost, as with any other stderr.
 *
 * Return: the worker's end, the caller's, or -errno.
 */
int relay_open(struct relay *r)
{
	int end[2];

	if (pipe2(end, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	r->fd = end[0];
	r->fill = 0;
	return end[1];
}

static void pass_line(struct relay *r)
{
	memcpy(r->line + r->fill, RELAY_MARK, sizeof(RELAY_MARK) - 1);
	rumpk_log_line(r->line, r->fill + sizeof(RELAY_MARK) - 1);
	r->fill = 0;
}

/* On a terminal a line must not be able to hide its mark. */
static char plain(char c)
{
	return ((unsigned char)c < ' ' && c != '\t') || c == 0x7f ? '?' : c;
}

/**
 * relay_turn - pass on what has come, as much as one turn may
 * @r: relay
 *
 * Return: whether there may be more.
 */
bool relay_turn(struct relay *r)
{
	char bytes[TURN_BYTES];
	ssize_t n = r->fd < 0 ? 0 : read(r->fd, bytes, sizeof(bytes));
	ssize_t i;

	if (n < 0)
		return false;
	if (n == 0)
		close_fd(&r->fd);
	for (i = 0; i < n; i++) {
		if (bytes[i] != '\n')
			r->line[r->fill++] = plain(bytes[i]);
		if (bytes[i] == '\n' || r->fill == RELAY_LINE_BYTES)
			pass_line(r);
	}
	return n > 0;
}

/**
 * relay_finish - pass on the last of a worker that has ended
 * @r: relay; without a pipe afterwards
 */
void relay_finish(struct relay *r)
{
	unsigned int turns = LAST_TURNS;

	while (turns-- && relay_turn(r))
		;
	if (r->fill)
		pass_line(r);
	close_fd(&r->fd);
}
