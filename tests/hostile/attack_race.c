// SPDX-License-Identifier: GPL-2.0-only
/*
 * Double fetch: while the host takes requests, a second thread flips one field
 * of them between two values, over and over. Whatever the host reads, it reads
 * once: each request has the effect of the one value or of the other, and none
 * when that value is wrong.
 *
 * Sectors 8-15 and 16-23 are the only ones that a WRITE may reach here, all
 * around them must stay as it was; a READ may only reach the data area.
 */
#include "attack.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define FLIPS 100000000ull
#define BATCHES 500u
#define DEPTH 16u
#define SECTORS 8u
#define LBA_A 8u
#define LBA_B 16u
#define AREA 64u
#define POISON 0xa5

/**
 * struct flip - what the second thread does
 * @place: of the field in the first request or table
 * @stride: from one to the next
 * @count: how many
 * @size: bytes of the field
 * @value: the two
 * @stop: set by the first thread
 * @flips: done so far, of all fields together
 */
struct flip {
	uint8_t *place;
	size_t stride;
	unsigned int count;
	unsigned int size;
	uint64_t value[2];
	bool stop;
	uint64_t flips;
};

static void store(uint8_t *p, unsigned int size, uint64_t value)
{
	switch (size) {
	case 1:
		__atomic_store_n(p, (uint8_t)value, __ATOMIC_RELAXED);
		break;
	case 2:
		__atomic_store_n((uint16_t *)p, (uint16_t)value,
				 __ATOMIC_RELAXED);
		break;
	case 4:
		__atomic_store_n((uint32_t *)p, (uint32_t)value,
				 __ATOMIC_RELAXED);
		break;
	default:
		__atomic_store_n((uint64_t *)p, value, __ATOMIC_RELAXED);
		break;
	}
}

static void *flipper(void *arg)
{
	struct flip *f = arg;
	unsigned int i, round = 0;

	while (!__atomic_load_n(&f->stop, __ATOMIC_RELAXED)) {
		for (i = 0; i < f->count; i++)
			store(f->place + i * f->stride, f->size,
			      f->value[(round + i) % 2]);
		round++;
		__atomic_fetch_add(&f->flips, f->count, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* A hash of everything that no READ of this channel may touch. */
static uint64_t outside(struct channel *c)
{
	static const uint64_t prime = 1099511628211ull;
	uint64_t hash = 14695981039346656037ull;
	uint64_t from = c->dir.data.offset;
	uint64_t i;

	/* The host's header but for the heartbeat, and the directory. */
	for (i = 0; i < 128; i++)
		hash = (hash ^ c->iv->mem[i]) * prime;
	for (i = 0; i < sizeof(c->dir); i++)
		hash = (hash ^ ((uint8_t *)&c->dir)[i]) * prime;
	/* The other channels' data. */
	for (i = from + c->dir.data.length; i < c->iv->size; i += 64)
		hash = (hash ^ c->iv->mem[i]) * prime;
	return hash;
}

static void check_area(struct channel *c)
{
	struct nxblk_req req;
	uint8_t *at = channel_data(c, 0);
	unsigned int i;

	req = channel_rw(c, NXBLK_OP_READ, 0, 0, AREA);
	if (channel_status(c, &req))
		fail("cannot read the area");
	for (i = 0; i < AREA * 512; i++) {
		bool inside = i / 512 >= LBA_A && i / 512 < LBA_B + SECTORS;

		if (at[i] && !(inside && at[i] == POISON))
			fail("byte %u of sector %u is %#x", i % 512, i / 512,
			     at[i]);
	}
}

static void clear_area(struct channel *c)
{
	struct nxblk_req req;

	memset(channel_data(c, 0), 0, CHUNK);
	req = channel_rw(c, NXBLK_OP_WRITE, 0, 0, AREA);
	if (channel_status(c, &req))
		fail("cannot clear the area");
}

/* One batch: a request a tag, flipped while the host takes them. */
static void batch(struct channel *c, const struct nxblk_req *model,
		  uint8_t bad_status)
{
	struct nxblk_resp rsp;
	unsigned int i;

	for (i = 0; i < DEPTH; i++) {
		struct nxblk_req req = *model;

		req.tag = i;
		req.cookie = ++c->cookie;
		if (req.flags & NXBLK_REQ_INDIRECT)
			req.seg[0].addr = c->dir.indirect.offset +
					  i * NXBLK_INDIRECT_STRIDE;
		channel_put(c, &req);
	}
	channel_publish(c);
	for (i = 0; i < DEPTH; i++) {
		if (!channel_poll(c, &rsp, 10000))
			fail("%u of %u answers", i, DEPTH);
		if (rsp.status && rsp.status != bad_status)
			fail("status %u under a flipping field", rsp.status);
		tally.status[rsp.status]++;
	}
}

static void race(struct channel *c, struct flip *f,
		 const struct nxblk_req *model, uint8_t bad_status)
{
	uint64_t before, ok = tally.status[NXBLK_S_OK];
	uint64_t bad = tally.status[bad_status];
	unsigned int batches = 0;
	pthread_t thread;

	clear_area(c);
	memset(c->iv->mem + c->dir.data.offset, POISON, DEPTH * CHUNK);
	before = outside(c);
	if (pthread_create(&thread, NULL, flipper, f))
		fail("no thread");
	while (__atomic_load_n(&f->flips, __ATOMIC_RELAXED) < FLIPS ||
	       batches++ < BATCHES)
		batch(c, model, bad_status);
	__atomic_store_n(&f->stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	if (outside(c) != before)
		fail("the host wrote outside the data area");
	if (bad_status &&
	    (tally.status[NXBLK_S_OK] == ok || tally.status[bad_status] == bad))
		fail("the race never went both ways: %llu OK, %llu not",
		     (unsigned long long)(tally.status[NXBLK_S_OK] - ok),
		     (unsigned long long)(tally.status[bad_status] - bad));
	check_area(c);
}

/* A field of all entries of the request ring. */
static struct flip ring_field(struct channel *c, size_t offset,
			      unsigned int size, uint64_t a, uint64_t b)
{
	struct flip f = {
		.place = c->end.req.entries + offset,
		.stride = sizeof(struct nxblk_req),
		.count = c->end.req.mask + 1,
		.size = size,
		.value = { a, b },
	};

	return f;
}

#define FIELD(c, field, a, b)                                                  \
	ring_field(c, offsetof(struct nxblk_req, field),                       \
		   sizeof(((struct nxblk_req *)0)->field), a, b)

static void race_lba(struct channel *c)
{
	struct nxblk_req req = channel_rw(c, NXBLK_OP_WRITE, 0, LBA_A, SECTORS);
	struct flip good = FIELD(c, lba, LBA_A, LBA_B);
	struct flip bad = FIELD(c, lba, LBA_A, c->config.capacity);

	race(c, &good, &req, 0);
	race(c, &bad, &req, NXBLK_S_RANGE);
}

static void race_count(struct channel *c)
{
	struct nxblk_req req = channel_rw(c, NXBLK_OP_WRITE, 0, LBA_A, SECTORS);
	struct flip f = FIELD(c, count, SECTORS, 4096);

	race(c, &f, &req, NXBLK_S_INVAL);
}

static void race_length(struct channel *c)
{
	struct nxblk_req req = channel_rw(c, NXBLK_OP_WRITE, 0, LBA_A, SECTORS);
	struct flip f = FIELD(c, seg[0].len, SECTORS * 512, 1u << 30);

	race(c, &f, &req, NXBLK_S_INVAL);
}

static void race_operation(struct channel *c)
{
	struct nxblk_req req = channel_rw(c, NXBLK_OP_WRITE, 0, LBA_A, SECTORS);
	struct flip f = FIELD(c, op, NXBLK_OP_WRITE, NXBLK_OP_READ);
	struct flip unknown = FIELD(c, op, NXBLK_OP_WRITE, 99);

	race(c, &f, &req, 0);
	race(c, &unknown, &req, NXBLK_S_UNSUPP);
}

/* READs: an address that slips past the check would overwrite the window. */
static void race_address(struct channel *c)
{
	struct nxblk_req req = channel_rw(c, NXBLK_OP_READ, 0, LBA_A, SECTORS);
	uint64_t good = req.seg[0].addr;
	struct flip header = FIELD(c, seg[0].addr, good, 0);
	struct flip after = FIELD(c, seg[0].addr, good,
				  c->dir.data.offset + c->dir.data.length);

	race(c, &header, &req, NXBLK_S_INVAL);
	race(c, &after, &req, NXBLK_S_INVAL);
}

static void race_table(struct channel *c)
{
	struct nxblk_req req = channel_rw(c, NXBLK_OP_READ, 0, LBA_A, SECTORS);
	struct nxblk_seg seg = req.seg[0];
	struct flip f = {
		.place = c->iv->mem + c->dir.indirect.offset,
		.stride = NXBLK_INDIRECT_STRIDE,
		.count = DEPTH,
		.size = sizeof(seg.addr),
		.value = { seg.addr, 0 },
	};
	unsigned int i;

	for (i = 0; i < DEPTH; i++)
		memcpy(f.place + i * f.stride, &seg, sizeof(seg));
	req.flags = NXBLK_REQ_INDIRECT;
	req.seg[0].len = sizeof(seg);
	race(c, &f, &req, NXBLK_S_INVAL);
}

const struct attack race_attacks[] = {
	{ "race-lba", race_lba },
	{ "race-count", race_count },
	{ "race-length", race_length },
	{ "race-operation", race_operation },
	{ "race-address", race_address },
	{ "race-table", race_table },
	{ 0 },
};
