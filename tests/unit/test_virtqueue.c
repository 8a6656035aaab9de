/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The driver's side of a virtqueue against a device of twenty lines that reads
 * and writes the queue's memory by the specification's own offsets, and not by
 * the structures of the code under test. Then everything that a device can
 * write which cannot be true.
 */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rumpk/virtqueue.h"

#define SIZE 8u
#define SEGS 4u
#define ADDR 0x100000000ull

#define INDIRECT VIRTQ_F_INDIRECT_DESC
#define EVENT VIRTQ_F_EVENT_IDX

static struct virtq q;
static uint8_t *mem;

static int cookies[64];

static void make(uint64_t features)
{
	struct virtq_spec spec = {
		.addr = ADDR,
		.size = SIZE,
		.max_segs = SEGS,
		.features = features,
	};
	struct virtq_layout l;

	virtq_layout(&l, SIZE, SEGS, features);
	mem = aligned_alloc(4096, (l.bytes + 4095) & ~4095ull);
	memset(mem, 0, l.bytes);
	spec.base = mem;
	assert_int_equal(virtq_init(&q, &spec), 0);
}

static void drop(void)
{
	virtq_exit(&q);
	free(mem);
}

static uint16_t get16(uint64_t at)
{
	return (uint16_t)(mem[at] | mem[at + 1] << 8);
}

static uint32_t get32(uint64_t at)
{
	return get16(at) | (uint32_t)get16(at + 2) << 16;
}

static uint64_t get64(uint64_t at)
{
	return get32(at) | (uint64_t)get32(at + 4) << 32;
}

static void put16(uint64_t at, uint16_t v)
{
	memcpy(mem + at, &v, sizeof(v));
}

static void put32(uint64_t at, uint32_t v)
{
	memcpy(mem + at, &v, sizeof(v));
}

/* The device: what was made available as the nth, and its answers. */
static uint16_t dev_head(uint16_t nth)
{
	return get16(q.layout.avail + 4 + 2 * (nth % SIZE));
}

static uint16_t dev_used;

static void dev_entry(uint32_t id, uint32_t len)
{
	uint64_t at = q.layout.used + 4 + 8 * (dev_used % SIZE);

	put32(at, id);
	put32(at + 4, len);
	dev_used++;
}

static void dev_show(void)
{
	put16(q.layout.used + 2, dev_used);
}

static void dev_answer(uint32_t id, uint32_t len)
{
	dev_entry(id, len);
	dev_show();
}

static int setup(void **state)
{
	dev_used = 0;
	return 0;
}

/* A header of 16 bytes, so much data, a status byte. */
static unsigned int segs(struct virtq_seg *s, unsigned int data, bool write)
{
	unsigned int i;

	s[0] = (struct virtq_seg){ 0x1000, 16, false };
	for (i = 1; i <= data; i++)
		s[i] = (struct virtq_seg){ 0x10000 * i, 4096, write };
	s[i] = (struct virtq_seg){ 0x2000, 1, true };
	return i + 1;
}

static int add(unsigned int data, bool write, void *cookie)
{
	struct virtq_seg s[SEGS + 4];
	unsigned int n = segs(s, data, write);

	return virtq_add(&q, s, n, cookie);
}

static void latched(const char *why)
{
	uint32_t len;

	assert_null(virtq_take(&q, &len));
	assert_string_equal(q.broken, why);
	assert_int_equal(add(1, false, &cookies[60]), -EIO);
	assert_false(virtq_publish(&q));
}

/* Section 2.7: sizes and alignments of the three parts. */
static void layout_by_specification(void **state)
{
	static const uint16_t sizes[] = { 1, 2, 8, 256, 1024, 32768 };
	struct virtq_layout l;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint64_t n = sizes[i];

		virtq_layout(&l, sizes[i], 1, INDIRECT);
		assert_int_equal(l.desc % 16, 0);
		assert_int_equal(l.avail % 2, 0);
		assert_int_equal(l.used % 4, 0);
		assert_int_equal(l.tables % 16, 0);
		assert_true(l.avail >= l.desc + 16 * n);
		assert_true(l.used >= l.avail + 6 + 2 * n);
		assert_true(l.tables >= l.used + 6 + 8 * n);
		assert_true(l.bytes >= l.tables + 16 * n);
	}
}

static void bad_sizes(void **state)
{
	static const uint16_t bad[] = { 0, 3, 6, 255, 32769 };
	struct virtq_spec spec = { .base = &spec, .max_segs = 1 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		spec.size = bad[i];
		assert_int_equal(virtq_init(&q, &spec), -EINVAL);
	}
	spec.size = 8;
	spec.max_segs = 9;
	assert_int_equal(virtq_init(&q, &spec), -EINVAL);
	spec.max_segs = 0;
	assert_int_equal(virtq_init(&q, &spec), -EINVAL);
}

/* Section 2.7.5: a chain in the queue's own descriptors. */
static void chain_offsets(void **state)
{
	uint64_t d;
	uint16_t head;

	make(0);
	assert_int_equal(add(2, true, &cookies[0]), 0);
	assert_int_equal(get16(q.layout.avail + 2), 0);
	assert_true(virtq_publish(&q));
	assert_int_equal(get16(q.layout.avail + 2), 1);
	head = dev_head(0);
	d = q.layout.desc + 16ull * head;
	assert_true(get64(d) == 0x1000);
	assert_int_equal(get32(d + 8), 16);
	assert_int_equal(get16(d + 12), 1);
	d = q.layout.desc + 16ull * get16(d + 14);
	assert_true(get64(d) == 0x10000);
	assert_int_equal(get32(d + 8), 4096);
	assert_int_equal(get16(d + 12), 1 | 2);
	d = q.layout.desc + 16ull * get16(d + 14);
	assert_true(get64(d) == 0x20000);
	d = q.layout.desc + 16ull * get16(d + 14);
	assert_true(get64(d) == 0x2000);
	assert_int_equal(get32(d + 8), 1);
	assert_int_equal(get16(d + 12), 2);
	drop();
}

/* Section 2.7.5.3: one descriptor, and a table of its own. */
static void indirect_offsets(void **state)
{
	uint64_t d;
	uint64_t t;

	make(INDIRECT);
	assert_int_equal(add(1, false, &cookies[0]), 0);
	assert_int_equal(add(1, true, &cookies[1]), 0);
	virtq_publish(&q);
	assert_int_equal(q.free, SIZE - 2);
	d = q.layout.desc + 16ull * dev_head(1);
	assert_int_equal(get16(d + 12), 4);
	assert_int_equal(get32(d + 8), 3 * 16);
	t = get64(d) - ADDR;
	assert_int_equal(t, q.layout.tables + 16ull * SEGS * dev_head(1));
	assert_true(get64(t) == 0x1000);
	assert_int_equal(get16(t + 12), 1);
	assert_int_equal(get16(t + 14), 1);
	assert_true(get64(t + 16) == 0x10000);
	assert_int_equal(get16(t + 16 + 12), 1 | 2);
	assert_int_equal(get16(t + 16 + 14), 2);
	assert_int_equal(get16(t + 32 + 12), 2);
	drop();
}

static void buffers_that_cannot_be(void **state)
{
	struct virtq_seg s[SEGS + 1] = { { 1, 1, false } };

	make(INDIRECT);
	assert_int_equal(virtq_add(&q, s, 0, &cookies[0]), -EINVAL);
	assert_int_equal(virtq_add(&q, s, 1, NULL), -EINVAL);
	assert_int_equal(add(SEGS - 1, true, &cookies[0]), -EINVAL);
	s[0].write = true;
	s[1].len = 1;
	assert_int_equal(virtq_add(&q, s, 2, &cookies[0]), -EINVAL);
	s[1].write = true;
	s[1].len = 0;
	assert_int_equal(virtq_add(&q, s, 2, &cookies[0]), -EINVAL);
	assert_int_equal(q.free, SIZE);
	drop();
}

static void full_and_free_again(void **state)
{
	const struct virtq_seg one = { 0x1000, 1, true };
	uint32_t len;
	unsigned int i;

	make(0);
	for (i = 0; i < 2; i++)
		assert_int_equal(add(2, false, &cookies[i]), 0);
	assert_int_equal(add(0, false, &cookies[2]), -ENOSPC);
	assert_int_equal(virtq_add(&q, &one, 1, &cookies[2]), -ENOSPC);
	virtq_publish(&q);
	dev_answer(dev_head(1), 1);
	assert_ptr_equal(virtq_take(&q, &len), &cookies[1]);
	assert_int_equal(q.free, 4);
	assert_int_equal(add(2, false, &cookies[3]), 0);
	assert_int_equal(add(0, false, &cookies[4]), -ENOSPC);
	drop();
}

/* Both indices pass 65536; answers come in another order than requests. */
static void run_wrap(uint64_t features)
{
	uint32_t len;
	uint32_t i;

	make(features);
	for (i = 0; i < 70000; i += 2) {
		uint16_t second;

		assert_int_equal(add(1, true, &cookies[0]), 0);
		assert_int_equal(add(2, true, &cookies[1]), 0);
		virtq_publish(&q);
		assert_int_equal(get16(q.layout.avail + 2), (uint16_t)(i + 2));
		second = dev_head((uint16_t)(i + 1));
		dev_answer(second, 2 * 4096 + 1);
		assert_ptr_equal(virtq_take(&q, &len), &cookies[1]);
		assert_int_equal(len, 2 * 4096 + 1);
		assert_null(virtq_take(&q, &len));
		dev_answer(dev_head((uint16_t)i), 0);
		assert_ptr_equal(virtq_take(&q, &len), &cookies[0]);
		assert_int_equal(q.free, SIZE);
		assert_null(q.broken);
	}
	drop();
}

static void wrap_chain(void **state)
{
	run_wrap(0);
}

static void wrap_indirect(void **state)
{
	run_wrap(INDIRECT | EVENT);
}

/* One buffer stays out while the indices go round. */
static void straggler(void **state)
{
	uint32_t len;
	uint16_t first;
	uint32_t i;

	make(INDIRECT);
	assert_int_equal(add(1, true, &cookies[0]), 0);
	virtq_publish(&q);
	first = dev_head(0);
	for (i = 1; i < 66000; i++) {
		assert_int_equal(add(1, true, &cookies[1]), 0);
		virtq_publish(&q);
		dev_answer(dev_head((uint16_t)i), 1);
		assert_ptr_equal(virtq_take(&q, &len), &cookies[1]);
	}
	dev_answer(first, 1);
	assert_ptr_equal(virtq_take(&q, &len), &cookies[0]);
	drop();
}

/* Section 2.7.7: by the device's own rule no answer asks for a call. */
static void no_call_is_asked_for(void **state)
{
	uint32_t len;
	uint32_t i;

	make(0);
	assert_int_equal(get16(q.layout.avail), 1);
	drop();
	make(INDIRECT | EVENT);
	assert_int_equal(get16(q.layout.avail), 0);
	for (i = 0; i < 70000; i++) {
		uint16_t event = get16(q.layout.avail + 4 + 2 * SIZE);
		uint16_t old = dev_used;

		assert_int_equal(add(1, true, &cookies[0]), 0);
		virtq_publish(&q);
		dev_answer(dev_head((uint16_t)i), 1);
		assert_false((uint16_t)(dev_used - event - 1) <
			     (uint16_t)(dev_used - old));
		assert_ptr_equal(virtq_take(&q, &len), &cookies[0]);
	}
	drop();
}

/* Section 2.7.10: the device is kicked when it asked for it, and only then. */
static void kicks(void **state)
{
	make(0);
	put16(q.layout.used, 1);
	assert_int_equal(add(0, false, &cookies[0]), 0);
	assert_false(virtq_publish(&q));
	put16(q.layout.used, 0);
	assert_false(virtq_publish(&q));
	assert_int_equal(add(0, false, &cookies[1]), 0);
	assert_true(virtq_publish(&q));
	drop();

	make(INDIRECT | EVENT);
	put16(q.layout.used + 4 + 8 * SIZE, 2);
	assert_int_equal(add(0, false, &cookies[0]), 0);
	assert_int_equal(add(0, false, &cookies[1]), 0);
	assert_false(virtq_publish(&q));
	assert_int_equal(add(0, false, &cookies[2]), 0);
	assert_true(virtq_publish(&q));
	assert_int_equal(add(0, false, &cookies[3]), 0);
	assert_false(virtq_publish(&q));
	drop();
}

static void device_jumps(void **state)
{
	static const uint16_t to[] = { 2, 3, SIZE, SIZE + 1, 0x8000, 0xffff };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(to); i++) {
		make(INDIRECT);
		assert_int_equal(add(1, true, &cookies[0]), 0);
		virtq_publish(&q);
		/* Added, but not shown: it cannot have been used. */
		assert_int_equal(add(1, true, &cookies[1]), 0);
		put16(q.layout.used + 2, to[i]);
		latched("the used index jumps");
		drop();
	}
}

static void device_goes_back(void **state)
{
	uint32_t len;

	make(INDIRECT);
	assert_int_equal(add(1, true, &cookies[0]), 0);
	assert_int_equal(add(1, true, &cookies[1]), 0);
	virtq_publish(&q);
	dev_answer(dev_head(0), 1);
	assert_non_null(virtq_take(&q, &len));
	put16(q.layout.used + 2, 0);
	latched("the used index jumps");
	drop();
}

static void device_names_what_cannot_be(void **state)
{
	static const uint32_t ids[] = { SIZE,	 SIZE + 1,   0x10000,
					0x10001, 0x80000000, 0xffffffff };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		make(INDIRECT);
		dev_used = 0;
		assert_int_equal(add(1, true, &cookies[0]), 0);
		virtq_publish(&q);
		dev_answer(ids[i], 1);
		latched("a used id is out of range");
		drop();
	}
}

static void device_names_what_is_not_in_flight(void **state)
{
	uint32_t len;
	uint16_t head;

	/* Twice the same. */
	make(INDIRECT);
	assert_int_equal(add(1, true, &cookies[0]), 0);
	assert_int_equal(add(1, true, &cookies[1]), 0);
	virtq_publish(&q);
	dev_entry(dev_head(0), 1);
	dev_entry(dev_head(0), 1);
	dev_show();
	assert_ptr_equal(virtq_take(&q, &len), &cookies[0]);
	latched("a used id is not in flight");
	drop();

	/* Not the head of a chain. */
	make(0);
	dev_used = 0;
	assert_int_equal(add(1, true, &cookies[0]), 0);
	virtq_publish(&q);
	head = dev_head(0);
	dev_answer(get16(q.layout.desc + 16ull * head + 14), 1);
	latched("a used id is not in flight");
	drop();

	/* Not shown yet. */
	make(INDIRECT);
	dev_used = 0;
	assert_int_equal(add(1, true, &cookies[0]), 0);
	virtq_publish(&q);
	assert_int_equal(add(1, true, &cookies[1]), 0);
	dev_answer(dev_head(1), 1);
	latched("a used id is not in flight");
	drop();
}

static void device_writes_too_much(void **state)
{
	static const uint32_t read[] = { 4098, 0x7fffffff, 0xffffffff };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(read); i++) {
		make(INDIRECT);
		dev_used = 0;
		assert_int_equal(add(1, true, &cookies[0]), 0);
		virtq_publish(&q);
		dev_answer(dev_head(0), read[i]);
		latched("a used length is impossible");
		drop();
	}
	make(0);
	dev_used = 0;
	assert_int_equal(add(1, false, &cookies[0]), 0);
	virtq_publish(&q);
	dev_answer(dev_head(0), 2);
	latched("a used length is impossible");
	drop();
}

/* A device that scribbles over all of its memory changes nothing of ours. */
static void device_scribbles(void **state)
{
	uint32_t len;
	uint16_t head;
	unsigned int n = 0;

	make(0);
	assert_int_equal(add(1, true, &cookies[0]), 0);
	assert_int_equal(add(1, true, &cookies[1]), 0);
	virtq_publish(&q);
	head = dev_head(1);
	memset(mem, 0xff, q.layout.used);
	dev_answer(head, 1);
	assert_ptr_equal(virtq_take(&q, &len), &cookies[1]);
	assert_int_equal(q.free, SIZE - 3);
	while (virtq_forget(&q))
		n++;
	assert_int_equal(n, 1);
	assert_int_equal(q.free, SIZE);
	assert_int_equal(q.in_flight, 0);
	drop();
}

/* In the order in which they were added, wherever their descriptors are. */
static void forget_all(void **state)
{
	uint32_t written;
	int i;

	make(0);
	for (i = 0; i < 2; i++)
		assert_int_equal(add(0, true, &cookies[i]), 0);
	virtq_publish(&q);
	dev_answer(dev_head(0), 1);
	assert_ptr_equal(virtq_take(&q, &written), &cookies[0]);
	for (i = 2; i < 4; i++)
		assert_int_equal(add(0, true, &cookies[i]), 0);
	virtq_publish(&q);
	for (i = 1; i < 4; i++)
		assert_ptr_equal(virtq_forget(&q), &cookies[i]);
	assert_null(virtq_forget(&q));
	assert_string_equal(q.broken, "its device is gone");
	assert_int_equal(add(0, true, &cookies[0]), -EIO);
	drop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(layout_by_specification, setup),
		cmocka_unit_test_setup(bad_sizes, setup),
		cmocka_unit_test_setup(chain_offsets, setup),
		cmocka_unit_test_setup(indirect_offsets, setup),
		cmocka_unit_test_setup(buffers_that_cannot_be, setup),
		cmocka_unit_test_setup(full_and_free_again, setup),
		cmocka_unit_test_setup(wrap_chain, setup),
		cmocka_unit_test_setup(wrap_indirect, setup),
		cmocka_unit_test_setup(straggler, setup),
		cmocka_unit_test_setup(no_call_is_asked_for, setup),
		cmocka_unit_test_setup(kicks, setup),
		cmocka_unit_test_setup(device_jumps, setup),
		cmocka_unit_test_setup(device_goes_back, setup),
		cmocka_unit_test_setup(device_names_what_cannot_be, setup),
		cmocka_unit_test_setup(device_names_what_is_not_in_flight, setup),
		cmocka_unit_test_setup(device_writes_too_much, setup),
		cmocka_unit_test_setup(device_scribbles, setup),
		cmocka_unit_test_setup(forget_all, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
