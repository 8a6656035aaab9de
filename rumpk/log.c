/* SPDX-License-Identifier: GPL-2.0-only */
#include "log.h"

#include <inttypes.h>
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
/* Lines of no limited sort: those are counted where they are limited. */
static uint64_t unwritten;

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

/*
 * A pipe that nobody reads must not stop the daemon: a line that would block is
 * dropped, and counted. A pipe that polls writable takes PIPE_BUF bytes, more than a
 * line.
 */
static bool log_write(const char *line, size_t length)
{
	struct pollfd pfd = { .fd = STDERR_FILENO, .events = POLLOUT };

	if (poll(&pfd, 1, 0) != 1 || !(pfd.revents & POLLOUT))
		return false;
	return write(STDERR_FILENO, line, length) == (ssize_t)length;
}

static size_t log_clamp(int n, size_t at)
{
	if (n < 0)
		return at;
	at += (size_t)n;
	return at < LINE_BYTES - 1 ? at : LINE_BYTES - 2;
}

static size_t log_begin(char *line, enum rumpk_level level, int channel)
{
	char number[16] = "-";
	int n;

	if (channel >= 0)
		snprintf(number, sizeof(number), "%d", channel);
	if (other_program)
		n = snprintf(line, LINE_BYTES, "%s: %s: ", other_program,
			     level_names[level]);
	else
		n = snprintf(line, LINE_BYTES, "rumpk: %s: channel=%s ",
			     level_names[level], number);
	return log_clamp(n, 0);
}

static bool log_suppressed(void)
{
	uint64_t lines = __atomic_exchange_n(&unwritten, 0, __ATOMIC_RELAXED);
	char line[LINE_BYTES];
	size_t at;

	if (!lines)
		return true;
	at = log_begin(line, RUMPK_WARN, RUMPK_NO_CHANNEL);
	at = log_clamp(snprintf(line + at, sizeof(line) - at,
				"log: could not be written, suppressed=%" PRIu64,
				lines),
		       at);
	line[at++] = '\n';
	if (log_write(line, at))
		return true;
	__atomic_add_fetch(&unwritten, lines, __ATOMIC_RELAXED);
	return false;
}

static bool __attribute__((format(printf, 3, 0)))
log_line(enum rumpk_level level, int channel, const char *fmt, va_list args,
	 const uint64_t *suppressed)
{
	char line[LINE_BYTES];
	char tail[48] = "";
	size_t most;
	size_t at;

	if (suppressed)
		snprintf(tail, sizeof(tail), " suppressed=%" PRIu64, *suppressed);
	at = log_begin(line, level, channel);
	at = log_clamp(vsnprintf(line + at, sizeof(line) - at, fmt, args), at);
	most = sizeof(line) - 1 - strlen(tail);
	at = at < most ? at : most;
	memcpy(line + at, tail, strlen(tail));
	at += strlen(tail);
	line[at++] = '\n';
	return log_suppressed() && log_write(line, at);
}

/**
 * rumpk_log - print one line
 * @level: how loud
 * @channel: channel that it concerns, or RUMPK_NO_CHANNEL
 * @fmt: text, without a newline
 *
 * One that cannot be written is counted, and the next one that can says so.
 */
void rumpk_log(enum rumpk_level level, int channel, const char *fmt, ...)
{
	va_list args;

	if (level > threshold)
		return;
	va_start(args, fmt);
	if (!log_line(level, channel, fmt, args, NULL))
		__atomic_add_fetch(&unwritten, 1, __ATOMIC_RELAXED);
	va_end(args);
}

/**
 * rumpk_log_line - print a line that is made already
 * @line: line, with its end
 * @length: of @line
 *
 * As rumpk_log().
 */
void rumpk_log_line(const char *line, size_t length)
{
	if (!log_suppressed() || !log_write(line, length))
		__atomic_add_fetch(&unwritten, 1, __ATOMIC_RELAXED);
}

/**
 * rumpk_log_limited - print one line, when one of its sort may be printed now
 * @rl: state of this sort of line
 * @level: as rumpk_log()
 * @channel: as rumpk_log()
 * @fmt: as rumpk_log(); "suppressed=N" follows: those that were held back before, or
 *	could not be written
 */
void rumpk_log_limited(struct rumpk_ratelimit *rl, enum rumpk_level level,
		       int channel, const char *fmt, ...)
{
	uint64_t dropped;
	va_list args;

	/* What is not asked for takes no other line's place, nor its count. */
	if (level > threshold || !rumpk_ratelimit(rl, now_ms(), &dropped))
		return;
	va_start(args, fmt);
	if (!log_line(level, channel, fmt, args, &dropped))
		rl->dropped += dropped + 1;
	va_end(args);
}

/**
 * rumpk_log_forked - this process has a log of its own: what the one that it comes from
 * could not write, that one says
 */
void rumpk_log_forked(void)
{
	unwritten = 0;
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
