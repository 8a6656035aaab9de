/* SPDX-License-Identifier: GPL-2.0-only */
#include "broker.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unix.h"
#include "util.h"

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

/* As long as each try leaves a line, so many a second are enough. */
static bool may_try(struct broker_image *i)
{
	uint64_t dropped = 0;

	if (!i->failed)
		return true;
	if (!rumpk_ratelimit(&i->lines, now_ms(), &dropped))
		return false;
	if (dropped)
		rumpk_warn("disk %s: suppressed=%llu tries to open it", i->path,
			   (unsigned long long)dropped);
	return true;
}

static int open_for(struct broker *b, const struct broker_question *q,
		    struct image *img)
{
	struct broker_image *i = &b->image[q->index % WINDOW_MAX_DISKS];
	int err;

	if (q->index >= WINDOW_MAX_DISKS || !i->path)
		return -ENOENT;
	if (!may_try(i))
		return i->failed;
	err = image_open_again(img, i->known, i->path, i->read_only, i->block);
	if (err == -EBUSY && q->what == BROKER_OPEN_OR_NAME)
		err = name_holder(i);
	i->failed = err == -EBUSY && q->what != BROKER_OPEN_OR_NAME ? 0 : err;
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
