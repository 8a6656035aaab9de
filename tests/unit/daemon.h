/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A whole rumpk, forked from the test, so that what the test puts in place of the C
 * library's is in its place there too. A thread of the test may hold a lock of the
 * allocator then, which nobody would ever release in the child: a test with threads
 * defines DAEMON_EXEC, and is rumpk when its main() is given arguments.
 */
#ifndef NEXUS_TESTS_DAEMON_H
#define NEXUS_TESTS_DAEMON_H

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rumpk/run.h"
#include "sim_guest.h"

#define DAEMON_ARGS 24

static inline void daemon_child(const char *const *args, const char *log,
				int ready)
{
	char number[16];
	char *argv[DAEMON_ARGS] = { "rumpk", "--ready-fd", number };
	int argc = 3;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (log)
		dup2(open(log, O_WRONLY | O_CREAT | O_APPEND, 0600),
		     STDERR_FILENO);
	snprintf(number, sizeof(number), "%d", ready);
	while (*args && argc < DAEMON_ARGS - 1)
		argv[argc++] = (char *)(uintptr_t)*args++;
#ifdef DAEMON_EXEC
	execv("/proc/self/exe", argv);
#endif
	_exit(rumpk_run(argc, argv));
}

/* @ready: filled: has a byte when it serves, and its end when it does not. */
static inline pid_t daemon_fork(const char *const *args, const char *log,
				int *ready)
{
	int p[2];
	pid_t pid;

	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		close(p[0]);
		daemon_child(args, log, p[1]);
	}
	close(p[1]);
	*ready = p[0];
	return pid;
}

/* @ready: from daemon_fork(); returns when it serves. */
static inline void daemon_ready(int ready)
{
	char c;

	assert_int_equal(read(ready, &c, 1), 1);
	close(ready);
}

/*
 * Returns when it serves. @args: its command line, up to a NULL; @log: appended to, or
 * NULL.
 */
static inline pid_t daemon_start(const char *const *args, const char *log)
{
	int ready;
	pid_t pid = daemon_fork(args, log, &ready);

	daemon_ready(ready);
	return pid;
}

/* Its exit status, or 256. */
static inline int daemon_wait(pid_t *pid)
{
	int status;

	assert_int_equal(waitpid(*pid, &status, 0), *pid);
	*pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256;
}

static inline int daemon_end(pid_t *pid, int signal)
{
	kill(*pid, signal);
	return daemon_wait(pid);
}

/* @ready: from daemon_fork(). Its exit status, since it cannot serve. */
static inline int daemon_never_ready(pid_t *pid, int ready)
{
	char c;

	assert_int_equal(read(ready, &c, 1), 0);
	close(ready);
	return daemon_wait(pid);
}

/* Its exit status, when it cannot serve. */
static inline int daemon_fails(const char *const *args, const char *log)
{
	int ready;
	pid_t pid = daemon_fork(args, log, &ready);

	return daemon_never_ready(&pid, ready);
}

/* Its keeper ends by itself, when neither a guest nor a rumpk is left. */
static inline void daemon_wait_keeper(const char *socket_path)
{
	char keeper[128];
	int i;

	snprintf(keeper, sizeof(keeper), "%s.keeper", socket_path);
	for (i = 0; i < 500 && access(keeper, F_OK) == 0; i++)
		usleep(10000);
}

/* How often a log has @text. */
static inline unsigned int daemon_logged(const char *log, const char *text)
{
	static char all[1 << 20];
	int fd = open(log, O_RDONLY);
	ssize_t n = read(fd, all, sizeof(all) - 1);
	unsigned int found = 0;
	char *at = all;

	close(fd);
	all[n > 0 ? n : 0] = '\0';
	while ((at = strstr(at, text))) {
		found++;
		at++;
	}
	return found;
}

/* Goes on with the next generation, as the kernel does: without a reset. */
static inline void daemon_follow(struct sim_guest *g, uint32_t depth)
{
	assert_int_equal(sim_wait_offer(g, 5000), 0);
	sim_ack(g, g->offer.features, depth);
	assert_true(sim_wait_state(g, ION_HOST_LIVE, 5000));
}

#endif /* NEXUS_TESTS_DAEMON_H */
