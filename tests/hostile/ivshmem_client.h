/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The client side of QEMU's ivshmem protocol, as QEMU itself speaks it: version,
 * own number, the memory, then for each peer its doorbells.
 */
#ifndef NEXUS_TESTS_IVSHMEM_CLIENT_H
#define NEXUS_TESTS_IVSHMEM_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#define IVSHMEM_MAX_VECTORS 64

/**
 * struct ivshmem - a connection
 * @sock: kept open: its end is the end of this peer
 * @id: own peer number
 * @mem: the shared memory
 * @size: its bytes
 * @peer: number of the one other peer that we know, the host
 * @ring: the host's doorbells, by vector, -1 where there is none
 * @bell: own doorbells, by vector
 * @bells: own vectors
 */
struct ivshmem {
	int sock;
	int64_t id;
	uint8_t *mem;
	size_t size;
	int64_t peer;
	int ring[IVSHMEM_MAX_VECTORS];
	int bell[IVSHMEM_MAX_VECTORS];
	int bells;
};

int ivshmem_connect(struct ivshmem *iv, const char *path);
void ivshmem_ring(const struct ivshmem *iv, unsigned int vector);
void ivshmem_close(struct ivshmem *iv);

#endif /* NEXUS_TESTS_IVSHMEM_CLIENT_H */
