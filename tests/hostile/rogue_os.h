/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the rogue host needs of the system that compiles it: a process that serves
 * QEMU (rogue_main.c), or a kernel that serves itself (tests/uml/rogue_peer.c).
 * Each provides the functions below.
 */
#ifndef NEXUS_TESTS_ROGUE_OS_H
#define NEXUS_TESTS_ROGUE_OS_H

#ifdef __KERNEL__

#include <linux/printk.h>
#include <linux/types.h>

#include "ion.h"

#define printf(fmt, ...) printk(KERN_INFO "rogue_peer: " fmt, ##__VA_ARGS__)

#define SERVER_VECTORS 8
#define SERVER_PEER 0

/**
 * struct server - the loopback window
 * @mem: memory of it
 * @size: bytes
 * @lb: for doorbells
 */
struct server {
	uint8_t *mem;
	size_t size;
	struct ion_loopback *lb;
};

void server_ring(const struct server *s, unsigned int vector);

#else /* !__KERNEL__ */

#include <stdio.h>
#include <string.h>

#include "ivshmem_server.h"

#endif /* __KERNEL__ */

/* Zeroed, and never freed: there is one rogue host. NULL when there is none left. */
void *rogue_memory(size_t size);

/* Nanoseconds, from anywhere on. */
int64_t rogue_clock(void);

#endif /* NEXUS_TESTS_ROGUE_OS_H */
