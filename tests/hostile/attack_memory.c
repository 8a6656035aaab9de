// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests on guest-physical memory that is none, or without leave. The script
 * that runs these gives rumpk RAM of RAM_BYTES, as a q35 machine has it, and sees
 * that not one byte of it changes. Reads and writes alike: a READ would write
 * the image over what lies there.
 */
#include "attack.h"

#include <string.h>

#define RAM_BYTES (4ull << 20)
#define TAG 2u
#define SECTORS 8u

/* The handshake with all that is offered and, whether it is or not, @extra. */
static void shake_hands(struct channel *c, uint64_t without, uint64_t extra)
{
	struct ion_terms terms = { .depth = 16 };

	channel_reset(c);
	terms.features = (c->offer.features & ~without) | extra;
	channel_ack(c, &terms);
}

static void accept_all(struct channel *c)
{
	shake_hands(c, 0, 0);
	if (!(c->offer.features & NXBLK_F_ZERO_COPY))
		fail("the host offers no zero copy");
	channel_wait_state(c, ION_HOST_LIVE);
	channel_info(c);
}

static struct nxblk_req gpa(struct channel *c, uint8_t op, uint64_t addr,
			    uint32_t len)
{
	struct nxblk_req req = channel_request(c, op, TAG);

	req.flags = NXBLK_REQ_GPA;
	req.count = SECTORS;
	req.nseg = 1;
	req.seg[0].addr = addr;
	req.seg[0].len = len;
	return req;
}

static const uint64_t nowhere[] = {
	0xa0000,      0xa0000 - 4,	   0xa0000 - 2048,
	0xc0000,      0x100000 - 4096,	   0x100000 - 4,
	RAM_BYTES,    RAM_BYTES - 4,	   RAM_BYTES - 2048,
	16ull << 20,  1ull << 31,	   0xb0000000,
	0xfee00000,   0xfffff000,	   (1ull << 32) - 4,
	1ull << 32,   (1ull << 32) + 4096, 0x40000000,
	1ull << 40,   1ull << 63,	   ~0ull << 12,
	~0ull - 4095, ~0ull - 3,	   0ull - 2048,
};

static struct nxblk_seg *table(struct channel *c)
{
	return (struct nxblk_seg *)(c->iv->mem + c->dir.indirect.offset +
				    TAG * NXBLK_INDIRECT_STRIDE);
}

/* Good memory but for the last segment. */
static struct nxblk_req in_table(struct channel *c, uint8_t op, uint64_t addr)
{
	struct nxblk_req req = gpa(c, op, 0, 0);
	unsigned int i;

	for (i = 0; i < SECTORS; i++)
		table(c)[i] = (struct nxblk_seg){ 4096 * (i + 1), 512, 0 };
	table(c)[SECTORS - 1].addr = addr;
	req.flags |= NXBLK_REQ_INDIRECT;
	req.nseg = SECTORS;
	req.seg[0].addr = c->dir.indirect.offset + TAG * NXBLK_INDIRECT_STRIDE;
	req.seg[0].len = SECTORS * sizeof(struct nxblk_seg);
	return req;
}

static void nowhere_refused(struct channel *c, uint8_t op)
{
	struct nxblk_req req;
	size_t i;

	for (i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
		req = gpa(c, op, nowhere[i], SECTORS * 512);
		expect_status(c, &req, NXBLK_S_INVAL);
		/* What is whole where the long one reaches beyond its end. */
		if (nowhere[i] % 4096 == 2048)
			continue;
		req = in_table(c, op, nowhere[i]);
		expect_status(c, &req, NXBLK_S_INVAL);
	}
	req = gpa(c, op, 4098, SECTORS * 512);
	expect_status(c, &req, NXBLK_S_INVAL);
	req = gpa(c, op, 4096, SECTORS * 512 - 4);
	expect_status(c, &req, NXBLK_S_INVAL);
	req = gpa(c, op, 4096, 0xfffffe00);
	expect_status(c, &req, NXBLK_S_INVAL);
	req = in_table(c, op, 4096);
	table(c)[0].len = 0xfffffe00;
	expect_status(c, &req, NXBLK_S_INVAL);
	/* The disk's end comes after the segments. */
	req = gpa(c, op, 0xa0000, SECTORS * 512);
	req.lba = c->config.capacity;
	expect_status(c, &req, NXBLK_S_INVAL);
	req.seg[0].addr = 4096;
	expect_status(c, &req, NXBLK_S_RANGE);
}

/* Not RAM, not wholly RAM, or beyond the end of numbers. */
static void outside_ram(struct channel *c)
{
	struct nxblk_req req;

	accept_all(c);
	nowhere_refused(c, NXBLK_OP_READ);
	nowhere_refused(c, NXBLK_OP_WRITE);
	req = channel_request(c, NXBLK_OP_INFO, TAG);
	req.flags = NXBLK_REQ_GPA;
	req.nseg = 1;
	req.seg[0].addr = 4096;
	req.seg[0].len = sizeof(struct nxblk_config);
	expect_status(c, &req, NXBLK_S_INVAL);
}

/* Offered, but not accepted. */
static void not_accepted(struct channel *c)
{
	struct nxblk_req req;

	shake_hands(c, NXBLK_F_ZERO_COPY, 0);
	if (!(c->offer.features & NXBLK_F_ZERO_COPY))
		fail("the host offers no zero copy");
	channel_wait_state(c, ION_HOST_LIVE);
	channel_info(c);
	req = gpa(c, NXBLK_OP_READ, 4096, SECTORS * 512);
	expect_status(c, &req, NXBLK_S_UNSUPP);
	req = in_table(c, NXBLK_OP_WRITE, 4096);
	expect_status(c, &req, NXBLK_S_UNSUPP);
}

/* Accepted, but not offered: without the right there is no offer. */
static void not_offered(struct channel *c)
{
	struct nxblk_req req;

	shake_hands(c, 0, 0);
	if (c->offer.features & NXBLK_F_ZERO_COPY)
		fail("the host offers zero copy without the right to it");
	channel_wait_state(c, ION_HOST_LIVE);
	req = gpa(c, NXBLK_OP_READ, 4096, SECTORS * 512);
	expect_status(c, &req, NXBLK_S_UNSUPP);
	shake_hands(c, 0, NXBLK_F_ZERO_COPY);
	expect_latch(c, ION_REASON_FEATURES);
}

const struct attack memory_attacks[] = {
	{ "outside-ram", outside_ram },
	{ "gpa-not-accepted", not_accepted },
	{ "gpa-not-offered", not_offered },
	{ 0 },
};
