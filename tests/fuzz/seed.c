// SPDX-License-Identifier: GPL-2.0-only
/*
 * seed WINDOW DIR: make inputs for the fuzzers out of real traffic.
 *
 * WINDOW is a copy of a window in which a guest has been at work (of the file of
 * `rumpk --window-file`, while both are there). Its header and directory, its
 * disks' pages and what is in its request rings go to DIR/<target>/real-*.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nexus/ion_validate.h>
#include <nexus/nxblk_abi.h>

#include "request.h"

#define REQUESTS_EACH 12u
/* What fuzz_ring's and fuzz_request's inputs are made of. */
#define RING_ROUND 0u
#define RING_REQUEST 3u
#define RING_CONSUME 5u
#define RING_ATTACH 8u
#define REQUEST_PUBLISH 2u

static const uint8_t *window;
static const char *dir;

static FILE *seed_open(const char *target, unsigned int n)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s/real-%02u", dir, target, n);
	f = fopen(path, "w");
	if (!f) {
		fprintf(stderr, "seed: %s: %s\n", path, strerror(errno));
		exit(1);
	}
	return f;
}

static void seed_window(const struct ion_host_header *h)
{
	FILE *f = seed_open("window", 0);

	fputc(1, f);
	fwrite(h, sizeof(*h), 1, f);
	fwrite(window + h->dir_offset, h->dir_entry_size, h->dir_count, f);
	fclose(f);
}

static void seed_config(const struct ion_dir_entry *d, unsigned int n)
{
	FILE *f = seed_open("config", n);

	fputc(0, f);
	fwrite(window + d->config.offset, sizeof(struct nxblk_config), 1, f);
	fclose(f);
}

static const struct nxblk_req *request_at(const struct ion_dir_entry *d,
					  uint32_t i)
{
	return (const void *)(window + d->req.offset +
			      (size_t)i * d->req.entry_size);
}

/* The table is what the tag's place holds now: of this or a later request. */
static void put_request(FILE *f, const struct ion_dir_entry *d,
			const struct nxblk_req *r)
{
	uint64_t place = (uint64_t)r->tag * NXBLK_INDIRECT_STRIDE;
	unsigned int n = r->nseg < 8 ? r->nseg : 8;

	fputc(FIX_ALL & ~FIX_COUNT, f);
	fwrite(r, sizeof(*r), 1, f);
	if (r->flags & NXBLK_REQ_INDIRECT)
		fwrite(window + d->indirect.offset + place,
		       sizeof(struct nxblk_seg), n, f);
}

static void seed_request(const struct ion_dir_entry *d, uint32_t from,
			 unsigned int n)
{
	static const uint8_t head[] = { 0x0f, 0, 255, 0, 0, 0, 127, 8, 255, 255 };
	FILE *f = seed_open("request", n);
	uint32_t i;

	fwrite(head, sizeof(head), 1, f);
	for (i = from; i < from + REQUESTS_EACH; i++) {
		fputc(REQUEST_PUBLISH, f);
		put_request(f, d, request_at(d, i));
	}
	fclose(f);
}

static void seed_ring(const struct ion_dir_entry *d, uint32_t from, unsigned int n)
{
	static const uint8_t head[] = { RING_ATTACH, 0, 0 };
	FILE *f = seed_open("ring", n);
	uint32_t i;

	fwrite(head, sizeof(head), 1, f);
	for (i = from; i < from + REQUESTS_EACH; i++) {
		fputc(RING_REQUEST, f);
		put_request(f, d, request_at(d, i));
		if (i % 3)
			continue;
		fputc(RING_ROUND, f);
		fputc(RING_CONSUME, f);
	}
	fclose(f);
}

static void seed_requests(const struct ion_dir_entry *d)
{
	uint32_t entries = 1u << d->req.log2_entries;
	unsigned int n = 0;
	uint32_t i;

	for (i = 0; i + REQUESTS_EACH <= entries; i += REQUESTS_EACH) {
		if (!request_at(d, i)->op)
			continue;
		seed_request(d, i, n);
		seed_ring(d, i, n++);
	}
}

static bool window_map(const char *path, struct ion_host_header *h)
{
	int fd = open(path, O_RDONLY);
	struct ion_fault fault;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof(*h))
		return false;
	window = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (window == MAP_FAILED)
		return false;
	memcpy(h, window, sizeof(*h));
	return ion_validate_header(h, (uint64_t)st.st_size, 0, &fault);
}

int main(int argc, char **argv)
{
	struct ion_host_header h;
	unsigned int i;

	if (argc != 3) {
		fprintf(stderr, "usage: seed WINDOW DIR\n");
		return 2;
	}
	if (!window_map(argv[1], &h)) {
		fprintf(stderr, "seed: %s: must be a copy of a window\n",
			argv[1]);
		return 2;
	}
	dir = argv[2];
	seed_window(&h);
	for (i = 0; i < h.dir_count; i++) {
		const struct ion_dir_entry *d =
			(const void *)(window + h.dir_offset +
				       (size_t)i * h.dir_entry_size);

		seed_config(d, i);
		if (!i)
			seed_requests(d);
	}
	return 0;
}
