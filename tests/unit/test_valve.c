/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The Block Valve over a disk that only remembers what it was asked: each
 * malformed request has exactly one status, moves exactly one counter, and
 * reaches no disk.
 */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rumpk/log.h"
#include "rumpk/util.h"
#include "rumpk/valve.h"

#define WINDOW_BYTES (1u << 20)
#define INDIRECT_AT 0x10000u
#define DATA_AT 0x80000u
#define DATA_BYTES 0x80000u
#define DEPTH 8u
#define CAPACITY 2048u
#define ALL_FEATURES                                                           \
	(NXBLK_F_FLUSH | NXBLK_F_FUA | NXBLK_F_DISCARD |                       \
	 NXBLK_F_WRITE_ZEROES | NXBLK_F_INDIRECT)

struct fake_disk {
	struct hal hal;
	struct hal_io *held[DEPTH];
	struct hal_io last;
	unsigned int submitted;
	unsigned int nheld;
	bool hold;
	int error;
	bool unsynced;
};

struct bench {
	struct valve_owner owner;
	struct valve v;
	struct valve_disk disk;
	struct fake_disk fake;
	struct valve_account account;
	struct cspace cs;
	struct nxblk_resp last;
	unsigned int answers;
	uint8_t *window;
};

static void fake_submit(struct hal *hal, struct hal_io *io)
{
	struct fake_disk *f = container_of(hal, struct fake_disk, hal);

	f->submitted++;
	f->last = *io;
	if (f->hold) {
		f->held[f->nheld++] = io;
		return;
	}
	io->error = f->error;
	io->unsynced = f->unsynced;
	io->done(io);
}

static const struct hal_ops fake_ops = { .name = "fake", .submit = fake_submit };

static void take_answer(struct valve_owner *owner, const struct nxblk_resp *rsp)
{
	struct bench *b = container_of(owner, struct bench, owner);

	b->last = *rsp;
	b->answers++;
}

static void grant(struct bench *b, unsigned int slot, uint32_t rights,
		  uint64_t first, uint64_t last)
{
	const struct cspace_cap cap = {
		.kind = ION_KIND_BLK,
		.instance = 3,
		.rights = rights,
		.first = first,
		.last = last,
	};

	assert_int_equal(cspace_grant(&b->cs, slot, &cap), 0);
}

static void live(struct bench *b, uint64_t features)
{
	const struct valve_terms terms = {
		.generation = 0x500000007ull,
		.features = features,
		.depth = DEPTH,
	};

	valve_live(&b->v, &terms);
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct nxblk_config *c = &b->disk.config;

	rumpk_log_level(RUMPK_ERROR);
	b->window = calloc(1, WINDOW_BYTES);
	b->owner.answer = take_answer;
	b->fake.hal.ops = &fake_ops;
	b->disk.hal = &b->fake.hal;
	c->capacity = CAPACITY;
	c->logical_block = 512;
	c->max_sectors = 64;
	c->max_segments = 16;
	c->max_discard_sectors = 128;
	c->max_write_zeroes_sectors = 32;
	c->sequence = 6;
	c->flags = NXBLK_CFG_VOLATILE_CACHE;
	b->v.owner = &b->owner;
	b->v.cspace = &b->cs;
	b->v.disk = &b->disk;
	b->v.window = b->window;
	b->v.account = &b->account;
	b->v.kind = ION_KIND_BLK;
	b->v.instance = 3;
	b->v.limits.data.offset = DATA_AT;
	b->v.limits.data.length = DATA_BYTES;
	b->v.limits.indirect.offset = INDIRECT_AT;
	b->v.limits.indirect.length = DEPTH * NXBLK_INDIRECT_STRIDE;
	assert_int_equal(valve_init(&b->v, DEPTH), 0);
	live(b, ALL_FEATURES);
	grant(b, 0, CSPACE_READ | CSPACE_WRITE | CSPACE_DISCARD, 0, UINT64_MAX);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	valve_exit(&b->v);
	free(b->window);
	free(b);
	return 0;
}

static struct nxblk_req request(uint8_t op, uint64_t lba, uint32_t count)
{
	struct nxblk_req req = {
		.op = op,
		.lba = lba,
		.count = count,
		.generation = 7,
		.cookie = 0x1122334455667788ull,
	};

	if (nxblk_op_known(op) && nxblk_op_has_buffer(op)) {
		req.nseg = 1;
		req.seg[0].addr = DATA_AT;
		req.seg[0].len = (uint32_t)nxblk_buffer_bytes(&req);
	}
	return req;
}

/* One request, one answer; what was answered before is published or not. */
static uint8_t publishing_submit(struct bench *b, const struct nxblk_req *req,
				 bool publish)
{
	unsigned int before = b->answers;

	if (publish)
		valve_published(&b->v);
	valve_submit(&b->v, req);
	assert_int_equal(b->answers, before + 1);
	assert_int_equal(b->last.tag, req->tag);
	assert_int_equal(b->last.op, req->op);
	assert_int_equal(b->last.generation, req->generation);
	assert_true(b->last.cookie == req->cookie);
	assert_int_equal(b->last.reserved, 0);
	if (b->last.status != NXBLK_S_OK)
		assert_int_equal(b->last.done, 0);
	return b->last.status;
}

static uint8_t submit(struct bench *b, const struct nxblk_req *req)
{
	return publishing_submit(b, req, true);
}

/* Refused: that status, one more in its counter, and no disk was asked. */
static void refused(struct bench *b, const struct nxblk_req *req,
		    uint8_t status, uint64_t *counter)
{
	struct valve_stats expected = b->account.stats;
	unsigned int submitted = b->fake.submitted;
	size_t at = (size_t)((uint8_t *)counter - (uint8_t *)&b->account.stats);

	expected.requests++;
	(*(uint64_t *)(void *)((uint8_t *)&expected + at))++;
	assert_int_equal(submit(b, req), status);
	assert_memory_equal(&b->account.stats, &expected, sizeof(expected));
	assert_int_equal(b->fake.submitted, submitted);
	assert_int_equal(b->v.in_flight, 0);
}

static void valve_passes_operations(void **state)
{
	struct bench *b = *state;
	struct nxblk_req req = request(NXBLK_OP_READ, 8, 16);

	assert_int_equal(submit(b, &req), NXBLK_S_OK);
	assert_int_equal(b->last.done, 16 * 512);
	assert_int_equal(b->fake.last.op, HAL_READ);
	assert_int_equal(b->fake.last.offset, 8 * 512);
	assert_int_equal(b->fake.last.length, 16 * 512);
	req = request(NXBLK_OP_WRITE, CAPACITY - 1, 1);
	req.flags = NXBLK_REQ_FUA;
	assert_int_equal(submit(b, &req), NXBLK_S_OK);
	assert_true(b->fake.last.durable);
	req = request(NXBLK_OP_FLUSH, 0, 0);
	assert_int_equal(submit(b, &req), NXBLK_S_OK);
	assert_int_equal(b->fake.last.op, HAL_SYNC);
	req = request(NXBLK_OP_DISCARD, 0, 128);
	assert_int_equal(submit(b, &req), NXBLK_S_OK);
	req = request(NXBLK_OP_WRITE_ZEROES, 0, 32);
	req.flags = NXBLK_REQ_UNMAP;
	assert_int_equal(submit(b, &req), NXBLK_S_OK);
	assert_true(b->fake.last.unmap && !b->fake.last.durable);
	assert_int_equal(b->account.stats.requests, 5);
	assert_int_equal(b->account.stats.reads, 1);
	assert_int_equal(b->account.stats.read_bytes, 16 * 512);
	assert_int_equal(b->account.stats.writes, 1);
	assert_int_equal(b->account.stats.written_bytes, 512);
	assert_int_equal(b->account.stats.fua, 1);
	assert_int_equal(b->account.stats.flushes, 1);
	assert_int_equal(b->account.stats.discards, 1);
	assert_int_equal(b->account.stats.write_zeroes, 1);
}

static void valve_drops_other_generations(void **state)
{
	struct bench *b = *state;
	struct nxblk_req req = request(NXBLK_OP_WRITE, 0, 1);

	req.generation = 6;
	req.tag = 0xffff;
	valve_submit(&b->v, &req);
	assert_int_equal(b->answers, 0);
	assert_int_equal(b->fake.submitted, 0);
	assert_int_equal(b->account.stats.stale, 1);
	assert_int_equal(b->account.stats.requests, 1);
}

/* The lines that one held back are said by the next one. */
static void valve_says_what_was_suppressed(void **state)
{
	struct bench *b = *state;
	struct nxblk_req req = request(0xff, 0, 1);
	int log = memfd_create("log", MFD_CLOEXEC);
	int before = dup(STDERR_FILENO);
	static char text[1 << 16];
	unsigned int i;

	req.tag = DEPTH;
	dup2(log, STDERR_FILENO);
	rumpk_log_level(RUMPK_WARN);
	for (i = 0; i < 25; i++)
		submit(b, &req);
	valve_exit(&b->v);
	memset(&b->v.audit, 0, sizeof(b->v.audit));
	i = valve_init(&b->v, DEPTH) ? 0 : 1;
	live(b, ALL_FEATURES);
	submit(b, &req);
	rumpk_log_level(RUMPK_ERROR);
	dup2(before, STDERR_FILENO);
	close(before);
	assert_int_equal(i, 1);
	assert_true(pread(log, text, sizeof(text) - 1, 0) > 0);
	close(log);
	assert_non_null(strstr(text, " suppressed=15\n"));
}

static void valve_refuses_tags(void **state)
{
	struct bench *b = *state;
	struct nxblk_req req = request(0xff, 0, 1);

	req.tag = DEPTH;
	refused(b, &req, NXBLK_S_INVAL, &b->account.stats.inval);
	req.tag = 0xffff;
	refused(b, &req, NXBLK_S_INVAL, &b->account.stats.inval);
}

static void valve_answers_a_doubled_tag_once_each(void **state)
{
	struct bench *b = *state;
	struct nxblk_req first = request(NXBLK_OP_READ, 0, 1);
	struct nxblk_req second = request(NXBLK_OP_WRITE, 5, 1);

	first.tag = second.tag = 3;
	second.cookie = 99;
	b->fake.hold = true;
	valve_submit(&b->v, &first);
	assert_int_equal(b->answers, 0);
	assert_int_equal(b->v.in_flight, 1);
	assert_int_equal(submit(b, &second), NXBLK_S_INVAL);
	assert_int_equal(b->fake.submitted, 1);
	b->fake.held[0]->done(b->fake.held[0]);
	assert_int_equal(b->answers, 2);
	assert_int_equal(b->last.status, NXBLK_S_OK);
	assert_true(b->last.cookie == first.cookie);
	assert_int_equal(b->v.in_flight, 0);
	b->fake.hold = false;
	/* Answered is not enough: the guest must be able to see it. */
	assert_int_equal(publishing_submit(b, &second, false), NXBLK_S_INVAL);
	assert_int_equal(submit(b, &second), NXBLK_S_OK);
}

/* Also when nothing of the first was done. */
static void valve_keeps_a_refused_tag_until_published(void **state)
{
	struct bench *b = *state;
	struct nxblk_req req = request(NXBLK_OP_READ, CAPACITY, 1);

	assert_int_equal(submit(b, &req), NXBLK_S_RANGE);
	assert_int_equal(publishing_submit(b, &req, false), NXBLK_S_INVAL);
	assert_int_equal(submit(b, &req), NXBLK_S_RANGE);
}

static void valve_refuses_operations(void **state)
{
	struct bench *b = *state;
	static const uint8_t unknown[] = { 0, 7, 8, 16, 31, 255 };
	static const uint8_t extensions[] = { NXBLK_OP_FLUSH, NXBLK_OP_DISCARD,
					      NXBLK_OP_WRITE_ZEROES };
	struct nxblk_req req;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(unknown); i++) {
		req = request(unknown[i], 0, 1);
		req.cap_slot = 200;
		refused(b, &req, NXBLK_S_UNSUPP, &b->account.stats.unsupp);
	}
	req = request(NXBLK_OP_READ, 0, 1);
	req.flags = 0x10;
	refused(b, &req, NXBLK_S_INVAL, &b->account.stats.inval);
	req.flags = NXBLK_REQ_FUA;
	refused(b, &req, NXBLK_S_INVAL, &b->account.stats.inval);
	req.flags = NXBLK_REQ_GPA;
	refused(b, &req, NXBLK_S_UNSUPP, &b->account.stats.unsupp);
	live(b, 0);
	for (i = 0; i < ARRAY_SIZE(extensions); i++) {
		req = request(extensions[i], 0, i ? 1 : 0);
		refused(b, &req, NXBLK_S_UNSUPP, &b->account.stats.unsupp);
	}
	req = request(NXBLK_OP_WRITE, 0, 1);
	req.flags = NXBLK_REQ_FUA;
	refused(b, &req, NXBLK_S_UNSUPP, &b->account.stats.unsupp);
}

static void valve_refuses_without_capability(void **state)
{
	struct bench *b = *state;
	struct nxblk_req req = request(NXBLK_OP_READ, 0, 1);
	static const uint8_t slots[] = { 1, 63, 64, 255 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(slots); i++) {
		req.cap_slot = slots[i];
		refused(b, &req, NXBLK_S_PERM, &b->account.stats.perm);
	}
	/* Another channel's slot. */
	b->v.instance = 2;
	req.cap_slot = 0;
	refused(b, &req, NXBLK_S_PERM, &b->account.stats.perm);
	b->v.instance = 3;
	/* A capability comes before the shape: this one is malformed, too. */
	cspace_revoke(&b->cs, 0);
	req.count = 0;
	refused(b, &req, NXBLK_S_PERM, &b->account.stats.perm);
}

static void valve_refuses_missing_rights(void **state)
{
	struct bench *b = *state;
	static const uint8_t writing[] = { NXBLK_OP_WRITE, NXBLK_OP_FLUSH,
					   NXBLK_OP_WRITE_ZEROES,
					   NXBLK_OP_DISCARD };
	struct nxblk_config *config;
	struct nxblk_req req;
	size_t i;

	grant(b, 1, CSPACE_READ, 0, UINT64_MAX);
	grant(b, 2, CSPACE_WRITE, 0, UINT64_MAX);
	/* PERM, not RO: also when the medium is read-only. */
	b->fake.hal.info.read_only = true;
	for (i = 0; i < ARRAY_SIZE(writing); i++) {
		req = request(writing[i], 0, writing[i] != NXBLK_OP_FLUSH);
		req.cap_slot = 1;
		refused(b, &req, NXBLK_S_PERM, &b->account.stats.perm);
	}
	req = request(NXBLK_OP_READ, 0, 1);
	req.cap_slot = 2;
	refused(b, &req, NXBLK_S_PERM, &b->account.stats.perm);
	req = request(NXBLK_OP_DISCARD, 0, 1);
	req.cap_slot = 2;
	refused(b, &req, NXBLK_S_PERM, &b->account.stats.perm);
	req = request(NXBLK_OP_INFO, 0, 0);
	req.cap_slot = 1;
	assert_int_equal(submit(b, &req), NXBLK_S_OK);
	config = (struct nxblk_config *)(void *)(b->window + DATA_AT);
	assert_int_equal(config->flags, NXBLK_CFG_READ_ONLY);
}

static const struct nxblk_config *info(struct bench *b, unsigned int slot)
{
	struct nxblk_req req = request(NXBLK_OP_INFO, 0, 0);

	req.cap_slot = (uint8_t)slot;
	assert_int_equal(submit(b, &req), NXBLK_S_OK);
	return (struct nxblk_config *)(void *)(b->window + DATA_AT);
}

/* A guest that was told of a cache and of DISCARD hears of them to its end. */
static void valve_takes_back_no_limit(void **state)
{
	struct bench *b = *state;

	grant(b, 1, CSPACE_READ, 0, UINT64_MAX);
	assert_int_equal(info(b, 0)->flags, NXBLK_CFG_VOLATILE_CACHE);
	assert_int_equal(info(b, 1)->flags,
			 NXBLK_CFG_VOLATILE_CACHE | NXBLK_CFG_READ_ONLY);
	assert_int_not_equal(info(b, 1)->max_discard_sectors, 0);
	/* Another guest was told nothing yet. */
	b->account.told = 0;
	assert_int_equal(info(b, 1)->flags, NXBLK_CFG_READ_ONLY);
	assert_int_equal(info(b, 1)->max_discard_sectors, 0);
}

/* One that was told of no cache sends no FLUSH, also when it may write later. */
static void valve_needs_no_flush_then(void **state)
{
	struct bench *b = *state;
	struct nxblk_req req = request(NXBLK_OP_WRITE, 0, 1);

	grant(b, 1, CSPACE_READ, 0, UINT64_MAX);
	assert_int_equal(submit(b, &req), NXBLK_S_OK);
	assert_false(b->fake.last.durable);
	assert_int_equal(info(b, 1)->flags, NXBLK_CFG_READ_ONLY);
	assert_int_equal(info(b, 0)->flags, 0);
	assert_int_not_equal(info(b, 0)->max_discard_sectors, 0);
	assert_int_equal(submit(b, &req), NXBLK_S_OK);
	assert_true(b->fake.last.durable);
	req = request(NXBLK_OP_WRITE_ZEROES, 0, 1);
	assert_int_equal(submit(b, &req), NXBLK_S_OK);
	assert_true(b->fake.last.durable);
	b->disk.sync_failed = true;
	assert_int_equal(submit(b, &req), NXBLK_S_IOERR);
}

static void valve_refuses_shapes(void **state)
{
	struct bench *b = *state;
	struct nxblk_req req = request(NXBLK_OP_READ, 0, 0);

	refused(b, &req, NXBLK_S_INVAL, &b->account.stats.inval);
	req = request(NXBLK_OP_READ, 0, 65);
	refused(b, &req, NXBLK_S_INVAL, &b->account.stats.inval);
	req = request(NXBLK_OP_WRITE, 0, UINT32_MAX);
	refused(b, &req, NXBLK_S_INVAL, &b->account.stats.inval);
	req = request(NXBLK_OP_DISCARD, 0, 129);
	refused(b, &req, NXBLK_S_INVAL, &b->account.stats.inval);
	req = request(NXBLK_OP_READ, 0, 2);
	req.seg[0].len = 512;
	refused(b, &req, NXBLK_S_INVAL, &b->account.stats.inval);
	req = request(NXBLK_OP_READ, 0, 1);
	req.nseg = 3;
	refused(b, &req, NXBLK_S_INVAL, &b->account.stats.inval);
	req.nseg = 0;
	refused(b, &req, NXBLK_S_INVAL, &b->account.stats.inval);
	req = request(NXBLK_OP_FLUSH, 1, 0);
	refused(b, &req, NXBLK_S_INVAL, &b->account.stats.inval);
	/* Shape comes before range. */
	req = request(NXBLK_OP_READ, CAPACITY, 0);
	refused(b, &req, NXBLK_S_INVAL, &b->account.stats.inval);
}

static void valve_refuses_segments(void **state)
{
	struct bench *b = *state;
	static const uint64_t bad[] = {
		0,	     DATA_AT - 512,	  DATA_AT + DATA_BYTES - 511,
		UINT64_MAX,  UINT64_MAX - 511,	  DATA_AT + 1,
		INDIRECT_AT, DATA_AT + DATA_BYTES
	};
	struct nxblk_req req = request(NXBLK_OP_READ, 0, 1);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		req.seg[0].addr = bad[i];
		refused(b, &req, NXBLK_S_INVAL, &b->account.stats.inval);
	}
	req.seg[0].addr = DATA_AT + DATA_BYTES - 512;
	assert_int_equal(submit(b, &req), NXBLK_S_OK);
	req.seg[0].reserved = 1;
	refused(b, &req, NXBLK_S_INVAL, &b->account.stats.inval);
}

static void valve_uses_the_table_once(void **state)
{
	struct bench *b = *state;
	struct nxblk_req req = request(NXBLK_OP_WRITE, 4, 6);
	struct nxblk_seg *table;

	req.tag = 2;
	req.flags = NXBLK_REQ_INDIRECT;
	req.nseg = 3;
	req.seg[0].addr = INDIRECT_AT + 2 * NXBLK_INDIRECT_STRIDE;
	req.seg[0].len = 3 * sizeof(*table);
	table = (struct nxblk_seg *)(void *)(b->window + req.seg[0].addr);
	table[0] = (struct nxblk_seg){ DATA_AT, 1024, 0 };
	table[1] = (struct nxblk_seg){ DATA_AT + 1024, 512, 0 };
	table[2] = (struct nxblk_seg){ DATA_AT + 8192, 1536, 0 };
	b->fake.hold = true;
	valve_submit(&b->v, &req);
	/* The first two are neighbours and travel as one. */
	assert_int_equal(b->fake.last.niov, 2);
	table[2].addr = 0;
	assert_ptr_equal(b->fake.held[0]->iov[1].iov_base,
			 b->window + DATA_AT + 8192);
	assert_int_equal(b->fake.held[0]->iov[0].iov_len, 1536);
	b->fake.held[0]->done(b->fake.held[0]);
	assert_int_equal(b->last.done, 6 * 512);
	b->fake.hold = false;
	refused(b, &req, NXBLK_S_INVAL, &b->account.stats.inval);
	/* A table that is itself the buffer lies outside the data area. */
	table[2].addr = req.seg[0].addr;
	refused(b, &req, NXBLK_S_INVAL, &b->account.stats.inval);
	/* Another tag's place. */
	req.tag = 1;
	refused(b, &req, NXBLK_S_INVAL, &b->account.stats.inval);
}

static void valve_refuses_ranges(void **state)
{
	struct bench *b = *state;
	struct nxblk_req req = request(NXBLK_OP_READ, CAPACITY, 1);

	refused(b, &req, NXBLK_S_RANGE, &b->account.stats.range);
	req = request(NXBLK_OP_READ, CAPACITY - 1, 2);
	refused(b, &req, NXBLK_S_RANGE, &b->account.stats.range);
	req = request(NXBLK_OP_WRITE, UINT64_MAX, 1);
	refused(b, &req, NXBLK_S_RANGE, &b->account.stats.range);
	req = request(NXBLK_OP_WRITE, UINT64_MAX - 1, 4);
	refused(b, &req, NXBLK_S_RANGE, &b->account.stats.range);
	/* A disk that has shrunk meanwhile. */
	b->disk.config.capacity = 0;
	req = request(NXBLK_OP_READ, 0, 1);
	refused(b, &req, NXBLK_S_RANGE, &b->account.stats.range);
}

static void valve_keeps_to_the_capability(void **state)
{
	struct bench *b = *state;
	struct nxblk_req req = request(NXBLK_OP_WRITE, 100, 10);

	grant(b, 1, CSPACE_READ | CSPACE_WRITE, 100, 109);
	req.cap_slot = 1;
	assert_int_equal(submit(b, &req), NXBLK_S_OK);
	req = request(NXBLK_OP_WRITE, 100, 11);
	req.cap_slot = 1;
	refused(b, &req, NXBLK_S_PERM, &b->account.stats.perm);
	req = request(NXBLK_OP_READ, 99, 1);
	req.cap_slot = 1;
	refused(b, &req, NXBLK_S_PERM, &b->account.stats.perm);
	/* The disk's end comes before the capability's. */
	req = request(NXBLK_OP_READ, CAPACITY, 1);
	req.cap_slot = 1;
	refused(b, &req, NXBLK_S_RANGE, &b->account.stats.range);
	/* The capability's range comes before the medium. */
	b->fake.hal.info.read_only = true;
	req = request(NXBLK_OP_WRITE, 99, 1);
	req.cap_slot = 1;
	refused(b, &req, NXBLK_S_PERM, &b->account.stats.perm);
	req = request(NXBLK_OP_WRITE, 100, 1);
	req.cap_slot = 1;
	refused(b, &req, NXBLK_S_RO, &b->account.stats.ro);
}

static void valve_keeps_media_read_only(void **state)
{
	struct bench *b = *state;
	struct nxblk_req req;
	static const uint8_t writing[] = { NXBLK_OP_WRITE, NXBLK_OP_DISCARD,
					   NXBLK_OP_WRITE_ZEROES };
	size_t i;

	b->fake.hal.info.read_only = true;
	for (i = 0; i < ARRAY_SIZE(writing); i++) {
		req = request(writing[i], 0, 1);
		refused(b, &req, NXBLK_S_RO, &b->account.stats.ro);
	}
	req = request(NXBLK_OP_READ, 0, 1);
	assert_int_equal(submit(b, &req), NXBLK_S_OK);
}

static void valve_tells_the_geometry(void **state)
{
	struct bench *b = *state;
	struct nxblk_req req = request(NXBLK_OP_INFO, 0, 0);

	assert_int_equal(submit(b, &req), NXBLK_S_OK);
	assert_int_equal(b->last.done, sizeof(struct nxblk_config));
	assert_memory_equal(b->window + DATA_AT, &b->disk.config,
			    sizeof(struct nxblk_config));
	req.seg[0].len = 252;
	refused(b, &req, NXBLK_S_INVAL, &b->account.stats.inval);
}

/* A second one fails after a reopen that the worker has not taken notice of yet. */
static void valve_latches_each_failed_sync(void **state)
{
	struct bench *b = *state;
	struct nxblk_req req = request(NXBLK_OP_FLUSH, 0, 0);
	uint32_t reopened = 4;
	unsigned int i;

	b->v.reopened = &reopened;
	b->fake.hold = true;
	for (i = 0; i < 2; i++) {
		req.tag = (uint16_t)i;
		valve_submit(&b->v, &req);
		b->fake.held[i]->error = EIO;
		b->fake.held[i]->unsynced = true;
	}
	b->fake.held[0]->done(b->fake.held[0]);
	assert_int_equal(b->account.sync_failed, valve_latch(&reopened));
	reopened++;
	b->fake.held[1]->done(b->fake.held[1]);
	assert_int_equal(b->account.sync_failed, valve_latch(&reopened));
	assert_true(b->disk.sync_failed);
}

/* Whoever was under way beside a sync that fails is told of it too. */
static void valve_vouches_for_nothing_then(void **state)
{
	struct bench *b = *state;
	struct nxblk_req req = request(NXBLK_OP_FLUSH, 0, 0);
	unsigned int i;

	b->fake.hold = true;
	for (i = 0; i < 4; i++) {
		if (i)
			req = request(NXBLK_OP_WRITE, 0, 1);
		req.flags = i == 2 ? NXBLK_REQ_FUA : 0;
		req.tag = (uint16_t)i;
		valve_submit(&b->v, &req);
		b->fake.held[i]->error = i ? 0 : EIO;
		b->fake.held[i]->unsynced = !i;
	}
	for (i = 0; i < 4; i++) {
		b->fake.held[i]->done(b->fake.held[i]);
		assert_int_equal(b->last.tag, i);
		assert_int_equal(b->last.status,
				 i % 2 ? NXBLK_S_OK : NXBLK_S_IOERR);
	}
}

static void valve_latches_failed_syncs(void **state)
{
	struct bench *b = *state;
	struct nxblk_req write = request(NXBLK_OP_WRITE, 0, 1);
	struct nxblk_req fua = request(NXBLK_OP_WRITE, 0, 1);
	struct nxblk_req flush = request(NXBLK_OP_FLUSH, 0, 0);
	unsigned int submitted;

	fua.flags = NXBLK_REQ_FUA;
	b->fake.error = EIO;
	assert_int_equal(submit(b, &write), NXBLK_S_IOERR);
	assert_false(b->disk.sync_failed);
	b->fake.error = ENOSPC;
	assert_int_equal(submit(b, &fua), NXBLK_S_NOSPC);
	assert_false(b->disk.sync_failed);
	/* Room that is missing for what was acknowledged: that is lost. */
	b->fake.unsynced = true;
	assert_int_equal(submit(b, &flush), NXBLK_S_IOERR);
	assert_true(b->disk.sync_failed);
	b->fake.error = 0;
	b->fake.unsynced = false;
	submitted = b->fake.submitted;
	assert_int_equal(submit(b, &flush), NXBLK_S_IOERR);
	assert_int_equal(submit(b, &fua), NXBLK_S_IOERR);
	assert_int_equal(b->fake.submitted, submitted);
	assert_int_equal(submit(b, &write), NXBLK_S_OK);
	b->disk.strict = true;
	assert_int_equal(submit(b, &write), NXBLK_S_IOERR);
	assert_int_equal(b->account.stats.ioerr, 5);
}

/* Before it is not pending any more: somebody may wait for that. */
static void valve_tells_that_the_disk_is_lost(void **state)
{
	struct bench *b = *state;
	struct nxblk_req req = request(NXBLK_OP_WRITE, 0, 1);
	uint32_t lost = 0;

	b->v.lost = &lost;
	b->fake.error = EIO;
	assert_int_equal(submit(b, &req), NXBLK_S_IOERR);
	assert_int_equal(lost, 0);
	b->fake.hal.lost = true;
	assert_int_equal(submit(b, &req), NXBLK_S_IOERR);
	assert_int_equal(lost, 1);
}

static void valve_strict_writes_are_durable(void **state)
{
	struct bench *b = *state;
	struct nxblk_req req = request(NXBLK_OP_WRITE, 0, 1);

	b->disk.strict = true;
	assert_int_equal(submit(b, &req), NXBLK_S_OK);
	assert_true(b->fake.last.durable);
	b->fake.error = ENOSPC;
	assert_int_equal(submit(b, &req), NXBLK_S_NOSPC);
	assert_false(b->disk.sync_failed);
	assert_int_equal(b->account.stats.nospc, 1);
}

/* Any bytes at all: one answer or none, and what reaches the disk is inside. */
static void valve_survives_anything(void **state)
{
	struct bench *b = *state;
	unsigned int i;
	unsigned int j;

	srand(7);
	for (i = 0; i < 300000; i++) {
		struct nxblk_req req = request((uint8_t)(rand() % 9),
					       (uint64_t)rand() % CAPACITY,
					       (uint32_t)rand() % 66);
		uint8_t *bytes = (uint8_t *)&req;
		unsigned int flips = (unsigned int)rand() % 4;

		req.tag = (uint16_t)(rand() % (DEPTH + 1));
		for (j = 0; j < flips; j++)
			bytes[(unsigned int)rand() % sizeof(req)] =
				(uint8_t)rand();
		for (j = 0; j < 64; j++)
			b->window[INDIRECT_AT + rand() % 256] = (uint8_t)rand();
		valve_submit(&b->v, &req);
		if (rand() % 4)
			valve_published(&b->v);
		if (b->fake.submitted)
			assert_true(b->fake.last.offset + b->fake.last.length <=
				    CAPACITY * 512);
		assert_int_equal(b->v.in_flight, 0);
	}
	assert_int_equal(b->answers + b->account.stats.stale,
			 b->account.stats.requests);
	assert_true(b->fake.submitted > 1000);
}

#define valve_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		valve_test(valve_passes_operations),
		valve_test(valve_drops_other_generations),
		valve_test(valve_refuses_tags),
		valve_test(valve_says_what_was_suppressed),
		valve_test(valve_answers_a_doubled_tag_once_each),
		valve_test(valve_keeps_a_refused_tag_until_published),
		valve_test(valve_refuses_operations),
		valve_test(valve_refuses_without_capability),
		valve_test(valve_refuses_missing_rights),
		valve_test(valve_takes_back_no_limit),
		valve_test(valve_needs_no_flush_then),
		valve_test(valve_refuses_shapes),
		valve_test(valve_refuses_segments),
		valve_test(valve_uses_the_table_once),
		valve_test(valve_refuses_ranges),
		valve_test(valve_keeps_to_the_capability),
		valve_test(valve_keeps_media_read_only),
		valve_test(valve_tells_the_geometry),
		valve_test(valve_latches_failed_syncs),
		valve_test(valve_latches_each_failed_sync),
		valve_test(valve_vouches_for_nothing_then),
		valve_test(valve_tells_that_the_disk_is_lost),
		valve_test(valve_strict_writes_are_durable),
		valve_test(valve_survives_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
