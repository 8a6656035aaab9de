// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests that are wrong, one by one: each gets its one status, and nothing
 * moves. Every WRITE here carries a pattern that must never reach the image.
 */
#include "attack.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POISON 0xa5
#define TAG 1u
#define SECTORS 8u

static struct nxblk_req poison(struct channel *c, uint64_t lba, uint32_t count)
{
	memset(channel_data(c, TAG), POISON, CHUNK);
	return channel_rw(c, NXBLK_OP_WRITE, TAG, lba, count);
}

/* A poisoned WRITE at sector 0 with one field changed. */
#define refused(c, change, status)                                             \
	do {                                                                   \
		struct nxblk_req req = poison(c, 0, SECTORS);                  \
		req.change;                                                    \
		expect_status(c, &req, status);                                \
	} while (0)

static void lba(struct channel *c)
{
	uint64_t end = c->config.capacity;
	uint32_t block = c->config.logical_block / NXBLK_SECTOR_SIZE;
	uint64_t wrapped = 0ull - SECTORS;

	refused(c, lba = end, NXBLK_S_RANGE);
	refused(c, lba = end - block, NXBLK_S_RANGE);
	refused(c, lba = end - SECTORS + block, NXBLK_S_RANGE);
	refused(c, lba = 1ull << 63, NXBLK_S_RANGE);
	refused(c, lba = wrapped, NXBLK_S_RANGE);
	refused(c, lba = wrapped + block, NXBLK_S_RANGE);
	refused(c, lba = ~0ull - block + 1, NXBLK_S_RANGE);
}

static void count(struct channel *c)
{
	refused(c, count = 0, NXBLK_S_INVAL);
	refused(c, count = ~0u, NXBLK_S_INVAL);
	refused(c, count = c->config.max_sectors + 1, NXBLK_S_INVAL);
	refused(c, count = SECTORS * 2, NXBLK_S_INVAL);
	refused(c, count = SECTORS / 2, NXBLK_S_INVAL);
	refused(c, seg[0].len = (SECTORS - 1) * 512, NXBLK_S_INVAL);
	refused(c, seg[0].len = 0, NXBLK_S_INVAL);
	refused(c, seg[0].len = 0xfffffe00u, NXBLK_S_INVAL);
}

static void segment(struct channel *c)
{
	uint64_t end = c->dir.data.offset + c->dir.data.length;

	refused(c, seg[0].addr = c->iv->size, NXBLK_S_INVAL);
	refused(c, seg[0].addr = c->iv->size - 1, NXBLK_S_INVAL);
	refused(c, seg[0].addr = c->iv->size - 4, NXBLK_S_INVAL);
	refused(c, seg[0].addr = end - 4, NXBLK_S_INVAL);
	refused(c, seg[0].addr = end, NXBLK_S_INVAL);
	refused(c, seg[0].addr = 0ull - 512, NXBLK_S_INVAL);
	refused(c, seg[0].addr = 0ull - SECTORS * 512, NXBLK_S_INVAL);
	refused(c, seg[0].addr = 1ull << 63, NXBLK_S_INVAL);
	/* Rings, records and header, seen as data. */
	refused(c, seg[0].addr = 0, NXBLK_S_INVAL);
	refused(c, seg[0].addr = c->dir.host_channel, NXBLK_S_INVAL);
	refused(c, seg[0].addr = c->dir.guest_channel, NXBLK_S_INVAL);
	refused(c, seg[0].addr = c->dir.req.offset, NXBLK_S_INVAL);
	refused(c, seg[0].addr = c->dir.rsp.offset, NXBLK_S_INVAL);
	refused(c, seg[0].addr = c->dir.indirect.offset, NXBLK_S_INVAL);
	refused(c, seg[0].addr = c->dir.data.offset - 4096, NXBLK_S_INVAL);
	/* Misaligned. */
	refused(c, seg[0].addr += 1, NXBLK_S_INVAL);
	refused(c, seg[0].addr += 2, NXBLK_S_INVAL);
	refused(c, seg[0].len -= 4, NXBLK_S_INVAL);
	/* Another channel's data area is as foreign as the rest. */
	if (end < c->iv->size)
		refused(c, seg[0].addr = end + 4096, NXBLK_S_INVAL);
}

static void segment_count(struct channel *c)
{
	refused(c, nseg = 0, NXBLK_S_INVAL);
	refused(c, nseg = 2, NXBLK_S_INVAL);
	refused(c, nseg = 3, NXBLK_S_INVAL);
	refused(c, nseg = NXBLK_MAX_SEGS + 1, NXBLK_S_INVAL);
	refused(c, nseg = 0xffff, NXBLK_S_INVAL);
}

static struct nxblk_seg *table(struct channel *c)
{
	return (struct nxblk_seg *)(c->iv->mem + c->dir.indirect.offset +
				    TAG * NXBLK_INDIRECT_STRIDE);
}

/* SECTORS segments of one sector each, through the tag's table. */
static struct nxblk_req indirect(struct channel *c)
{
	struct nxblk_req req = poison(c, 0, SECTORS);
	unsigned int i;

	for (i = 0; i < SECTORS; i++) {
		table(c)[i].addr = req.seg[0].addr + 512 * i;
		table(c)[i].len = 512;
		table(c)[i].reserved = 0;
	}
	req.flags = NXBLK_REQ_INDIRECT;
	req.nseg = SECTORS;
	req.seg[0].addr = c->dir.indirect.offset + TAG * NXBLK_INDIRECT_STRIDE;
	req.seg[0].len = SECTORS * sizeof(struct nxblk_seg);
	return req;
}

#define refused_table(c, change)                                               \
	do {                                                                   \
		struct nxblk_req req = indirect(c);                            \
		change;                                                        \
		expect_status(c, &req, NXBLK_S_INVAL);                         \
	} while (0)

static void indirect_table(struct channel *c)
{
	struct nxblk_req honest = indirect(c);
	unsigned int i;

	if (!(c->terms.features & NXBLK_F_INDIRECT))
		fail("the host offers no indirect segments");
	/* The table itself as data, and each other thing that is not. */
	refused_table(c, table(c)[0].addr = honest.seg[0].addr);
	refused_table(c, table(c)[SECTORS - 1].addr = honest.seg[0].addr);
	refused_table(c, table(c)[3].addr = 0);
	refused_table(c, table(c)[3].addr = c->iv->size - 4);
	refused_table(c, table(c)[3].addr = 0ull - 512);
	refused_table(c, table(c)[3].addr += 2);
	refused_table(c, table(c)[3].len = 0);
	refused_table(c, table(c)[3].len = 1024);
	refused_table(c, table(c)[3].len = 0xfffffe00u);
	refused_table(c, table(c)[3].reserved = 1);
	/* A table that lies elsewhere, or belongs to another tag. */
	refused_table(c, req.seg[0].addr += 16);
	refused_table(c, req.seg[0].addr -= NXBLK_INDIRECT_STRIDE);
	refused_table(c, req.seg[0].addr = 0);
	refused_table(c, req.seg[0].addr = c->dir.data.offset);
	refused_table(c, req.seg[0].addr = ~0ull << 12);
	refused_table(c, req.seg[0].len += 16);
	refused_table(c, req.nseg = NXBLK_MAX_SEGS + 1);
	refused_table(c, req.nseg = 0);
	refused_table(c, req.seg[1].len = 512);
	for (i = 0; i < NXBLK_MAX_SEGS; i++)
		table(c)[i] = (struct nxblk_seg){ 0 };
}

static void tag(struct channel *c)
{
	refused(c, tag = c->terms.depth, NXBLK_S_INVAL);
	refused(c, tag = c->terms.depth + 1, NXBLK_S_INVAL);
	refused(c, tag = 1u << 15, NXBLK_S_INVAL);
	refused(c, tag = 0xffff, NXBLK_S_INVAL);
}

static void operation(struct channel *c)
{
	unsigned int op;

	for (op = 0; op < 256; op++)
		if (op < NXBLK_OP_READ || op > NXBLK_OP_WRITE_ZEROES)
			refused(c, op = op, NXBLK_S_UNSUPP);
}

static void flags(struct channel *c)
{
	unsigned int bit;

	for (bit = 4; bit < 16; bit++)
		refused(c, flags = 1u << bit, NXBLK_S_INVAL);
	refused(c, flags = NXBLK_REQ_UNMAP, NXBLK_S_INVAL);
	refused(c, flags = NXBLK_REQ_GPA, NXBLK_S_UNSUPP);
	refused(c, seg[0].reserved = 1, NXBLK_S_INVAL);
	refused(c, seg[1].addr = 4, NXBLK_S_INVAL);
	refused(c, seg[1].len = 512, NXBLK_S_INVAL);
	refused(c, seg[1].reserved = 1, NXBLK_S_INVAL);
}

/* Nothing but the valve's three operations was accepted in the handshake. */
static void unnegotiated(struct channel *c)
{
	static const uint8_t ops[] = { NXBLK_OP_FLUSH, NXBLK_OP_DISCARD,
				       NXBLK_OP_WRITE_ZEROES };
	struct ion_terms terms = { .depth = 16 };
	struct nxblk_req req;
	unsigned int i;

	channel_reset(c);
	channel_ack(c, &terms);
	channel_wait_state(c, ION_HOST_LIVE);
	for (i = 0; i < sizeof(ops); i++) {
		req = channel_request(c, ops[i], TAG);
		if (ops[i] != NXBLK_OP_FLUSH)
			req.count = SECTORS;
		expect_status(c, &req, NXBLK_S_UNSUPP);
	}
	refused(c, flags = NXBLK_REQ_FUA, NXBLK_S_UNSUPP);
	req = indirect(c);
	expect_status(c, &req, NXBLK_S_UNSUPP);
}

/* Requests of generations that are over, or not yet: dropped, never answered. */
static void stale(struct channel *c)
{
	static const int32_t off[] = { -1, 1, -2, 1 << 30 };
	struct nxblk_req req;
	unsigned int i;

	channel_attach(c);
	for (i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
		req = poison(c, 0, SECTORS);
		req.generation += off[i];
		channel_submit(c, &req);
		tally.stale++;
	}
	/* Whatever else is wrong with it: the generation is judged first. */
	req.op = 99;
	req.tag = 0xffff;
	channel_submit(c, &req);
	tally.stale++;
	expect_silence(c, 300);
	channel_info(c);
}

/*
 * A tag that is in flight: the later request is refused, the first is answered
 * once. The first moves as much as a request can, so that it is still under
 * way when the second is judged.
 */
static void duplicate(struct channel *c)
{
	unsigned int i, ok = 0, inval = 0;
	struct nxblk_req first, second;
	struct nxblk_resp rsp;

	first = channel_rw(c, NXBLK_OP_READ, 0, 0, 2048);
	second = poison(c, 0, SECTORS);
	second.tag = 0;
	channel_put(c, &first);
	channel_put(c, &second);
	channel_publish(c);
	for (i = 0; i < 2; i++) {
		if (!channel_poll(c, &rsp, 5000))
			fail("%u of 2 answers", i);
		if (rsp.cookie == first.cookie && rsp.op == NXBLK_OP_READ &&
		    rsp.status == NXBLK_S_OK)
			ok++;
		else if (rsp.cookie == second.cookie && rsp.op == second.op &&
			 rsp.status == NXBLK_S_INVAL)
			inval++;
		else
			fail("op %u ended with status %u", rsp.op, rsp.status);
	}
	if (ok != 1 || inval != 1)
		fail("%u OK, %u INVAL", ok, inval);
	tally.status[NXBLK_S_INVAL]++;
	expect_silence(c, 100);
}

/* Two things wrong at once: the status is that of the earlier check. */
static void order(struct channel *c)
{
	struct nxblk_req req;

	/* tag (2) before operation (3), operation before flags (4) */
	refused(c, tag = 0xffff, NXBLK_S_INVAL);
	req = poison(c, 0, SECTORS);
	req.tag = 0xffff;
	req.op = 99;
	expect_status(c, &req, NXBLK_S_INVAL);
	req.tag = TAG;
	req.flags = 0xfff0;
	req.cap_slot = 63;
	expect_status(c, &req, NXBLK_S_UNSUPP);
	/* flags before capability (5) */
	req.op = NXBLK_OP_WRITE;
	expect_status(c, &req, NXBLK_S_INVAL);
	/* capability before count (6) */
	req.flags = 0;
	req.count = 0;
	expect_status(c, &req, NXBLK_S_PERM);
	/* count before segments (7), which look the same; segments before range (8) */
	req.cap_slot = c->dir.cap_slot;
	req.lba = c->config.capacity;
	expect_status(c, &req, NXBLK_S_INVAL);
	req.count = SECTORS;
	req.seg[0].addr = 0;
	expect_status(c, &req, NXBLK_S_INVAL);
	req.seg[0].addr = c->dir.data.offset;
	expect_status(c, &req, NXBLK_S_RANGE);
}

/* No slot but the one that was granted opens anything. */
static void slot(struct channel *c)
{
	unsigned int i;

	for (i = 0; i < 256; i++)
		if (i != c->dir.cap_slot)
			refused(c, cap_slot = i, NXBLK_S_PERM);
}

/* Every operation that changes the medium, and FLUSH. */
static void change(struct channel *c, uint8_t status, uint8_t flush_status)
{
	struct nxblk_req req;

	refused(c, lba = 0, status);
	if (c->terms.features & NXBLK_F_FUA)
		refused(c, flags = NXBLK_REQ_FUA, status);
	if (c->terms.features & NXBLK_F_DISCARD) {
		req = channel_request(c, NXBLK_OP_DISCARD, TAG);
		req.count = SECTORS;
		expect_status(c, &req, status);
	}
	if (c->terms.features & NXBLK_F_WRITE_ZEROES) {
		req = channel_request(c, NXBLK_OP_WRITE_ZEROES, TAG);
		req.count = SECTORS;
		expect_status(c, &req, status);
	}
	if (c->terms.features & NXBLK_F_FLUSH) {
		req = channel_request(c, NXBLK_OP_FLUSH, TAG);
		expect_status(c, &req, flush_status);
	}
}

/* The medium is read-only, the capability is not. */
static void read_only(struct channel *c)
{
	if (!(c->config.flags & NXBLK_CFG_READ_ONLY))
		fail("INFO does not say that the disk is read-only");
	change(c, NXBLK_S_RO, NXBLK_S_OK);
}

/* The capability has no WRITE. */
static void no_write_right(struct channel *c)
{
	if (!(c->config.flags & NXBLK_CFG_READ_ONLY))
		fail("INFO does not say that the disk is read-only");
	change(c, NXBLK_S_PERM, NXBLK_S_PERM);
}

/* The capability covers the last MiB alone. */
static void outside_grant(struct channel *c)
{
	uint64_t first = c->config.capacity - 2048;
	struct nxblk_req req;

	refused(c, lba = 0, NXBLK_S_PERM);
	refused(c, lba = first - SECTORS, NXBLK_S_PERM);
	refused(c, lba = first - 1, NXBLK_S_PERM);
	/* The disk's end (8) comes before the capability's (9). */
	refused(c, lba = c->config.capacity, NXBLK_S_RANGE);
	refused(c, lba = c->config.capacity - 1, NXBLK_S_RANGE);
	req = channel_rw(c, NXBLK_OP_READ, TAG, first - 1, SECTORS);
	expect_status(c, &req, NXBLK_S_PERM);
	req = channel_rw(c, NXBLK_OP_READ, TAG, first, SECTORS);
	expect_status(c, &req, NXBLK_S_OK);
}

/* A command of the test's, named by a variable of the environment. */
static void order_host(const char *variable)
{
	const char *command = getenv(variable);

	if (!command || system(command))
		fail("%s: %s", variable, command ? command : "is not set");
}

/* The process that serves runs, or stops; that it has is waited for. */
static void hold_worker(bool hold)
{
	const char *pid = getenv("ROGUE_WORKER");
	char path[64], state = 0;
	FILE *f;

	if (!pid || kill(atoi(pid), hold ? SIGSTOP : SIGCONT))
		fail("ROGUE_WORKER: no such process");
	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	while (hold && state != 'T') {
		f = fopen(path, "r");
		if (!f || fscanf(f, "%*d (rumpk-worker) %c", &state) != 1)
			fail("%s: cannot be read", path);
		fclose(f);
	}
}

/*
 * A whole ring of requests that nobody has looked at when the capability goes: none
 * of them passes, nor any that follows, until it is granted again.
 */
static void revoked(struct channel *c)
{
	struct nxblk_resp rsp;
	struct nxblk_req req;
	unsigned int i;

	hold_worker(true);
	for (i = 0; i < c->terms.depth; i++) {
		memset(channel_data(c, i), POISON, CHUNK);
		req = channel_rw(c, NXBLK_OP_WRITE, i, i * SECTORS, SECTORS);
		channel_put(c, &req);
	}
	channel_publish(c);
	order_host("ROGUE_REVOKE");
	hold_worker(false);
	for (i = 0; i < c->terms.depth; i++) {
		if (!channel_poll(c, &rsp, 10000))
			fail("%u of %u answers", i, c->terms.depth);
		if (rsp.op != NXBLK_OP_WRITE || rsp.status != NXBLK_S_PERM)
			fail("op %u ended with status %u", rsp.op, rsp.status);
		tally.status[NXBLK_S_PERM]++;
	}
	change(c, NXBLK_S_PERM, NXBLK_S_PERM);
	req = channel_rw(c, NXBLK_OP_READ, TAG, 0, SECTORS);
	expect_status(c, &req, NXBLK_S_PERM);
	order_host("ROGUE_GRANT");
	req = channel_rw(c, NXBLK_OP_READ, TAG, 0, SECTORS);
	expect_status(c, &req, NXBLK_S_OK);
}

const struct attack request_attacks[] = {
	{ "lba", lba },
	{ "count", count },
	{ "segment", segment },
	{ "segment-count", segment_count },
	{ "indirect", indirect_table },
	{ "tag", tag },
	{ "operation", operation },
	{ "flags", flags },
	{ "unnegotiated", unnegotiated },
	{ "stale", stale },
	{ "duplicate", duplicate },
	{ "order", order },
	{ "slot", slot },
	{ "read-only", read_only },
	{ "no-write-right", no_write_right },
	{ "outside-grant", outside_grant },
	{ "revoked", revoked },
	{ 0 },
};
