/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The Block Valve with guest-physical segments, over a disk in memory: data
 * moves between the disk and the guest's own pages, and nothing that is not the
 * guest's RAM is touched. ASan guards both ends of window and RAM.
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rumpk/ram.h"
#include "rumpk/valve.h"

#define M (1u << 20)
#define G (1ull << 30)
#define WINDOW_BYTES 0x20000u
#define INDIRECT_AT 0x1000u
#define DATA_AT 0x10000u
#define DATA_BYTES 0x10000u
#define DEPTH 8u
#define DISK_BYTES (4u * M)
#define RAM_BYTES (3u * M)
#define FEATURES (NXBLK_F_INDIRECT | NXBLK_F_ZERO_COPY)

struct bench {
	struct valve_owner owner;
	struct valve v;
	struct valve_disk disk;
	struct valve_account account;
	struct cspace cs;
	struct ram ram;
	struct nxblk_resp last;
	unsigned int answers;
	uint8_t *window;
	uint8_t *contents;
};

static void take_answer(struct valve_owner *owner, const struct nxblk_resp *rsp)
{
	struct bench *b = (struct bench *)(void *)owner;

	b->last = *rsp;
	b->answers++;
}

static void live(struct bench *b, uint64_t features)
{
	const struct valve_terms terms = {
		.generation = 7,
		.features = features,
		.depth = DEPTH,
	};

	valve_live(&b->v, &terms);
}

static void grant(struct bench *b, uint32_t rights)
{
	const struct cspace_cap cap = {
		.kind = ION_KIND_BLK,
		.rights = rights,
		.last = UINT64_MAX,
	};

	cspace_revoke(&b->cs, 0);
	assert_int_equal(cspace_grant(&b->cs, 0, &cap), 0);
}

/* As on a q35 machine, but with 2 MiB below 4 GiB and 1 MiB above. */
static void make_ram(struct ram *r)
{
	r->base = malloc(RAM_BYTES);
	memset(r->base, 0xee, RAM_BYTES);
	r->length = RAM_BYTES;
	r->range[0] = (struct ram_range){ 0, 0xa0000, 0 };
	r->range[1] = (struct ram_range){ M, M, M };
	r->range[2] = (struct ram_range){ 4 * G, M, 2 * M };
	r->ranges = 3;
}

static uint8_t disk_byte(uint64_t at)
{
	return (uint8_t)(at * 7 + at / 512);
}

static void make_disk(struct bench *b)
{
	const uint8_t uuid[16] = { 1 };
	struct nxblk_config *c = &b->disk.config;
	uint64_t i;
	int fd;

	b->contents = malloc(DISK_BYTES);
	for (i = 0; i < DISK_BYTES; i++)
		b->contents[i] = disk_byte(i);
	assert_int_equal(hal_mem_create(DISK_BYTES, &fd), 0);
	assert_int_equal(pwrite(fd, b->contents, DISK_BYTES, 0), DISK_BYTES);
	b->disk.hal = hal_mem_open(fd, DISK_BYTES, false, 512, uuid);
	close(fd);
	c->capacity = DISK_BYTES / 512;
	c->logical_block = 512;
	c->max_sectors = 2048;
	c->max_segments = NXBLK_MAX_SEGS;
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	rumpk_log_level(RUMPK_ERROR);
	b->window = malloc(WINDOW_BYTES);
	memset(b->window, 0xdd, WINDOW_BYTES);
	make_ram(&b->ram);
	make_disk(b);
	b->owner.answer = take_answer;
	b->v.owner = &b->owner;
	b->v.cspace = &b->cs;
	b->v.account = &b->account;
	b->v.disk = &b->disk;
	b->v.window = b->window;
	b->v.ram = &b->ram;
	b->v.kind = ION_KIND_BLK;
	b->v.limits.data = (struct ion_span){ DATA_AT, DATA_BYTES };
	b->v.limits.indirect =
		(struct ion_span){ INDIRECT_AT, DEPTH * NXBLK_INDIRECT_STRIDE };
	assert_int_equal(valve_init(&b->v, DEPTH), 0);
	live(b, FEATURES);
	grant(b, CSPACE_ALL);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	hal_close(b->disk.hal);
	valve_exit(&b->v);
	free(b->window);
	free(b->ram.base);
	free(b->contents);
	free(b);
	return 0;
}

static struct nxblk_req request(uint8_t op, uint64_t lba, uint32_t count)
{
	struct nxblk_req req = {
		.op = op,
		.flags = NXBLK_REQ_GPA,
		.lba = lba,
		.count = count,
		.generation = 7,
		.cookie = 0x1122334455667788ull,
	};

	return req;
}

static void segment(struct nxblk_req *req, uint64_t addr, uint32_t len)
{
	req->seg[req->nseg].addr = addr;
	req->seg[req->nseg++].len = len;
}

static uint8_t submit(struct bench *b, const struct nxblk_req *req)
{
	unsigned int before = b->answers;

	valve_published(&b->v);
	valve_submit(&b->v, req);
	assert_int_equal(b->answers, before + 1);
	assert_int_equal(b->v.in_flight, 0);
	return b->last.status;
}

static void is_disk(const uint8_t *p, uint64_t at, uint64_t length)
{
	uint64_t i;

	for (i = 0; i < length; i++)
		assert_int_equal(p[i], disk_byte(at + i));
}

/* Every byte of the RAM that is not in [from, to) is as it was. */
static void ram_untouched_but(const struct bench *b, uint64_t from, uint64_t to)
{
	uint64_t i;

	for (i = 0; i < RAM_BYTES; i++)
		if (i < from || i >= to)
			assert_int_equal(b->ram.base[i], 0xee);
	for (i = 0; i < WINDOW_BYTES; i++)
		assert_int_equal(b->window[i], 0xdd);
}

static uint8_t transfer(struct bench *b, uint8_t op, uint64_t lba,
			uint64_t addr, uint32_t len)
{
	struct nxblk_req req = request(op, lba, len / 512);

	segment(&req, addr, len);
	return submit(b, &req);
}

/* Up to the last byte on each side of each hole. */
static void read_into_pages(void **state)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
		uint64_t at;
	} place[] = {
		{ 0, 4096, 0 },
		{ 0xa0000 - 512, 512, 0xa0000 - 512 },
		{ M, 512, M },
		{ 2 * M - 4096, 4096, 2 * M - 4096 },
		{ 4 * G, M, 2 * M },
		{ 4 * G + M - 512, 512, 3 * M - 512 },
		{ M + 1024 + 4, 512, M + 1024 + 4 },
	};
	struct bench *b = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(place); i++) {
		memset(b->ram.base, 0xee, RAM_BYTES);
		assert_int_equal(transfer(b, NXBLK_OP_READ, 3, place[i].addr,
					  place[i].len),
				 NXBLK_S_OK);
		assert_int_equal(b->last.done, place[i].len);
		is_disk(b->ram.base + place[i].at, 3 * 512, place[i].len);
		ram_untouched_but(b, place[i].at, place[i].at + place[i].len);
	}
}

static void write_from_pages(void **state)
{
	struct bench *b = *state;
	struct nxblk_req req = request(NXBLK_OP_WRITE, 8, 3);

	memset(b->ram.base + M, 0x11, 512);
	memset(b->ram.base + 2 * M, 0x22, 1024);
	segment(&req, M, 512);
	segment(&req, 4 * G, 1024);
	assert_int_equal(submit(b, &req), NXBLK_S_OK);
	memset(b->ram.base + M, 0, 2 * M);
	assert_int_equal(transfer(b, NXBLK_OP_READ, 7, M, 5 * 512), NXBLK_S_OK);
	is_disk(b->ram.base + M, 7 * 512, 512);
	assert_int_equal(b->ram.base[M + 512], 0x11);
	assert_int_equal(b->ram.base[M + 1023], 0x11);
	assert_int_equal(b->ram.base[M + 1024], 0x22);
	assert_int_equal(b->ram.base[M + 2047], 0x22);
	is_disk(b->ram.base + M + 2048, 11 * 512, 512);
}

/*
 * Neighbours in the file are none in the guest: a segment on each side of the
 * hole, in a table, is one piece of the mapping and right all the same.
 */
static void table_of_pages(void **state)
{
	struct bench *b = *state;
	struct nxblk_req req = request(NXBLK_OP_READ, 0, 2048);
	struct nxblk_seg table[NXBLK_MAX_SEGS] = { 0 };
	unsigned int i;

	for (i = 0; i < NXBLK_MAX_SEGS; i++) {
		table[i].addr = (i < 128 ? 4 * G : M - M / 2) + i * 4096;
		table[i].len = 4096;
	}
	table[0].addr = 2 * M - 4096;
	table[1].addr = 4 * G;
	req.tag = 2;
	req.flags |= NXBLK_REQ_INDIRECT;
	req.nseg = NXBLK_MAX_SEGS;
	req.seg[0].addr = INDIRECT_AT + 2 * NXBLK_INDIRECT_STRIDE;
	req.seg[0].len = sizeof(table);
	memcpy(b->window + req.seg[0].addr, table, sizeof(table));
	assert_int_equal(submit(b, &req), NXBLK_S_OK);
	assert_int_equal(b->last.done, M);
	is_disk(b->ram.base + 2 * M - 4096, 0, 8192);
	for (i = 2; i < NXBLK_MAX_SEGS; i++)
		is_disk(ram_at(&b->ram, table[i].addr, 4096), i * 4096, 4096);
	assert_int_equal(b->account.stats.zero_copy, 1);
	/* One segment of the table that is no RAM, and nothing moves. */
	memset(b->ram.base, 0xee, RAM_BYTES);
	table[255].addr = 3 * G;
	memcpy(b->window + req.seg[0].addr, table, sizeof(table));
	assert_int_equal(submit(b, &req), NXBLK_S_INVAL);
	memset(b->window, 0xdd, WINDOW_BYTES);
	ram_untouched_but(b, 0, 0);
}

/* Refused with one status, counted once, and nothing has moved. */
static void refused(struct bench *b, const struct nxblk_req *req,
		    uint8_t status, uint64_t *counter)
{
	uint64_t before = *counter;

	assert_int_equal(submit(b, req), status);
	assert_int_equal(*counter, before + 1);
	assert_int_equal(b->account.stats.zero_copy, 0);
	ram_untouched_but(b, 0, 0);
}

static void outside_the_ram(void **state)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
	} bad[] = {
		{ 0xa0000, 512 },
		{ 0xa0000 - 4, 512 },
		{ 0xa0000 - 512, 1024 },
		{ 0xff000, 4096 },
		{ M - 512, 1024 },
		{ 0x90000, M - 0x90000 },
		{ 2 * M, 512 },
		{ 2 * M - 508, 512 },
		{ 2 * M - 512, 1024 },
		{ 4 * G - 512, 1024 },
		{ 4 * G - 4, 512 },
		{ 4 * G + M, 512 },
		{ 4 * G + M - 508, 512 },
		{ 4 * G + M - 512, 1024 },
		{ 8 * G, 4096 },
		{ 0xfee00000, 4096 },
		{ 1ull << 63, 512 },
		{ UINT64_MAX - 511, 512 },
		{ UINT64_MAX - 511, 1024 },
		{ UINT64_MAX - 3, 512 },
		{ DATA_AT + 8 * G, 512 },
	};
	struct bench *b = *state;
	size_t i;
	uint8_t op;

	for (op = NXBLK_OP_READ; op <= NXBLK_OP_WRITE; op++) {
		for (i = 0; i < ARRAY_SIZE(bad); i++) {
			struct nxblk_req req =
				request(op, 0, (bad[i].len + M) / 512);

			/* Good memory first: it must not be touched either. */
			segment(&req, 4 * G, M);
			segment(&req, bad[i].addr, bad[i].len);
			refused(b, &req, NXBLK_S_INVAL, &b->account.stats.inval);
		}
	}
}

static void misshapen(void **state)
{
	struct bench *b = *state;
	struct nxblk_req req = request(NXBLK_OP_READ, 0, 1);

	segment(&req, M + 2, 512);
	refused(b, &req, NXBLK_S_INVAL, &b->account.stats.inval);
	req.seg[0] = (struct nxblk_seg){ M, 1024, 0 };
	refused(b, &req, NXBLK_S_INVAL, &b->account.stats.inval);
	req.seg[0] = (struct nxblk_seg){ M, 512, 1 };
	refused(b, &req, NXBLK_S_INVAL, &b->account.stats.inval);
	req = request(NXBLK_OP_INFO, 0, 0);
	segment(&req, M, 256);
	refused(b, &req, NXBLK_S_INVAL, &b->account.stats.inval);
}

/* Features, then rights, then where the segments lie. */
static void order_of_refusals(void **state)
{
	struct bench *b = *state;
	struct nxblk_req req = request(NXBLK_OP_READ, 0, 1);

	segment(&req, 3 * G, 512);
	grant(b, CSPACE_READ | CSPACE_WRITE | CSPACE_DISCARD);
	live(b, NXBLK_F_INDIRECT);
	refused(b, &req, NXBLK_S_UNSUPP, &b->account.stats.unsupp);
	live(b, FEATURES);
	refused(b, &req, NXBLK_S_PERM, &b->account.stats.perm);
	req.seg[0].addr = M;
	refused(b, &req, NXBLK_S_PERM, &b->account.stats.perm);
	grant(b, CSPACE_DMA | CSPACE_WRITE);
	refused(b, &req, NXBLK_S_PERM, &b->account.stats.perm);
	grant(b, CSPACE_DMA | CSPACE_READ);
	req.seg[0].addr = 3 * G;
	req.lba = DISK_BYTES;
	refused(b, &req, NXBLK_S_INVAL, &b->account.stats.inval);
	req.seg[0].addr = M;
	refused(b, &req, NXBLK_S_RANGE, &b->account.stats.range);
}

/* Not even a feature that was accepted by mistake makes memory of nothing. */
static void without_ram(void **state)
{
	struct bench *b = *state;
	const struct ram none = { 0 };
	struct nxblk_req req = request(NXBLK_OP_READ, 0, 1);

	b->v.ram = &none;
	segment(&req, 4096, 512);
	refused(b, &req, NXBLK_S_INVAL, &b->account.stats.inval);
}

static void counted(void **state)
{
	struct bench *b = *state;
	struct nxblk_req req = request(NXBLK_OP_READ, 0, 2);

	assert_int_equal(transfer(b, NXBLK_OP_WRITE, 0, M, 4096), NXBLK_S_OK);
	assert_int_equal(transfer(b, NXBLK_OP_READ, 0, M, 512), NXBLK_S_OK);
	req.flags = 0;
	segment(&req, DATA_AT, 1024);
	assert_int_equal(submit(b, &req), NXBLK_S_OK);
	assert_int_equal(b->account.stats.zero_copy, 2);
	assert_int_equal(b->account.stats.zero_copy_bytes, 4096 + 512);
	assert_int_equal(b->account.stats.copied_bytes, 4096 + 512 + 1024);
	assert_int_equal(b->account.stats.read_bytes, 512 + 1024);
	assert_int_equal(b->account.stats.written_bytes, 4096);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(read_into_pages), TEST(write_from_pages),
		TEST(table_of_pages),  TEST(outside_the_ram),
		TEST(misshapen),       TEST(order_of_refusals),
		TEST(without_ram),     TEST(counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
