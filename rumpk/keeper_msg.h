/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What goes between a keeper and a rumpk: one greeting with all descriptors,
 * then words of KEEPER_GUEST_*. Both ends are the same program, but a rumpk that was
 * updated may meet an older keeper.
 */
#ifndef RUMPK_KEEPER_MSG_H
#define RUMPK_KEEPER_MSG_H

#include <stdint.h>

#define KEEPER_MAGIC 0x4b504d52u
/* To be changed with the greeting, or what the memories in it hold. */
#define KEEPER_VERSION 3u
/* Window, record, authority, ledger. */
#define KEEPER_MEMORIES 4u

/**
 * struct keeper_hello - greeting of a rumpk that comes later
 * @magic: KEEPER_MAGIC
 * @version: KEEPER_VERSION
 * @holder: not 0: refused, this process is attached
 * @nhost: descriptors that follow the memories: doorbells of the host,
 * @nguest: doorbells of the guest,
 * @nmem: memory disks,
 * @witnesses: one of each disk whose bit is set
 * @guest: a QEMU is attached
 */
struct keeper_hello {
	uint32_t magic;
	uint32_t version;
	int32_t holder;
	uint32_t nhost;
	uint32_t nguest;
	uint32_t nmem;
	uint32_t witnesses;
	uint32_t guest;
};

#endif /* RUMPK_KEEPER_MSG_H */
