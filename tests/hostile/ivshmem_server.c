// SPDX-License-Identifier: GPL-2.0-only
#include "ivshmem_server.h"

#include <err.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void listen_at(struct server *s, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(addr.sun_path))
		errx(2, "%s: too long", path);
	strcpy(addr.sun_path, path);
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->listener < 0 ||
	    bind(s->listener, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(s->listener, 1))
		err(1, "%s", path);
}

/**
 * server_open - make memory and doorbells, and listen
 * @s: filled
 * @path: of the socket
 * @size: of the memory, a power of two
 */
void server_open(struct server *s, const char *path, size_t size)
{
	int i;

	memset(s, 0, sizeof(*s));
	s->client = -1;
	s->size = size;
	s->memory = memfd_create("rogue", MFD_CLOEXEC);
	if (s->memory < 0 || ftruncate(s->memory, size))
		err(1, "memory");
	s->mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, s->memory,
		      0);
	if (s->mem == MAP_FAILED)
		err(1, "memory");
	for (i = 0; i < SERVER_VECTORS; i++) {
		s->bell[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		s->ring[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (s->bell[i] < 0 || s->ring[i] < 0)
			err(1, "eventfd");
	}
	listen_at(s, path);
}

static void send_number(int sock, int64_t number, int fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { &number, sizeof(number) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	if (sendmsg(sock, &msg, MSG_NOSIGNAL) != sizeof(number))
		warn("client");
}

static void greet(struct server *s)
{
	int i;

	send_number(s->client, 0, -1);
	send_number(s->client, CLIENT_PEER, -1);
	send_number(s->client, -1, s->memory);
	for (i = 0; i < SERVER_VECTORS; i++)
		send_number(s->client, SERVER_PEER, s->bell[i]);
	for (i = 0; i < SERVER_VECTORS; i++)
		send_number(s->client, CLIENT_PEER, s->ring[i]);
}

static void clear_bells(struct server *s)
{
	uint64_t count;
	int i;

	for (i = 0; i < SERVER_VECTORS; i++)
		while (read(s->bell[i], &count, sizeof(count)) == sizeof(count))
			;
}

static void client_event(struct server *s)
{
	char byte;

	if (recv(s->client, &byte, 1, MSG_DONTWAIT) == 0) {
		close(s->client);
		s->client = -1;
	}
}

/**
 * server_poll - wait for a doorbell, a client or its end
 * @s: server
 * @timeout_ms: at most so long
 *
 * Return: whether a client has just come.
 */
bool server_poll(struct server *s, int timeout_ms)
{
	struct pollfd p[2 + SERVER_VECTORS];
	int i;

	p[0] = (struct pollfd){ .fd = s->client < 0 ? s->listener : -1,
				.events = POLLIN };
	p[1] = (struct pollfd){ .fd = s->client, .events = POLLIN };
	for (i = 0; i < SERVER_VECTORS; i++)
		p[2 + i] = (struct pollfd){ .fd = s->bell[i], .events = POLLIN };
	if (poll(p, 2 + SERVER_VECTORS, timeout_ms) <= 0)
		return false;
	clear_bells(s);
	if (p[1].revents)
		client_event(s);
	if (!p[0].revents)
		return false;
	s->client = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
	if (s->client < 0)
		return false;
	greet(s);
	return true;
}

void server_ring(const struct server *s, unsigned int vector)
{
	uint64_t one = 1;

	if (vector < SERVER_VECTORS && s->client >= 0 &&
	    write(s->ring[vector], &one, sizeof(one)) != sizeof(one))
		warn("doorbell");
}
