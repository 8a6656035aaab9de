// SPDX-License-Identifier: GPL-2.0-only
/*
 * The Block Valve and arbitrary requests. The rules of docs/protocol.md ("The
 * order of the checks") are written down a second time here, naively and without
 * the headers' checks; status and effect of every request must be the same by
 * both. Disk and window are compared whole, byte by byte, after each.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "request.h"
#include "rumpk/util.h"
#include "rumpk/valve.h"

#define DEPTH 4u
#define GENERATION 0x500000007ull
#define INSTANCE 3u
#define MOST_REQUESTS 24
#define DISK_SECTORS 64u
#define DISK_BYTES (DISK_SECTORS * 512u)
/* Between and beside the two areas lies what nobody may touch. */
#define GAP 4096u
#define TABLES_AT GAP
#define TABLES_BYTES (DEPTH * 4096u)
#define DATA_AT (TABLES_AT + TABLES_BYTES + GAP)
#define DATA_BYTES 16384u
#define WINDOW_BYTES (DATA_AT + DATA_BYTES + GAP)
#define DROPPED (-1)

/**
 * struct issued - a request that has a tag
 * @busy: its answer was not published
 * @held: the disk has it still
 * @io: as the disk has it
 * @req: copy
 * @table: copy of its segments
 */
struct issued {
	bool busy;
	bool held;
	struct hal_io *io;
	struct nxblk_req req;
	struct nxblk_seg table[256];
};

struct slot {
	bool valid;
	uint32_t rights;
	uint64_t first;
	uint64_t last;
};

static struct valve v;
static struct valve_disk vdisk;
static struct cspace cspace;
static struct valve_account account;
/* What INFO has said so far, as it ought to be. */
static bool first_told, told_cache, told_discard;
static struct hal hal;
static struct nxblk_limits lim;
static uint8_t *window, *disk;
static bool hold;
static unsigned int answers;
static struct nxblk_resp answer;

/* The same, as it ought to be. */
static uint8_t *right_window, *right_disk;
static uint8_t first_window[WINDOW_BYTES], first_disk[DISK_BYTES];
static struct slot right_slot[CSPACE_SLOTS];
static struct issued issued[DEPTH];

static void disk_execute(struct hal_io *io)
{
	uint64_t at = io->offset;
	int i;

	for (i = 0; i < io->niov && (io->op == HAL_READ || io->op == HAL_WRITE);
	     i++) {
		struct iovec *p = &io->iov[i];

		if (io->op == HAL_READ)
			memcpy(p->iov_base, disk + at, p->iov_len);
		else
			memcpy(disk + at, p->iov_base, p->iov_len);
		at += p->iov_len;
	}
	if (io->op == HAL_READ || io->op == HAL_WRITE)
		FUZZ_CHECK(at == io->offset + io->length);
	else if (io->op != HAL_SYNC)
		memset(disk + at, 0, io->length);
	io->error = 0;
	io->done(io);
}

static void disk_submit(struct hal *h, struct hal_io *io)
{
	(void)h;
	if (hold)
		issued[answer.tag].io = io;
	else
		disk_execute(io);
}

static const struct hal_ops disk_ops = { .name = "fuzz", .submit = disk_submit };

static void take_answer(struct valve_owner *owner, const struct nxblk_resp *rsp)
{
	(void)owner;
	answer = *rsp;
	answers++;
}

static struct valve_owner owner = { .answer = take_answer };

void fuzz_setup(void)
{
	size_t i;

	for (i = 0; i < WINDOW_BYTES; i++)
		first_window[i] = (uint8_t)(i ^ i >> 8);
	for (i = 0; i < DISK_BYTES; i++)
		first_disk[i] = (uint8_t)(~i ^ i >> 9);
	window = malloc(WINDOW_BYTES);
	right_window = malloc(WINDOW_BYTES);
	disk = malloc(DISK_BYTES);
	right_disk = malloc(DISK_BYTES);
	hal.ops = &disk_ops;
	vdisk.hal = &hal;
	v.owner = &owner;
	v.cspace = &cspace;
	v.disk = &vdisk;
	v.window = window;
	v.account = &account;
	v.kind = ION_KIND_BLK;
	v.instance = INSTANCE;
	FUZZ_CHECK(!valve_init(&v, DEPTH));
}

static void grant(unsigned int slot, uint16_t instance, uint32_t rights,
		  uint64_t first, uint64_t last)
{
	const struct cspace_cap cap = {
		.kind = ION_KIND_BLK,
		.instance = instance,
		.rights = rights,
		.first = first,
		.last = last,
	};

	if (!rights || first > last)
		return;
	FUZZ_CHECK(!cspace_grant(&cspace, slot, &cap));
	right_slot[slot] =
		(struct slot){ instance == INSTANCE, rights, first, last };
}

static void grant_some(struct fuzz_in *in)
{
	memset(&cspace, 0, sizeof(cspace));
	memset(right_slot, 0, sizeof(right_slot));
	grant(0, INSTANCE, CSPACE_READ | CSPACE_WRITE | CSPACE_DISCARD, 0,
	      UINT64_MAX);
	grant(1, INSTANCE, fuzz_u8(in) & CSPACE_ALL, fuzz_u8(in), fuzz_u8(in));
	grant(2, INSTANCE + 1, CSPACE_ALL, 0, UINT64_MAX);
	grant(3, INSTANCE, CSPACE_ALL, 0, UINT64_MAX);
	cspace_revoke(&cspace, 3);
	right_slot[3].valid = false;
	grant(63, INSTANCE, CSPACE_READ, 8, 15);
}

static void configure(struct fuzz_in *in)
{
	struct nxblk_config *c = &vdisk.config;
	uint8_t how = fuzz_u8(in);
	uint8_t features = fuzz_u8(in);
	struct valve_terms terms = { .generation = GENERATION,
				     .depth = DEPTH - (how >> 7),
				     .features = ~features & 0x1f };

	memset(c, 0, sizeof(*c));
	c->logical_block = 512u << (how & 3);
	c->capacity = DISK_SECTORS - 8 * (fuzz_u8(in) & 7u);
	c->max_sectors = 8 + (fuzz_u8(in) & 0x7f);
	c->max_segments = 1u << (fuzz_u8(in) % 9);
	c->max_discard_sectors = fuzz_u8(in);
	c->max_write_zeroes_sectors = fuzz_u8(in);
	c->sequence = 2;
	vdisk.strict = how & 4;
	vdisk.sync_failed = how & 8;
	hal.info.read_only = how & 16;
	v.limits.data = (struct ion_span){ DATA_AT, DATA_BYTES };
	v.limits.indirect = (struct ion_span){ TABLES_AT, TABLES_BYTES };
	if (how & 32)
		v.limits.indirect.length = 2 * 4096 + 100;
	valve_live(&v, &terms);
	lim = v.limits;
}

static bool has_segs(uint8_t op)
{
	return op == NXBLK_OP_READ || op == NXBLK_OP_WRITE || op == NXBLK_OP_INFO;
}

static bool writes(uint8_t op)
{
	return op == NXBLK_OP_WRITE || op == NXBLK_OP_DISCARD ||
	       op == NXBLK_OP_WRITE_ZEROES;
}

/* R-CHK-3 and R-CHK-4. */
static int op_status(const struct nxblk_req *r)
{
	static const uint64_t feature[7] = { 0, 0, 0, 0, 1, 4, 8 };
	static const uint16_t flags[7] = { 0, 6, 7, 0, 0, 0, 9 };

	if (r->op < 1 || r->op > 6)
		return NXBLK_S_UNSUPP;
	if (feature[r->op] && !(lim.features & feature[r->op]))
		return NXBLK_S_UNSUPP;
	if (r->flags & ~flags[r->op])
		return NXBLK_S_INVAL;
	if ((r->flags & 1) && !(lim.features & 2))
		return NXBLK_S_UNSUPP;
	if ((r->flags & 2) && !(lim.features & 16))
		return NXBLK_S_UNSUPP;
	return r->flags & 4 ? NXBLK_S_UNSUPP : NXBLK_S_OK;
}

/* R-CHK-5. */
static bool may(const struct slot *s, const struct nxblk_req *r)
{
	static const uint32_t right[7] = {
		0,	     CSPACE_READ,  CSPACE_WRITE,
		0,	     CSPACE_WRITE, CSPACE_DISCARD,
		CSPACE_WRITE
	};

	return s->valid && (s->rights & right[r->op]) == right[r->op];
}

static bool count_ok(const struct nxblk_req *r)
{
	uint64_t block = lim.logical_block / 512;
	uint64_t most = r->op == NXBLK_OP_DISCARD ? lim.max_discard_sectors :
			r->op == NXBLK_OP_WRITE_ZEROES ?
						    lim.max_write_zeroes_sectors :
						    lim.max_sectors;

	if (r->op == NXBLK_OP_INFO || r->op == NXBLK_OP_FLUSH)
		return !r->lba && !r->count;
	return r->count && r->count <= most && r->lba % block == 0 &&
	       r->count % block == 0;
}

static bool seg_unused(const struct nxblk_seg *s)
{
	return s->addr == 0 && s->len == 0 && s->reserved == 0;
}

static bool table_ok(const struct nxblk_req *r)
{
	unsigned __int128 start = (unsigned __int128)r->tag * 4096;

	return r->seg[0].addr == lim.indirect.offset + (uint64_t)start &&
	       r->seg[0].len == r->nseg * 16u && !r->seg[0].reserved &&
	       seg_unused(&r->seg[1]) && start + 4096 <= lim.indirect.length;
}

/* R-CHK-6. */
static bool shape_ok(const struct nxblk_req *r)
{
	if (!count_ok(r))
		return false;
	if (!has_segs(r->op))
		return !r->nseg && seg_unused(&r->seg[0]) &&
		       seg_unused(&r->seg[1]);
	if (r->op == NXBLK_OP_INFO)
		return r->nseg == 1 && seg_unused(&r->seg[1]);
	if (!r->nseg || r->nseg > lim.max_segments || r->nseg > 256)
		return false;
	if (r->flags & 2)
		return table_ok(r);
	return r->nseg <= 2 && (r->nseg == 2 || seg_unused(&r->seg[1]));
}

/* R-CHK-7. */
static bool segs_ok(const struct nxblk_req *r, const struct nxblk_seg *s)
{
	uint64_t unit = r->op == NXBLK_OP_INFO ? 4 : 512;
	unsigned __int128 sum = 0;
	unsigned int i;

	for (i = 0; i < r->nseg; i++) {
		unsigned __int128 end = (unsigned __int128)s[i].addr + s[i].len;

		if (!s[i].len || s[i].len % unit || s[i].addr % 4 ||
		    s[i].reserved || s[i].addr < DATA_AT ||
		    end > DATA_AT + DATA_BYTES)
			return false;
		sum += s[i].len;
	}
	if (!has_segs(r->op))
		return true;
	return sum == (r->op == NXBLK_OP_INFO ? 256 : r->count * 512ull);
}

/* R-CHK-8 to R-CHK-10, and what a failed sync leaves (R-BLK-7). */
static int place_status(const struct slot *s, const struct nxblk_req *r)
{
	unsigned __int128 end = (unsigned __int128)r->lba + r->count;
	bool durable =
		r->op == NXBLK_OP_FLUSH || (r->flags & 1) ||
		((vdisk.strict || (first_told && !told_cache)) &&
		 (r->op == NXBLK_OP_WRITE || r->op == NXBLK_OP_WRITE_ZEROES));

	if (r->count) {
		if (end > vdisk.config.capacity)
			return NXBLK_S_RANGE;
		if (r->lba < s->first || end - 1 > s->last)
			return NXBLK_S_PERM;
	}
	if (writes(r->op) && hal.info.read_only)
		return NXBLK_S_RO;
	return durable && vdisk.sync_failed ? NXBLK_S_IOERR : NXBLK_S_OK;
}

static int right_status(const struct nxblk_req *r, struct nxblk_seg *segs)
{
	const struct slot none = { 0 };
	const struct slot *s =
		r->cap_slot < CSPACE_SLOTS ? &right_slot[r->cap_slot] : &none;
	int status;

	if (r->generation != (uint32_t)GENERATION)
		return DROPPED;
	if (r->tag >= lim.depth || issued[r->tag].busy)
		return NXBLK_S_INVAL;
	status = op_status(r);
	if (status)
		return status;
	if (!may(s, r))
		return NXBLK_S_PERM;
	if (!shape_ok(r))
		return NXBLK_S_INVAL;
	memcpy(segs, r->flags & 2 ? window + r->seg[0].addr : (void *)r->seg,
	       r->nseg * sizeof(*segs));
	if (!segs_ok(r, segs))
		return NXBLK_S_INVAL;
	return place_status(s, r);
}

/* R-BLK-13, R-BLK-14: the first answer binds the later ones. */
static void right_info(const struct nxblk_req *r)
{
	struct nxblk_config c = vdisk.config;
	uint32_t rights = right_slot[r->cap_slot].rights;

	if (!(rights & CSPACE_WRITE))
		c.flags |= NXBLK_CFG_READ_ONLY;
	if (first_told ? !told_cache : !(rights & CSPACE_WRITE))
		c.flags &= ~NXBLK_CFG_VOLATILE_CACHE;
	if (!(rights & CSPACE_DISCARD) && !told_discard)
		c.max_discard_sectors = 0;
	if (!first_told)
		told_cache = c.flags & NXBLK_CFG_VOLATILE_CACHE;
	first_told = true;
	told_discard |= c.max_discard_sectors != 0;
	memcpy(right_window + r->seg[0].addr, &c, sizeof(c));
}

/* What a request that passed does, as it ought to be. */
static void right_effect(const struct nxblk_req *r, const struct nxblk_seg *s)
{
	uint8_t *at = right_disk + r->lba * 512;
	unsigned int i;

	if (r->op == NXBLK_OP_INFO)
		right_info(r);
	else if (r->op == NXBLK_OP_DISCARD || r->op == NXBLK_OP_WRITE_ZEROES)
		memset(at, 0, r->count * 512ull);
	for (i = 0; i < r->nseg && r->op != NXBLK_OP_INFO; at += s[i++].len) {
		if (r->op == NXBLK_OP_READ)
			memcpy(right_window + s[i].addr, at, s[i].len);
		else
			memcpy(at, right_window + s[i].addr, s[i].len);
	}
}

static void check_bytes(void)
{
	FUZZ_CHECK(!memcmp(disk, right_disk, DISK_BYTES));
	FUZZ_CHECK(!memcmp(window, right_window, WINDOW_BYTES));
}

static void check_answer(const struct nxblk_req *r, int status)
{
	uint64_t done = 0;

	if (status == NXBLK_S_OK)
		done = r->op == NXBLK_OP_INFO ? 256 :
		       has_segs(r->op)	      ? r->count * 512ull :
						0;
	FUZZ_CHECK(answers == 1);
	FUZZ_CHECK(answer.status == status);
	FUZZ_CHECK(answer.tag == r->tag && answer.op == r->op &&
		   answer.generation == r->generation &&
		   answer.cookie == r->cookie && answer.done == done);
}

static void release(struct issued *s)
{
	s->held = false;
	answers = 0;
	disk_execute(s->io);
	right_effect(&s->req, s->table);
	check_answer(&s->req, NXBLK_S_OK);
	check_bytes();
}

static void publish(void)
{
	unsigned int i;

	valve_published(&v);
	for (i = 0; i < DEPTH; i++)
		issued[i].busy = issued[i].held;
}

static void submit(const struct nxblk_req *r)
{
	struct nxblk_seg segs[256];
	int status = right_status(r, segs);
	struct issued *s = &issued[r->tag % DEPTH];
	bool tagged = status != DROPPED && r->tag < lim.depth && !s->busy;

	answers = 0;
	answer.tag = r->tag % DEPTH;
	if (tagged) {
		s->busy = true;
		s->held = hold && !status && r->op != NXBLK_OP_INFO;
		s->req = *r;
		memcpy(s->table, segs, sizeof(segs));
	}
	valve_submit(&v, r);
	if (status == DROPPED || (tagged && s->held)) {
		FUZZ_CHECK(!answers);
	} else {
		if (!status)
			right_effect(r, segs);
		check_answer(r, status);
	}
	check_bytes();
}

static void release_all(void)
{
	unsigned int i;

	for (i = 0; i < DEPTH; i++)
		if (issued[i].held)
			release(&issued[i]);
	publish();
	FUZZ_CHECK(!v.in_flight);
}

static void fill(void)
{
	memcpy(window, first_window, WINDOW_BYTES);
	memcpy(disk, first_disk, DISK_BYTES);
	memcpy(right_disk, first_disk, DISK_BYTES);
}

void fuzz_one(struct fuzz_in *in)
{
	struct request_place place = {
		.generation = (uint32_t)GENERATION,
		.depth = DEPTH,
		.sectors = DISK_SECTORS,
		.window = window,
	};
	struct nxblk_req req;
	unsigned int i;

	fill();
	account.told = 0;
	first_told = told_cache = told_discard = false;
	grant_some(in);
	configure(in);
	place.data = lim.data;
	place.indirect = lim.indirect;
	for (i = 0; i < MOST_REQUESTS && in->left; i++) {
		uint8_t what = fuzz_u8(in);

		hold = what & 1;
		request_read(in, &place, &req);
		memcpy(right_window, window, WINDOW_BYTES);
		submit(&req);
		if (what & 2)
			publish();
		if (what & 4)
			release_all();
	}
	release_all();
}
