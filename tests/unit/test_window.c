/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Windows as rumpk makes them: every plan is one that a guest accepts, and what
 * a guest does to header, directory and pages is put right again.
 */
#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <nexus/ion_validate.h>

#include "rumpk/window.h"

static void guest_accepts(const struct window_plan *p, uint64_t length)
{
	struct ion_cursors cursors;
	struct ion_fault fault;
	uint32_t i;

	if (!ion_validate_header(&p->hdr, length, 0, &fault))
		fail_msg("%s", fault.what);
	ion_cursors_init(&cursors, &p->hdr);
	for (i = 0; i < p->count; i++)
		if (!ion_validate_entry(&p->hdr, &p->dir[i],
					i ? &p->dir[i - 1] : NULL, (int)i,
					&cursors, &fault))
			fail_msg("entry %u: %s", i, fault.what);
}

static void plans_are_valid(void **state)
{
	struct window_plan p;
	uint64_t length;
	uint32_t disks;
	uint32_t i;

	for (length = 4ull << 20; length <= 1ull << 30; length *= 2) {
		for (disks = 1; disks <= WINDOW_MAX_DISKS; disks++) {
			if (!window_plan(&p, length, disks))
				fail_msg("%u disks, %llu bytes", disks,
					 (unsigned long long)length);
			guest_accepts(&p, length);
			for (i = 0; i < disks; i++) {
				assert_true(p.dir[i].data.length >
					    p.max_sectors * 512);
				assert_true(p.dir[i].indirect.length >=
					    p.depth * NXBLK_INDIRECT_STRIDE);
				assert_int_equal(p.dir[i].host_vector, i);
			}
		}
	}
}

static void plans_of_the_usual_sizes(void **state)
{
	struct window_plan p;

	assert_true(window_plan(&p, 16ull << 20, 1));
	assert_int_equal(p.depth, 128);
	assert_int_equal(p.max_sectors, 2048);
	assert_true(window_plan(&p, 4ull << 20, 2));
	assert_int_equal(p.depth, 128);
	assert_int_equal(p.max_sectors, 2048);
}

static void make(struct window *w)
{
	const uint8_t instance[16] = { 1, 2, 3 };
	int fd;
	int rec;

	memset(w, 0, sizeof(*w));
	assert_true(window_plan(&w->plan, 4ull << 20, 2));
	assert_int_equal(window_create(4ull << 20, NULL, &fd), 0);
	assert_int_equal(window_create_record(&rec), 0);
	assert_int_equal(ftruncate(fd, 1 << 20), -1);
	assert_int_equal(ftruncate(fd, 8 << 20), -1);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	assert_int_equal(window_map(w, fd, rec, 4ull << 20), 0);
	close(fd);
	close(rec);
	window_publish(w, instance);
}

static void repairs(void **state)
{
	struct window w;
	struct ion_host_header *h;
	uint8_t *before = malloc(8192);
	unsigned int i;

	make(&w);
	h = (void *)w.base;
	assert_int_equal(h->magic, ION_MAGIC);
	assert_int_equal(h->state, ION_HOST_READY);
	assert_int_equal(h->generation, 1);
	assert_int_equal(h->instance[2], 3);
	assert_false(window_repair(&w));
	memcpy(before, w.base, 256);
	memcpy(before + 256, w.base + h->dir_offset, 256);
	for (i = 0; i < 512; i++) {
		uint8_t *at = i < 256 ? w.base + i :
					w.base + w.plan.hdr.dir_offset + i - 256;

		*at ^= 0x5a;
		assert_true(window_repair(&w));
		assert_memory_equal(before, w.base, 256);
		assert_memory_equal(before + 256,
				    w.base + w.plan.hdr.dir_offset, 256);
	}
	window_restart(&w);
	assert_int_equal(h->generation, 2);
	assert_int_equal(w.record->generation, 2);
	assert_false(window_repair(&w));
	window_unmap(&w);
	free(before);
}

static void pages_are_sequenced(void **state)
{
	struct nxblk_config config = { .capacity = 100 };
	const struct nxblk_config *page;
	struct window w;

	make(&w);
	page = (void *)(w.base + w.plan.dir[1].config.offset);
	window_set_config(&w, 1, &config);
	assert_int_equal(page->sequence, 2);
	assert_int_equal(page->capacity, 100);
	config.capacity = 200;
	window_set_config(&w, 1, &config);
	assert_int_equal(page->sequence, 4);
	assert_int_equal(config.sequence, 4);
	assert_memory_equal(page, &config, sizeof(config));
	window_unmap(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plans_are_valid),
		cmocka_unit_test(plans_of_the_usual_sizes),
		cmocka_unit_test(repairs),
		cmocka_unit_test(pages_are_sequenced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
