/* SPDX-License-Identifier: GPL-2.0-only */
#include "broker.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
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

/*
 * A request that the kernel does for the dead has no process; whoever else holds
 * the lock may write what no guest knows of.
 */
static int name_holder(const struct broker_image *i)
{
	char holder[128];

	if (!image_is_held(i->known, i->path, holder, sizeof(holder))) {
		rumpk_warn("disk %s: still waiting for the requests of the worker before",
			   i->path);
		return -EBUSY;
	}
	rumpk_error("disk %s: in use by %s", i->path, holder);
	return -ETXTBSY;
}

static int open_for(const struct broker *b, const struct broker_question *q,
		    struct image *img)
{
	const struct broker_image *i = &b->image[q->index % WINDOW_MAX_DISKS];
	int err;

	if (q->index >= WINDOW_MAX_DISKS || !i->path)
		return -ENOENT;
	err = image_open_again(img, i->known, i->path, i->read_only, i->block);
	if (err == -EBUSY && q->what == BROKER_OPEN_OR_NAME)
		err = name_holder(i);
	return err ? err : img->fd;
}

/*
 * A worker asks for another connection when nothing of the former one can use lent
 * memory any more, and not before.
 */
static void keep(struct broker *b, uint32_t index, int *fd)
{
	if (index >= WINDOW_MAX_DISKS || !b->keeps[index])
		return;
	close_fd(&b->kept[index]);
	b->kept[index] = *fd;
	*fd = -1;
}

/**
 * broker_worker_died - the supervisor's side: let the devices know
 * @b: what may be asked for
 *
 * Its own copies of what is kept are closed, and a device does not notice.
 */
void broker_worker_died(const struct broker *b)
{
	unsigned int i;

	for (i = 0; i < WINDOW_MAX_DISKS; i++)
		if (b->keeps[i] && b->kept[i] >= 0)
			shutdown(b->kept[i], SHUT_WR);
}

/**
 * broker_answer - the supervisor's side: a worker may have asked
 * @b: what may be asked for
 * @sock: non-blocking end of the pair
 */
void broker_answer(struct broker *b, int sock)
{
	struct broker_question q;
	struct broker_reply reply = { 0 };
	int fd;

	if (recv(sock, &q, sizeof(q), MSG_DONTWAIT) != sizeof(q))
		return;
	if (q.what == BROKER_CONNECT)
		fd = connect_for(b, q.index);
	else
		fd = open_for(b, &q, &reply.image);
	reply.serial = q.serial;
	if (fd < 0)
		reply.result = fd;
	if (unix_send(sock, &reply, sizeof(reply), &fd, fd >= 0) > 0 &&
	    fd >= 0 && q.what == BROKER_CONNECT)
		keep(b, q.index, &fd);
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
static int take_reply(int sock, uint32_t serial, struct broker_reply *reply)
{
	int fds[UNIX_MAX_FDS];
	unsigned int n = 0;
	ssize_t got = unix_recv(sock, reply, sizeof(*reply), fds, &n);
	bool whole = got == sizeof(*reply);

	if (whole && reply->serial == serial && !reply->result && n == 1)
		return fds[0];
	while (n)
		close(fds[--n]);
	if (whole && reply->serial != serial)
		return -EAGAIN;
	if (got < 0)
		return (int)got;
	return whole && reply->result < 0 ? reply->result : -EPROTO;
}

static int ask(int sock, struct broker_question *q, struct broker_reply *reply)
{
	static uint32_t serial;
	uint64_t until = now_ms() + REPLY_MS;
	ssize_t sent;
	int fd;

	q->serial = ++serial;
	sent = unix_send(sock, q, sizeof(*q), NULL, 0);
	fd = sent < 0 ? (int)sent : -EAGAIN;
	while (fd == -EAGAIN) {
		int err = wait_reply(sock, until);

		fd = err ? err : take_reply(sock, q->serial, reply);
	}
	return fd;
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
	struct broker_question q = { .index = index, .what = BROKER_CONNECT };
	struct broker_reply reply;

	return ask(sock, &q, &reply);
}

/**
 * broker_open - the worker's side: open an image again
 * @sock: end of the pair
 * @index: number of the disk
 * @name: who holds its lock is worth a line
 * @img: filled on success
 *
 * For the serving thread alone.
 *
 * Return: 0; -EBUSY when its lock is held, and -ETXTBSY when that is by a process,
 * where @name was asked for; another -errno.
 */
int broker_open(int sock, uint32_t index, bool name, struct image *img)
{
	struct broker_question q = {
		.index = index,
		.what = name ? BROKER_OPEN_OR_NAME : BROKER_OPEN,
	};
	struct broker_reply reply;
	int fd = ask(sock, &q, &reply);

	if (fd < 0)
		return fd;
	*img = reply.image;
	img->fd = fd;
	return 0;
}
