/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The server side of QEMU's ivshmem protocol (docs/specs/ivshmem-spec in QEMU's
 * sources, protocol version 0). It is one-way: the server sends 8-byte numbers,
 * some with a descriptor, and the client sends nothing.
 */
#ifndef RUMPK_IVSHMEM_H
#define RUMPK_IVSHMEM_H

#include <stdbool.h>
#include <stdint.h>

#define IVSHMEM_HOST_PEER 0
#define IVSHMEM_GUEST_PEER 1
#define IVSHMEM_MAX_VECTORS 64u

/**
 * struct ivshmem_server - what a client is told
 * @window: descriptor of the shared memory
 * @host: eventfds that ring the host, one a vector
 * @nhost: of them
 * @guest: eventfds that ring the client, one a vector
 * @nguest: of them
 */
struct ivshmem_server {
	int window;
	const int *host;
	unsigned int nhost;
	const int *guest;
	unsigned int nguest;
};

/**
 * struct ivshmem_client - how far a client has been told
 * @fd: its connection, non-blocking; -1: none
 * @next: number of the message that comes next
 */
struct ivshmem_client {
	int fd;
	unsigned int next;
};

unsigned int ivshmem_messages(const struct ivshmem_server *srv);
void ivshmem_message(const struct ivshmem_server *srv, unsigned int n,
		     int64_t *value, int *fd);
int ivshmem_tell(const struct ivshmem_server *srv, struct ivshmem_client *c);
bool ivshmem_told(const struct ivshmem_server *srv,
		  const struct ivshmem_client *c);

#endif /* RUMPK_IVSHMEM_H */
