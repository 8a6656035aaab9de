/* SPDX-License-Identifier: GPL-2.0-only */
#include "log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

#define BURST 10
#define LINE_BYTES 2048

static const char *const level_names[] = { "error", "warn", "info", "debug" };
static enum rumpk_level threshold = RUMPK_INFO;
static const char *other_program;

/**
 * rumpk_log_level - set the loudest level that is printed
 * @level: level
 */
void rumpk_log_level(enum rumpk_level level)
{
	threshold = level;
}

/**
 * rumpk_log_program - the messages are those of another program
 * @name: its name; it has no channels
 */
void rumpk_log_program(const char *name)
{
	other_program = name;
}

/**
 * rumpk_log_parse - find a level by its name
 * @name: name
 * @level: filled when there is one
 *
 * Return: 0, or -1 when there is no such level.
 */
int rumpk_log_parse(const char *name, enum rumpk_level *level)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(level_names); i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*level = (enum rumpk_level)i;
			return 0;
		}
	}
	return -1;
}

/**
 * rumpk_log_line - print a line that is made already
 * @line: line, with its end
 * @length: of @line
 *
 * A pipe that nobody reads must not stop the daemon: a line that would block is
 * dropped. A pipe that polls writable takes PIPE_BUF bytes, more than a line.
 */
void rumpk_log_line(const char *line, size_t length)
{
	struct pollfd pfd = { .fd = STDERR_FILENO, .events = POLLOUT };
	ssize_t written;

	if (poll(&pfd, 1, 0) != 1 || !(pfd.revents & POLLOUT))
		return;
	written = write(STDERR_FILENO, line, length);
	(void)written;
}

static size_t log_clamp(int n, size_t at)
{
	if (n < 0)
		return at;
	at += (size_t)n;
	return at < LINE_BYTES - 1 ? at : LINE_BYTES - 2;
}

/**
 * rumpk_log - print one line
 * @level: how loud
 * @channel: channel that it concerns, or RUMPK_NO_CHANNEL
 * @fmt: text, without a newline
 */
void rumpk_log(enum rumpk_level level, int channel, const char *fmt, ...)
{
	char line[LINE_BYTES];
	char number[16] = "-";
	va_list args;
	size_t at;
	int n;

	if (level > threshold)
		return;
	if (channel >= 0)
		snprintf(number, sizeof(number), "%d", channel);
	if (other_program)
		n = snprintf(line, sizeof(line), "%s: %s: ", other_program,
			     level_names[level]);
	else
		n = snprintf(line, sizeof(line), "rumpk: %s: channel=%s ",
			     level_names[level], number);
	at = log_clamp(n, 0);
	va_start(args, fmt);
	at = log_clamp(vsnprintf(line + at, sizeof(line) - at, fmt, args), at);
	va_end(args);
	line[at++] = '\n';
	rumpk_log_line(line, at);
}

/**
 * rumpk_ratelimit - may a line of this sort be printed now
 * @rl: state of this sort of line
 * @now_ms: monotonic milliseconds
 * @dropped: filled with the number of lines held back before, when it may
 *
 * Return: true when it may.
 */
bool rumpk_ratelimit(struct rumpk_ratelimit *rl, uint64_t now_ms,
		     uint64_t *dropped)
{
	if (!rl->since || now_ms - rl->since >= 1000) {
		rl->since = now_ms;
		rl->passed = 0;
	}
	if (rl->passed >= BURST) {
		rl->dropped++;
		return false;
	}
	rl->passed++;
	*dropped = rl->dropped;
	rl->dropped = 0;
	return true;
}
