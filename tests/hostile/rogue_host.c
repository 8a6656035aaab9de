// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hostile host: a disk for each misdeed that it is given, and a last one on which
 * it does nothing wrong. A misdeed that spoils the whole window stands alone.
 *
 * Prints what it sees, one line each: "channel N guest state S reason R" at every
 * change, "misdeed". It has none of the guest's memory: a request on the guest's own
 * pages is kept until it is told to answer it.
 *
 * Compiled twice: see rogue_os.h. Who serves calls nothing here from two threads.
 */
#include "rogue_host.h"

#define TICK_NS 10000000ll
#define DEPTH 64u
#define FOREIGN_SEED 88172645463325252ull

/* Of the one rogue host; the last disk is honest. */
static struct disk disks[MAX_DISKS];
static unsigned int count;
static bool serving;
static bool foreign;
/* As it was laid out, whatever the header says in the end. */
static struct ion_host_header laid_out;
static struct ion_dir_entry directory[MAX_DISKS];

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

void disk_hint(struct disk *d)
{
	struct nxblk_config *page =
		(struct nxblk_config *)(d->server->mem + d->dir->config.offset);

	d->config.sequence += 2;
	ion_store_release(&page->sequence, d->config.sequence);
	server_ring(d->server, 0);
}

static struct nxblk_limits limits(const struct disk *d)
{
	struct nxblk_limits lim = {
		.features = d->end.features,
		.generation = (uint32_t)d->end.generation,
		.depth = d->end.depth,
		.logical_block = 512,
		.capacity = d->size / NXBLK_SECTOR_SIZE,
		.max_sectors = 2048,
		.max_segments = 128,
		.max_discard_sectors = 2048,
		.max_write_zeroes_sectors = 2048,
		.data = d->dir->data,
		.indirect = d->dir->indirect,
	};

	/* What it says to be more is there to lie to the guest. */
	if (d->config.capacity < lim.capacity)
		lim.capacity = d->config.capacity;
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
	if (req->op == NXBLK_OP_WRITE_ZEROES || req->op == NXBLK_OP_DISCARD)
		memset(disk, 0, (size_t)req->count * NXBLK_SECTOR_SIZE);
}

static uint8_t serve(struct disk *d, const struct nxblk_req *req)
{
	/* More than a kernel's stack has; one request at a time is served. */
	static struct nxblk_seg seg[NXBLK_MAX_SEGS];
	struct nxblk_limits lim = limits(d);
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
	if (!status && nxblk_op_writes(req->op) &&
	    (d->config.flags & NXBLK_CFG_READ_ONLY))
		status = NXBLK_S_RO;
	if (!status && !(req->flags & NXBLK_REQ_GPA))
		move(d, req, seg);
	return status;
}

static bool is_trigger(const struct nxblk_req *req)
{
	return req->op == NXBLK_OP_READ && req->lba == TRIGGER_LBA;
}

static bool fires(const struct disk *d, const struct nxblk_req *req)
{
	const struct misdeed *m = d->misdeed;

	if (!m || !m->answer || (m->times && d->fired >= m->times))
		return false;
	return is_trigger(req);
}

static bool refuses(const struct disk *d, const struct nxblk_req *req)
{
	return d->misdeed && d->misdeed->refusal && req->op == d->misdeed->op;
}

/* The first READ of TRIGGER_LBA begins what then goes on by itself. */
static void begin_unrest(struct disk *d, const struct nxblk_req *req)
{
	const struct misdeed *m = d->misdeed;

	if (!m || d->restless || !is_trigger(req))
		return;
	d->restless = true;
	d->ticks_left = m->ticks;
	if (m->unrest) {
		printf("misdeed %s\n", m->name);
		unrest_begin(d->server, m->unrest);
	}
}

/* Ends with a tick 0, which puts right what the others spoiled. */
static void tick(struct disk *d)
{
	if (!d->ticks_left)
		return;
	d->misdeed->tick(d, --d->ticks_left);
	if (!d->ticks_left)
		printf("channel %u is at rest, asked %u times\n", d->number,
		       d->infos);
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
	printf("channel %u keeps tag %u\n", d->number, req->tag);
	d->kept = *req;
	d->keeping = true;
	if (!d->misdeed->denies)
		return;
	d->denying = true;
	disk_hint(d);
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
	struct nxblk_resp rsp;

	if (refuses(d, req)) {
		rsp = right_answer(req, d->misdeed->refusal);
		disk_answer(d, &rsp);
		return;
	}
	d->infos += req->op == NXBLK_OP_INFO;
	begin_unrest(d, req);
	rsp = right_answer(req, serve(d, req));
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
	if (d->erases)
		disk_erase(d);
	if (d->deaf)
		return;
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
		.logical_block = 512,
		.physical_block = 512,
		.max_sectors = 2048,
		.max_segments = 128,
	};

	memset(config.uuid, 0x10 + number, sizeof(config.uuid));
	snprintf((char *)config.serial, sizeof(config.serial), "rogue%u", number);
	return config;
}

static bool disk_open(struct disk *d, struct server *s, unsigned int number,
		      struct ion_dir_entry *dir, const struct misdeed *m)
{
	size_t i;

	d->number = number;
	d->server = s;
	d->dir = dir;
	d->size = m && m->size ? m->size : DISK_BYTES;
	d->config = geometry(number);
	d->config.capacity = d->size / NXBLK_SECTOR_SIZE;
	d->data = rogue_memory(d->size);
	if (!d->data)
		return false;
	/* Each sector tells its number, so that a reader can tell what it got. */
	for (i = 0; i < d->size / sizeof(uint64_t); i++)
		((uint64_t *)d->data)[i] = i / 64 + 1;
	d->end.offered = NXBLK_F_INDIRECT;
	d->end.max_depth = DEPTH;
	d->end.vectors = SERVER_VECTORS;
	d->misdeed = m;
	if (m) {
		d->deaf = m->deaf;
		if (m->config)
			m->config(&d->config);
		if (m->end)
			m->end(&d->end);
	}
	ion_host_bind(&d->end, s->mem, dir);
	memcpy(s->mem + dir->config.offset, &d->config, sizeof(d->config));
	ion_host_start(&d->end, d->end.mine->generation);
	return true;
}

/* A disk of its own, or one more queue of the disk that @before belongs to. */
static void specify(struct ion_channel_spec *spec, unsigned int number,
		    const struct ion_channel_spec *before)
{
	*spec = (struct ion_channel_spec){
		.kind = ION_KIND_BLK,
		.instance = before ? before->instance : number,
		.queue = before ? before->queue + 1 : 0,
		.log2_entries = 7,
		.req_size = sizeof(struct nxblk_req),
		.rsp_size = sizeof(struct nxblk_resp),
		.indirect_bytes = DEPTH * NXBLK_INDIRECT_STRIDE,
		.config_bytes = sizeof(struct nxblk_config),
		.data_weight = 1,
		.host_peer = SERVER_PEER,
		.host_vector = number % (SERVER_VECTORS - 1),
	};
}

/**
 * rogue_open - lay out the window and its disks, as the misdeeds have it
 * @s: server with its memory zeroed
 * @chosen: one for each disk but the last, which is honest
 * @nr: of them
 *
 * Return: false when there is no memory.
 */
bool rogue_open(struct server *s, const struct misdeed *const *chosen,
		unsigned int nr)
{
	static struct ion_dir_entry spoilt[MAX_DISKS];
	static struct ion_channel_spec spec[MAX_DISKS];
	static struct ion_host_header hdr;
	const struct misdeed *m = chosen[0];
	unsigned int i;

	count = nr + 1;
	for (i = 0; i < count; i++)
		specify(&spec[i], i,
			i && i < nr && chosen[i]->joins ? &spec[i - 1] : NULL);
	if (!ion_layout(&hdr, directory, spec, count, WINDOW_BYTES,
			ION_INITIAL_INDEX))
		return false;
	hdr.generation = 1;
	laid_out = hdr;
	serving = s->size >= WINDOW_BYTES;
	for (i = 0; serving && i < count; i++)
		if (!disk_open(&disks[i], s, i, &directory[i],
			       i < nr ? chosen[i] : NULL))
			return false;
	memcpy(spoilt, directory, sizeof(spoilt));
	if (m->header)
		m->header(&hdr, spoilt);
	if (hdr.dir_count > count)
		hdr.dir_count = count;
	ion_publish(s->mem, &hdr, spoilt);
	if (m->header)
		m->header((struct ion_host_header *)s->mem, spoilt);
	if (m->flips)
		unrest_begin(s, &unrest_flips);
	return true;
}

static uint8_t foreign_next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return (uint8_t)*x;
}

/**
 * rogue_foreign - make the memory somebody else's
 * @s: server
 */
void rogue_foreign(struct server *s)
{
	uint64_t x = FOREIGN_SEED;
	size_t i;

	for (i = 0; i < s->size; i++)
		s->mem[i] = foreign_next(&x);
	foreign = true;
}

static bool foreign_untouched(const struct server *s)
{
	uint64_t x = FOREIGN_SEED;
	size_t i;

	for (i = 0; i < s->size && s->mem[i] == foreign_next(&x); i++)
		;
	return i == s->size;
}

/*
 * All that a guest relies on is right again, in new generations; that its disk has
 * become larger tells it so.
 */
static void repair(struct server *s)
{
	unsigned int i;

	unrest_stop();
	laid_out.generation++;
	ion_publish(s->mem, &laid_out, directory);
	for (i = 0; i < count; i++) {
		disks[i].restless = false;
		disks[i].config.capacity = disks[i].size / NXBLK_SECTOR_SIZE;
		ion_host_start(&disks[i].end, disks[i].end.generation);
	}
	server_ring(s, 0);
	printf("repaired\n");
}

static bool tick_is_due(void)
{
	static int64_t last;
	int64_t now = rogue_clock();

	if (now - last < TICK_NS)
		return false;
	last = now;
	return true;
}

/**
 * rogue_step - look at all disks, and serve what is there
 * @s: server
 * @told: answer what is kept, or end the unrest and repair the window
 */
void rogue_step(struct server *s, bool told)
{
	struct ion_host_header *hdr = (struct ion_host_header *)s->mem;
	bool due = tick_is_due();
	unsigned int i;

	if (!serving)
		return;
	ion_write(&hdr->heartbeat, ion_read(&hdr->heartbeat) + 1);
	for (i = 0; i < count; i++) {
		step(&disks[i]);
		if (due)
			tick(&disks[i]);
		if (told && disks[i].keeping)
			release(&disks[i]);
	}
	if (told && disks[0].restless)
		repair(s);
}

/* Has the guest stored anything into its region of a window that it rejects? */
static void print_guest_region(const struct server *s)
{
	const uint8_t *mem = s->mem + laid_out.guest.offset;
	uint64_t i;

	for (i = 0; i < laid_out.guest.length && !mem[i]; i++)
		;
	printf("guest region %s\n",
	       i == laid_out.guest.length ? "untouched" : "written");
}

static void print_heartbeat(const struct server *s)
{
	const struct ion_guest_header *guest =
		(const void *)(s->mem + laid_out.guest.offset);

	printf("guest heartbeat %llu\n",
	       (unsigned long long)ion_read(&guest->heartbeat));
}

/**
 * rogue_close - end all unrest, and say what the guest did to the window
 * @s: server that nobody serves any more
 *
 * Return: false when it stored something into one that is not its own.
 */
bool rogue_close(struct server *s)
{
	bool same;

	unrest_stop();
	if (serving) {
		print_heartbeat(s);
		print_guest_region(s);
	}
	if (!foreign)
		return true;
	same = foreign_untouched(s);
	printf("window %s\n", same ? "untouched" : "changed");
	return same;
}
