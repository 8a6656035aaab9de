// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hostile host: serves one guest a disk of 1 MiB for each misdeed that it is
 * given, and a last one on which it does nothing wrong.
 *
 * usage: rogue_host SOCKET MISDEED...      (rogue_host --list names them)
 *
 * A misdeed that spoils the whole window stands alone. Prints what it sees, one
 * line each: "ready", "client", "channel N guest state S reason R" at every
 * change, "misdeed". It has none of the guest's memory: a request on the guest's
 * own pages is kept, and SIGUSR1 has it answered. SIGTERM ends it; with a foreign
 * window the last line then says whether it was left alone.
 */
#include "rogue_host.h"

#include <err.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOK_MS 2
#define FLIP_US 1000
#define DEPTH 64u

static volatile sig_atomic_t stop;
static volatile sig_atomic_t answer_kept;

static void on_signal(int sig)
{
	if (sig == SIGUSR1)
		answer_kept = 1;
	else
		stop = 1;
}

static const char *const state_names[] = { "DOWN", "RESET", "LIVE", "LATCHED" };

/* Tell of each change that the guest makes to its record. */
static void watch(struct disk *d)
{
	uint32_t state = ion_load_acquire(&d->end.theirs->state);

	if (state == d->guest_state)
		return;
	d->guest_state = state;
	printf("channel %u guest state %s reason %u\n", d->number,
	       state < 4 ? state_names[state] : "unknown",
	       ion_read(&d->end.theirs->reason));
}

void disk_answer(struct disk *d, const struct nxblk_resp *rsp)
{
	if (!ion_prod_free(&d->end.rsp)) {
		printf("channel %u response ring is full or broken\n", d->number);
		return;
	}
	ion_prod_put(&d->end.rsp, rsp);
	if (ion_prod_publish(&d->end.rsp) && !(d->misdeed && d->misdeed->mute))
		server_ring(d->server, d->end.vector);
}

static struct nxblk_limits limits(const struct disk *d)
{
	struct nxblk_limits lim = {
		.features = d->end.features,
		.generation = (uint32_t)d->end.generation,
		.depth = d->end.depth,
		.logical_block = 512,
		.capacity = DISK_BYTES / NXBLK_SECTOR_SIZE,
		.max_sectors = 2048,
		.max_segments = 128,
		.data = d->dir->data,
		.indirect = d->dir->indirect,
	};

	return lim;
}

/* What the segments of a request that passed all checks are to hold. */
static void move(struct disk *d, const struct nxblk_req *req,
		 const struct nxblk_seg *seg)
{
	uint8_t *disk = d->data + req->lba * NXBLK_SECTOR_SIZE;
	unsigned int i;

	for (i = 0; i < req->nseg; i++) {
		uint8_t *window = d->server->mem + seg[i].addr;

		if (req->op == NXBLK_OP_INFO)
			memcpy(window, &d->config, sizeof(d->config));
		else if (req->op == NXBLK_OP_READ)
			memcpy(window, disk, seg[i].len);
		else
			memcpy(disk, window, seg[i].len);
		disk += seg[i].len;
	}
}

static uint8_t serve(struct disk *d, const struct nxblk_req *req)
{
	struct nxblk_limits lim = limits(d);
	struct nxblk_seg seg[NXBLK_MAX_SEGS];
	uint8_t status;

	status = nxblk_check_op(req, lim.features);
	if (!status)
		status = nxblk_check_shape(req, &lim);
	if (status)
		return status;
	if (req->flags & NXBLK_REQ_INDIRECT)
		memcpy(seg, d->server->mem + req->seg[0].addr,
		       req->nseg * sizeof(*seg));
	else
		memcpy(seg, req->seg, sizeof(req->seg));
	status = nxblk_check_segs(req, seg, &lim);
	if (!status)
		status = nxblk_check_range(req, lim.capacity);
	if (!status && !(req->flags & NXBLK_REQ_GPA))
		move(d, req, seg);
	return status;
}

static bool fires(const struct disk *d, const struct nxblk_req *req)
{
	const struct misdeed *m = d->misdeed;

	if (!m || !m->answer || (m->times && d->fired >= m->times))
		return false;
	if (m->flush)
		return req->op == NXBLK_OP_FLUSH;
	return req->op == NXBLK_OP_READ && req->lba == TRIGGER_LBA;
}

static struct nxblk_resp right_answer(const struct nxblk_req *req, uint8_t status)
{
	struct nxblk_resp rsp = {
		.tag = req->tag,
		.op = req->op,
		.status = status,
		.generation = req->generation,
		.cookie = req->cookie,
		.done = status ? 0 : nxblk_buffer_bytes(req),
	};

	return rsp;
}

static void keep(struct disk *d, const struct nxblk_req *req)
{
	struct nxblk_config *page =
		(struct nxblk_config *)(d->server->mem + d->dir->config.offset);

	printf("channel %u keeps tag %u\n", d->number, req->tag);
	d->kept = *req;
	d->keeping = true;
	if (!d->misdeed->denies)
		return;
	d->denying = true;
	d->config.sequence += 2;
	ion_store_release(&page->sequence, d->config.sequence);
	server_ring(d->server, 0);
}

static void release(struct disk *d)
{
	struct nxblk_resp rsp = right_answer(&d->kept, NXBLK_S_OK);

	printf("channel %u answers what it kept\n", d->number);
	d->keeping = false;
	d->denying = false;
	disk_answer(d, &rsp);
}

static bool is_kept(struct disk *d, const struct nxblk_req *req)
{
	if (req->flags & NXBLK_REQ_GPA)
		return true;
	return d->misdeed && d->misdeed->slow && !d->fired &&
	       req->op == NXBLK_OP_WRITE && req->lba == TRIGGER_LBA &&
	       ++d->fired;
}

static void take(struct disk *d, const struct nxblk_req *req)
{
	struct nxblk_resp rsp = right_answer(req, serve(d, req));

	if (!rsp.status && is_kept(d, req)) {
		keep(d, req);
		return;
	}
	if (d->denying) {
		printf("channel %u denies op %u\n", d->number, req->op);
		rsp = right_answer(req, NXBLK_S_PERM);
	}
	if (fires(d, req)) {
		d->fired++;
		printf("misdeed %s tag %u\n", d->misdeed->name, req->tag);
		d->misdeed->answer(d, req, &rsp);
		return;
	}
	if (d->misdeed && d->misdeed->request)
		d->misdeed->request(d, req);
	disk_answer(d, &rsp);
}

static void step(struct disk *d)
{
	struct nxblk_req req;

	watch(d);
	switch (ion_host_look(&d->end)) {
	case ION_HOST_EV_RESET:
		d->keeping = false;
		d->denying = false;
		ion_host_drained(&d->end);
		server_ring(d->server, 0);
		break;
	case ION_HOST_EV_LIVE:
		printf("channel %u live depth %u\n", d->number, d->end.depth);
		server_ring(d->server, 0);
		break;
	case ION_HOST_EV_LATCHED:
		printf("channel %u latched reason %u\n", d->number,
		       d->end.reason);
		break;
	case ION_HOST_EV_NONE:
		break;
	}
	do {
		while (d->end.state == ION_HOST_LIVE &&
		       ion_cons_avail(&d->end.req)) {
			ion_cons_get(&d->end.req, &req);
			/* A lying index is not put right by the next request. */
			if (ion_read(d->end.req.shared_cons) ==
			    d->end.req.cons - 1)
				ion_cons_release(&d->end.req);
			take(d, &req);
		}
	} while (d->end.state == ION_HOST_LIVE && !d->end.req.broken &&
		 ion_cons_arm(&d->end.req));
}

static struct nxblk_config geometry(unsigned int number)
{
	struct nxblk_config config = {
		.capacity = DISK_BYTES / NXBLK_SECTOR_SIZE,
		.logical_block = 512,
		.physical_block = 512,
		.max_sectors = 2048,
		.max_segments = 128,
	};

	memset(config.uuid, 0x10 + number, sizeof(config.uuid));
	snprintf((char *)config.serial, sizeof(config.serial), "rogue%u", number);
	return config;
}

static void disk_open(struct disk *d, struct server *s, unsigned int number,
		      struct ion_dir_entry *dir, const struct misdeed *m)
{
	size_t i;

	d->number = number;
	d->server = s;
	d->dir = dir;
	d->config = geometry(number);
	d->data = malloc(DISK_BYTES);
	if (!d->data)
		err(1, "memory");
	/* Each sector tells its number, so that a reader can tell what it got. */
	for (i = 0; i < DISK_BYTES / sizeof(uint64_t); i++)
		((uint64_t *)d->data)[i] = i / 64 + 1;
	d->end.offered = NXBLK_F_INDIRECT;
	d->end.max_depth = DEPTH;
	d->end.vectors = SERVER_VECTORS;
	d->misdeed = m;
	if (m) {
		if (m->config)
			m->config(&d->config);
		if (m->end)
			m->end(&d->end);
	}
	ion_host_bind(&d->end, s->mem, dir);
	memcpy(s->mem + dir->config.offset, &d->config, sizeof(d->config));
	ion_host_start(&d->end, d->end.mine->generation);
}

/* As it was laid out, whatever the header says in the end. */
static struct ion_span guest_region;

static void window_open(struct server *s, struct disk *disks,
			const struct misdeed *const *misdeeds, unsigned int count)
{
	const struct misdeed *m = misdeeds[0];
	static struct ion_dir_entry dir[MAX_DISKS];
	static struct ion_dir_entry spoilt[MAX_DISKS];
	struct ion_channel_spec spec[MAX_DISKS];
	struct ion_host_header hdr;
	unsigned int i;

	for (i = 0; i < count; i++)
		spec[i] = (struct ion_channel_spec){
			.kind = ION_KIND_BLK,
			.instance = i,
			.log2_entries = 7,
			.req_size = sizeof(struct nxblk_req),
			.rsp_size = sizeof(struct nxblk_resp),
			.indirect_bytes = DEPTH * NXBLK_INDIRECT_STRIDE,
			.config_bytes = sizeof(struct nxblk_config),
			.data_weight = 1,
			.host_peer = SERVER_PEER,
			.host_vector = i % (SERVER_VECTORS - 1),
		};
	if (!ion_layout(&hdr, dir, spec, count, WINDOW_BYTES, ION_INITIAL_INDEX))
		errx(1, "layout");
	hdr.generation = 1;
	guest_region = hdr.guest;
	if (s->size >= WINDOW_BYTES)
		for (i = 0; i < count; i++)
			disk_open(&disks[i], s, i, &dir[i],
				  i + 1 < count ? misdeeds[i] : NULL);
	memcpy(spoilt, dir, sizeof(dir));
	if (m->header)
		m->header(&hdr, spoilt);
	if (hdr.dir_count > count)
		hdr.dir_count = count;
	ion_publish(s->mem, &hdr, spoilt);
	if (m->header)
		m->header((struct ion_host_header *)s->mem, spoilt);
}

static void foreign_fill(uint8_t *mem, size_t size)
{
	uint64_t x = 88172645463325252ull;
	size_t i;

	for (i = 0; i < size; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		mem[i] = (uint8_t)x;
	}
}

static bool foreign_untouched(const struct server *s)
{
	uint8_t *want = malloc(s->size);
	bool same;

	if (!want)
		err(1, "memory");
	foreign_fill(want, s->size);
	same = !memcmp(want, s->mem, s->size);
	free(want);
	return same;
}

static void *flip(void *arg)
{
	struct server *s = arg;
	struct ion_host_header *hdr = (struct ion_host_header *)s->mem;
	struct ion_dir_entry *dir =
		(struct ion_dir_entry *)(s->mem + hdr->dir_offset);
	const uint64_t right = dir->rsp.offset;
	uint64_t generation = hdr->generation;

	while (!stop) {
		ion_write(&dir->rsp.offset, generation & 1 ? right : 0);
		ion_wmb(); /* The guest that sees the generation sees the change. */
		ion_write(&hdr->generation, ++generation);
		if (s->client >= 0)
			server_ring(s, 0);
		usleep(FLIP_US);
	}
	return NULL;
}

static void start_flips(struct server *s)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, flip, s))
		errx(1, "thread");
	pthread_detach(thread);
}

static void run(struct server *s, struct disk *disks, unsigned int count,
		bool serving)
{
	struct ion_host_header *hdr = (struct ion_host_header *)s->mem;
	unsigned int i;

	printf("ready\n");
	while (!stop) {
		if (server_poll(s, LOOK_MS))
			printf("client\n");
		if (!serving)
			continue;
		ion_write(&hdr->heartbeat, hdr->heartbeat + 1);
		for (i = 0; i < count; i++) {
			step(&disks[i]);
			if (answer_kept && disks[i].keeping)
				release(&disks[i]);
		}
		answer_kept = 0;
	}
}

static const struct misdeed *find(const char *name)
{
	const struct misdeed *m = misdeed_find(name);

	if (!m)
		errx(2, "%s: no such misdeed", name);
	return m;
}

/* Has the guest stored anything into its region of a window that it rejects? */
static void print_guest_region(const struct server *s)
{
	const uint8_t *mem = s->mem + guest_region.offset;
	uint64_t i;

	for (i = 0; i < guest_region.length && !mem[i]; i++)
		;
	printf("guest region %s\n",
	       i == guest_region.length ? "untouched" : "written");
}

static void print_heartbeat(const struct server *s)
{
	const struct ion_host_header *hdr = (const void *)s->mem;
	const struct ion_guest_header *guest;

	if (hdr->guest.offset > s->size - sizeof(*guest))
		return;
	guest = (const void *)(s->mem + hdr->guest.offset);
	printf("guest heartbeat %llu\n",
	       (unsigned long long)ion_read(&guest->heartbeat));
}

int main(int argc, char **argv)
{
	const struct misdeed *misdeeds[MAX_DISKS];
	static struct disk disks[MAX_DISKS];
	unsigned int count = argc - 1;
	const struct misdeed *m;
	struct server s;
	unsigned int i;
	bool same;

	if (argc == 2 && !strcmp(argv[1], "--list")) {
		misdeed_list();
		return 0;
	}
	if (argc < 3 || count > MAX_DISKS)
		errx(2, "usage: rogue_host SOCKET MISDEED... | --list");
	for (i = 0; i < count - 1; i++)
		misdeeds[i] = find(argv[2 + i]);
	m = misdeeds[0];
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	signal(SIGUSR1, on_signal);
	signal(SIGPIPE, SIG_IGN);
	server_open(&s, argv[1], m->bytes ? m->bytes : WINDOW_BYTES);
	if (m->foreign)
		foreign_fill(s.mem, s.size);
	else
		window_open(&s, disks, misdeeds, count);
	if (m->flips)
		start_flips(&s);
	run(&s, disks, count, !m->foreign && s.size >= WINDOW_BYTES);
	unlink(argv[1]);
	if (!m->foreign && s.size >= WINDOW_BYTES)
		print_heartbeat(&s);
	if (m->header && s.size >= WINDOW_BYTES)
		print_guest_region(&s);
	if (!m->foreign)
		return 0;
	same = foreign_untouched(&s);
	printf("window %s\n", same ? "untouched" : "changed");
	return !same;
}
