/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The keeper: a small process that outlives rumpk. An ivshmem server cannot be
 * rejoined by QEMU, so the keeper holds what the guest's side of the window
 * hangs on: the memory, the doorbells, the listening sockets and QEMU's
 * connection. It reads no configuration, looks into no memory and parses nothing.
 *
 * It lives as long as a rumpk or a QEMU is attached to it. When both are gone it
 * removes the sockets and exits: the end of the keeper is the end of the cell.
 */
#ifndef RUMPK_KEEPER_H
#define RUMPK_KEEPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ivshmem.h"

#define KEEPER_SUFFIX ".keeper"
#define KEEPER_MAX_DISKS 16u

/* What the keeper tells: what happened since it last told. */
#define KEEPER_GUEST_LEFT (1u << 0)
#define KEEPER_GUEST_CAME (1u << 1)
#define KEEPER_GUEST_REFUSED (1u << 2)

/**
 * struct keeper_fds - what the keeper holds
 * @window: the window
 * @record: memory that rumpk alone uses: what the window was laid out for
 * @authority: likewise: what the guest may do (safety.h)
 * @ledger: likewise: what workers go on from (safety.h)
 * @nhost: doorbells of the host
 * @nguest: doorbells of the guest
 * @nmem: memory disks
 * @host: eventfds
 * @guest: eventfds
 * @mem: memfds, in the order of the disks
 * @witnesses: disks that have a witness, one bit each
 * @witness: by disk: description of its image, image_witness(): the kernel tells it of
 *	an error that all who served were told of, and died
 */
struct keeper_fds {
	int window;
	int record;
	int authority;
	int ledger;
	unsigned int nhost;
	unsigned int nguest;
	unsigned int nmem;
	int host[IVSHMEM_MAX_VECTORS];
	int guest[IVSHMEM_MAX_VECTORS];
	int mem[KEEPER_MAX_DISKS];
	uint32_t witnesses;
	int witness[KEEPER_MAX_DISKS];
};

/**
 * struct keeper_link - rumpk's connection to its keeper
 * @fd: connection; -1: none
 * @guest: a QEMU was attached when the link was made
 */
struct keeper_link {
	int fd;
	bool guest;
};

/**
 * struct keeper_spec - what a new keeper is to hold
 * @listen_guest: listening socket for QEMU
 * @listen_rumpk: listening socket for a later rumpk
 * @fds: the rest
 * @unlink: absolute paths that it removes at the end, in this order
 * @nunlink: of them
 */
struct keeper_spec {
	int listen_guest;
	int listen_rumpk;
	const struct keeper_fds *fds;
	const char *unlink[3];
	unsigned int nunlink;
};

/**
 * keeper_witness - a disk's witness
 * @f: what is held
 * @disk: number of the disk
 *
 * Return: descriptor; -1: it has none.
 */
static inline int keeper_witness(const struct keeper_fds *f, unsigned int disk)
{
	return f->witnesses & 1u << disk ? f->witness[disk] : -1;
}

int keeper_spawn(const struct keeper_spec *spec, struct keeper_link *link);
int keeper_attach(const char *path, struct keeper_link *link,
		  struct keeper_fds *fds, pid_t *holder);
int keeper_events(struct keeper_link *link, unsigned int *events);
void keeper_leave(struct keeper_link *link);
void keeper_drop_witness(struct keeper_fds *fds, unsigned int disk);
void keeper_close_fds(struct keeper_fds *fds);

#endif /* RUMPK_KEEPER_H */
