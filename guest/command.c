// SPDX-License-Identifier: GPL-2.0-only
/*
 * The command, its output on the way to the host, and its end.
 *
 * The command writes into pipes, not into the ports: a port can be opened only
 * once, and programs do open /dev/stdout.  One thread a stream carries the
 * bytes over, so that a slow reader of one does not hold up the other.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "init.h"

#define STDOUT_PORT "/dev/vport0p1"
#define STDERR_PORT "/dev/vport0p2"
#define TERMINAL "/dev/hvc0"

/* How long killed processes get to die; one stuck in the kernel never does. */
#define REAP_SECONDS 5

struct relay {
	pthread_t thread;
	int source; /* the pipe's end that we read */
	int sink; /* the pipe's end that the command writes */
	int port;
	int stop; /* readable when what is in the pipe is all there will be */
};

static bool write_all(int fd, const char *from, size_t len)
{
	while (len) {
		ssize_t put = write(fd, from, len);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return false;
		from += put;
		len -= put;
	}
	return true;
}

/*
 * Ends at the end of the pipe, or, when somebody who cannot be killed still
 * holds the other end, once it was told to stop and found the pipe empty.
 */
static void *relay_main(void *arg)
{
	struct relay *relay = arg;
	struct pollfd fds[] = {
		{ .fd = relay->source, .events = POLLIN },
		{ .fd = relay->stop, .events = POLLIN },
	};
	static __thread char buffer[32768];

	while (poll(fds, 2, -1) >= 0 || errno == EINTR) {
		ssize_t got;

		if (!fds[0].revents)
			break;
		got = read(relay->source, buffer, sizeof(buffer));
		if (got <= 0 || !write_all(relay->port, buffer, got))
			break;
	}
	return NULL;
}

static void relay_start(struct relay *relay, const char *port)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		fatal("cannot make a pipe: %m");
	relay->source = ends[0];
	relay->sink = ends[1];
	relay->port = open_node(port, O_WRONLY);
	relay->stop = eventfd(0, EFD_CLOEXEC);
	if (relay->stop < 0 ||
	    pthread_create(&relay->thread, NULL, relay_main, relay))
		fatal("cannot start a relay: %m");
}

static void relay_finish(struct relay *relay)
{
	eventfd_write(relay->stop, 1);
	pthread_join(relay->thread, NULL);
	/* The port's end is the host's end of file. */
	close(relay->port);
}

static void __attribute__((noreturn)) become_command(char **argv)
{
	int error;

	signal(SIGINT, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	if (chdir("/"))
		_exit(126);
	execvp(argv[0], argv);
	error = errno;
	dprintf(STDERR_FILENO, "cell: cannot run %s: %s\n", argv[0],
		strerror(error));
	_exit(error == ENOENT ? 127 : 126);
}

static pid_t start_plain(char **argv, const struct relay *out,
			 const struct relay *err)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	setsid();
	dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
	dup2(out->sink, STDOUT_FILENO);
	dup2(err->sink, STDERR_FILENO);
	become_command(argv);
}

static pid_t start_on_terminal(char **argv)
{
	int tty = open_node(TERMINAL, O_RDWR | O_NOCTTY);
	pid_t pid = fork();

	if (pid)
		return pid;
	setsid();
	ioctl(tty, TIOCSCTTY, 0);
	dup2(tty, STDIN_FILENO);
	dup2(tty, STDOUT_FILENO);
	dup2(tty, STDERR_FILENO);
	become_command(argv);
}

/* Process 1 inherits every orphan; they are reaped on the way. */
static int wait_for(pid_t pid)
{
	int status;
	pid_t got;

	if (pid < 0)
		fatal("cannot start the command: %m");
	while ((got = wait(&status)) != pid)
		if (got < 0 && errno != EINTR)
			fatal("lost the command: %m");
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void kill_the_rest(void)
{
	const struct timespec nap = { .tv_nsec = 2 * 1000000L };

	kill(-1, SIGKILL);
	for (int i = 0; i < REAP_SECONDS * 500; i++) {
		if (waitpid(-1, NULL, WNOHANG) < 0)
			return;
		nanosleep(&nap, NULL);
	}
}

int command_run(char **argv, bool interactive)
{
	struct relay out, err;
	int status;

	if (interactive) {
		status = wait_for(start_on_terminal(argv));
		kill_the_rest();
		return status;
	}

	relay_start(&out, STDOUT_PORT);
	relay_start(&err, STDERR_PORT);
	status = wait_for(start_plain(argv, &out, &err));
	kill_the_rest();
	close(out.sink);
	close(err.sink);
	relay_finish(&out);
	relay_finish(&err);
	return status;
}
