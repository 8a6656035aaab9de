// SPDX-License-Identifier: GPL-2.0-only
#include "request.h"

#include <string.h>

static void fix_addr(const struct request_place *p, struct nxblk_seg *seg)
{
	seg->addr = p->data.offset + seg->addr % p->data.length;
}

static uint64_t seg_bytes(const struct nxblk_seg *seg, unsigned int n)
{
	uint64_t bytes = 0;
	unsigned int i;

	for (i = 0; i < n; i++)
		bytes += seg[i].len;
	return bytes;
}

/* The tag's own table, as far as it fits; the guest may write anything there. */
static void write_table(struct fuzz_in *in, const struct request_place *p,
			struct nxblk_req *req, uint8_t fixes)
{
	uint64_t place = (uint64_t)req->tag * NXBLK_INDIRECT_STRIDE;
	struct nxblk_seg table[8] = { 0 };
	unsigned int n = req->nseg < 8 ? req->nseg : 8;
	unsigned int i;

	for (i = 0; i < n; i++) {
		fuzz_bytes(in, &table[i], sizeof(table[i]));
		if (fixes & FIX_ADDR)
			fix_addr(p, &table[i]);
	}
	if (fixes & FIX_TABLE) {
		req->seg[0].addr = p->indirect.offset + place;
		req->seg[0].len = req->nseg * (uint32_t)sizeof(*table);
		req->seg[0].reserved = 0;
		memset(&req->seg[1], 0, sizeof(req->seg[1]));
	}
	if (fixes & FIX_COUNT)
		req->count =
			(uint32_t)(seg_bytes(table, n) >> NXBLK_SECTOR_SHIFT);
	if (place + sizeof(table) <= p->indirect.length)
		memcpy(p->window + p->indirect.offset + place, table,
		       sizeof(table));
}

/* A range of @length about both ends of an area, or about 2^64. */
static uint64_t near_edge(struct fuzz_in *in, uint64_t start, uint64_t end,
			  uint64_t length, unsigned int unit)
{
	const uint64_t edge[4] = { start, end, end - length, 0 - length };
	uint8_t how = fuzz_u8(in);

	return edge[how & 3] + (uint64_t)(((int)(how >> 2) - 32) * (int)unit);
}

static void move_to_edges(struct fuzz_in *in, const struct request_place *p,
			  struct nxblk_req *req, uint8_t fixes)
{
	if (fixes & EDGE_LBA)
		req->lba = near_edge(in, 0, p->sectors, req->count, 1);
	if (fixes & EDGE_SEG && !(req->flags & NXBLK_REQ_INDIRECT))
		req->seg[0].addr = near_edge(in, p->data.offset,
					     p->data.offset + p->data.length,
					     req->seg[0].len, 4);
}

void request_read(struct fuzz_in *in, const struct request_place *p,
		  struct nxblk_req *req)
{
	uint8_t fixes = fuzz_u8(in);
	unsigned int i;

	fuzz_bytes(in, req, sizeof(*req));
	if (fixes & FIX_GENERATION)
		req->generation = p->generation;
	if (fixes & FIX_TAG)
		req->tag = (uint16_t)(req->tag % p->depth);
	if (fixes & FIX_LBA)
		req->lba %= p->sectors;
	if (req->flags & NXBLK_REQ_INDIRECT) {
		write_table(in, p, req, fixes);
		move_to_edges(in, p, req, fixes);
		return;
	}
	for (i = 0; i < NXBLK_INLINE_SEGS && i < req->nseg; i++)
		if (fixes & FIX_ADDR)
			fix_addr(p, &req->seg[i]);
	if (fixes & FIX_COUNT)
		req->count =
			(uint32_t)(seg_bytes(req->seg, i) >> NXBLK_SECTOR_SHIFT);
	move_to_edges(in, p, req, fixes);
}
