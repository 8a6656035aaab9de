/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Requests out of an input: 64 bytes as they come, and what of them is put right,
 * so that not all of them fail the first check.
 */
#ifndef TESTS_FUZZ_REQUEST_H
#define TESTS_FUZZ_REQUEST_H

#include <nexus/ion_abi.h>
#include <nexus/nxblk_abi.h>

#include "fuzz.h"

#define FIX_GENERATION (1u << 0)
#define FIX_TAG (1u << 1)
#define FIX_ADDR (1u << 2)
#define FIX_COUNT (1u << 3)
#define FIX_TABLE (1u << 4)
#define FIX_LBA (1u << 5)
#define FIX_ALL ((1u << 6) - 1)
/* And not put right, but wrong or right by a little. */
#define EDGE_LBA (1u << 6)
#define EDGE_SEG (1u << 7)

/**
 * struct request_place - the channel that a request is for
 * @generation: right one
 * @depth: tags
 * @data: data area
 * @indirect: indirect area
 * @sectors: of the disk
 * @window: start of the window, as the guest sees it
 */
struct request_place {
	uint32_t generation;
	uint32_t depth;
	struct ion_span data;
	struct ion_span indirect;
	uint64_t sectors;
	uint8_t *window;
};

void request_read(struct fuzz_in *in, const struct request_place *p,
		  struct nxblk_req *req);

#endif /* TESTS_FUZZ_REQUEST_H */
