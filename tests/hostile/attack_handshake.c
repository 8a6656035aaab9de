// SPDX-License-Identifier: GPL-2.0-only
/*
 * Handshakes that are wrong: each latches the channel for its one reason, or is
 * no handshake at all.
 */
#include "attack.h"

#include <string.h>
#include <unistd.h>

static struct ion_terms right(const struct channel *c)
{
	struct ion_terms terms = {
		.features = c->offer.features & ~NXBLK_F_ZERO_COPY,
		.depth = 16,
	};

	return terms;
}

static void refused(struct channel *c, const struct ion_terms *terms,
		    uint32_t reason)
{
	channel_reset(c);
	channel_ack(c, terms);
	channel_expect_latch(c, reason);
	tally.latches++;
}

static void depth(struct channel *c)
{
	struct ion_terms terms = right(c);
	uint32_t wrong[] = { 0, 1, c->offer.max_depth + 1, 1u << 31, ~0u };
	unsigned int i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		terms.depth = wrong[i];
		refused(c, &terms, ION_REASON_DEPTH);
	}
	expect_latch(c, ION_REASON_DEPTH);
	tally.latches--;
	/* No power of two, and right all the same. */
	channel_reset(c);
	terms.depth = 13;
	channel_ack(c, &terms);
	channel_wait_state(c, ION_HOST_LIVE);
	channel_info(c);
	channel_verify(c, 100);
}

static void features(struct channel *c)
{
	struct ion_terms terms = right(c);

	terms.features |= 1ull << 63;
	refused(c, &terms, ION_REASON_FEATURES);
	terms.features = ~c->offer.features;
	refused(c, &terms, ION_REASON_FEATURES);
}

static void class(struct channel *c)
{
	struct ion_terms terms = right(c);

	terms.queue_class = ION_CLASS_COUNT;
	refused(c, &terms, ION_REASON_CLASS);
	terms.queue_class = 0xff;
	refused(c, &terms, ION_REASON_CLASS);
}

static void vector(struct channel *c)
{
	struct ion_terms terms = right(c);

	terms.vector = c->iv->bells;
	refused(c, &terms, ION_REASON_VECTOR);
	terms.vector = 0xffff;
	refused(c, &terms, ION_REASON_VECTOR);
}

static void state(struct channel *c)
{
	static const uint32_t wrong[] = { ION_GUEST_STATE_COUNT, 77, ~0u };
	unsigned int i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		channel_attach(c);
		ion_store_release(&c->end.mine->state, wrong[i]);
		ivshmem_ring(c->iv, c->dir.host_vector);
		channel_expect_latch(c, ION_REASON_GUEST_STATE);
		tally.latches++;
	}
}

/* Terms that change after they were accepted: the accepted ones hold. */
static void frozen(struct channel *c)
{
	struct ion_terms terms = right(c);
	struct nxblk_req req;

	channel_reset(c);
	channel_ack(c, &terms);
	channel_wait_state(c, ION_HOST_LIVE);
	c->end.mine->depth = 1u << 31;
	c->end.mine->features = ~0ull;
	c->end.mine->vector = 0xffff;
	c->end.mine->queue_class = 0xff;
	c->end.mine->generation += 7;
	ivshmem_ring(c->iv, c->dir.host_vector);
	req = channel_rw(c, NXBLK_OP_READ, terms.depth, 0, 8);
	expect_status(c, &req, NXBLK_S_INVAL);
	channel_info(c);
}

/* The acknowledgement of another generation than the offered one is none. */
static void generation(struct channel *c)
{
	struct ion_terms terms = right(c);

	channel_reset(c);
	c->offer.generation--;
	channel_ack(c, &terms);
	usleep(300000);
	if (ion_load_acquire(&c->end.theirs->state) != ION_HOST_READY)
		fail("an old generation was taken");
}

static void thousand(struct channel *c)
{
	uint64_t start = now_us();
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		struct ion_terms terms;

		channel_reset(c);
		terms = right(c);
		channel_ack(c, &terms);
	}
	if (now_us() - start > 20000000)
		fail("a thousand handshakes took %llu us",
		     (unsigned long long)(now_us() - start));
}

/* A reset with requests in flight: drained first, and none answered later. */
static void busy(struct channel *c)
{
	struct nxblk_req req;
	unsigned int i, k;

	for (k = 0; k < 20; k++) {
		for (i = 0; i < c->terms.depth; i++) {
			req = channel_rw(c, NXBLK_OP_READ, i, 128 * i, 128);
			channel_put(c, &req);
		}
		channel_publish(c);
		channel_attach(c);
		expect_silence(c, 5);
	}
	tally.dropped = true;
}

const struct attack handshake_attacks[] = {
	{ "depth", depth },
	{ "features", features },
	{ "class", class },
	{ "vector", vector },
	{ "state", state },
	{ "frozen", frozen },
	{ "generation", generation },
	{ "thousand", thousand },
	{ "busy", busy },
	{ 0 },
};
