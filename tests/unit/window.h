/* SPDX-License-Identifier: GPL-2.0-only */
/* A window in ordinary memory, laid out as a host would, for the unit tests. */
#ifndef NEXUS_TESTS_WINDOW_H
#define NEXUS_TESTS_WINDOW_H

#include <stdlib.h>
#include <string.h>

#include <nexus/ion_abi.h>
#include <nexus/ion_layout.h>
#include <nexus/ion_validate.h>
#include <nexus/nxblk_abi.h>

#define WINDOW_LENGTH (4ull << 20)
#define WINDOW_MAX_CHANNELS 16

struct window {
	struct ion_host_header hdr;
	struct ion_dir_entry dir[WINDOW_MAX_CHANNELS];
	__u8 *mem;
};

static inline struct ion_channel_spec window_disk(__u16 instance, __u16 queue)
{
	struct ion_channel_spec spec = {
		.kind = ION_KIND_BLK,
		.instance = instance,
		.queue = queue,
		.cap_slot = 1,
		.log2_entries = 7,
		.req_size = sizeof(struct nxblk_req),
		.rsp_size = sizeof(struct nxblk_resp),
		.indirect_bytes = 128 * NXBLK_INDIRECT_STRIDE,
		.config_bytes = sizeof(struct nxblk_config),
		.data_weight = 1,
	};

	return spec;
}

/* Header and directory alone, of two disks with two queues each. */
static __attribute__((noinline, unused)) __u64 window_layout(struct window *w)
{
	struct ion_channel_spec spec[4] = {
		window_disk(0, 0),
		window_disk(0, 1),
		window_disk(1, 0),
		window_disk(1, 1),
	};

	return ion_layout(&w->hdr, w->dir, spec, 4, WINDOW_LENGTH,
			  ION_INITIAL_INDEX);
}

static inline void window_open(struct window *w)
{
	window_layout(w);
	w->mem = aligned_alloc(ION_REGION_ALIGN, WINDOW_LENGTH);
	memset(w->mem, 0, WINDOW_LENGTH);
}

static inline void window_close(struct window *w)
{
	free(w->mem);
	w->mem = NULL;
}

/* As a guest does it: the header, then every entry in turn. */
static __attribute__((noinline, unused)) bool
window_validate(const struct window *w, struct ion_fault *f)
{
	struct ion_cursors c;
	__u32 i;

	if (!ion_validate_header(&w->hdr, WINDOW_LENGTH, 0, f))
		return false;
	ion_cursors_init(&c, &w->hdr);
	for (i = 0; i < w->hdr.dir_count && i < WINDOW_MAX_CHANNELS; i++)
		if (!ion_validate_entry(&w->hdr, &w->dir[i],
					i ? &w->dir[i - 1] : NULL, (int)i, &c, f))
			return false;
	return true;
}

#endif /* NEXUS_TESTS_WINDOW_H */
