/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * rumpk's end of the connection to its keeper.
 */
#include "keeper.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keeper_msg.h"
#include "unix.h"
#include "util.h"

/* A keeper answers at once; one that does not is none. */
#define HELLO_MS 5000
/* How long a rumpk that was just killed may still look attached. */
#define BUSY_MS 1000
#define BUSY_RETRY_MS 5
#define LEAVE_MS 1000

static void close_all(const int *fds, unsigned int n)
{
	while (n--)
		close(fds[n]);
}

static int keeper_unpack(const struct keeper_hello *hello, const int *fds,
			 unsigned int nfds, struct keeper_fds *f)
{
	unsigned int witnesses =
		(unsigned int)__builtin_popcount(hello->witnesses);
	unsigned int i;

	if (hello->nhost > IVSHMEM_MAX_VECTORS ||
	    hello->nguest > IVSHMEM_MAX_VECTORS ||
	    hello->nmem > KEEPER_MAX_DISKS ||
	    hello->witnesses >> KEEPER_MAX_DISKS ||
	    nfds != KEEPER_MEMORIES + hello->nhost + hello->nguest +
			    hello->nmem + witnesses)
		return -EPROTO;
	f->window = fds[0];
	f->record = fds[1];
	f->authority = fds[2];
	f->ledger = fds[3];
	f->nhost = hello->nhost;
	f->nguest = hello->nguest;
	f->nmem = hello->nmem;
	fds += KEEPER_MEMORIES;
	memcpy(f->host, fds, f->nhost * sizeof(int));
	fds += f->nhost;
	memcpy(f->guest, fds, f->nguest * sizeof(int));
	fds += f->nguest;
	memcpy(f->mem, fds, f->nmem * sizeof(int));
	fds += f->nmem;
	f->witnesses = hello->witnesses;
	for (i = 0; i < KEEPER_MAX_DISKS; i++)
		if (f->witnesses & 1u << i)
			f->witness[i] = *fds++;
	return 0;
}

static int keeper_greet(int sock, struct keeper_link *link,
			struct keeper_fds *f, pid_t *holder)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	struct keeper_hello hello;
	int fds[UNIX_MAX_FDS];
	unsigned int nfds;
	ssize_t n;
	int err;

	if (!unix_trusted(sock, holder))
		return -EPERM;
	if (poll(&p, 1, HELLO_MS) != 1)
		return -ETIMEDOUT;
	n = unix_recv(sock, &hello, sizeof(hello), fds, &nfds);
	/* It was about to end, and has removed its sockets. */
	if (n == 0 || n == -ECONNRESET)
		return -ENOENT;
	if (n < 0)
		return (int)n;
	*holder = hello.holder;
	err = -EPROTO;
	if (n == sizeof(hello) && hello.magic == KEEPER_MAGIC &&
	    hello.version == KEEPER_VERSION)
		err = hello.holder ? -EBUSY : keeper_unpack(&hello, fds, nfds, f);
	if (err) {
		close_all(fds, nfds);
		return err;
	}
	link->fd = sock;
	link->guest = hello.guest;
	return 0;
}

/**
 * keeper_attach - become the rumpk of a keeper that is there
 * @path: of its socket
 * @link: filled on success
 * @fds: filled on success with descriptors that are the caller's
 * @holder: filled on -EBUSY
 *
 * Return: 0; -ENOENT without a socket, -ECONNREFUSED with a dead keeper's; -EBUSY
 * when another rumpk is attached; -EPROTO when it is of another version; another
 * -errno.
 */
int keeper_attach(const char *path, struct keeper_link *link,
		  struct keeper_fds *fds, pid_t *holder)
{
	uint64_t until = now_ms() + BUSY_MS;
	int sock;
	int err;

	for (;;) {
		sock = unix_connect(path, SOCK_SEQPACKET);
		if (sock < 0)
			return sock;
		err = keeper_greet(sock, link, fds, holder);
		if (!err)
			return 0;
		close(sock);
		if (err != -EBUSY || now_ms() >= until)
			return err;
		usleep(BUSY_RETRY_MS * 1000);
	}
}

/**
 * keeper_events - what happened at the keeper
 * @link: link
 * @events: filled with KEEPER_GUEST_*
 *
 * Return: 0, or -EPIPE when the keeper is gone.
 */
int keeper_events(struct keeper_link *link, unsigned int *events)
{
	uint32_t news;
	ssize_t n = recv(link->fd, &news, sizeof(news), MSG_DONTWAIT);

	*events = 0;
	if (n == sizeof(news)) {
		*events = news;
		return 0;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return -EPIPE;
}

/**
 * keeper_leave - detach; when no QEMU is attached, wait until the keeper ended
 * @link: link
 *
 * So that a rumpk that has exited has left no socket behind.
 */
void keeper_leave(struct keeper_link *link)
{
	struct pollfd p = { .fd = link->fd, .events = POLLIN };
	uint64_t until = now_ms() + LEAVE_MS;
	unsigned int events;

	if (link->fd < 0)
		return;
	shutdown(link->fd, SHUT_WR);
	while (now_ms() < until && poll(&p, 1, LEAVE_MS) == 1 &&
	       keeper_events(link, &events) == 0)
		;
	close_fd(&link->fd);
}

/**
 * keeper_drop_witness - close a disk's witness
 * @fds: descriptors
 * @disk: number of the disk
 */
void keeper_drop_witness(struct keeper_fds *fds, unsigned int disk)
{
	if (keeper_witness(fds, disk) >= 0)
		close_fd(&fds->witness[disk]);
	fds->witnesses &= ~(1u << disk);
}

/**
 * keeper_close_fds - close all descriptors
 * @fds: descriptors
 */
void keeper_close_fds(struct keeper_fds *fds)
{
	unsigned int i;

	close_fd(&fds->window);
	close_fd(&fds->record);
	close_fd(&fds->authority);
	close_fd(&fds->ledger);
	close_all(fds->host, fds->nhost);
	close_all(fds->guest, fds->nguest);
	close_all(fds->mem, fds->nmem);
	for (i = 0; i < KEEPER_MAX_DISKS; i++)
		keeper_drop_witness(fds, i);
	fds->nhost = 0;
	fds->nguest = 0;
	fds->nmem = 0;
}
