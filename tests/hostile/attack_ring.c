// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings that are broken: the host latches the channel for one fixed reason and
 * reads no entry. The request ring is full of WRITEs that are right in every
 * other respect, so that an entry that is read shows in the image.
 */
#include "attack.h"

#include <string.h>
#include <unistd.h>

#define WARM_UP 50u

/* Some honest traffic, so that the indices are past their start. */
static void warm_up(struct channel *c)
{
	struct nxblk_req req;
	unsigned int i;

	for (i = 0; i < WARM_UP; i++) {
		req = channel_rw(c, NXBLK_OP_READ, i % c->terms.depth, 0, 8);
		expect_status(c, &req, NXBLK_S_OK);
	}
}

/* Bait in every slot of the request ring. */
static void bait(struct channel *c)
{
	uint32_t i;

	memset(channel_data(c, 0), 0xa5, CHUNK);
	for (i = 0; i <= c->end.req.mask; i++) {
		struct nxblk_req req =
			channel_rw(c, NXBLK_OP_WRITE, i % c->terms.depth, 0, 8);

		req.seg[0].addr = c->dir.data.offset;
		memcpy(c->end.req.entries + (size_t)i * sizeof(req), &req,
		       sizeof(req));
	}
}

/* A lie about the own producer index. */
static void lie_about_requests(struct channel *c, uint32_t by)
{
	bait(c);
	ion_store_release(&c->end.mine->req_prod, c->end.req.published + by);
	ivshmem_ring(c->iv, c->dir.host_vector);
	expect_latch(c, ION_REASON_REQ_PROD);
}

static void jump(struct channel *c)
{
	warm_up(c);
	lie_about_requests(c, c->end.req.mask + 2);
}

static void jump_far(struct channel *c)
{
	warm_up(c);
	lie_about_requests(c, 1u << 31);
}

static void jump_back(struct channel *c)
{
	warm_up(c);
	lie_about_requests(c, 0u - 1);
}

static void jump_at_start(struct channel *c)
{
	lie_about_requests(c, 0xffffff00u);
}

/* A lie about the own consumer index; the host sees it before it takes anything. */
static void lie_about_answers(struct channel *c, uint32_t by)
{
	warm_up(c);
	bait(c);
	/* Long enough for the host to have seen the honest index. */
	usleep(300000);
	ion_store_release(&c->end.mine->rsp_cons, c->end.rsp.cons + by);
	ivshmem_ring(c->iv, c->dir.host_vector);
	expect_latch(c, ION_REASON_RSP_CONS);
}

static void consumer_ahead(struct channel *c)
{
	lie_about_answers(c, 5);
}

static void consumer_back(struct channel *c)
{
	lie_about_answers(c, 0u - 1);
}

static void consumer_far(struct channel *c)
{
	lie_about_answers(c, 1u << 31);
}

/* Honest all the time, around 2^32 again and again. */
static void wrap(struct channel *c)
{
	unsigned int i;

	for (i = 0; i < 10; i++) {
		channel_attach(c);
		if (c->dir.initial_index < 0xffffff00u)
			fail("the ring does not start below the wrap");
		channel_verify(c, 400);
	}
}

/*
 * No answer is taken: the host holds no more than the ring does, and goes on
 * where it stopped when the guest takes them at last.
 */
static void flood(struct channel *c)
{
	struct nxblk_resp rsp;
	struct nxblk_req req;
	unsigned int i;

	for (i = 0; i < c->terms.depth; i++) {
		req = channel_rw(c, NXBLK_OP_READ, i, 8 * i, 8);
		channel_submit(c, &req);
	}
	usleep(300000);
	if (ion_guest_lost(&c->end))
		fail("a full ring is no broken ring");
	for (i = 0; i < c->terms.depth; i++)
		if (!channel_poll(c, &rsp, 5000) || rsp.status)
			fail("answer %u of %u", i, c->terms.depth);
	expect_silence(c, 100);
}

/* Requests that no doorbell announces: the host looks by itself. */
static void no_doorbell(struct channel *c)
{
	struct nxblk_resp rsp;
	struct nxblk_req req;
	unsigned int i, slow = 0;
	uint64_t start;

	for (i = 0; i < 10; i++) {
		usleep(150000);
		req = channel_rw(c, NXBLK_OP_READ, i % c->terms.depth, 0, 8);
		channel_put(c, &req);
		start = now_us();
		ion_prod_publish(&c->end.req);
		if (!channel_poll(c, &rsp, 5000) || rsp.status)
			fail("no answer without a doorbell");
		slow += now_us() - start > 300000;
	}
	/* A busy machine may be late at times. */
	if (slow > 5)
		fail("%u of 10 answers late without a doorbell", slow);
}

/* Doorbells for nothing, as fast as they go. The host does not spin for them. */
static void storm(struct channel *c)
{
	uint64_t end = now_us() + 2000000;
	struct nxblk_req req;
	uint64_t rung = 0;

	while (now_us() < end) {
		ivshmem_ring(c->iv, c->dir.host_vector);
		rung++;
	}
	if (rung < 100000)
		fail("a storm of %llu doorbells", (unsigned long long)rung);
	req = channel_rw(c, NXBLK_OP_READ, 0, 0, 8);
	expect_status(c, &req, NXBLK_S_OK);
}

/* The host's heartbeat, while it is idle and while it has a latched channel. */
static void count_heartbeats(struct channel *c, const char *when)
{
	const struct ion_host_header *hdr = (const void *)c->iv->mem;
	uint64_t before = ion_read(&hdr->heartbeat);
	uint64_t beats;

	usleep(2000000);
	beats = ion_read(&hdr->heartbeat) - before;
	/* Twenty and more on a quiet machine. */
	if (beats < 15)
		fail("%llu heartbeats in 2 s %s", (unsigned long long)beats,
		     when);
}

static void heartbeat(struct channel *c)
{
	count_heartbeats(c, "while idle");
	jump_far(c);
	count_heartbeats(c, "beside a latched channel");
}

const struct attack ring_attacks[] = {
	{ "jump", jump },
	{ "jump-far", jump_far },
	{ "jump-back", jump_back },
	{ "jump-at-start", jump_at_start },
	{ "consumer-ahead", consumer_ahead },
	{ "consumer-back", consumer_back },
	{ "consumer-far", consumer_far },
	{ "wrap", wrap },
	{ "flood", flood },
	{ "no-doorbell", no_doorbell },
	{ "storm", storm },
	{ "heartbeat", heartbeat },
	{ 0 },
};
