/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The worker's end of the broker (broker.h). Nothing here waits: a question is asked,
 * and asked for again until its answer has come, while all else is served.
 */
#include "broker.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "unix.h"
#include "util.h"

/* An answer that nobody came for within this time is of no use any more. */
#define FRESH_MS 1000u

/**
 * broker_link_init - take the worker's end
 * @l: filled
 * @sock: non-blocking end of the pair; -1: there is no supervisor to be asked
 */
void broker_link_init(struct broker_link *l, int sock)
{
	memset(l, 0, sizeof(*l));
	l->sock = sock;
}

static struct broker_asked *find(struct broker_link *l, uint32_t serial)
{
	unsigned int i;

	for (i = 0; i < BROKER_PATHS; i++)
		if (l->asked[i].serial == serial)
			return &l->asked[i];
	return NULL;
}

static void take(struct broker_link *l, const struct broker_reply *reply, int *fd)
{
	struct broker_asked *a = reply->serial ? find(l, reply->serial) : NULL;

	if (!a || a->answered)
		return;
	a->answered = true;
	a->came_ms = now_ms();
	a->image = reply->image;
	a->fd = reply->result < 0 ? reply->result : *fd >= 0 ? *fd : -EPROTO;
	if (a->fd >= 0)
		*fd = -1;
}

/**
 * broker_look - take what has been answered
 * @l: worker's end
 *
 * To be called when its socket is readable, at the latest.
 */
void broker_look(struct broker_link *l)
{
	struct broker_reply reply;
	int fds[UNIX_MAX_FDS];
	int none = -1;
	unsigned int n;
	ssize_t got;

	while (l->sock >= 0) {
		got = unix_recv(l->sock, &reply, sizeof(reply), fds, &n);
		if (got == -EAGAIN || got == -EINTR)
			return;
		if (got <= 0)
			close_fd(&l->sock);
		if (got == sizeof(reply))
			take(l, &reply, n == 1 ? &fds[0] : &none);
		while (n)
			close_fd(&fds[--n]);
	}
}

static int send_question(struct broker_link *l, struct broker_asked *a,
			 uint32_t index, enum broker_what what)
{
	const struct broker_question q = {
		.serial = l->serial + 1,
		.index = index,
		.what = what,
	};
	ssize_t sent = unix_send(l->sock, &q, sizeof(q), NULL, 0);

	/* A supervisor that does not read has enough questions. */
	if (sent == -EAGAIN)
		return -EINPROGRESS;
	if (sent < 0)
		return (int)sent;
	a->serial = ++l->serial;
	return 0;
}

/* There is no question of this index any more. */
static void forget(struct broker_asked *a)
{
	a->serial = 0;
	a->answered = false;
}

/* Nobody came for it: what it says may not hold any more. */
static void drop_stale(struct broker_asked *a)
{
	if (!a->answered || now_ms() - a->came_ms < FRESH_MS)
		return;
	if (a->fd >= 0)
		close(a->fd);
	forget(a);
}

/**
 * broker_ask - ask for a connection or an image, or for the answer to that
 * @l: worker's end
 * @index: number of a disk, or BROKER_QMP
 * @what: what is asked for; of an index, one thing at a time
 * @img: filled on success, if an image was asked for
 *
 * Return: descriptor, the caller's (of a socket: connected, non-blocking); -EINPROGRESS:
 * there is no answer yet, ask again; -EBUSY when an image's lock is held, -ETXTBSY when
 * that is by a process and BROKER_OPEN_OR_NAME was asked for; another -errno.
 */
int broker_ask(struct broker_link *l, uint32_t index, enum broker_what what,
	       struct image *img)
{
	struct broker_asked *a = &l->asked[index % BROKER_PATHS];
	int err = 0;

	broker_look(l);
	if (l->sock < 0)
		return -EPIPE;
	drop_stale(a);
	if (!a->serial)
		err = send_question(l, a, index, what);
	if (err || !a->answered)
		return err ? err : -EINPROGRESS;
	forget(a);
	if (a->fd >= 0 && img) {
		*img = a->image;
		img->fd = a->fd;
	}
	return a->fd;
}
