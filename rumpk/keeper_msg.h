/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What goes between a keeper and a rumpk: one greeting with all descriptors,
 * then words of KEEPER_GUEST_*. Both ends are the same program.
 */
#ifndef RUMPK_KEEPER_MSG_H
#define RUMPK_KEEPER_MSG_H

#include <stdint.h>

#define KEEPER_MAGIC 0x4b504d52u

/**
 * struct keeper_hello - greeting of a rumpk that comes later
 * @magic: KEEPER_MAGIC
 * @holder: not 0: refused, this process is attached
 * @nhost: descriptors that follow window and record: doorbells of the host,
 * @nguest: doorbells of the guest,
 * @nmem: memory disks
 * @guest: a QEMU is attached
 */
struct keeper_hello {
	uint32_t magic;
	int32_t holder;
	uint32_t nhost;
	uint32_t nguest;
	uint32_t nmem;
	uint32_t guest;
};

#endif /* RUMPK_KEEPER_MSG_H */
