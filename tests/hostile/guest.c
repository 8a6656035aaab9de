// SPDX-License-Identifier: GPL-2.0-only
#include "guest.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <nexus/ion_validate.h>

/* Whatever an honest host does, it does within this time. */
#define PATIENCE_US 10000000ull
#define WANTED_DEPTH 32u

uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + t.tv_nsec / 1000;
}

/* The one way in which a run goes wrong. */
void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("rogue: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

static void wait_magic(struct guest *g)
{
	const struct ion_host_header *h = (const void *)g->iv.mem;
	uint64_t end = now_us() + PATIENCE_US;

	while (ion_load_acquire(&h->magic) != ION_MAGIC ||
	       ion_load_acquire(&h->state) != ION_HOST_READY) {
		if (now_us() > end)
			fail("the window is not served");
		usleep(1000);
	}
}

/* The copy is taken out of a window that its host does not change any more. */
static void copy_directory(struct guest *g)
{
	struct ion_cursors cursors;
	struct ion_fault fault;
	unsigned int i;

	memcpy(&g->hdr, g->iv.mem, sizeof(g->hdr));
	if (!ion_validate_header(&g->hdr, g->iv.size, 0, &fault))
		fail("header: %s", fault.what);
	g->count = g->hdr.dir_count;
	if (g->count > sizeof(g->ch) / sizeof(g->ch[0]))
		fail("%u channels", g->count);
	ion_cursors_init(&cursors, &g->hdr);
	for (i = 0; i < g->count; i++) {
		struct channel *c = &g->ch[i];

		memcpy(&c->dir,
		       g->iv.mem + g->hdr.dir_offset +
			       (size_t)i * g->hdr.dir_entry_size,
		       sizeof(c->dir));
		if (!ion_validate_entry(&g->hdr, &c->dir,
					i ? &g->ch[i - 1].dir : NULL, (int)i,
					&cursors, &fault))
			fail("entry %u: %s", i, fault.what);
		c->iv = &g->iv;
		ion_guest_bind(&c->end, g->iv.mem, &c->dir);
	}
}

/**
 * guest_open - become a peer and read the directory
 * @g: filled
 * @path: the host's socket
 */
void guest_open(struct guest *g, const char *path)
{
	int ret;

	memset(g, 0, sizeof(*g));
	ret = ivshmem_connect(&g->iv, path);
	if (ret)
		fail("%s: %s", path, strerror(-ret));
	wait_magic(g);
	copy_directory(g);
}

void guest_close(struct guest *g)
{
	ivshmem_close(&g->iv);
}

static void channel_ring(const struct channel *c)
{
	ivshmem_ring(c->iv, c->dir.host_vector);
}

/**
 * channel_wait_state - wait for the host
 * @c: channel
 * @state: &enum ion_host_state
 *
 * Return: the host's reason in that state.
 */
uint32_t channel_wait_state(struct channel *c, uint32_t state)
{
	uint64_t end = now_us() + PATIENCE_US;
	uint32_t seen;

	while ((seen = ion_load_acquire(&c->end.theirs->state)) != state) {
		if (now_us() > end)
			fail("channel %u: host state %u instead of %u, reason %u",
			     c->dir.instance, seen, state, c->end.theirs->reason);
		usleep(100);
	}
	return ion_read(&c->end.theirs->reason);
}

/* The host latches the channel, for this reason and no other. */
void channel_expect_latch(struct channel *c, uint32_t reason)
{
	uint32_t seen = channel_wait_state(c, ION_HOST_LATCHED);

	if (seen != reason)
		fail("channel %u latched with reason %u instead of %u",
		     c->dir.instance, seen, reason);
}

/* Ask for a drain and take the offer that answers it. */
void channel_reset(struct channel *c)
{
	uint64_t end = now_us() + PATIENCE_US;

	ion_guest_reset(&c->end, now_us() << 8 | (c->dir.instance + 1));
	channel_ring(c);
	while (!ion_guest_offer(&c->end, &c->offer)) {
		if (now_us() > end)
			fail("channel %u: no offer", c->dir.instance);
		usleep(100);
	}
}

/* Acknowledge the offer with any terms; what comes of it the caller sees. */
void channel_ack(struct channel *c, const struct ion_terms *terms)
{
	c->terms = *terms;
	ion_guest_ack(&c->end, &c->offer, terms);
	channel_ring(c);
}

/* The whole handshake, honestly: everything that is offered, and INFO. */
void channel_attach(struct channel *c)
{
	struct ion_terms terms = { 0 };

	channel_reset(c);
	terms.features = c->offer.features & ~NXBLK_F_ZERO_COPY;
	terms.depth = WANTED_DEPTH;
	if (terms.depth > c->offer.max_depth)
		terms.depth = c->offer.max_depth;
	while (terms.depth * CHUNK > c->dir.data.length)
		terms.depth /= 2;
	channel_ack(c, &terms);
	channel_wait_state(c, ION_HOST_LIVE);
	channel_info(c);
}

/* The chunk of the data area that belongs to a tag here. */
uint8_t *channel_data(struct channel *c, uint16_t tag)
{
	return c->iv->mem + c->dir.data.offset + (size_t)tag * CHUNK;
}

/* An empty request that is right in everything but what the caller adds. */
struct nxblk_req channel_request(struct channel *c, uint8_t op, uint16_t tag)
{
	struct nxblk_req req = {
		.op = op,
		.cap_slot = c->dir.cap_slot,
		.tag = tag,
		.generation = (uint32_t)c->end.generation,
		.cookie = ++c->cookie * 0x9e3779b97f4a7c15ull,
	};

	return req;
}

/* A READ or WRITE of at most CHUNK bytes in the tag's own chunk. */
struct nxblk_req channel_rw(struct channel *c, uint8_t op, uint16_t tag,
			    uint64_t lba, uint32_t count)
{
	struct nxblk_req req = channel_request(c, op, tag);

	req.lba = lba;
	req.count = count;
	req.nseg = 1;
	req.seg[0].addr = c->dir.data.offset + (uint64_t)tag * CHUNK;
	req.seg[0].len = count * NXBLK_SECTOR_SIZE;
	return req;
}

void channel_put(struct channel *c, const struct nxblk_req *req)
{
	if (!ion_prod_free(&c->end.req))
		fail("channel %u: no room in the request ring", c->dir.instance);
	ion_prod_put(&c->end.req, req);
	c->requests++;
}

void channel_publish(struct channel *c)
{
	if (ion_prod_publish(&c->end.req))
		channel_ring(c);
}

void channel_submit(struct channel *c, const struct nxblk_req *req)
{
	channel_put(c, req);
	channel_publish(c);
}

/**
 * channel_poll - take one answer
 * @c: channel
 * @rsp: filled
 * @ms: to wait for it
 *
 * Return: whether there was one.
 */
bool channel_poll(struct channel *c, struct nxblk_resp *rsp, unsigned int ms)
{
	uint64_t end = now_us() + ms * 1000ull;

	while (!ion_cons_avail(&c->end.rsp)) {
		if (c->end.rsp.broken)
			fail("channel %u: broken response ring", c->dir.instance);
		if (now_us() > end)
			return false;
		usleep(20);
	}
	ion_cons_get(&c->end.rsp, rsp);
	ion_cons_release(&c->end.rsp);
	return true;
}

/* The answer to this request alone: every echoed field is right. */
uint8_t channel_status(struct channel *c, const struct nxblk_req *req)
{
	uint64_t whole = req->op == NXBLK_OP_INFO ?
				 sizeof(struct nxblk_config) :
			 req->op == NXBLK_OP_READ || req->op == NXBLK_OP_WRITE ?
				 (uint64_t)req->count * NXBLK_SECTOR_SIZE :
				 0;
	struct nxblk_resp rsp;

	channel_submit(c, req);
	if (!channel_poll(c, &rsp, PATIENCE_US / 1000))
		fail("channel %u: no answer to op %u", c->dir.instance, req->op);
	if (rsp.tag != req->tag || rsp.op != req->op ||
	    rsp.cookie != req->cookie || rsp.generation != req->generation)
		fail("channel %u: the answer is to another request",
		     c->dir.instance);
	if (rsp.reserved || rsp.done != (rsp.status ? 0 : whole))
		fail("channel %u: done %llu with status %u", c->dir.instance,
		     (unsigned long long)rsp.done, rsp.status);
	return rsp.status;
}

void channel_info(struct channel *c)
{
	struct nxblk_req req = channel_request(c, NXBLK_OP_INFO, 0);
	uint8_t status;

	req.nseg = 1;
	req.seg[0].addr = c->dir.data.offset;
	req.seg[0].len = sizeof(c->config);
	status = channel_status(c, &req);
	if (status)
		fail("channel %u: INFO ended with status %u", c->dir.instance,
		     status);
	memcpy(&c->config, channel_data(c, 0), sizeof(c->config));
}

static void pattern(uint8_t *at, size_t bytes, uint64_t seed)
{
	uint64_t *word = (uint64_t *)at;

	for (; bytes; bytes -= sizeof(*word)) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		*word++ = seed;
	}
}

/* Compare with the pattern and leave nothing of it behind. */
static bool pattern_is(uint8_t *at, size_t bytes, uint64_t seed)
{
	static uint8_t want[CHUNK];
	bool same;

	pattern(want, bytes, seed);
	same = !memcmp(at, want, bytes);
	memset(at, 0x5a, bytes);
	return same;
}

/**
 * channel_verify - write, read back and compare
 * @c: attached channel
 * @requests: how many, half of them READs
 *
 * Writes the disk's last MiB, where no test keeps anything.
 */
void channel_verify(struct channel *c, unsigned int requests)
{
	uint64_t sectors = c->config.capacity < 2048 ? c->config.capacity : 2048;
	uint64_t base = c->config.capacity - sectors;
	uint64_t end = now_us() + 30000000ull;
	uint32_t count = c->config.logical_block / NXBLK_SECTOR_SIZE * 8;
	struct nxblk_req req;
	unsigned int i;

	if (count > sectors)
		fail("channel %u: disk of %llu sectors", c->dir.instance,
		     (unsigned long long)c->config.capacity);
	for (i = 0; i < requests / 2; i++) {
		uint16_t tag = i % c->terms.depth;
		uint64_t lba = base + i * count % (sectors - sectors % count);

		pattern(channel_data(c, tag), count * NXBLK_SECTOR_SIZE, i + lba);
		req = channel_rw(c, NXBLK_OP_WRITE, tag, lba, count);
		if (channel_status(c, &req))
			fail("channel %u: verify: write failed", c->dir.instance);
		memset(channel_data(c, tag), 0, count * NXBLK_SECTOR_SIZE);
		req = channel_rw(c, NXBLK_OP_READ, tag, lba, count);
		if (channel_status(c, &req))
			fail("channel %u: verify: read failed", c->dir.instance);
		if (!pattern_is(channel_data(c, tag), count * NXBLK_SECTOR_SIZE,
				i + lba))
			fail("channel %u: verify: wrong data at %llu",
			     c->dir.instance, (unsigned long long)lba);
		if (now_us() > end)
			fail("channel %u: verify: deadline passed",
			     c->dir.instance);
	}
}
