/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The checks on a block request, once, in the order that docs/protocol.md
 * fixes (rules R-CHK-*): every malformed request has exactly one status. The
 * host's valve and the kernel's in-memory valve compile the same code.
 *
 * All functions work on private copies and touch no shared memory.
 */
#ifndef NEXUS_NXBLK_CHECK_H
#define NEXUS_NXBLK_CHECK_H

#include "ion_abi.h"
#include "nxblk_abi.h"

/**
 * struct nxblk_limits - what a channel's requests are judged against
 * @features: accepted NXBLK_F_*
 * @generation: low 32 bits of the channel's generation
 * @depth: tags
 * @logical_block: bytes
 * @capacity: sectors
 * @max_sectors: of a READ or WRITE
 * @max_segments: of a READ or WRITE
 * @max_discard_sectors: of a DISCARD
 * @max_write_zeroes_sectors: of a WRITE_ZEROES
 * @read_only: the medium refuses writes
 * @data: the channel's data area
 * @indirect: the channel's indirect area
 */
struct nxblk_limits {
	__u64 features;
	__u32 generation;
	__u32 depth;
	__u32 logical_block;
	__u64 capacity;
	__u32 max_sectors;
	__u32 max_segments;
	__u32 max_discard_sectors;
	__u32 max_write_zeroes_sectors;
	bool read_only;
	struct ion_span data;
	struct ion_span indirect;
};

/**
 * nxblk_op_known - does ABI 1.0 define the operation
 * @op: &enum nxblk_op
 *
 * Return: true for READ, WRITE, INFO, FLUSH, DISCARD, WRITE_ZEROES.
 */
static inline bool nxblk_op_known(__u8 op)
{
	return op >= NXBLK_OP_READ && op <= NXBLK_OP_WRITE_ZEROES;
}

/**
 * nxblk_op_writes - does the operation change the medium
 * @op: a known operation
 *
 * Return: true for WRITE, DISCARD, WRITE_ZEROES.
 */
static inline bool nxblk_op_writes(__u8 op)
{
	return op == NXBLK_OP_WRITE || op == NXBLK_OP_DISCARD ||
	       op == NXBLK_OP_WRITE_ZEROES;
}

/**
 * nxblk_op_has_buffer - does the operation move data through segments
 * @op: a known operation
 *
 * Return: true for READ, WRITE, INFO.
 */
static inline bool nxblk_op_has_buffer(__u8 op)
{
	return op == NXBLK_OP_READ || op == NXBLK_OP_WRITE || op == NXBLK_OP_INFO;
}

/**
 * nxblk_op_has_range - does the operation name sectors
 * @op: a known operation
 *
 * Return: true for all but INFO and FLUSH.
 */
static inline bool nxblk_op_has_range(__u8 op)
{
	return op == NXBLK_OP_READ || nxblk_op_writes(op);
}

/**
 * nxblk_op_feature - the feature that must be accepted for the operation
 * @op: a known operation
 *
 * Return: NXBLK_F_*, 0 for the operations that are always there.
 */
static inline __u64 nxblk_op_feature(__u8 op)
{
	switch (op) {
	case NXBLK_OP_FLUSH:
		return NXBLK_F_FLUSH;
	case NXBLK_OP_DISCARD:
		return NXBLK_F_DISCARD;
	case NXBLK_OP_WRITE_ZEROES:
		return NXBLK_F_WRITE_ZEROES;
	default:
		return 0;
	}
}

/**
 * nxblk_buffer_bytes - bytes of buffer that a request moves when all goes well
 * @req: private copy with a known operation
 *
 * Return: bytes; fits in 41 bits.
 */
static inline __u64 nxblk_buffer_bytes(const struct nxblk_req *req)
{
	switch (req->op) {
	case NXBLK_OP_READ:
	case NXBLK_OP_WRITE:
		return (__u64)req->count << NXBLK_SECTOR_SHIFT;
	case NXBLK_OP_INFO:
		return sizeof(struct nxblk_config);
	default:
		return 0;
	}
}

static inline bool nxblk_seg_is_zero(const struct nxblk_seg *seg)
{
	return !seg->addr && !seg->len && !seg->reserved;
}

/**
 * nxblk_check_op - operation, negotiation, flags (R-CHK-3, R-CHK-4)
 * @req: private copy
 * @features: accepted features
 *
 * Return: &enum nxblk_status, NXBLK_S_OK to go on.
 */
static inline __u8 nxblk_check_op(const struct nxblk_req *req, __u64 features)
{
	__u16 allowed = 0;

	if (!nxblk_op_known(req->op))
		return NXBLK_S_UNSUPP;
	if (nxblk_op_feature(req->op) & ~features)
		return NXBLK_S_UNSUPP;
	if (req->flags & ~NXBLK_REQ_FLAGS_ALL)
		return NXBLK_S_INVAL;

	if (req->op == NXBLK_OP_WRITE || req->op == NXBLK_OP_WRITE_ZEROES)
		allowed |= NXBLK_REQ_FUA;
	if (req->op == NXBLK_OP_WRITE_ZEROES)
		allowed |= NXBLK_REQ_UNMAP;
	if (req->op == NXBLK_OP_READ || req->op == NXBLK_OP_WRITE)
		allowed |= NXBLK_REQ_INDIRECT | NXBLK_REQ_GPA;
	if (req->flags & ~allowed)
		return NXBLK_S_INVAL;

	if ((req->flags & NXBLK_REQ_FUA) && !(features & NXBLK_F_FUA))
		return NXBLK_S_UNSUPP;
	if ((req->flags & NXBLK_REQ_INDIRECT) && !(features & NXBLK_F_INDIRECT))
		return NXBLK_S_UNSUPP;
	if ((req->flags & NXBLK_REQ_GPA) && !(features & NXBLK_F_ZERO_COPY))
		return NXBLK_S_UNSUPP;
	return NXBLK_S_OK;
}

static inline __u32 nxblk_count_limit(const struct nxblk_req *req,
				      const struct nxblk_limits *lim)
{
	switch (req->op) {
	case NXBLK_OP_DISCARD:
		return lim->max_discard_sectors;
	case NXBLK_OP_WRITE_ZEROES:
		return lim->max_write_zeroes_sectors;
	default:
		return lim->max_sectors;
	}
}

static inline __u8 nxblk_check_indirect(const struct nxblk_req *req,
					const struct nxblk_limits *lim)
{
	__u64 place = (__u64)req->tag * NXBLK_INDIRECT_STRIDE;

	if (req->seg[0].addr != lim->indirect.offset + place ||
	    req->seg[0].len != req->nseg * sizeof(struct nxblk_seg) ||
	    req->seg[0].reserved || !nxblk_seg_is_zero(&req->seg[1]))
		return NXBLK_S_INVAL;
	/* The area can be smaller than the depth asks for. */
	if (lim->indirect.length < NXBLK_INDIRECT_STRIDE ||
	    place > lim->indirect.length - NXBLK_INDIRECT_STRIDE)
		return NXBLK_S_INVAL;
	return NXBLK_S_OK;
}

/**
 * nxblk_check_shape - count and number of segments (R-CHK-6)
 * @req: private copy that passed nxblk_check_op(); its tag is below the depth
 * @lim: limits
 *
 * When it returns OK and the request is indirect, the table may be copied out:
 * @nseg entries from seg[0].addr.
 *
 * Return: NXBLK_S_OK or NXBLK_S_INVAL.
 */
static inline __u8 nxblk_check_shape(const struct nxblk_req *req,
				     const struct nxblk_limits *lim)
{
	__u32 block_sectors = lim->logical_block >> NXBLK_SECTOR_SHIFT;
	__u32 i;

	if (nxblk_op_has_range(req->op)) {
		if (!req->count || req->count > nxblk_count_limit(req, lim))
			return NXBLK_S_INVAL;
		if ((req->lba | req->count) & (block_sectors - 1))
			return NXBLK_S_INVAL;
	} else if (req->lba || req->count) {
		return NXBLK_S_INVAL;
	}

	if (!nxblk_op_has_buffer(req->op)) {
		if (req->nseg)
			return NXBLK_S_INVAL;
	} else if (req->op == NXBLK_OP_INFO) {
		if (req->nseg != 1)
			return NXBLK_S_INVAL;
	} else if (!req->nseg || req->nseg > lim->max_segments ||
		   req->nseg > NXBLK_MAX_SEGS) {
		return NXBLK_S_INVAL;
	}

	if (req->flags & NXBLK_REQ_INDIRECT)
		return nxblk_check_indirect(req, lim);
	if (req->nseg > NXBLK_INLINE_SEGS)
		return NXBLK_S_INVAL;
	for (i = req->nseg; i < NXBLK_INLINE_SEGS; i++)
		if (!nxblk_seg_is_zero(&req->seg[i]))
			return NXBLK_S_INVAL;
	return NXBLK_S_OK;
}

/**
 * ion_span_holds - does a span contain a range
 * @span: span that does not wrap
 * @offset: start of the range
 * @len: length of the range
 *
 * Return: true when [offset, offset + len) lies inside.
 */
static inline bool ion_span_holds(const struct ion_span *span, __u64 offset,
				  __u64 len)
{
	return offset >= span->offset && len <= span->length &&
	       offset - span->offset <= span->length - len;
}

/**
 * nxblk_check_segs - the segments, inline or copied from the table (R-CHK-7)
 * @req: private copy that passed nxblk_check_shape()
 * @seg: private copy of @req->nseg segments
 * @lim: limits
 *
 * Guest-physical segments are judged for shape alone; the caller checks them
 * against its map of the cell's RAM.
 *
 * Return: NXBLK_S_OK or NXBLK_S_INVAL.
 */
static inline __u8 nxblk_check_segs(const struct nxblk_req *req,
				    const struct nxblk_seg *seg,
				    const struct nxblk_limits *lim)
{
	__u32 len_mask = req->op == NXBLK_OP_INFO ? 3 : NXBLK_SECTOR_SIZE - 1;
	__u64 total = 0;
	__u32 i;

	for (i = 0; i < req->nseg; i++) {
		if (!seg[i].len || seg[i].len & len_mask || seg[i].addr & 3 ||
		    seg[i].reserved)
			return NXBLK_S_INVAL;
		if (!(req->flags & NXBLK_REQ_GPA) &&
		    !ion_span_holds(&lim->data, seg[i].addr, seg[i].len))
			return NXBLK_S_INVAL;
		total += seg[i].len;
	}
	return total == nxblk_buffer_bytes(req) ? NXBLK_S_OK : NXBLK_S_INVAL;
}

/**
 * nxblk_check_range - the disk's end (R-CHK-8)
 * @req: private copy that passed nxblk_check_shape()
 * @capacity: sectors
 *
 * Return: NXBLK_S_OK or NXBLK_S_RANGE.
 */
static inline __u8 nxblk_check_range(const struct nxblk_req *req, __u64 capacity)
{
	if (!nxblk_op_has_range(req->op))
		return NXBLK_S_OK;
	if (req->count > capacity || req->lba > capacity - req->count)
		return NXBLK_S_RANGE;
	return NXBLK_S_OK;
}

#endif /* NEXUS_NXBLK_CHECK_H */
