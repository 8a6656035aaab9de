/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Small helpers without a home of their own.
 */
#ifndef RUMPK_UTIL_H
#define RUMPK_UTIL_H

#include <errno.h>
#include <stddef.h>
#include <stdbool.h>
#include <signal.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member)                                        \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline uint64_t now_ms(void)
{
	return now_ns() / 1000000u;
}

/* Never 0, and good enough for an age: a read of it costs next to nothing. */
static inline uint32_t coarse_ms(void)
{
	struct timespec ts;
	uint32_t ms;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	ms = (uint32_t)ts.tv_sec * 1000u + (uint32_t)ts.tv_nsec / 1000000u;
	return ms ? ms : 1;
}

static inline void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/*
 * A C library may make fstat() of newfstatat(), which takes names as well: whether it is
 * given one a filter cannot see, and so a worker has the plain call alone.
 */
static inline int fd_stat(int fd, struct stat *st)
{
	return (int)syscall(SYS_fstat, fd, st);
}

/* 0, -EWOULDBLOCK when somebody else has the lock for all that time, or another -errno. */
static inline int flock_within(int fd, uint64_t ms, unsigned int retry_us)
{
	uint64_t until = now_ms() + ms;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK || now_ms() >= until)
			return -errno;
		usleep(retry_us);
	}
	return 0;
}

/* The SIGHUP of a terminal that is closed is the kernel's, and no operator's word. */
static inline bool signal_of_terminal(const struct signalfd_siginfo *info)
{
	return info->ssi_signo == SIGHUP && info->ssi_code > 0;
}

#endif /* RUMPK_UTIL_H */
