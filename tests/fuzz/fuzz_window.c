// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest believes of a window: header and directory are laid out as the
 * input asks for, then overwritten here and there by it. What is accepted is
 * looked at again, naively: all ranges in a list, each of them aligned and inside
 * its region, no two of them overlapping. What was not overwritten is accepted.
 */
#include <string.h>

#include <nexus/ion_layout.h>
#include <nexus/ion_validate.h>
#include <nexus/nxblk_abi.h>

#include "fuzz.h"

#define MOST_ENTRIES 12u
#define MOST_PATCHES 24
#define RANGES_EACH 7u

struct range {
	unsigned __int128 start;
	unsigned __int128 length;
};

static struct ion_host_header hdr;
static struct ion_dir_entry dir[MOST_ENTRIES];
static struct range range[3 + MOST_ENTRIES * RANGES_EACH];
static unsigned int ranges;

void fuzz_setup(void)
{
}

static void read_spec(struct fuzz_in *in, struct ion_channel_spec *s,
		      const struct ion_channel_spec *prev)
{
	uint8_t how = fuzz_u8(in);

	memset(s, 0, sizeof(*s));
	s->kind = ION_KIND_BLK;
	s->instance = prev ? prev->instance + 1 : 0;
	if (prev && (how & 1)) {
		s->instance = prev->instance;
		s->queue = prev->queue + 1;
	}
	s->queue_class = how >> 1 & 1;
	s->log2_entries = 1 + (how >> 2) % 8;
	s->req_size = (__u16)(8 * (1 + fuzz_u8(in) % 32));
	s->rsp_size = (__u16)(8 * (1 + fuzz_u8(in) % 32));
	s->indirect_bytes = fuzz_u8(in) * 256u;
	s->config_bytes = how & 0x80 ? 0 : fuzz_u8(in);
	s->data_weight = fuzz_u8(in) % 4;
}

static bool lay_out(struct fuzz_in *in)
{
	struct ion_channel_spec spec[MOST_ENTRIES];
	uint32_t count = 1 + fuzz_u8(in) % MOST_ENTRIES;
	__u64 length = ION_WINDOW_MIN + (__u64)fuzz_u16(in) * ION_REGION_ALIGN;
	uint32_t i;

	for (i = 0; i < count; i++)
		read_spec(in, &spec[i], i ? &spec[i - 1] : NULL);
	memset(dir, 0, sizeof(dir));
	return ion_layout(&hdr, dir, spec, count, length, ION_INITIAL_INDEX);
}

/* Small steps about what is there, or any value. */
static void patch_one(struct fuzz_in *in)
{
	uint16_t where = fuzz_u16(in);
	uint8_t how = fuzz_u8(in);
	size_t width = (size_t)1 << (how & 3);
	size_t most = sizeof(dir) / MOST_ENTRIES * 4;
	uint8_t *at = where & 1 ? (uint8_t *)&hdr + (where >> 1) % (128 - 8) :
				  (uint8_t *)dir + (where >> 1) % (most - 8);
	uint64_t value = 0;

	at -= (uintptr_t)at % width;
	memcpy(&value, at, width);
	if (how & 4)
		value = fuzz_u64(in);
	else
		value += (uint64_t)(int64_t)(int8_t)fuzz_u8(in) << (how >> 3);
	memcpy(at, &value, width);
}

static bool inside(const struct range *r, const struct ion_span *region)
{
	unsigned __int128 end = (unsigned __int128)region->offset +
				region->length;

	return r->start >= region->offset && r->start + r->length <= end;
}

static void add(const struct ion_span *region, uint64_t start, uint64_t length,
		uint64_t align)
{
	struct range *r = &range[ranges++];

	r->start = start;
	r->length = length;
	FUZZ_CHECK(start % align == 0);
	FUZZ_CHECK(inside(r, region));
}

static void add_ring(const struct ion_span *region, const struct ion_ring_desc *d)
{
	FUZZ_CHECK(d->log2_entries >= 1 && d->log2_entries <= 15);
	FUZZ_CHECK(d->entry_size >= 8 && d->entry_size <= 256 &&
		   d->entry_size % 8 == 0);
	add(region, d->offset, (uint64_t)d->entry_size << d->log2_entries, 4096);
}

static void add_entry(const struct ion_dir_entry *e)
{
	add(&hdr.host, e->host_channel, 384, 128);
	if (!e->queue && e->config.length)
		add(&hdr.host, e->config.offset, e->config.length, 128);
	add_ring(&hdr.host, &e->rsp);
	add(&hdr.guest, e->guest_channel, 384, 128);
	add_ring(&hdr.guest, &e->req);
	if (e->indirect.length)
		add(&hdr.guest, e->indirect.offset, e->indirect.length, 4096);
	if (e->data.length)
		add(&hdr.data, e->data.offset, e->data.length, 4096);
}

static void check_region(const struct ion_span *r, uint64_t mapped)
{
	const struct range whole = { r->offset, r->length };
	const struct ion_span window = { 0, hdr.length };

	FUZZ_CHECK(r->offset % 65536 == 0 && r->length % 65536 == 0 && r->length);
	FUZZ_CHECK(hdr.length <= mapped && inside(&whole, &window));
}

static bool apart(const struct range *a, const struct range *b)
{
	return a->start + a->length <= b->start ||
	       b->start + b->length <= a->start;
}

static void check_apart(void)
{
	unsigned int i, k;

	for (i = 0; i < ranges; i++)
		for (k = 0; k < i; k++)
			FUZZ_CHECK(apart(&range[i], &range[k]));
}

static void check_queues(uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		const struct ion_dir_entry *e = &dir[i];

		FUZZ_CHECK(e->queue < 64 && e->queue_class < 2);
		if (!e->queue)
			continue;
		FUZZ_CHECK(i && e[-1].queue == e->queue - 1);
		FUZZ_CHECK(e[-1].kind == e->kind && e[-1].instance == e->instance);
		FUZZ_CHECK(!memcmp(&e[-1].config, &e->config, sizeof(e->config)));
	}
}

static void check_header(uint64_t mapped)
{
	const struct range directory = {
		hdr.dir_offset, (uint64_t)hdr.dir_count * hdr.dir_entry_size
	};

	FUZZ_CHECK(hdr.abi_major == 1 && !hdr.features_required);
	FUZZ_CHECK(hdr.length >= 4u << 20 && hdr.length <= 1ull << 40);
	FUZZ_CHECK(hdr.dir_count >= 1 && hdr.dir_count <= 1024);
	FUZZ_CHECK(hdr.dir_entry_size >= 128 && hdr.dir_entry_size % 8 == 0);
	check_region(&hdr.host, mapped);
	check_region(&hdr.guest, mapped);
	check_region(&hdr.data, mapped);
	FUZZ_CHECK(!hdr.host.offset);
	FUZZ_CHECK(inside(&directory, &hdr.host));
}

/* The directory is read when the header was accepted. */
static bool accepted(uint64_t mapped)
{
	struct ion_cursors c;
	struct ion_fault f;
	uint32_t i;

	if (!ion_validate_header(&hdr, mapped, 0, &f)) {
		FUZZ_CHECK(f.what && f.index == -1);
		return false;
	}
	check_header(mapped);
	ion_cursors_init(&c, &hdr);
	for (i = 0; i < hdr.dir_count && i < MOST_ENTRIES; i++) {
		if (!ion_validate_entry(&hdr, &dir[i], i ? &dir[i - 1] : NULL,
					(int)i, &c, &f)) {
			FUZZ_CHECK(f.what && f.index == (int)i);
			return false;
		}
	}
	return true;
}

static void check_accepted(void)
{
	uint32_t count = hdr.dir_count < MOST_ENTRIES ? hdr.dir_count :
							MOST_ENTRIES;
	const struct range region[] = {
		{ hdr.host.offset, hdr.host.length },
		{ hdr.guest.offset, hdr.guest.length },
		{ hdr.data.offset, hdr.data.length },
	};
	uint32_t i;

	FUZZ_CHECK(apart(&region[0], &region[1]) &&
		   apart(&region[0], &region[2]) &&
		   apart(&region[1], &region[2]));
	ranges = 0;
	add(&hdr.host, 0, sizeof(hdr), 128);
	add(&hdr.host, hdr.dir_offset,
	    (uint64_t)hdr.dir_count * hdr.dir_entry_size, 128);
	add(&hdr.guest, hdr.guest.offset, sizeof(struct ion_guest_header), 128);
	for (i = 0; i < count; i++)
		add_entry(&dir[i]);
	check_apart();
	check_queues(count);
}

void fuzz_one(struct fuzz_in *in)
{
	uint8_t how = fuzz_u8(in);
	bool patched = false;
	uint64_t mapped;
	bool fits = true;
	int i;

	if (how & 1) {
		/* As it was found in a window. */
		fuzz_bytes(in, &hdr, sizeof(hdr));
		fuzz_bytes(in, dir, sizeof(dir));
		patched = true;
	} else {
		fits = lay_out(in);
	}
	mapped = how & 2 ? ION_WINDOW_MIN : hdr.length;
	for (i = 0; i < MOST_PATCHES && in->left; i++) {
		patch_one(in);
		patched = true;
	}
	if (accepted(mapped))
		check_accepted();
	else
		FUZZ_CHECK(patched || !fits || mapped < hdr.length);
}
