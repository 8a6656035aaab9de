// SPDX-License-Identifier: GPL-2.0-only
/*
 * The whole window overwritten with random bytes, again and again, while the host
 * serves all channels: each latches, and a new handshake repairs everything. What
 * the host stores afterwards stays, since each time it is done but once, from the
 * host's region on.
 */
#include "attack.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

#define SEEDS 100u
#define WRITES 32u
/* More than ten times the period in which a host looks by itself. */
#define SOON_US 1000000u
#define VERIFIED 20u

static void overwrite(struct ivshmem *iv, uint64_t seed)
{
	volatile uint64_t *word = (volatile uint64_t *)iv->mem;
	size_t i;

	for (i = 0; i < iv->size / sizeof(*word); i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		word[i] = seed;
	}
}

/* Writes to where nothing is kept; what they write is anything. */
static void load(struct channel *c)
{
	uint64_t base = c->config.capacity - 2048;
	struct nxblk_req req;
	unsigned int i;

	for (i = 0; i < WRITES && i < c->terms.depth; i++) {
		req = channel_rw(c, NXBLK_OP_WRITE, i, base + 64 * i, 64);
		channel_put(c, &req);
	}
	channel_publish(c);
}

static void expect_latched(struct channel *c)
{
	uint32_t reason = channel_wait_state(c, ION_HOST_LATCHED);

	if (reason != ION_REASON_GUEST_STATE && reason != ION_REASON_REQ_PROD &&
	    reason != ION_REASON_RSP_CONS)
		fail("latched with reason %u", reason);
}

/* The next guest finds header and directory as this one did. */
static void expect_repaired(const struct guest *g)
{
	const size_t constant = offsetof(struct ion_host_header, heartbeat);
	uint64_t end = now_us() + 10000000u;

	while (memcmp(g->iv.mem, &g->hdr, constant)) {
		if (now_us() > end)
			fail("the window's header stays broken");
		usleep(1000);
	}
}

static void random_window(struct channel *c)
{
	struct guest *g =
		(struct guest *)((char *)c - offsetof(struct guest, ch));
	unsigned int seed, i, late = 0;
	uint64_t start;

	for (seed = 1; seed <= SEEDS; seed++) {
		for (i = 0; i < g->count; i++)
			load(&g->ch[i]);
		overwrite(&g->iv, seed * 0x9e3779b97f4a7c15ull);
		start = now_us();
		for (i = 0; i < g->count; i++)
			expect_latched(&g->ch[i]);
		late += now_us() - start > SOON_US;
		for (i = 0; i < g->count; i++) {
			channel_attach(&g->ch[i]);
			channel_verify(&g->ch[i], VERIFIED);
		}
		tally.latches++;
	}
	/* A busy machine may be late at times. */
	if (late > SEEDS / 10)
		fail("%u of %u latches later than after a second", late, SEEDS);
	expect_repaired(g);
	tally.anything = true;
}

const struct attack window_attacks[] = {
	{ "random-window", random_window },
	{ 0 },
};
