/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A channel over a disk that answers when it is told to: what a slow disk and a
 * guest that takes no answers can do to the rings, and what becomes of requests
 * that are in flight when the guest resets, breaks a rule or leaves.
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include <nexus/ion_guest.h>

#include "rumpk/channel.h"
#include "rumpk/util.h"
#include "rumpk/window.h"

#define WINDOW_BYTES (4u << 20)
#define HELD 100u

struct bench {
	struct window_plan plan;
	struct cell_channel ch;
	struct valve_disk disk;
	struct cspace cs;
	struct hal hal;
	struct ion_guest_end guest;
	struct hal_io *held[128];
	unsigned int nheld;
	bool hold;
	struct valve_account account;
	uint64_t cookie;
	uint8_t *window;
};

static void slow_submit(struct hal *hal, struct hal_io *io)
{
	struct bench *b = container_of(hal, struct bench, hal);

	if (b->hold)
		b->held[b->nheld++] = io;
	else
		io->done(io);
}

static const struct hal_ops slow_ops = { .name = "slow", .submit = slow_submit };

static void finish_held(struct bench *b)
{
	while (b->nheld) {
		struct hal_io *io = b->held[--b->nheld];

		io->done(io);
	}
}

static void attach(struct bench *b, uint64_t id)
{
	const struct ion_terms terms = { .features = NXBLK_F_FLUSH, .depth = 128 };
	struct ion_offer offer;

	ion_guest_reset(&b->guest, id);
	channel_step(&b->ch);
	assert_true(ion_guest_offer(&b->guest, &offer));
	ion_guest_ack(&b->guest, &offer, &terms);
	channel_step(&b->ch);
	assert_int_equal(b->ch.end.state, ION_HOST_LIVE);
}

static int setup(void **state)
{
	const struct cspace_cap cap = {
		.kind = ION_KIND_BLK,
		.rights = CSPACE_WRITE,
		.last = UINT64_MAX,
	};
	struct bench *b = calloc(1, sizeof(*b));
	struct valve *v = &b->ch.valve;

	rumpk_log_level(RUMPK_ERROR);
	b->window = calloc(1, WINDOW_BYTES);
	assert_true(window_plan(&b->plan, WINDOW_BYTES, 1));
	assert_int_equal(cspace_grant(&b->cs, 0, &cap), 0);
	b->hal.ops = &slow_ops;
	b->disk.hal = &b->hal;
	b->disk.config.logical_block = 512;
	v->account = &b->account;
	b->ch.end.offered = NXBLK_F_FLUSH;
	b->ch.end.max_depth = b->plan.depth;
	b->ch.end.vectors = 1;
	v->cspace = &b->cs;
	v->disk = &b->disk;
	v->window = b->window;
	v->kind = ION_KIND_BLK;
	assert_int_equal(valve_init(v, b->plan.depth), 0);
	ion_host_bind(&b->ch.end, b->window, &b->plan.dir[0]);
	channel_start(&b->ch);
	ion_guest_bind(&b->guest, b->window, &b->plan.dir[0]);
	attach(b, 1);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	valve_exit(&b->ch.valve);
	free(b->window);
	free(b);
	return 0;
}

static void flush(struct bench *b, uint16_t tag)
{
	const struct nxblk_req req = {
		.op = NXBLK_OP_FLUSH,
		.tag = tag,
		.generation = (uint32_t)b->guest.generation,
		.cookie = ++b->cookie,
	};

	assert_true(ion_prod_free(&b->guest.req) > 0);
	ion_prod_put(&b->guest.req, &req);
	ion_prod_publish(&b->guest.req);
}

static void steps(struct bench *b)
{
	int i;

	for (i = 0; i < 32; i++) {
		channel_step(&b->ch);
		channel_publish(&b->ch);
	}
}

/* Places for what the disk still has are kept free. */
static void room_for_everything_in_flight(void **state)
{
	struct bench *b = *state;
	uint32_t entries = b->guest.rsp.mask + 1;
	uint32_t i;

	b->hold = true;
	for (i = 0; i < HELD; i++)
		flush(b, (uint16_t)i);
	steps(b);
	assert_int_equal(b->nheld, HELD);
	b->hold = false;
	for (i = 0; i < entries; i++) {
		flush(b, (uint16_t)(HELD + i % 28));
		steps(b);
	}
	assert_int_equal(ion_cons_avail(&b->guest.rsp), entries - HELD);
	assert_true(b->ch.stalled);
	assert_false(channel_arm(&b->ch));
	finish_held(b);
	steps(b);
	assert_int_equal(ion_cons_avail(&b->guest.rsp), entries);
	assert_int_equal(b->account.stats.requests, entries);
}

/* A reset waits for what is in flight, which is then answered to nobody. */
static void reset_waits_for_the_disk(void **state)
{
	struct bench *b = *state;
	struct ion_offer offer;
	uint64_t generation = b->guest.generation;

	b->hold = true;
	flush(b, 1);
	steps(b);
	ion_guest_reset(&b->guest, 2);
	steps(b);
	assert_int_equal(b->ch.end.state, ION_HOST_DRAINING);
	assert_false(ion_guest_offer(&b->guest, &offer));
	finish_held(b);
	steps(b);
	assert_true(ion_guest_offer(&b->guest, &offer));
	assert_int_equal(offer.generation, generation + 1);
	attach(b, 3);
	assert_int_equal(ion_cons_avail(&b->guest.rsp), 0);
	b->hold = false;
	flush(b, 1);
	steps(b);
	assert_int_equal(ion_cons_avail(&b->guest.rsp), 1);
}

/* Latched: takes nothing, answers nothing, until a reset that waits likewise. */
static void latch_holds_what_is_in_flight(void **state)
{
	static const uint8_t zeroes[256 * 32];
	struct bench *b = *state;
	uint64_t requests;

	b->hold = true;
	flush(b, 1);
	steps(b);
	requests = b->account.stats.requests;
	ion_write(&b->guest.mine->req_prod, b->guest.req.published + 1000);
	steps(b);
	assert_int_equal(b->ch.end.state, ION_HOST_LATCHED);
	assert_int_equal(b->ch.end.mine->reason, ION_REASON_REQ_PROD);
	finish_held(b);
	steps(b);
	assert_int_equal(b->ch.end.mine->rsp_prod, b->ch.end.initial_index);
	assert_memory_equal(b->window + b->plan.dir[0].rsp.offset, zeroes,
			    sizeof(zeroes));
	assert_int_equal(b->account.stats.requests, requests);
	assert_int_equal(b->account.stats.latches, 1);
	attach(b, 4);
	b->hold = false;
	flush(b, 1);
	steps(b);
	assert_int_equal(ion_cons_avail(&b->guest.rsp), 1);
}

/* QEMU is gone: drained, and ready for the next one, which is not this one. */
static void leaving_drains(void **state)
{
	struct bench *b = *state;

	b->hold = true;
	flush(b, 7);
	steps(b);
	channel_guest_left(&b->ch);
	steps(b);
	assert_int_equal(b->ch.end.state, ION_HOST_DRAINING);
	finish_held(b);
	steps(b);
	assert_int_equal(b->ch.end.state, ION_HOST_READY);
	flush(b, 8);
	steps(b);
	assert_int_equal(b->ch.end.state, ION_HOST_READY);
	assert_int_equal(b->account.stats.requests, 1);
}

/* The generation that a successor goes on from is kept at each step. */
static void generation_is_kept(void **state)
{
	struct bench *b = *state;

	assert_int_equal(b->account.generation, b->ch.end.generation);
	attach(b, 9);
	assert_int_equal(b->account.generation, b->ch.end.generation);
	assert_int_equal(b->account.generation, b->guest.generation);
}

#define channel_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		channel_test(room_for_everything_in_flight),
		channel_test(reset_waits_for_the_disk),
		channel_test(latch_holds_what_is_in_flight),
		channel_test(leaving_drains),
		channel_test(generation_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
