// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest believes of a window: what ion_layout() makes is believed, and
 * every single thing that can be wrong with header and directory is not.
 */
#include "unit.h"

#include <stdio.h>

#include "window.h"

#define HEADER (-1)

/* Exactly this is wrong with the window: at this entry, with this value. */
static void rejects(const struct window *w, const char *what, int index,
		    __u64 value)
{
	struct ion_fault f;

	assert_false(window_validate(w, &f));
	assert_non_null(f.what);
	if (strncmp(f.what, what, strlen(what)))
		fail_msg("\"%s\" instead of \"%s\"", f.what, what);
	assert_int_equal(f.index, index);
	assert_int_equal(f.value, value);
}

static void accepts(const struct window *w)
{
	struct ion_fault f;

	if (!window_validate(w, &f))
		fail_msg("%s: entry %d, value 0x%llx", f.what, f.index,
			 (unsigned long long)f.value);
	assert_null(f.what);
}

/* One field made wrong in a window that is right otherwise. */
#define reject_header(field, wrong, what)                                      \
	do {                                                                   \
		struct window w;                                               \
		window_layout(&w);                                             \
		w.hdr.field = (wrong);                                         \
		rejects(&w, what, HEADER, w.hdr.field);                        \
	} while (0)

/* Likewise of directory entry @n; the fault names @value. */
#define reject_entry_value(n, field, wrong, what, value)                       \
	do {                                                                   \
		struct window w;                                               \
		window_layout(&w);                                             \
		w.dir[n].field = (wrong);                                      \
		rejects(&w, what, n, w.dir[n].value);                          \
	} while (0)

#define reject_entry(n, field, wrong, what)                                    \
	reject_entry_value(n, field, wrong, what, field)

static void validate_accepts_layout(void **state)
{
	struct window w;

	assert_true(window_layout(&w) > 0);
	accepts(&w);
}

static void validate_header_version(void **state)
{
	struct window w;

	reject_header(abi_major, 0, "ABI major");
	reject_header(abi_major, 2, "ABI major");
	window_layout(&w);
	w.hdr.abi_minor = 0xffff;
	accepts(&w);
}

static void validate_header_length(void **state)
{
	struct ion_fault f;
	struct window w;

	reject_header(length, 0, "window length, must be 4 MiB");
	reject_header(length, ION_WINDOW_MIN - ION_REGION_ALIGN,
		      "window length, must be 4 MiB");
	reject_header(length, WINDOW_LENGTH + 1, "window length, must be 4 MiB");
	reject_header(length, ION_WINDOW_MAX + ION_REGION_ALIGN,
		      "window length, must be 4 MiB");
	reject_header(length, ~0ull, "window length, must be 4 MiB");
	reject_header(length, WINDOW_LENGTH + ION_REGION_ALIGN,
		      "window length, must not exceed");
	/* What is mapped may well be longer. */
	window_layout(&w);
	assert_true(ion_validate_header(&w.hdr, WINDOW_LENGTH * 4, 0, &f));
}

static void validate_header_regions(void **state)
{
	reject_header(host.length, 0, "host region");
	reject_header(host.length, 0x10001, "host region");
	reject_header(host.length, WINDOW_LENGTH + ION_REGION_ALIGN,
		      "host region");
	reject_header(host.length, 0ull - ION_REGION_ALIGN, "host region");

	reject_header(guest.offset, 0, "guest region");
	reject_header(guest.offset, 0x10001, "guest region");
	reject_header(guest.offset, WINDOW_LENGTH, "guest region");
	reject_header(guest.offset, 0ull - ION_REGION_ALIGN, "guest region");

	reject_header(data.offset, 0, "data region");
	reject_header(data.offset, WINDOW_LENGTH, "data region");
	reject_header(data.offset, 0ull - ION_REGION_ALIGN, "data region");
}

/* Faults that are reported with another field of the region. */
static void validate_header_region_lengths(void **state)
{
	struct window w;

	window_layout(&w);
	w.hdr.host.offset = ION_REGION_ALIGN;
	rejects(&w, "host region", HEADER, w.hdr.host.length);

	window_layout(&w);
	w.hdr.guest.length = 0;
	rejects(&w, "guest region", HEADER, w.hdr.guest.offset);

	window_layout(&w);
	w.hdr.guest.length = 0ull - ION_REGION_ALIGN;
	rejects(&w, "guest region", HEADER, w.hdr.guest.offset);

	window_layout(&w);
	w.hdr.guest.length += ION_REGION_ALIGN;
	rejects(&w, "data region", HEADER, w.hdr.data.offset);

	window_layout(&w);
	w.hdr.data.length += ION_REGION_ALIGN;
	rejects(&w, "data region", HEADER, w.hdr.data.offset);

	window_layout(&w);
	w.hdr.data.length = 0;
	rejects(&w, "data region", HEADER, w.hdr.data.offset);
}

static void validate_header_features(void **state)
{
	struct ion_fault f;
	struct window w;

	reject_header(features_required, 1,
		      "required features, must be a subset");
	window_layout(&w);
	w.hdr.features_offered = 3;
	accepts(&w);
	w.hdr.features_required = 1;
	rejects(&w, "required features, not all known", HEADER, 1);
	assert_true(ion_validate_header(&w.hdr, WINDOW_LENGTH, 1, &f));
}

static void validate_header_directory(void **state)
{
	struct window w;

	reject_header(dir_count, 0, "directory count");
	reject_header(dir_count, ION_MAX_CHANNELS + 1, "directory count");
	reject_header(dir_count, 0xffffffffu, "directory count");

	reject_header(dir_entry_size, 0, "directory entry size");
	reject_header(dir_entry_size, 120, "directory entry size");
	reject_header(dir_entry_size, 132, "directory entry size");
	reject_header(dir_entry_size, 4104, "directory entry size");
	reject_header(dir_entry_size, 0xfffffff8u, "directory entry size");

	reject_header(dir_offset, 0, "directory offset");
	reject_header(dir_offset, 256, "directory offset");
	reject_header(dir_offset, 385, "directory offset");
	reject_header(dir_offset, WINDOW_LENGTH, "directory offset");
	reject_header(dir_offset, 0ull - 128, "directory offset");
	window_layout(&w);
	w.hdr.dir_offset = w.hdr.host.length - 4 * sizeof(w.dir[0]) + 128;
	rejects(&w, "directory offset", HEADER, w.hdr.dir_offset);
}

static void validate_entry_numbers(void **state)
{
	reject_entry(0, queue, ION_MAX_QUEUES, "queue, must be below");
	reject_entry(0, queue, 0xffff, "queue, must be below");
	/* The first entry of all, and of an instance, is queue 0. */
	reject_entry(0, queue, 1, "queue, must follow");
	reject_entry(2, queue, 1, "queue, must follow");
	reject_entry(1, queue, 2, "queue, must follow");
	reject_entry_value(1, kind, ION_KIND_TEST, "queue, must follow", queue);
	reject_entry_value(1, instance, 7, "queue, must follow", queue);
	reject_entry_value(1, config.offset, 0x800, "queue, must follow", queue);
	reject_entry_value(1, config.length, 8, "queue, must follow", queue);
	reject_entry(0, queue_class, ION_CLASS_COUNT, "queue class");
	reject_entry(3, queue_class, 0xff, "queue class");
}

static void validate_entry_host_ranges(void **state)
{
	struct window w;

	reject_entry(0, host_channel, 0, "host channel record");
	reject_entry(0, host_channel, WINDOW_LENGTH, "host channel record");
	reject_entry(0, host_channel, 0ull - 128, "host channel record");
	window_layout(&w);
	reject_entry(0, host_channel, w.dir[0].host_channel + 64,
		     "host channel record");
	reject_entry(0, host_channel, w.dir[0].host_channel - 128,
		     "host channel record");
	reject_entry(0, host_channel, w.hdr.host.length - 256,
		     "host channel record");
	/* On top of the records of the entry before. */
	reject_entry(1, host_channel, w.dir[0].host_channel,
		     "host channel record");

	reject_entry_value(0, config.length, w.hdr.host.length, "config, must",
			   config.offset);
	reject_entry(2, config.offset, w.dir[0].config.offset, "config, must");
	reject_entry(0, config.offset, w.dir[0].config.offset + 1,
		     "config, must");
	reject_entry(0, config.offset, w.hdr.guest.offset, "config, must");
}

static void validate_entry_rings(void **state)
{
	struct window w;

	window_layout(&w);
	reject_entry(0, rsp.offset, w.dir[0].rsp.offset + 8, "response ring");
	reject_entry(0, rsp.offset, 0, "response ring");
	reject_entry(0, rsp.offset, w.dir[0].req.offset, "response ring");
	reject_entry(1, rsp.offset, w.dir[0].rsp.offset, "response ring");
	reject_entry(0, rsp.offset, 0ull - 4096, "response ring");
	reject_entry_value(0, rsp.entry_size, 0, "response ring", rsp.offset);
	reject_entry_value(0, rsp.entry_size, 36, "response ring", rsp.offset);
	reject_entry_value(0, rsp.entry_size, ION_MAX_ENTRY_SIZE + 8,
			   "response ring", rsp.offset);
	reject_entry_value(0, rsp.log2_entries, 0, "response ring", rsp.offset);
	reject_entry_value(0, rsp.log2_entries, ION_MAX_LOG2_ENTRIES + 1,
			   "response ring", rsp.offset);
	reject_entry_value(0, rsp.log2_entries, 0xff, "response ring",
			   rsp.offset);
	reject_entry_value(0, rsp.log2_entries, 15, "response ring", rsp.offset);

	reject_entry(0, req.offset, w.dir[0].req.offset + 8, "request ring");
	reject_entry(0, req.offset, w.dir[0].rsp.offset, "request ring");
	reject_entry(0, req.offset, w.hdr.data.offset, "request ring");
	reject_entry(1, req.offset, w.dir[0].req.offset, "request ring");
	reject_entry_value(0, req.entry_size, 0, "request ring", req.offset);
	reject_entry_value(0, req.log2_entries, 0, "request ring", req.offset);
	window_layout(&w);
	w.dir[0].req.log2_entries = 15;
	w.dir[0].req.entry_size = ION_MAX_ENTRY_SIZE;
	rejects(&w, "request ring", 0, w.dir[0].req.offset);
}

static void validate_entry_guest_ranges(void **state)
{
	struct window w;

	window_layout(&w);
	reject_entry(0, guest_channel, 0, "guest channel record");
	reject_entry(0, guest_channel, w.dir[0].host_channel,
		     "guest channel record");
	reject_entry(0, guest_channel, w.hdr.guest.offset,
		     "guest channel record");
	reject_entry(0, guest_channel, w.dir[0].guest_channel + 64,
		     "guest channel record");
	reject_entry(0, guest_channel, w.hdr.data.offset, "guest channel record");
	reject_entry(0, guest_channel, 0ull - 128, "guest channel record");
	reject_entry(1, guest_channel, w.dir[0].guest_channel,
		     "guest channel record");

	reject_entry(0, indirect.offset, w.dir[0].indirect.offset + 128,
		     "indirect area");
	reject_entry(0, indirect.offset, w.dir[0].req.offset, "indirect area");
	reject_entry(1, indirect.offset, w.dir[0].indirect.offset,
		     "indirect area");
	reject_entry_value(0, indirect.length, ~0ull, "indirect area",
			   indirect.offset);
	reject_entry_value(0, indirect.length, w.hdr.guest.length,
			   "indirect area", indirect.offset);
}

static void validate_entry_data(void **state)
{
	struct window w;

	window_layout(&w);
	reject_entry(0, data.offset, 0, "data area");
	reject_entry(0, data.offset, w.hdr.guest.offset, "data area");
	reject_entry(0, data.offset, w.dir[0].data.offset + 512, "data area");
	reject_entry(0, data.offset, WINDOW_LENGTH, "data area");
	reject_entry(0, data.offset, 0ull - 4096, "data area");
	reject_entry(1, data.offset, w.dir[0].data.offset, "data area");
	reject_entry_value(3, data.length, w.dir[3].data.length + 4096 * 4,
			   "data area", data.offset);
	reject_entry_value(0, data.length, ~0ull, "data area", data.offset);
}

static void validate_entry_overlap_forward(void **state)
{
	struct window w;

	/* A range that grows into the next entry's is that entry's fault. */
	window_layout(&w);
	w.dir[0].data.length += 4096;
	rejects(&w, "data area", 1, w.dir[1].data.offset);
	window_layout(&w);
	w.dir[0].req.log2_entries += 2;
	rejects(&w, "indirect area", 0, w.dir[0].indirect.offset);
}

static void validate_empty_spans_are_ignored(void **state)
{
	struct window w;
	int i;

	window_layout(&w);
	for (i = 0; i < 4; i++) {
		w.dir[i].data.offset = ~0ull;
		w.dir[i].data.length = 0;
		w.dir[i].indirect.offset = 7;
		w.dir[i].indirect.length = 0;
		w.dir[i].config.offset = 3;
		w.dir[i].config.length = 0;
		w.dir[i].reserved0 = ~0u;
		w.dir[i].reserved2 = ~0ull;
	}
	accepts(&w);
}

/*
 * The property behind the cases, for random damage: what is believed has every
 * range inside its region, and no two ranges of a region meet.
 */
struct range {
	__u64 offset;
	__u64 length;
};

static void check_disjoint(const struct range *r, int n, __u64 start, __u64 end)
{
	int i, k;

	for (i = 0; i < n; i++) {
		if (!r[i].length)
			continue;
		assert_true(r[i].offset >= start && r[i].length <= end - start);
		assert_true(r[i].offset - start <= end - start - r[i].length);
		for (k = 0; k < i; k++)
			assert_true(!r[k].length ||
				    r[k].offset + r[k].length <= r[i].offset ||
				    r[i].offset + r[i].length <= r[k].offset);
	}
}

static void check_believed(const struct window *w)
{
	struct range host[3 * WINDOW_MAX_CHANNELS + 2];
	struct range guest[3 * WINDOW_MAX_CHANNELS + 1];
	struct range data[WINDOW_MAX_CHANNELS];
	const struct ion_host_header *h = &w->hdr;
	int nh = 0, ng = 0, nd = 0;
	__u32 i;

	host[nh++] = (struct range){ 0, sizeof(*h) };
	host[nh++] = (struct range){ h->dir_offset,
				     (__u64)h->dir_count * h->dir_entry_size };
	guest[ng++] = (struct range){ h->guest.offset,
				      sizeof(struct ion_guest_header) };
	for (i = 0; i < h->dir_count; i++) {
		const struct ion_dir_entry *e = &w->dir[i];

		host[nh++] = (struct range){ e->host_channel,
					     sizeof(struct ion_host_channel) };
		host[nh++] = (struct range){ e->rsp.offset,
					     (__u64)e->rsp.entry_size
						     << e->rsp.log2_entries };
		if (!e->queue)
			host[nh++] = (struct range){ e->config.offset,
						     e->config.length };
		guest[ng++] = (struct range){ e->guest_channel,
					      sizeof(struct ion_guest_channel) };
		guest[ng++] = (struct range){ e->req.offset,
					      (__u64)e->req.entry_size
						      << e->req.log2_entries };
		guest[ng++] = (struct range){ e->indirect.offset,
					      e->indirect.length };
		data[nd++] = (struct range){ e->data.offset, e->data.length };
	}
	check_disjoint(host, nh, 0, h->host.length);
	check_disjoint(guest, ng, h->guest.offset,
		       h->guest.offset + h->guest.length);
	check_disjoint(data, nd, h->data.offset, h->data.offset + h->data.length);
	assert_true(h->data.offset + h->data.length <= WINDOW_LENGTH);
}

static __u64 random_next(__u64 *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Values that are likelier than noise to get past a check. */
static __u64 random_value(__u64 *seed, const __u8 *old, size_t size)
{
	__u64 value = 0;

	memcpy(&value, old, size);
	switch (random_next(seed) % 6) {
	case 0:
		return random_next(seed);
	case 1:
		return value + 128 * (random_next(seed) % 65) - 128 * 32;
	case 2:
		return value + 4096 * (random_next(seed) % 65) - 4096 * 32;
	case 3:
		return value ^ (1ull << random_next(seed) % 64);
	case 4:
		return 0ull - random_next(seed) % 3 * 4096;
	default:
		return random_next(seed) % WINDOW_LENGTH & ~0xfffull;
	}
}

static void validate_random_damage(void **state)
{
	__u64 seed = 0x9e3779b97f4a7c15ull;
	unsigned long i, believed = 0;
	struct ion_fault f;

	for (i = 0; i < 400000; i++) {
		int hits = 1 + (int)(random_next(&seed) % 3);
		struct window w;

		window_layout(&w);
		while (hits--) {
			size_t size = 1u << random_next(&seed) % 4;
			bool dir = random_next(&seed) % 4;
			__u8 *base = dir ? (__u8 *)w.dir : (__u8 *)&w.hdr;
			size_t len = dir ? 4 * sizeof(w.dir[0]) : 128;
			size_t at = random_next(&seed) % (len / size) * size;
			__u64 value = random_value(&seed, base + at, size);

			memcpy(base + at, &value, size);
		}
		/* Entries beyond the four are zero, and so never believed. */
		memset(&w.dir[4], 0, sizeof(w.dir) - 4 * sizeof(w.dir[0]));
		if (!window_validate(&w, &f)) {
			assert_non_null(f.what);
			continue;
		}
		assert_true(w.hdr.dir_count <= 4);
		check_believed(&w);
		believed++;
	}
	/* The dice reach both outcomes. */
	assert_true(believed > 1000 && believed < i);
}

static void layout_fits_many_shapes(void **state)
{
	static const __u64 lengths[] = { 4ull << 20, 16ull << 20, 64ull << 20,
					 (16ull << 20) + ION_REGION_ALIGN };
	unsigned int l, disks, queues, log2, i, q, laid = 0;
	struct ion_channel_spec spec[WINDOW_MAX_CHANNELS];
	struct ion_cursors c;
	struct ion_fault f;
	struct window w;
	__u64 left;

	for (l = 0; l < ARRAY_SIZE(lengths); l++)
		for (disks = 1; disks <= 4; disks++)
			for (queues = 1; queues <= 4; queues++)
				for (log2 = 1; log2 <= ION_MAX_LOG2_ENTRIES;
				     log2 += 2) {
					for (i = 0; i < disks; i++) {
						for (q = 0; q < queues; q++) {
							spec[i * queues + q] =
								window_disk(i, q);
							spec[i * queues + q]
								.log2_entries =
								log2;
							spec[i * queues + q]
								.indirect_bytes =
								log2 < 8 ?
									NXBLK_INDIRECT_STRIDE
										<< log2 :
									0;
							spec[i * queues + q].data_weight =
								i + 1;
						}
					}
					left = ion_layout(&w.hdr, w.dir, spec,
							  disks * queues,
							  lengths[l], 3);
					if (!left)
						continue;
					laid++;
					assert_int_equal(left, w.hdr.data.length);
					assert_true(ion_validate_header(&w.hdr,
									lengths[l],
									0, &f));
					ion_cursors_init(&c, &w.hdr);
					for (i = 0; i < disks * queues; i++) {
						assert_true(ion_validate_entry(
							&w.hdr, &w.dir[i],
							i ? &w.dir[i - 1] : NULL,
							(int)i, &c, &f));
						assert_int_equal(w.dir[i].initial_index,
								 3);
						assert_int_equal(w.dir[i].req.log2_entries,
								 log2);
					}
				}
	assert_true(laid > 200);
}

static void layout_refuses_small_window(void **state)
{
	struct ion_channel_spec spec = window_disk(0, 0);
	struct window w;

	spec.log2_entries = 15;
	assert_int_equal(ion_layout(&w.hdr, w.dir, &spec, 1, 2ull << 20, 0), 0);
	assert_true(ion_layout(&w.hdr, w.dir, &spec, 1, 8ull << 20, 0) > 0);
}

static void layout_lines_are_apart(void **state)
{
	struct window w;
	int i;

	window_layout(&w);
	for (i = 0; i < 4; i++) {
		assert_int_equal(w.dir[i].host_channel % ION_LINE_ALIGN, 0);
		assert_int_equal(w.dir[i].guest_channel % ION_LINE_ALIGN, 0);
		assert_int_equal(w.dir[i].data.offset % ION_PAGE_ALIGN, 0);
		assert_int_equal(w.dir[i].data.length % ION_PAGE_ALIGN, 0);
		assert_true(w.dir[i].data.length > 0);
	}
	assert_int_equal(w.hdr.host.length % ION_REGION_ALIGN, 0);
	assert_int_equal(w.hdr.guest.length % ION_REGION_ALIGN, 0);
	assert_int_equal(w.hdr.data.length % ION_REGION_ALIGN, 0);
}

static void publish_makes_window_known(void **state)
{
	struct ion_host_header *shared;
	struct window w;

	window_open(&w);
	w.hdr.generation = 1;
	ion_publish(w.mem, &w.hdr, w.dir);
	shared = (struct ion_host_header *)w.mem;
	assert_int_equal(shared->magic, ION_MAGIC);
	assert_int_equal(shared->state, ION_HOST_READY);
	assert_int_equal(shared->generation, 1);
	assert_memory_equal(w.mem + w.hdr.dir_offset, w.dir,
			    4 * sizeof(w.dir[0]));
	window_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(validate_accepts_layout),
		cmocka_unit_test(validate_header_version),
		cmocka_unit_test(validate_header_length),
		cmocka_unit_test(validate_header_regions),
		cmocka_unit_test(validate_header_region_lengths),
		cmocka_unit_test(validate_header_features),
		cmocka_unit_test(validate_header_directory),
		cmocka_unit_test(validate_entry_numbers),
		cmocka_unit_test(validate_entry_host_ranges),
		cmocka_unit_test(validate_entry_rings),
		cmocka_unit_test(validate_entry_guest_ranges),
		cmocka_unit_test(validate_entry_data),
		cmocka_unit_test(validate_entry_overlap_forward),
		cmocka_unit_test(validate_empty_spans_are_ignored),
		cmocka_unit_test(validate_random_damage),
		cmocka_unit_test(layout_fits_many_shapes),
		cmocka_unit_test(layout_refuses_small_window),
		cmocka_unit_test(layout_lines_are_apart),
		cmocka_unit_test(publish_makes_window_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
