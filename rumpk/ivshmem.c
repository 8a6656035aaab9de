/* SPDX-License-Identifier: GPL-2.0-only */
#include "ivshmem.h"

#include <endian.h>
#include <errno.h>

#include "unix.h"

#define PROTOCOL_VERSION 0
#define SHARED_MEMORY (-1)
/* Version, the client's number, shared memory. */
#define GREETING 3u

/**
 * ivshmem_messages - how many messages a client is sent
 * @srv: server
 *
 * Return: number of messages.
 */
unsigned int ivshmem_messages(const struct ivshmem_server *srv)
{
	return GREETING + srv->nhost + srv->nguest;
}

/**
 * ivshmem_message - what the n-th message says
 * @srv: server
 * @n: below ivshmem_messages()
 * @value: filled, in host order
 * @fd: filled; -1: none
 */
void ivshmem_message(const struct ivshmem_server *srv, unsigned int n,
		     int64_t *value, int *fd)
{
	*fd = -1;
	if (n == 0) {
		*value = PROTOCOL_VERSION;
	} else if (n == 1) {
		*value = IVSHMEM_GUEST_PEER;
	} else if (n == 2) {
		*value = SHARED_MEMORY;
		*fd = srv->window;
	} else if (n < GREETING + srv->nhost) {
		*value = IVSHMEM_HOST_PEER;
		*fd = srv->host[n - GREETING];
	} else {
		*value = IVSHMEM_GUEST_PEER;
		*fd = srv->guest[n - GREETING - srv->nhost];
	}
}

/**
 * ivshmem_told - has a client been sent everything
 * @srv: server
 * @c: client
 *
 * Return: whether it has.
 */
bool ivshmem_told(const struct ivshmem_server *srv,
		  const struct ivshmem_client *c)
{
	return c->next >= ivshmem_messages(srv);
}

/**
 * ivshmem_tell - send a client as much as it takes now
 * @srv: server
 * @c: client
 *
 * A client that does not read costs nothing: the owner waits until its
 * connection is writable.
 *
 * Return: 0, or -errno when the client is lost.
 */
int ivshmem_tell(const struct ivshmem_server *srv, struct ivshmem_client *c)
{
	int64_t value;
	ssize_t n;
	int fd;

	while (!ivshmem_told(srv, c)) {
		ivshmem_message(srv, c->next, &value, &fd);
		value = (int64_t)htole64((uint64_t)value);
		n = unix_send(c->fd, &value, sizeof(value), &fd, fd >= 0);
		if (n == -EAGAIN || n == -EINTR)
			return 0;
		if (n < 0)
			return (int)n;
		if (n != sizeof(value))
			return -EPROTO;
		c->next++;
	}
	return 0;
}
