// SPDX-License-Identifier: GPL-2.0-only
#include "ivshmem_client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define QUIET_MS 200
#define DEADLINE_MS 5000

/* One message: a number, perhaps with a descriptor. 0, or 1 when all is quiet. */
static int receive(int sock, int64_t *number, int *fd, int timeout)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { number, sizeof(*number) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct pollfd p = { .fd = sock, .events = POLLIN };
	struct cmsghdr *c;

	*fd = -1;
	if (!poll(&p, 1, timeout))
		return 1;
	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) != sizeof(*number))
		return -EPROTO;
	for (c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	return 0;
}

static int map(struct ivshmem *iv, int fd)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		return -EPROTO;
	iv->size = st.st_size;
	iv->mem = mmap(NULL, iv->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return iv->mem == MAP_FAILED ? -errno : 0;
}

static int add_vector(struct ivshmem *iv, int64_t id, int fd, int *rings)
{
	if (id == iv->id) {
		if (iv->bells == IVSHMEM_MAX_VECTORS)
			return -EPROTO;
		iv->bell[iv->bells++] = fd;
		return 0;
	}
	if (iv->peer >= 0 && iv->peer != id) {
		close(fd);
		return 0;
	}
	iv->peer = id;
	if (*rings == IVSHMEM_MAX_VECTORS)
		return -EPROTO;
	iv->ring[(*rings)++] = fd;
	return 0;
}

static int handshake(struct ivshmem *iv)
{
	int rings = 0, fd, ret;
	int64_t number;

	if (receive(iv->sock, &number, &fd, DEADLINE_MS) || number || fd >= 0)
		return -EPROTO;
	if (receive(iv->sock, &iv->id, &fd, DEADLINE_MS) || iv->id < 0)
		return -EPROTO;
	if (receive(iv->sock, &number, &fd, DEADLINE_MS) || number != -1)
		return -EPROTO;
	ret = map(iv, fd);
	/* There is no last message: the doorbells come at once or not at all. */
	while (!ret) {
		ret = receive(iv->sock, &number, &fd,
			      iv->bells ? QUIET_MS : DEADLINE_MS);
		if (ret)
			break;
		ret = fd < 0 ? -EPROTO : add_vector(iv, number, fd, &rings);
	}
	return ret == 1 && iv->bells && rings ? 0 : -EPROTO;
}

/**
 * ivshmem_connect - become a peer
 * @iv: filled
 * @path: the server's socket
 *
 * Return: 0, or a negative errno.
 */
int ivshmem_connect(struct ivshmem *iv, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int ret;

	memset(iv, 0, sizeof(*iv));
	memset(iv->ring, -1, sizeof(iv->ring));
	memset(iv->bell, -1, sizeof(iv->bell));
	iv->peer = -1;
	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	iv->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (iv->sock < 0)
		return -errno;
	ret = connect(iv->sock, (struct sockaddr *)&addr, sizeof(addr)) ?
		      -errno :
		      handshake(iv);
	if (ret)
		ivshmem_close(iv);
	return ret;
}

/**
 * ivshmem_ring - ring the host
 * @iv: connection
 * @vector: the host's; one that it does not have is no doorbell, as in QEMU
 */
void ivshmem_ring(const struct ivshmem *iv, unsigned int vector)
{
	uint64_t one = 1;

	if (vector < IVSHMEM_MAX_VECTORS && iv->ring[vector] >= 0 &&
	    write(iv->ring[vector], &one, sizeof(one)) < 0)
		return;
}

/**
 * ivshmem_close - leave, as a crashed QEMU does
 * @iv: connection
 */
void ivshmem_close(struct ivshmem *iv)
{
	int i;

	if (iv->mem && iv->mem != MAP_FAILED)
		munmap(iv->mem, iv->size);
	for (i = 0; i < IVSHMEM_MAX_VECTORS; i++) {
		if (iv->ring[i] >= 0)
			close(iv->ring[i]);
		if (iv->bell[i] >= 0)
			close(iv->bell[i]);
	}
	if (iv->sock >= 0)
		close(iv->sock);
	iv->sock = -1;
}
