/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The block channel (ION_KIND_BLK): messages and disk configuration.
 *
 * @lba and @count of a request are in 512-byte sectors whatever the logical
 * block size, and multiples of the logical block. Segment lengths are in bytes.
 *
 * Source: the three operations are Rumpk's Block Valve (block_read,
 * block_write, block_info); the rest are extensions of this project, offered
 * by the host and accepted by the guest in the handshake.
 */
#ifndef NEXUS_NXBLK_ABI_H
#define NEXUS_NXBLK_ABI_H

#include "ion_os.h"

#define NXBLK_SECTOR_SHIFT 9
#define NXBLK_SECTOR_SIZE (1u << NXBLK_SECTOR_SHIFT)
#define NXBLK_INLINE_SEGS 2u
#define NXBLK_MAX_SEGS 256u
/* Bytes of indirect area that belong to each tag. */
#define NXBLK_INDIRECT_STRIDE 4096u
#define NXBLK_MAX_BLOCK_SIZE 4096u

/**
 * enum nxblk_op - operations
 * @NXBLK_OP_READ: block_read
 * @NXBLK_OP_WRITE: block_write
 * @NXBLK_OP_INFO: block_info: a &struct nxblk_config into the request's buffer;
 *	count and lba are 0, the buffer is one inline segment of 256 bytes
 * @NXBLK_OP_FLUSH: everything answered before this request was issued is
 *	durable when it is answered; no buffer, lba and count are 0
 * @NXBLK_OP_DISCARD: the sectors' contents are no longer needed; no buffer
 * @NXBLK_OP_WRITE_ZEROES: the sectors read zero afterwards; no buffer
 * @NXBLK_OP_SECURE_ERASE: number reserved, never offered in ABI 1.0
 * @NXBLK_OP_ZONE_FIRST: first of the numbers reserved for zoned devices
 * @NXBLK_OP_ZONE_LAST: last of them
 *
 * 0 is no operation, so that zeroed memory is no request.
 */
enum nxblk_op {
	NXBLK_OP_READ = 1,
	NXBLK_OP_WRITE = 2,
	NXBLK_OP_INFO = 3,
	NXBLK_OP_FLUSH = 4,
	NXBLK_OP_DISCARD = 5,
	NXBLK_OP_WRITE_ZEROES = 6,
	NXBLK_OP_SECURE_ERASE = 7,
	NXBLK_OP_ZONE_FIRST = 16,
	NXBLK_OP_ZONE_LAST = 31,
};

/**
 * enum nxblk_status - how a request ended
 * @NXBLK_S_OK: done, whole
 * @NXBLK_S_IOERR: the medium failed, or a flush or FUA write did
 * @NXBLK_S_INVAL: malformed request
 * @NXBLK_S_RANGE: outside the disk
 * @NXBLK_S_UNSUPP: operation unknown, or not negotiated
 * @NXBLK_S_PERM: the capability does not allow it
 * @NXBLK_S_RO: write to read-only media
 * @NXBLK_S_NOSPC: no space left behind the disk
 * @NXBLK_S_TIMEOUT: the host's storage did not answer in time; the request is
 *	over and will have no effect any more
 *
 * A status above the last one is handled as IOERR.
 */
enum nxblk_status {
	NXBLK_S_OK = 0,
	NXBLK_S_IOERR = 1,
	NXBLK_S_INVAL = 2,
	NXBLK_S_RANGE = 3,
	NXBLK_S_UNSUPP = 4,
	NXBLK_S_PERM = 5,
	NXBLK_S_RO = 6,
	NXBLK_S_NOSPC = 7,
	NXBLK_S_TIMEOUT = 8,
	NXBLK_S_COUNT
};

/*
 * Channel features (&ion_host_channel.features, &ion_guest_channel.features).
 * A strict valve offers none of FLUSH, FUA, DISCARD, WRITE_ZEROES.
 */
#define NXBLK_F_FLUSH (1ull << 0)
#define NXBLK_F_FUA (1ull << 1)
#define NXBLK_F_DISCARD (1ull << 2)
#define NXBLK_F_WRITE_ZEROES (1ull << 3)
/* Segment tables in the indirect area; without it a request has at most two. */
#define NXBLK_F_INDIRECT (1ull << 4)
/* Segments may be guest-physical (NXBLK_REQ_GPA). */
#define NXBLK_F_ZERO_COPY (1ull << 5)
#define NXBLK_F_ALL ((1ull << 6) - 1)

/* Request flags. */
/* WRITE, WRITE_ZEROES: durable when answered. */
#define NXBLK_REQ_FUA (1u << 0)
/* @seg[0] names a table of @nseg segments in the tag's place. */
#define NXBLK_REQ_INDIRECT (1u << 1)
/* Segment addresses are guest-physical and not window offsets. */
#define NXBLK_REQ_GPA (1u << 2)
/* WRITE_ZEROES: the host may deallocate. */
#define NXBLK_REQ_UNMAP (1u << 3)
#define NXBLK_REQ_FLAGS_ALL 0x000fu

/**
 * struct nxblk_seg - a piece of a request's buffer
 * @addr: window offset inside the channel's data area, or a guest-physical
 *	address with NXBLK_REQ_GPA; a multiple of 4
 * @len: bytes, not 0; a multiple of 512 for READ and WRITE, whose segments add up
 *	to @count
 * @reserved: 0
 */
struct nxblk_seg {
	__u64 addr;
	__u32 len;
	__u32 reserved;
};
ION_ASSERT_SIZE(struct nxblk_seg, 16);
ION_ASSERT_OFFSET(struct nxblk_seg, addr, 0);
ION_ASSERT_OFFSET(struct nxblk_seg, len, 8);
ION_ASSERT_OFFSET(struct nxblk_seg, reserved, 12);

/**
 * struct nxblk_req - BLK_REQ, an entry of the request ring
 * @op: &enum nxblk_op
 * @cap_slot: index into the cell's CSpace
 * @flags: NXBLK_REQ_*
 * @tag: below the channel's depth, not in flight
 * @nseg: segments; 0 for operations without a buffer
 * @lba: first sector
 * @count: sectors
 * @generation: low 32 bits of the channel's generation
 * @cookie: new at every issue of a tag; echoed
 * @seg: the segments; with NXBLK_REQ_INDIRECT, seg[0] names the table: @addr is
 *	the start of the tag's place in the indirect area, @len is @nseg * 16;
 *	seg[1] is 0. Unused segments are 0.
 */
struct nxblk_req {
	__u8 op;
	__u8 cap_slot;
	__u16 flags;
	__u16 tag;
	__u16 nseg;
	__u64 lba;
	__u32 count;
	__u32 generation;
	__u64 cookie;
	struct nxblk_seg seg[NXBLK_INLINE_SEGS];
};
ION_ASSERT_SIZE(struct nxblk_req, 64);
ION_ASSERT_OFFSET(struct nxblk_req, op, 0);
ION_ASSERT_OFFSET(struct nxblk_req, cap_slot, 1);
ION_ASSERT_OFFSET(struct nxblk_req, flags, 2);
ION_ASSERT_OFFSET(struct nxblk_req, tag, 4);
ION_ASSERT_OFFSET(struct nxblk_req, nseg, 6);
ION_ASSERT_OFFSET(struct nxblk_req, lba, 8);
ION_ASSERT_OFFSET(struct nxblk_req, count, 16);
ION_ASSERT_OFFSET(struct nxblk_req, generation, 20);
ION_ASSERT_OFFSET(struct nxblk_req, cookie, 24);
ION_ASSERT_OFFSET(struct nxblk_req, seg, 32);

/**
 * struct nxblk_resp - BLK_RESP, an entry of the response ring
 * @tag: of the request
 * @op: of the request
 * @status: &enum nxblk_status
 * @generation: of the request
 * @cookie: of the request
 * @done: bytes of the buffer moved: with OK, the whole of it (READ and WRITE
 *	count * 512, INFO 256, others 0); otherwise 0
 * @reserved: 0
 */
struct nxblk_resp {
	__u16 tag;
	__u8 op;
	__u8 status;
	__u32 generation;
	__u64 cookie;
	__u64 done;
	__u64 reserved;
};
ION_ASSERT_SIZE(struct nxblk_resp, 32);
ION_ASSERT_OFFSET(struct nxblk_resp, tag, 0);
ION_ASSERT_OFFSET(struct nxblk_resp, op, 2);
ION_ASSERT_OFFSET(struct nxblk_resp, status, 3);
ION_ASSERT_OFFSET(struct nxblk_resp, generation, 4);
ION_ASSERT_OFFSET(struct nxblk_resp, cookie, 8);
ION_ASSERT_OFFSET(struct nxblk_resp, done, 16);

/* &nxblk_config.flags */
#define NXBLK_CFG_READ_ONLY (1u << 0)
#define NXBLK_CFG_VOLATILE_CACHE (1u << 1)
#define NXBLK_CFG_ROTATIONAL (1u << 2)

/**
 * struct nxblk_config - a disk's geometry, limits and identity
 * @sequence: odd while the host changes the page, even and new afterwards; in
 *	an INFO answer: that of the page when the answer was made
 * @flags: NXBLK_CFG_*
 * @capacity: 512-byte sectors, a multiple of the logical block; 0: no medium
 * @logical_block: bytes: 512, 1024, 2048 or 4096
 * @physical_block: bytes, a power of two, not below @logical_block
 * @io_min: bytes, preferred minimum; 0: not given
 * @io_opt: bytes, preferred; 0: not given
 * @max_sectors: of one READ or WRITE; at least one logical block
 * @max_segments: of one READ or WRITE; at least 1, at most NXBLK_MAX_SEGS
 * @max_discard_sectors: of one DISCARD; 0: none
 * @discard_granularity: bytes
 * @discard_alignment: bytes
 * @max_write_zeroes_sectors: of one WRITE_ZEROES; 0: none
 * @zero_copy_min: bytes, the host's advice: a READ or WRITE of so many or more is
 *	best sent with NXBLK_REQ_GPA; 0: no advice
 * @uuid: of the disk; the same for as long as the contents are the same disk's
 * @serial: ASCII, padded with NUL, not necessarily terminated
 *
 * Stands in the config span of the directory, where it is a hint that
 * something has changed, and is the answer to INFO, which is authoritative.
 */
struct nxblk_config {
	__u32 sequence;
	__u32 flags;
	__u64 capacity;
	__u32 logical_block;
	__u32 physical_block;
	__u32 io_min;
	__u32 io_opt;
	__u32 max_sectors;
	__u32 max_segments;
	__u32 max_discard_sectors;
	__u32 discard_granularity;
	__u32 discard_alignment;
	__u32 max_write_zeroes_sectors;
	__u32 zero_copy_min;
	__u8 reserved0[4];
	__u8 uuid[16];
	__u8 serial[40];
	__u8 reserved1[136];
};
ION_ASSERT_SIZE(struct nxblk_config, 256);
ION_ASSERT_OFFSET(struct nxblk_config, sequence, 0);
ION_ASSERT_OFFSET(struct nxblk_config, flags, 4);
ION_ASSERT_OFFSET(struct nxblk_config, capacity, 8);
ION_ASSERT_OFFSET(struct nxblk_config, logical_block, 16);
ION_ASSERT_OFFSET(struct nxblk_config, physical_block, 20);
ION_ASSERT_OFFSET(struct nxblk_config, io_min, 24);
ION_ASSERT_OFFSET(struct nxblk_config, io_opt, 28);
ION_ASSERT_OFFSET(struct nxblk_config, max_sectors, 32);
ION_ASSERT_OFFSET(struct nxblk_config, max_segments, 36);
ION_ASSERT_OFFSET(struct nxblk_config, max_discard_sectors, 40);
ION_ASSERT_OFFSET(struct nxblk_config, discard_granularity, 44);
ION_ASSERT_OFFSET(struct nxblk_config, discard_alignment, 48);
ION_ASSERT_OFFSET(struct nxblk_config, max_write_zeroes_sectors, 52);
ION_ASSERT_OFFSET(struct nxblk_config, zero_copy_min, 56);
ION_ASSERT_OFFSET(struct nxblk_config, uuid, 64);
ION_ASSERT_OFFSET(struct nxblk_config, serial, 80);

#endif /* NEXUS_NXBLK_ABI_H */
