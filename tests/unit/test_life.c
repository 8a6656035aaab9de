// SPDX-License-Identifier: GPL-2.0-only
/*
 * Both halves of a channel's life (ion_host.h, ion_guest.h) over one window:
 * every transition, and what a host makes of a guest that writes nonsense.
 */
#include "unit.h"

#include <nexus/ion_guest.h>
#include <nexus/ion_host.h>

#include "window.h"

#define OFFERED (NXBLK_F_FLUSH | NXBLK_F_FUA | NXBLK_F_INDIRECT)
#define MAX_DEPTH 100u
#define VECTORS 4u

struct pair {
	struct window w;
	struct ion_host_end host;
	struct ion_guest_end guest;
	__u64 id;
};

static const struct ion_terms terms = {
	.features = NXBLK_F_FLUSH,
	.depth = 64,
	.vector = 1,
	.queue_class = ION_CLASS_INTERRUPT,
};

static void host_open(struct pair *p)
{
	memset(&p->host, 0, sizeof(p->host));
	p->host.offered = OFFERED;
	p->host.required = NXBLK_F_FLUSH;
	p->host.max_depth = MAX_DEPTH;
	p->host.vectors = VECTORS;
	ion_host_bind(&p->host, p->w.mem, &p->w.dir[0]);
}

static void guest_open(struct pair *p)
{
	memset(&p->guest, 0, sizeof(p->guest));
	ion_guest_bind(&p->guest, p->w.mem, &p->w.dir[0]);
}

static int setup(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));

	window_open(&p->w);
	host_open(p);
	guest_open(p);
	p->id = 1000;
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct pair *p = *state;

	window_close(&p->w);
	free(p);
	return 0;
}

static void expect(struct pair *p, __u32 state, __u32 reason)
{
	assert_int_equal(p->host.state, state);
	assert_int_equal(p->host.reason, reason);
	assert_int_equal(p->host.mine->state, state);
	assert_int_equal(p->host.mine->reason, reason);
}

/* The guest asks for a drain and the host answers at once. */
static void drain(struct pair *p)
{
	ion_guest_reset(&p->guest, ++p->id);
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_RESET);
	expect(p, ION_HOST_DRAINING, ION_REASON_NONE);
	ion_host_drained(&p->host);
	expect(p, ION_HOST_READY, ION_REASON_NONE);
}

static void attach(struct pair *p)
{
	struct ion_offer offer;

	drain(p);
	assert_true(ion_guest_offer(&p->guest, &offer));
	ion_guest_ack(&p->guest, &offer, &terms);
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_LIVE);
	expect(p, ION_HOST_LIVE, ION_REASON_NONE);
}

/* One entry each way: the rings of both ends agree. */
static void exchange(struct pair *p, __u64 cookie)
{
	struct nxblk_req req = { .op = NXBLK_OP_READ, .cookie = cookie };
	struct nxblk_resp rsp = { .op = NXBLK_OP_READ };

	assert_true(ion_prod_free(&p->guest.req) > 0);
	ion_prod_put(&p->guest.req, &req);
	ion_prod_publish(&p->guest.req);
	memset(&req, 0, sizeof(req));
	assert_int_equal(ion_cons_avail(&p->host.req), 1);
	ion_cons_get(&p->host.req, &req);
	ion_cons_release(&p->host.req);
	assert_int_equal(req.cookie, cookie);

	rsp.cookie = req.cookie;
	assert_true(ion_prod_free(&p->host.rsp) > 0);
	ion_prod_put(&p->host.rsp, &rsp);
	ion_prod_publish(&p->host.rsp);
	assert_int_equal(ion_cons_avail(&p->guest.rsp), 1);
	memset(&rsp, 0, sizeof(rsp));
	ion_cons_get(&p->guest.rsp, &rsp);
	ion_cons_release(&p->guest.rsp);
	assert_int_equal(rsp.cookie, cookie);
}

static void life_attach_and_exchange(void **state)
{
	struct pair *p = *state;

	ion_host_start(&p->host, p->host.mine->generation);
	expect(p, ION_HOST_READY, ION_REASON_NONE);
	assert_int_equal(p->host.generation, 1);
	attach(p);
	assert_int_equal(p->host.generation, 2);
	assert_int_equal(p->guest.generation, 2);
	assert_int_equal(p->host.features, terms.features);
	assert_int_equal(p->host.depth, terms.depth);
	assert_int_equal(p->host.vector, terms.vector);
	assert_int_equal(p->host.queue_class, terms.queue_class);
	assert_false(ion_guest_lost(&p->guest));
	exchange(p, 77);
	exchange(p, 78);
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_NONE);
}

/* Host indices stand at the initial index before READY, guest's before LIVE. */
static void life_indices_start_afresh(void **state)
{
	struct pair *p = *state;
	struct ion_offer offer;

	ion_host_start(&p->host, p->host.mine->generation);
	attach(p);
	exchange(p, 1);
	exchange(p, 2);
	drain(p);
	assert_int_equal(p->host.mine->rsp_prod, ION_INITIAL_INDEX);
	assert_int_equal(p->host.mine->req_cons, ION_INITIAL_INDEX);
	assert_int_equal(p->host.mine->req_event, ION_INITIAL_INDEX);
	/* The guest's own stay where they were until it acknowledges. */
	assert_int_equal(p->guest.mine->req_prod, ION_INITIAL_INDEX + 2);
	assert_true(ion_guest_offer(&p->guest, &offer));
	ion_guest_ack(&p->guest, &offer, &terms);
	assert_int_equal(p->guest.mine->req_prod, ION_INITIAL_INDEX);
	assert_int_equal(p->guest.mine->rsp_cons, ION_INITIAL_INDEX);
	assert_int_equal(p->guest.mine->rsp_event, ION_INITIAL_INDEX);
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_LIVE);
	exchange(p, 3);
}

static void life_no_offer_before_ready(void **state)
{
	static const __u32 states[] = { ION_HOST_DOWN,	   ION_HOST_LIVE,
					ION_HOST_DRAINING, ION_HOST_LATCHED,
					ION_HOST_GONE,	   77 };
	struct pair *p = *state;
	struct ion_offer offer;
	unsigned int i;

	ion_host_start(&p->host, p->host.mine->generation);
	drain(p);
	assert_true(ion_guest_offer(&p->guest, &offer));
	assert_int_equal(offer.generation, p->host.generation);
	assert_int_equal(offer.features, OFFERED);
	assert_int_equal(offer.max_depth, MAX_DEPTH);
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		p->host.mine->state = states[i];
		assert_false(ion_guest_offer(&p->guest, &offer));
	}
}

/* READY alone is no answer: it must be the answer to this very reset. */
static void life_offer_answers_own_reset(void **state)
{
	struct pair *p = *state;
	struct ion_offer offer;

	ion_host_start(&p->host, p->host.mine->generation);
	ion_guest_reset(&p->guest, 5);
	assert_false(ion_guest_offer(&p->guest, &offer));
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_RESET);
	assert_false(ion_guest_offer(&p->guest, &offer));
	/* A second reset before the first is answered. */
	ion_guest_reset(&p->guest, 6);
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_NONE);
	ion_host_drained(&p->host);
	assert_int_equal(p->host.mine->drained_id, 5);
	assert_false(ion_guest_offer(&p->guest, &offer));
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_RESET);
	ion_host_drained(&p->host);
	assert_int_equal(p->host.mine->drained_id, 6);
	assert_true(ion_guest_offer(&p->guest, &offer));
	/* Answered once; the same reset does not drain again. */
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_NONE);
	expect(p, ION_HOST_READY, ION_REASON_NONE);
}

static void life_reset_while_live(void **state)
{
	struct pair *p = *state;
	__u64 generation;

	ion_host_start(&p->host, p->host.mine->generation);
	attach(p);
	generation = p->host.generation;
	ion_guest_reset(&p->guest, ++p->id);
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_RESET);
	assert_true(ion_guest_lost(&p->guest));
	/* While it drains it looks at nothing, whatever the guest writes. */
	p->guest.mine->state = ION_GUEST_LIVE;
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_NONE);
	p->guest.mine->state = 99;
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_NONE);
	p->guest.mine->state = ION_GUEST_RESET;
	ion_host_drained(&p->host);
	assert_int_equal(p->host.generation, generation + 1);
	attach(p);
	exchange(p, 4);
}

static void life_reset_while_latched(void **state)
{
	struct pair *p = *state;

	ion_host_start(&p->host, p->host.mine->generation);
	attach(p);
	ion_host_set_state(&p->host, ION_HOST_LATCHED, ION_REASON_REQ_PROD);
	expect(p, ION_HOST_LATCHED, ION_REASON_REQ_PROD);
	assert_true(ion_guest_lost(&p->guest));
	/* Only a reset gets it out, no acknowledgement and no garbage. */
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_NONE);
	p->guest.mine->state = 99;
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_NONE);
	expect(p, ION_HOST_LATCHED, ION_REASON_REQ_PROD);
	attach(p);
	exchange(p, 5);
}

static void life_guest_goes_down(void **state)
{
	struct pair *p = *state;
	struct ion_offer offer;

	ion_host_start(&p->host, p->host.mine->generation);
	attach(p);
	ion_guest_set_state(&p->guest, ION_GUEST_DOWN, ION_REASON_NONE);
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_RESET);
	ion_host_drained(&p->host);
	expect(p, ION_HOST_READY, ION_REASON_NONE);
	/* Once only: a guest that stays down does not drain for ever. */
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_NONE);
	expect(p, ION_HOST_READY, ION_REASON_NONE);
	/* A later guest of the same window does not take that for its answer. */
	guest_open(p);
	ion_guest_reset(&p->guest, ++p->id);
	assert_false(ion_guest_offer(&p->guest, &offer));
	attach(p);
	exchange(p, 6);
}

/* A guest that crashed left LIVE behind; the next one begins with RESET. */
static void life_guest_crashes(void **state)
{
	struct pair *p = *state;

	ion_host_start(&p->host, p->host.mine->generation);
	attach(p);
	exchange(p, 7);
	guest_open(p);
	attach(p);
	exchange(p, 8);
}

static void life_host_restarts(void **state)
{
	struct pair *p = *state;
	struct ion_offer offer;
	__u64 generation;

	ion_host_start(&p->host, p->host.mine->generation);
	attach(p);
	exchange(p, 9);
	generation = p->host.generation;
	host_open(p);
	ion_host_start(&p->host, p->host.mine->generation);
	assert_int_equal(p->host.generation, generation + 1);
	/* The LIVE in the window acknowledges the former generation. */
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_NONE);
	expect(p, ION_HOST_READY, ION_REASON_NONE);
	assert_true(ion_guest_lost(&p->guest));
	/* The last reset counts as drained: no need of another one. */
	assert_true(ion_guest_offer(&p->guest, &offer));
	ion_guest_ack(&p->guest, &offer, &terms);
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_LIVE);
	exchange(p, 10);
}

/* Where it goes on from is what it kept, whatever stands in the window. */
static void life_restart_ignores_the_window(void **state)
{
	struct pair *p = *state;
	__u64 kept;

	ion_host_start(&p->host, 0);
	attach(p);
	kept = p->host.generation;
	/* With this in the window the former LIVE would be an acknowledgement. */
	p->host.mine->generation = kept - 1;
	host_open(p);
	ion_host_start(&p->host, kept);
	assert_int_equal(p->host.generation, kept + 1);
	assert_int_equal(p->host.mine->generation, kept + 1);
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_NONE);
}

static void life_host_restarts_during_reset(void **state)
{
	struct pair *p = *state;
	struct ion_offer offer;

	ion_host_start(&p->host, p->host.mine->generation);
	attach(p);
	ion_guest_reset(&p->guest, ++p->id);
	host_open(p);
	ion_host_start(&p->host, p->host.mine->generation);
	assert_true(ion_guest_offer(&p->guest, &offer));
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_NONE);
	ion_guest_ack(&p->guest, &offer, &terms);
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_LIVE);
	exchange(p, 11);
}

static void life_lost_in_every_other_state(void **state)
{
	static const __u32 states[] = { ION_HOST_DOWN, ION_HOST_DRAINING,
					ION_HOST_LATCHED, ION_HOST_GONE, 1000 };
	struct pair *p = *state;
	unsigned int i;

	ion_host_start(&p->host, p->host.mine->generation);
	attach(p);
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		p->host.mine->state = states[i];
		assert_true(ion_guest_lost(&p->guest));
	}
	p->host.mine->state = ION_HOST_READY;
	assert_false(ion_guest_lost(&p->guest));
	p->host.mine->state = ION_HOST_LIVE;
	assert_false(ion_guest_lost(&p->guest));
	p->host.mine->generation ^= 1ull << 63;
	assert_true(ion_guest_lost(&p->guest));
}

/* An acknowledgement of another generation than the offered one is none. */
static void life_stale_acknowledgement(void **state)
{
	struct pair *p = *state;
	struct ion_offer offer;

	ion_host_start(&p->host, p->host.mine->generation);
	drain(p);
	assert_true(ion_guest_offer(&p->guest, &offer));
	offer.generation--;
	ion_guest_ack(&p->guest, &offer, &terms);
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_NONE);
	offer.generation += 2;
	ion_guest_ack(&p->guest, &offer, &terms);
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_NONE);
	offer.generation += 1ull << 32;
	ion_guest_ack(&p->guest, &offer, &terms);
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_NONE);
	expect(p, ION_HOST_READY, ION_REASON_NONE);
}

/* A handshake with these terms: the host goes LIVE, or latches with a reason. */
static void shake(struct pair *p, const struct ion_terms *t, __u32 reason)
{
	struct ion_offer offer;

	drain(p);
	assert_true(ion_guest_offer(&p->guest, &offer));
	ion_guest_ack(&p->guest, &offer, t);
	if (reason) {
		assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_LATCHED);
		expect(p, ION_HOST_LATCHED, reason);
		assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_NONE);
		assert_true(ion_guest_lost(&p->guest));
	} else {
		assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_LIVE);
		expect(p, ION_HOST_LIVE, ION_REASON_NONE);
		exchange(p, 12);
	}
}

static void life_depth(void **state)
{
	static const __u32 wrong[] = { 0,   1,	      MAX_DEPTH + 1,
				       128, 1u << 31, 0xffffffffu };
	static const __u32 right[] = { 2, 3, 63, 64, 99, MAX_DEPTH };
	struct ion_terms t = terms;
	struct pair *p = *state;
	unsigned int i;

	ion_host_start(&p->host, p->host.mine->generation);
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		t.depth = wrong[i];
		shake(p, &t, ION_REASON_DEPTH);
	}
	for (i = 0; i < ARRAY_SIZE(right); i++) {
		t.depth = right[i];
		shake(p, &t, ION_REASON_NONE);
	}
	/* Whatever the host could serve, a ring of 128 holds 128. */
	p->host.max_depth = 1000;
	t.depth = 129;
	shake(p, &t, ION_REASON_DEPTH);
	t.depth = 128;
	shake(p, &t, ION_REASON_NONE);
}

static void life_features(void **state)
{
	struct ion_terms t = terms;
	struct pair *p = *state;

	ion_host_start(&p->host, p->host.mine->generation);
	t.features = OFFERED | NXBLK_F_DISCARD;
	shake(p, &t, ION_REASON_FEATURES);
	t.features = 1ull << 63 | NXBLK_F_FLUSH;
	shake(p, &t, ION_REASON_FEATURES);
	/* FLUSH is required here. */
	t.features = NXBLK_F_FUA;
	shake(p, &t, ION_REASON_FEATURES);
	t.features = OFFERED;
	shake(p, &t, ION_REASON_NONE);
}

static void life_class_and_vector(void **state)
{
	struct ion_terms t = terms;
	struct pair *p = *state;

	ion_host_start(&p->host, p->host.mine->generation);
	t.queue_class = ION_CLASS_COUNT;
	shake(p, &t, ION_REASON_CLASS);
	t.queue_class = 0xff;
	shake(p, &t, ION_REASON_CLASS);
	t.queue_class = ION_CLASS_POLL;
	shake(p, &t, ION_REASON_NONE);
	t.vector = VECTORS;
	shake(p, &t, ION_REASON_VECTOR);
	t.vector = 0xffff;
	shake(p, &t, ION_REASON_VECTOR);
	t.vector = VECTORS - 1;
	shake(p, &t, ION_REASON_NONE);
}

/* Two things wrong: the reason is the first of depth, features, class, vector. */
static void life_reasons_in_order(void **state)
{
	struct ion_terms t = { .features = 0,
			       .depth = 1,
			       .vector = VECTORS,
			       .queue_class = ION_CLASS_COUNT };
	struct pair *p = *state;

	ion_host_start(&p->host, p->host.mine->generation);
	shake(p, &t, ION_REASON_DEPTH);
	t.depth = 2;
	shake(p, &t, ION_REASON_FEATURES);
	t.features = NXBLK_F_FLUSH;
	shake(p, &t, ION_REASON_CLASS);
	t.queue_class = 0;
	shake(p, &t, ION_REASON_VECTOR);
}

/* Terms that change after the acknowledgement change nothing. */
static void life_terms_are_frozen(void **state)
{
	struct pair *p = *state;

	ion_host_start(&p->host, p->host.mine->generation);
	attach(p);
	p->guest.mine->depth = 1u << 31;
	p->guest.mine->features = ~0ull;
	p->guest.mine->vector = 0xffff;
	p->guest.mine->queue_class = 9;
	p->guest.mine->generation++;
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_NONE);
	expect(p, ION_HOST_LIVE, ION_REASON_NONE);
	assert_int_equal(p->host.depth, terms.depth);
	assert_int_equal(p->host.features, terms.features);
	assert_int_equal(p->host.vector, terms.vector);
	assert_int_equal(p->host.queue_class, terms.queue_class);
	exchange(p, 13);
}

static void life_unknown_guest_state(void **state)
{
	struct pair *p = *state;

	ion_host_start(&p->host, p->host.mine->generation);
	p->guest.mine->state = ION_GUEST_STATE_COUNT;
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_LATCHED);
	expect(p, ION_HOST_LATCHED, ION_REASON_GUEST_STATE);
	attach(p);
	p->guest.mine->state = 0xffffffffu;
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_LATCHED);
	expect(p, ION_HOST_LATCHED, ION_REASON_GUEST_STATE);
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_NONE);
	attach(p);
	exchange(p, 14);
}

/* The guest latched by itself: the host waits for the reset that follows. */
static void life_guest_latches(void **state)
{
	struct pair *p = *state;

	ion_host_start(&p->host, p->host.mine->generation);
	attach(p);
	ion_guest_set_state(&p->guest, ION_GUEST_LATCHED, ION_REASON_RSP_PROD);
	assert_int_equal(p->guest.mine->reason, ION_REASON_RSP_PROD);
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_NONE);
	attach(p);
	assert_int_equal(p->guest.mine->reason, ION_REASON_NONE);
	exchange(p, 15);
}

static void life_down_and_gone_look_at_nothing(void **state)
{
	static const __u32 states[] = { ION_HOST_DOWN, ION_HOST_GONE };
	struct pair *p = *state;
	unsigned int i;
	__u32 theirs;

	ion_host_start(&p->host, p->host.mine->generation);
	attach(p);
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		ion_host_set_state(&p->host, states[i], ION_REASON_REMOVED);
		for (theirs = 0; theirs < 6; theirs++) {
			p->guest.mine->state = theirs;
			assert_int_equal(ion_host_look(&p->host),
					 ION_HOST_EV_NONE);
			expect(p, states[i], ION_REASON_REMOVED);
		}
	}
}

/* The host decides by its own copies: its record in the window is for others. */
static void life_host_trusts_no_shared_copy(void **state)
{
	struct pair *p = *state;

	ion_host_start(&p->host, p->host.mine->generation);
	drain(p);
	p->host.mine->drained_id += 5;
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_NONE);
	p->host.mine->state = ION_HOST_LATCHED;
	p->host.mine->generation = 12345;
	assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_NONE);
	attach(p);
	exchange(p, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(life_attach_and_exchange, setup,
						teardown),
		cmocka_unit_test_setup_teardown(life_indices_start_afresh,
						setup, teardown),
		cmocka_unit_test_setup_teardown(life_no_offer_before_ready,
						setup, teardown),
		cmocka_unit_test_setup_teardown(life_offer_answers_own_reset,
						setup, teardown),
		cmocka_unit_test_setup_teardown(life_reset_while_live, setup,
						teardown),
		cmocka_unit_test_setup_teardown(life_reset_while_latched, setup,
						teardown),
		cmocka_unit_test_setup_teardown(life_guest_goes_down, setup,
						teardown),
		cmocka_unit_test_setup_teardown(life_guest_crashes, setup,
						teardown),
		cmocka_unit_test_setup_teardown(life_host_restarts, setup,
						teardown),
		cmocka_unit_test_setup_teardown(life_restart_ignores_the_window,
						setup, teardown),
		cmocka_unit_test_setup_teardown(life_host_restarts_during_reset,
						setup, teardown),
		cmocka_unit_test_setup_teardown(life_lost_in_every_other_state,
						setup, teardown),
		cmocka_unit_test_setup_teardown(life_stale_acknowledgement,
						setup, teardown),
		cmocka_unit_test_setup_teardown(life_depth, setup, teardown),
		cmocka_unit_test_setup_teardown(life_features, setup, teardown),
		cmocka_unit_test_setup_teardown(life_class_and_vector, setup,
						teardown),
		cmocka_unit_test_setup_teardown(life_reasons_in_order, setup,
						teardown),
		cmocka_unit_test_setup_teardown(life_terms_are_frozen, setup,
						teardown),
		cmocka_unit_test_setup_teardown(life_unknown_guest_state, setup,
						teardown),
		cmocka_unit_test_setup_teardown(life_guest_latches, setup,
						teardown),
		cmocka_unit_test_setup_teardown(life_down_and_gone_look_at_nothing,
						setup, teardown),
		cmocka_unit_test_setup_teardown(life_host_trusts_no_shared_copy,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
