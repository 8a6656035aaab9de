/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lines on stderr: "rumpk: LEVEL: channel=N text", one write each.
 */
#ifndef RUMPK_LOG_H
#define RUMPK_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What stands for the channel in a line that concerns none. */
#define RUMPK_NO_CHANNEL (-1)

/**
 * enum rumpk_level - how loud a line is
 * @RUMPK_ERROR: something does not work
 * @RUMPK_WARN: a guest was refused something, or something is odd
 * @RUMPK_INFO: what an operator wants to see once
 * @RUMPK_DEBUG: every change of state
 */
enum rumpk_level {
	RUMPK_ERROR,
	RUMPK_WARN,
	RUMPK_INFO,
	RUMPK_DEBUG,
};

/**
 * struct rumpk_ratelimit - lets a burst of lines through each second
 * @since: start of the current second, in milliseconds
 * @passed: lines let through in it
 * @dropped: lines held back, or not written, since the last one that was
 */
struct rumpk_ratelimit {
	uint64_t since;
	unsigned int passed;
	uint64_t dropped;
};

void rumpk_log_level(enum rumpk_level level);
void rumpk_log_program(const char *name);
int rumpk_log_parse(const char *name, enum rumpk_level *level);
void rumpk_log_line(const char *line, size_t length);
void rumpk_log(enum rumpk_level level, int channel, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void rumpk_log_limited(struct rumpk_ratelimit *rl, enum rumpk_level level,
		       int channel, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void rumpk_log_forked(void);
bool rumpk_ratelimit(struct rumpk_ratelimit *rl, uint64_t now_ms,
		     uint64_t *dropped);

#define rumpk_error(...) rumpk_log(RUMPK_ERROR, RUMPK_NO_CHANNEL, __VA_ARGS__)
#define rumpk_warn(...) rumpk_log(RUMPK_WARN, RUMPK_NO_CHANNEL, __VA_ARGS__)
#define rumpk_info(...) rumpk_log(RUMPK_INFO, RUMPK_NO_CHANNEL, __VA_ARGS__)
#define rumpk_debug(...) rumpk_log(RUMPK_DEBUG, RUMPK_NO_CHANNEL, __VA_ARGS__)

#endif /* RUMPK_LOG_H */
