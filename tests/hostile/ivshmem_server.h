/* SPDX-License-Identifier: GPL-2.0-only */
/* The server side of QEMU's ivshmem protocol, for one client and no more. */
#ifndef NEXUS_TESTS_IVSHMEM_SERVER_H
#define NEXUS_TESTS_IVSHMEM_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERVER_VECTORS 8
#define SERVER_PEER 0
#define CLIENT_PEER 1

/**
 * struct server - the socket, the memory and the doorbells
 * @listener: socket
 * @client: connection, -1 while there is none
 * @memory: descriptor of the shared memory
 * @mem: mapping of it
 * @size: bytes
 * @bell: own doorbells
 * @ring: the client's doorbells
 */
struct server {
	int listener;
	int client;
	int memory;
	uint8_t *mem;
	size_t size;
	int bell[SERVER_VECTORS];
	int ring[SERVER_VECTORS];
};

void server_open(struct server *s, const char *path, size_t size);
bool server_poll(struct server *s, int timeout_ms);
void server_ring(const struct server *s, unsigned int vector);

#endif /* NEXUS_TESTS_IVSHMEM_SERVER_H */
