/* SPDX-License-Identifier: GPL-2.0-only */
#include "broker.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unix.h"
#include "util.h"

/* A supervisor has little else to do. */
#define REPLY_MS 1000

static int connect_for(const struct broker *b, uint32_t index)
{
	if (index >= BROKER_PATHS || !b->path[index])
		return -ENOENT;
	/* A listener that accepts nobody must not stop the supervisor. */
	return unix_connect(b->path[index], SOCK_STREAM | SOCK_NONBLOCK);
}

/**
 * broker_answer - the supervisor's side: a worker may have asked
 * @b: what may be asked for
 * @sock: non-blocking end of the pair
 */
void broker_answer(const struct broker *b, int sock)
{
	struct broker_question q;
	struct broker_reply reply = { 0 };
	int fd;

	if (recv(sock, &q, sizeof(q), MSG_DONTWAIT) != sizeof(q))
		return;
	fd = connect_for(b, q.index);
	reply.serial = q.serial;
	if (fd < 0)
		reply.result = fd;
	unix_send(sock, &reply, sizeof(reply), &fd, fd >= 0);
	close_fd(&fd);
}

static int wait_reply(int sock, uint64_t until)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	uint64_t now;
	int n;

	do {
		now = now_ms();
		n = now < until ? poll(&p, 1, (int)(until - now)) : 0;
	} while (n < 0 && errno == EINTR);
	return n == 1 ? 0 : -ETIMEDOUT;
}

/* -EAGAIN: a reply that came too late for the question before. */
static int take_reply(int sock, uint32_t serial)
{
	struct broker_reply reply;
	int fds[UNIX_MAX_FDS];
	unsigned int n = 0;
	ssize_t got = unix_recv(sock, &reply, sizeof(reply), fds, &n);
	bool whole = got == sizeof(reply);

	if (whole && reply.serial == serial && !reply.result && n == 1)
		return fds[0];
	while (n)
		close(fds[--n]);
	if (whole && reply.serial != serial)
		return -EAGAIN;
	if (got < 0)
		return (int)got;
	return whole && reply.result < 0 ? reply.result : -EPROTO;
}

/**
 * broker_connect - the worker's side: connect to a path on the command line
 * @sock: end of the pair
 * @index: number of a disk, or BROKER_QMP
 *
 * For the serving thread alone.
 *
 * Return: connected stream socket, non-blocking, the caller's; or -errno, -ETIMEDOUT
 * when the supervisor does not answer.
 */
int broker_connect(int sock, uint32_t index)
{
	static uint32_t serial;
	const struct broker_question q = { ++serial, index };
	uint64_t until = now_ms() + REPLY_MS;
	ssize_t sent = unix_send(sock, &q, sizeof(q), NULL, 0);
	int fd = sent < 0 ? (int)sent : -EAGAIN;

	while (fd == -EAGAIN) {
		int err = wait_reply(sock, until);

		fd = err ? err : take_reply(sock, q.serial);
	}
	return fd;
}
