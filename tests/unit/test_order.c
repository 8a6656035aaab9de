// SPDX-License-Identifier: GPL-2.0-only
/*
 * The handshake on a machine with a weak memory order. The accessors of ion_os.h
 * are replaced: what one side stores is recorded, and the other side then reads
 * it as such a machine may show it. Stores pass each other unless a barrier, a
 * release or coherence forbids it; a load sees any moment that no earlier
 * acquire, barrier or load of the same place excludes.
 *
 * For the one pair where a store meets a load, the doorbell's, each side has a store
 * buffer that only a full barrier empties for certain.
 *
 * Random walks, many of them, with a fixed seed: taking away any barrier of the
 * handshake makes them find an outcome that must not be.
 */
#include "unit.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <linux/types.h>

#define NEXUS_ION_OS_H

static __u64 shim_load(const void *p, size_t size, bool acquire);
static void shim_store(void *p, __u64 value, size_t size, bool release);
static void shim_rmb(void);
static void shim_wmb(void);
static void shim_mb(void);

#define ion_read(p) ((__typeof__(*(p)))shim_load((p), sizeof(*(p)), false))
#define ion_load_acquire(p)                                                    \
	((__typeof__(*(p)))shim_load((p), sizeof(*(p)), true))
#define ion_write(p, v) shim_store((p), (v), sizeof(*(p)), false)
#define ion_store_release(p, v) shim_store((p), (v), sizeof(*(p)), true)
#define ion_rmb() shim_rmb()
#define ion_wmb() shim_wmb()
#define ion_mb() shim_mb()
#define ION_STATIC_ASSERT(cond, msg) _Static_assert(cond, msg)
#define ION_ASSERT_SIZE(type, size)                                            \
	_Static_assert(sizeof(type) == (size), #type)
#define ION_ASSERT_OFFSET(type, field, off)                                    \
	_Static_assert(offsetof(type, field) == (off), #type)

#include <nexus/ion_guest.h>
#include <nexus/ion_host.h>

#include "window.h"

#define MAX_STORES 64
#define MAX_PLACES 64
#define WALKS 200000

enum mode {
	DIRECT,
	RECORD,
	REPLAY,
	BUFFER
};

struct store {
	void *place;
	__u64 value;
	__u64 before;
	size_t size;
	int segment; /* wmb()s before it */
	bool release;
};

static struct {
	enum mode mode;
	__u64 seed;
	struct store log[MAX_STORES]; /* in program order */
	int stores;
	int segment;
	int order[MAX_STORES]; /* in which they become visible */
	int floor; /* no load sees an earlier moment */
	int latest; /* latest moment that a load has seen */
	const void *seen[MAX_PLACES]; /* coherence: by place */
	int seen_at[MAX_PLACES];
	int places;
	void (*at_store)(void *place); /* called before each store */
} shim;

/* BUFFER: two sides, one of which runs inside the other, each with its buffer. */
static struct {
	int side;
	struct store store[2][MAX_STORES];
	int stores[2];
	void (*other)(void); /* runs at some moment, once */
} buffer;

static __u64 random_below(__u64 n)
{
	shim.seed ^= shim.seed << 13;
	shim.seed ^= shim.seed >> 7;
	shim.seed ^= shim.seed << 17;
	return shim.seed % n;
}

static __u64 plain_load(const void *p, size_t size)
{
	__u64 value = 0;

	memcpy(&value, p, size);
	return value;
}

/* What lies at a place at a moment, a moment being a number of visible stores. */
static __u64 load_at(const void *p, size_t size, int moment)
{
	int i;

	while (moment--)
		if (shim.log[shim.order[moment]].place == p)
			return shim.log[shim.order[moment]].value;
	for (i = 0; i < shim.stores; i++)
		if (shim.log[i].place == p)
			return shim.log[i].before;
	return plain_load(p, size);
}

static int *coherence(const void *p)
{
	int i;

	for (i = 0; i < shim.places; i++)
		if (shim.seen[i] == p)
			return &shim.seen_at[i];
	assert(shim.places < MAX_PLACES);
	shim.seen[shim.places] = p;
	shim.seen_at[shim.places] = 0;
	return &shim.seen_at[shim.places++];
}

/* The oldest store that waits becomes visible. */
static void buffer_drain_one(int side)
{
	struct store *s = buffer.store[side];

	if (!buffer.stores[side])
		return;
	memcpy(s[0].place, &s[0].value, s[0].size);
	memmove(&s[0], &s[1], --buffer.stores[side] * sizeof(*s));
}

static void buffer_drain(int side)
{
	while (buffer.stores[side])
		buffer_drain_one(side);
}

/* Between any two accesses something may become visible, or the other side run. */
static void buffer_moment(void)
{
	void (*other)(void) = buffer.other;

	if (random_below(4) == 0)
		buffer_drain_one((int)random_below(2));
	if (!other || random_below(4))
		return;
	buffer.other = NULL;
	buffer.side ^= 1;
	other();
	buffer.side ^= 1;
}

static __u64 buffer_load(const void *p, size_t size)
{
	struct store *s = buffer.store[buffer.side];
	int i;

	buffer_moment();
	for (i = buffer.stores[buffer.side]; i--;)
		if (s[i].place == p)
			return s[i].value;
	return plain_load(p, size);
}

static void buffer_store(void *p, __u64 value, size_t size)
{
	int side = buffer.side;

	buffer_moment();
	assert(buffer.stores[side] < MAX_STORES);
	buffer.store[side][buffer.stores[side]++] =
		(struct store){ .place = p, .value = value, .size = size };
}

static __u64 shim_load(const void *p, size_t size, bool acquire)
{
	int *seen, low, moment;

	if (shim.mode == BUFFER)
		return buffer_load(p, size);
	if (shim.mode != REPLAY)
		return plain_load(p, size);
	seen = coherence(p);
	low = *seen > shim.floor ? *seen : shim.floor;
	/* Half of the loads see the oldest that they may: long races are as likely. */
	moment = low;
	if (random_below(2))
		moment += (int)random_below(shim.stores - low + 1);
	*seen = moment;
	if (moment > shim.latest)
		shim.latest = moment;
	if (acquire && moment > shim.floor)
		shim.floor = moment;
	return load_at(p, size, moment);
}

static void shim_store(void *p, __u64 value, size_t size, bool release)
{
	struct store *s = &shim.log[shim.stores];

	if (shim.mode == BUFFER) {
		buffer_store(p, value, size);
		return;
	}
	if (shim.at_store)
		shim.at_store(p);
	if (shim.mode == RECORD) {
		assert(shim.stores < MAX_STORES);
		s->place = p;
		s->value = value;
		s->before = plain_load(p, size);
		s->size = size;
		s->segment = shim.segment;
		s->release = release;
		shim.stores++;
	}
	memcpy(p, &value, size);
}

static void shim_rmb(void)
{
	if (shim.mode == REPLAY)
		shim.floor = shim.latest;
}

static void shim_wmb(void)
{
	if (shim.mode == RECORD)
		shim.segment++;
}

static void shim_mb(void)
{
	shim_rmb();
	shim_wmb();
	if (shim.mode == BUFFER)
		buffer_drain(buffer.side);
}

/* Must the earlier store become visible first? */
static bool ordered(const struct store *earlier, const struct store *later)
{
	return earlier->segment != later->segment || later->release ||
	       earlier->place == later->place;
}

static void shuffle(void)
{
	bool done[MAX_STORES] = { false };
	int ready[MAX_STORES];
	int n, i, k, count;

	for (n = 0; n < shim.stores; n++) {
		count = 0;
		for (i = 0; i < shim.stores; i++) {
			if (done[i])
				continue;
			for (k = 0; k < i; k++)
				if (!done[k] &&
				    ordered(&shim.log[k], &shim.log[i]))
					break;
			if (k == i)
				ready[count++] = i;
		}
		shim.order[n] = ready[random_below(count)];
		done[shim.order[n]] = true;
	}
}

static void record(void)
{
	shim.mode = RECORD;
	shim.stores = 0;
	shim.segment = 0;
}

static void replay(void)
{
	shim.mode = REPLAY;
	shim.floor = 0;
	shim.latest = 0;
	shim.places = 0;
	shuffle();
}

struct pair {
	struct window w;
	struct ion_host_end host;
	struct ion_guest_end guest;
};

static void pair_open(struct pair *p)
{
	shim.mode = DIRECT;
	memset(p->w.mem + p->w.dir[0].host_channel, 0,
	       sizeof(struct ion_host_channel));
	memset(p->w.mem + p->w.dir[0].guest_channel, 0,
	       sizeof(struct ion_guest_channel));
	memset(&p->host, 0, sizeof(p->host));
	memset(&p->guest, 0, sizeof(p->guest));
	p->host.offered = 1;
	p->host.max_depth = 10;
	p->host.vectors = 1;
	ion_host_bind(&p->host, p->w.mem, &p->w.dir[0]);
	ion_guest_bind(&p->guest, p->w.mem, &p->w.dir[0]);
}

static int setup(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));

	window_open(&p->w);
	shim.seed = 0x9e3779b97f4a7c15ull;
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

/*
 * A guest looks for an offer while the host is replaced by a successor that
 * offers more. It gets the one offer or the other or none, no mixture.
 */
static void order_offer_is_never_torn(void **state)
{
	struct pair *p = *state;
	unsigned long i, former = 0, latter = 0, none = 0;
	struct ion_offer o;

	for (i = 0; i < WALKS; i++) {
		pair_open(p);
		ion_guest_reset(&p->guest, 6);
		ion_host_start(&p->host, p->host.mine->generation);
		record();
		p->host.offered = 3;
		p->host.max_depth = 20;
		ion_host_start(&p->host, p->host.mine->generation);
		replay();
		if (!ion_guest_offer(&p->guest, &o)) {
			none++;
		} else if (o.generation == 1) {
			former++;
			assert_int_equal(o.features, 1);
			assert_int_equal(o.max_depth, 10);
		} else {
			latter++;
			assert_int_equal(o.generation, 2);
			assert_int_equal(o.features, 3);
			assert_int_equal(o.max_depth, 20);
		}
	}
	assert_true(former && latter && none);
}

/* Likewise while the host answers one reset and then another. */
static void order_offer_answers_own_reset(void **state)
{
	struct pair *p = *state;
	unsigned long i, offers = 0;
	struct ion_offer o;

	for (i = 0; i < WALKS; i++) {
		pair_open(p);
		ion_guest_reset(&p->guest, 5);
		ion_host_start(&p->host, p->host.mine->generation);
		ion_guest_reset(&p->guest, 6);
		record();
		assert_int_equal(ion_host_look(&p->host), ION_HOST_EV_RESET);
		ion_host_drained(&p->host);
		replay();
		if (!ion_guest_offer(&p->guest, &o))
			continue;
		offers++;
		assert_int_equal(o.generation, 2);
	}
	assert_true(offers > 0);
}

/*
 * A guest that was LIVE and has made requests acknowledges a successor: when
 * the host takes it, it takes the new terms and the new indices.
 */
static void order_reacknowledgement_is_whole(void **state)
{
	struct pair *p = *state;
	unsigned long i, taken = 0;
	struct ion_terms t;
	struct ion_offer o;

	for (i = 0; i < WALKS; i++) {
		__u64 entry[8] = { 0 };

		pair_open(p);
		ion_guest_reset(&p->guest, 6);
		ion_host_start(&p->host, p->host.mine->generation);
		t = (struct ion_terms){ .features = 0, .depth = 4 };
		assert_true(ion_guest_offer(&p->guest, &o));
		ion_guest_ack(&p->guest, &o, &t);
		ion_prod_put(&p->guest.req, entry);
		ion_prod_publish(&p->guest.req);

		ion_host_start(&p->host, p->host.mine->generation);
		t = (struct ion_terms){ .features = 1, .depth = 8 };
		assert_true(ion_guest_offer(&p->guest, &o));
		record();
		ion_guest_ack(&p->guest, &o, &t);
		replay();
		if (ion_host_look(&p->host) == ION_HOST_EV_NONE)
			continue;
		taken++;
		assert_int_equal(p->host.state, ION_HOST_LIVE);
		assert_int_equal(p->host.depth, 8);
		assert_int_equal(p->host.features, 1);
		assert_int_equal(ion_cons_avail(&p->host.req), 0);
		assert_false(p->host.req.broken);
	}
	assert_true(taken > 0 && taken < WALKS);
}

static struct window *published;

/* Nothing is missing when the magic is stored, and nothing but the magic is. */
static void before_magic(void *place)
{
	struct window *w = published;
	struct ion_host_header *hdr = (struct ion_host_header *)w->mem;

	if (place != &hdr->magic)
		return;
	published = NULL;
	shim.at_store = NULL;
	assert_int_equal(hdr->magic, 0);
	assert_int_equal(hdr->state, ION_HOST_DOWN);
	assert_memory_equal(&hdr->abi_major, &w->hdr.abi_major,
			    128 - offsetof(struct ion_host_header, abi_major));
	assert_memory_equal(w->mem + hdr->dir_offset, w->dir,
			    4 * sizeof(w->dir[0]));
}

/* The magic is stored with release, after all that it vouches for. */
static void order_magic_comes_last(void **state)
{
	struct pair *p = *state;
	int i;

	published = &p->w;
	record();
	shim.at_store = before_magic;
	ion_publish(p->w.mem, &p->w.hdr, p->w.dir);
	shim.mode = DIRECT;
	assert_null(published);
	for (i = 0; i < shim.stores; i++)
		assert_true(shim.log[i].release);
	assert_int_equal(shim.stores, 2);
}

static struct ring {
	__u32 prod, cons, event;
	__u8 entries[4 * 8];
	struct ion_prod p;
	struct ion_cons c;
	bool rung, slept;
} ring;

static void producer(void)
{
	__u64 entry = 1;

	ion_prod_put(&ring.p, &entry);
	ring.rung = ion_prod_publish(&ring.p);
}

static void consumer(void)
{
	ring.slept = !ion_cons_arm(&ring.c);
}

static void ring_open(void)
{
	__u64 entry = 0;

	shim.mode = DIRECT;
	memset(&ring, 0, sizeof(ring));
	ring.p = (struct ion_prod){ .shared_prod = &ring.prod,
				    .shared_cons = &ring.cons,
				    .shared_event = &ring.event,
				    .entries = ring.entries,
				    .entry_size = 8,
				    .mask = 3 };
	ring.c = (struct ion_cons){ .shared_prod = &ring.prod,
				    .shared_cons = &ring.cons,
				    .shared_event = &ring.event,
				    .entries = ring.entries,
				    .entry_size = 8,
				    .mask = 3 };
	ion_prod_reset(&ring.p, 0xffffffffu);
	ion_cons_reset(&ring.c, 0xffffffffu);
	/* One entry each way, so that nobody is armed any more. */
	producer();
	assert_int_equal(ion_cons_avail(&ring.c), 1);
	ion_cons_get(&ring.c, &entry);
	ion_cons_release(&ring.c);
}

/*
 * One side publishes an entry while the other goes to sleep: it sees the entry, or
 * it is rung.
 */
static void order_no_wakeup_is_lost(void **state)
{
	unsigned long i, rung = 0, slept = 0;

	for (i = 0; i < WALKS; i++) {
		bool producer_first = random_below(2);

		ring_open();
		shim.mode = BUFFER;
		buffer.side = 0;
		buffer.other = producer_first ? consumer : producer;
		if (producer_first)
			producer();
		else
			consumer();
		while (buffer.other)
			buffer_moment();
		buffer_drain(0);
		buffer_drain(1);
		assert_true(!ring.slept || ring.rung);
		slept += ring.slept;
		rung += ring.rung;
	}
	assert_true(slept && slept < WALKS && rung && rung < WALKS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(order_magic_comes_last, setup,
						teardown),
		cmocka_unit_test_setup_teardown(order_no_wakeup_is_lost, setup,
						teardown),
		cmocka_unit_test_setup_teardown(order_offer_is_never_torn,
						setup, teardown),
		cmocka_unit_test_setup_teardown(order_offer_answers_own_reset,
						setup, teardown),
		cmocka_unit_test_setup_teardown(order_reacknowledgement_is_whole,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
