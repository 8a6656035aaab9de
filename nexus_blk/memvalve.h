/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The in-memory valve: the in-kernel host of a loopback window, with a sparse
 * store behind it.
 */
#ifndef NEXUS_BLK_MEMVALVE_H
#define NEXUS_BLK_MEMVALVE_H

#include <linux/types.h>
#include <linux/xarray.h>

/**
 * struct nxblk_store - sparse memory: what was never written reads zero
 * @pages: by number, pages that have been written; one writer and reader, the
 *	valve's thread
 */
struct nxblk_store {
	struct xarray pages;
};

void nxblk_store_init(struct nxblk_store *s);
void nxblk_store_exit(struct nxblk_store *s);
void nxblk_store_read(struct nxblk_store *s, u64 at, u8 *to, u32 len);
int nxblk_store_write(struct nxblk_store *s, u64 at, const u8 *from, u32 len);
void nxblk_store_zero(struct nxblk_store *s, u64 at, u64 len);

int nxblk_memvalve_start(void);
void nxblk_memvalve_stop(void);

#endif /* NEXUS_BLK_MEMVALVE_H */
