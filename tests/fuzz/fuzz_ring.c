// SPDX-License-Identifier: GPL-2.0-only
/*
 * A cell with two disks in memory, and an input that plays the guest: a program
 * of stores anywhere in the window, handshakes, requests, doorbells, and rounds
 * of the cell's loop.
 *
 * The host's mapping of the window has guard pages and cannot write to the
 * guest's region. After each round, what was consumed and answered is compared
 * with what lay in the rings before. In the end, whatever was done, both
 * channels must come to life again by a new handshake.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <nexus/ion_guest.h>

#include "fuzz.h"
#include "request.h"
#include "rumpk/cell.h"
#include "rumpk/util.h"

#define DISKS 2u
#define BATCH 32u
#define MOST_OPS 256
#define WINDOW_BYTES ION_WINDOW_MIN
/* The first disk: what its capability leaves out must never change. */
#define DISK_BYTES 65536u
#define CAP_FIRST 32u
#define CAP_LAST 95u
#define PATTERN 0xa5
#define ALL_FEATURES                                                           \
	(NXBLK_F_FLUSH | NXBLK_F_FUA | NXBLK_F_DISCARD |                       \
	 NXBLK_F_WRITE_ZEROES | NXBLK_F_INDIRECT)

static char disk0[] = "mem=64K,cap=rwd:32-95";
static char disk1[] = "mem=32K,strict,bs=4096";

static struct cell cell;
static struct authority authority;
static struct ledger ledger;
static struct ion_guest_end guest[DISKS];
static uint8_t *window;
static uint8_t *disk;

/* As it is after the start. */
static struct cell fresh_cell;
static struct window_record fresh_record;
static struct ledger fresh_ledger;
static uint8_t *fresh_host;

/**
 * struct before - a channel before a round
 * @state: of the host
 * @generation: of the channel
 * @cons: requests consumed
 * @rsp: answers produced
 * @prod: what the guest's index says
 * @requests: counter
 * @stale: counter
 * @req: requests that can be consumed next
 */
struct before {
	uint32_t state;
	uint64_t generation;
	uint32_t cons;
	uint32_t rsp;
	uint32_t prod;
	uint64_t requests;
	uint64_t stale;
	struct nxblk_req req[BATCH];
};

static void make_fds(struct keeper_fds *f)
{
	unsigned int i;

	f->nhost = DISKS;
	f->nguest = DISKS + 1;
	for (i = 0; i < f->nhost; i++)
		f->host[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (i = 0; i < f->nguest; i++)
		f->guest[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	f->nmem = DISKS;
	FUZZ_CHECK(!hal_mem_create(DISK_BYTES, &f->mem[0]));
	FUZZ_CHECK(!hal_mem_create(DISK_BYTES / 2, &f->mem[1]));
}

static void protect_guest_region(void)
{
	const struct ion_span *g = &cell.window.plan.hdr.guest;

	FUZZ_CHECK(!mprotect(cell.window.base + g->offset, g->length, PROT_READ));
}

void fuzz_setup(void)
{
	struct options o = { .window = WINDOW_BYTES, .disks = DISKS };

	FUZZ_CHECK(!parse_disk(disk0, &o.disk[0]));
	FUZZ_CHECK(!parse_disk(disk1, &o.disk[1]));
	FUZZ_CHECK(!cell_configure(&cell, &o));
	FUZZ_CHECK(!window_create(WINDOW_BYTES, NULL, &cell.fds.window));
	cell.window.base = fuzz_map(cell.fds.window, WINDOW_BYTES);
	cell.window.record = calloc(1, sizeof(*cell.window.record));
	window = fuzz_map(cell.fds.window, WINDOW_BYTES);
	make_fds(&cell.fds);
	safety_grant(&authority, &o, false);
	cell.authority = &authority;
	cell.ledger = &ledger;
	FUZZ_CHECK(!cell_open_disks(&cell, &o, false));
	disk = fuzz_map(cell.fds.mem[0], DISK_BYTES);
	protect_guest_region();
	FUZZ_CHECK(!cell_prepare(&cell));
	FUZZ_CHECK(!cell_start(&cell, false));
	beat_stop(&cell.beat);
	/* Its handler would keep out libFuzzer's, and with it the time limit. */
	signal(SIGALRM, SIG_DFL);
	fresh_cell = cell;
	fresh_record = *cell.window.record;
	fresh_ledger = ledger;
	fresh_host = malloc(cell.window.plan.hdr.host.length);
	memcpy(fresh_host, window, cell.window.plan.hdr.host.length);
}

static void start_afresh(void)
{
	unsigned int i;

	/* Tags that are in use have a mark outside of the cell. */
	for (i = 0; i < DISKS; i++)
		valve_published(&cell.channel[i].valve);
	cell = fresh_cell;
	*cell.window.record = fresh_record;
	ledger = fresh_ledger;
	FUZZ_CHECK(!fallocate(cell.fds.window,
			      FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			      WINDOW_BYTES));
	memcpy(window, fresh_host, cell.window.plan.hdr.host.length);
	memset(disk, PATTERN, DISK_BYTES);
	memset(guest, 0, sizeof(guest));
	for (i = 0; i < DISKS; i++)
		ion_guest_bind(&guest[i], window, &cell.window.plan.dir[i]);
}

static const struct nxblk_req *request_at(unsigned int n, uint32_t index)
{
	const struct ion_ring_desc *d = &cell.window.plan.dir[n].req;
	uint32_t mask = (1u << d->log2_entries) - 1;

	return (const void *)(window + d->offset +
			      (uint64_t)(index & mask) * d->entry_size);
}

static void look(unsigned int n, struct before *b)
{
	const struct cell_channel *ch = &cell.channel[n];
	unsigned int i;

	b->state = ch->end.state;
	b->generation = ch->end.generation;
	b->cons = ch->end.req.cons;
	b->rsp = ch->end.rsp.prod;
	b->prod = guest[n].mine->req_prod;
	b->requests = ch->valve.account->stats.requests;
	b->stale = ch->valve.account->stats.stale;
	for (i = 0; i < BATCH; i++)
		b->req[i] = *request_at(n, b->cons + i);
}

static void check_answer(unsigned int n, uint32_t index,
			 const struct nxblk_req *req)
{
	const struct ion_ring_desc *d = &cell.window.plan.dir[n].rsp;
	uint32_t mask = (1u << d->log2_entries) - 1;
	struct nxblk_resp rsp;

	memcpy(&rsp,
	       window + d->offset + (uint64_t)(index & mask) * d->entry_size,
	       sizeof(rsp));
	FUZZ_CHECK(rsp.tag == req->tag && rsp.op == req->op);
	FUZZ_CHECK(rsp.generation == req->generation);
	FUZZ_CHECK(rsp.cookie == req->cookie);
	FUZZ_CHECK(rsp.status < NXBLK_S_COUNT && !rsp.reserved);
	FUZZ_CHECK(!rsp.status || !rsp.done);
}

/* Each request that was taken was answered, in order, and nothing else was. */
static void check_answers(unsigned int n, const struct before *b, uint32_t taken)
{
	uint32_t index = b->rsp;
	uint32_t i;

	for (i = 0; i < taken; i++)
		if (b->req[i].generation == (uint32_t)b->generation)
			check_answer(n, index++, &b->req[i]);
	FUZZ_CHECK(index == cell.channel[n].end.rsp.prod);
}

static void check_channel(unsigned int n, const struct before *b)
{
	const struct cell_channel *ch = &cell.channel[n];
	const struct ion_host_end *e = &ch->end;
	uint64_t requests = ch->valve.account->stats.requests - b->requests;
	uint32_t taken = e->req.cons - b->cons;

	FUZZ_CHECK(e->state < ION_HOST_STATE_COUNT);
	FUZZ_CHECK(e->reason < ION_REASON_COUNT);
	FUZZ_CHECK(!ch->valve.in_flight);
	if (e->generation != b->generation) {
		FUZZ_CHECK(e->state == ION_HOST_READY && !requests);
		return;
	}
	FUZZ_CHECK(taken == requests && taken <= BATCH);
	if (taken) {
		FUZZ_CHECK(b->state == ION_HOST_LIVE ||
			   b->state == ION_HOST_READY);
		FUZZ_CHECK(e->state == ION_HOST_LIVE);
		FUZZ_CHECK(b->prod - b->cons >= taken);
		FUZZ_CHECK(b->prod - b->cons <= e->req.mask + 1);
	}
	if (b->state == ION_HOST_LATCHED)
		FUZZ_CHECK(e->state == ION_HOST_LATCHED);
	FUZZ_CHECK(e->rsp.published == e->rsp.prod);
	FUZZ_CHECK(e->rsp.prod - e->rsp.cons <= e->rsp.mask + 1);
	check_answers(n, b, taken);
}

static void one_round(void)
{
	static struct before b[DISKS];
	unsigned int i;

	for (i = 0; i < DISKS; i++)
		look(i, &b[i]);
	cell_round(&cell);
	for (i = 0; i < DISKS; i++)
		check_channel(i, &b[i]);
}

/* Where a store may matter most; 0 is anywhere. */
static uint64_t place_of(uint8_t what, unsigned int n)
{
	const struct ion_dir_entry *d = &cell.window.plan.dir[n];

	switch (what % 10) {
	case 1:
		return d->guest_channel;
	case 2:
		return d->guest_channel + 128;
	case 3:
		return d->guest_channel + 256;
	case 4:
		return d->host_channel;
	case 5:
		return d->host_channel + 256;
	case 6:
		return d->req.offset;
	case 7:
		return d->indirect.offset;
	case 8:
		return d->rsp.offset;
	case 9:
		return d->data.offset;
	default:
		return 0;
	}
}

/* Fields that decide something; nothing keeps a guest out of the host's record. */
static void poke(struct fuzz_in *in, unsigned int n)
{
	static const struct {
		uint16_t at;
		uint8_t width;
	} field[16] = {
		{ offsetof(struct ion_guest_channel, state), 4 },
		{ offsetof(struct ion_guest_channel, generation), 8 },
		{ offsetof(struct ion_guest_channel, reset_id), 8 },
		{ offsetof(struct ion_guest_channel, features), 8 },
		{ offsetof(struct ion_guest_channel, depth), 4 },
		{ offsetof(struct ion_guest_channel, vector), 2 },
		{ offsetof(struct ion_guest_channel, queue_class), 1 },
		{ offsetof(struct ion_guest_channel, rsp_event), 4 },
		{ offsetof(struct ion_guest_channel, req_prod), 4 },
		{ offsetof(struct ion_guest_channel, rsp_cons), 4 },
		{ offsetof(struct ion_host_channel, state), 4 },
		{ offsetof(struct ion_host_channel, generation), 8 },
		{ offsetof(struct ion_host_channel, drained_id), 8 },
		{ offsetof(struct ion_host_channel, rsp_prod), 4 },
		{ offsetof(struct ion_host_channel, req_cons), 4 },
		{ offsetof(struct ion_host_channel, req_event), 4 },
	};
	const struct ion_dir_entry *d = &cell.window.plan.dir[n];
	uint8_t how = fuzz_u8(in);
	unsigned int i = how % 16;
	uint8_t *at = window + (i < 10 ? d->guest_channel : d->host_channel) +
		      field[i].at;
	uint64_t value = 0;

	memcpy(&value, at, field[i].width);
	if (how & 16)
		value = fuzz_u64(in);
	else
		value += (uint64_t)(int64_t)(int8_t)fuzz_u8(in) << (how >> 5) * 4;
	memcpy(at, &value, field[i].width);
}

static void store(struct fuzz_in *in, unsigned int n)
{
	uint8_t what = fuzz_u8(in);
	size_t width = (size_t)1 << (what >> 6);
	uint64_t offset = what % 10 ? fuzz_u8(in) : fuzz_u32(in);
	uint64_t at = (place_of(what, n) + offset) % (WINDOW_BYTES - width);

	fuzz_bytes(in, window + at, width);
}

static void acknowledge(struct fuzz_in *in, unsigned int n)
{
	struct ion_terms terms = { .features = cell.channel[n].end.offered,
				   .depth = cell.window.plan.depth };
	struct ion_offer offer;

	if (fuzz_u8(in) & 1) {
		terms.features = fuzz_u8(in);
		terms.depth = fuzz_u16(in);
		terms.vector = fuzz_u8(in);
		terms.queue_class = fuzz_u8(in);
	}
	if (ion_guest_offer(&guest[n], &offer))
		ion_guest_ack(&guest[n], &offer, &terms);
}

static void request(struct fuzz_in *in, unsigned int n)
{
	const struct ion_dir_entry *d = &cell.window.plan.dir[n];
	uint32_t depth = cell.channel[n].end.depth;
	const struct request_place place = {
		.generation = (uint32_t)guest[n].generation,
		.depth = depth ? depth : 1,
		.data = d->data,
		.indirect = d->indirect,
		.sectors = cell.disk[n].config.capacity,
		.window = window,
	};
	struct nxblk_req req;

	request_read(in, &place, &req);
	ion_prod_put(&guest[n].req, &req);
	ion_prod_publish(&guest[n].req);
}

/* Many requests, with a round now and then, from a guest that takes no answers. */
static void burst(struct fuzz_in *in, unsigned int n)
{
	const struct ion_dir_entry *d = &cell.window.plan.dir[n];
	struct nxblk_req req = {
		.op = NXBLK_OP_INFO,
		.cap_slot = d->cap_slot,
		.nseg = 1,
		.generation = (uint32_t)guest[n].generation,
		.seg[0] = { d->data.offset, sizeof(struct nxblk_config), 0 },
	};
	unsigned int count = fuzz_u8(in);

	while (count--) {
		ion_prod_put(&guest[n].req, &req);
		ion_prod_publish(&guest[n].req);
		if (count % BATCH == 0)
			one_round();
	}
}

static void consume(unsigned int n)
{
	struct nxblk_resp rsp;
	unsigned int i;

	for (i = 0; i < BATCH && ion_cons_avail(&guest[n].rsp); i++)
		ion_cons_get(&guest[n].rsp, &rsp);
	ion_cons_release(&guest[n].rsp);
}

static void ring(struct fuzz_in *in, unsigned int n)
{
	eventfd_write(cell.fds.host[n], fuzz_u8(in));
	channel_take_bell(&cell.channel[n]);
}

static void attach(struct fuzz_in *in, unsigned int n)
{
	ion_guest_reset(&guest[n], fuzz_u8(in) + 1u);
	one_round();
	acknowledge(in, n);
	one_round();
}

static void step(struct fuzz_in *in)
{
	uint8_t op = fuzz_u8(in);
	unsigned int n = op >> 7;

	switch (op % 12) {
	case 0:
		one_round();
		break;
	case 1:
		store(in, n);
		break;
	case 2:
		poke(in, n);
		break;
	case 3:
	case 4:
		request(in, n);
		break;
	case 5:
		consume(n);
		break;
	case 6:
		ion_guest_reset(&guest[n], fuzz_u64(in));
		break;
	case 7:
		acknowledge(in, n);
		break;
	case 8:
		attach(in, n);
		break;
	case 9:
		ring(in, n);
		break;
	case 10:
		channel_arm(&cell.channel[n]);
		break;
	default:
		if (op & 64)
			burst(in, n);
		else
			channel_guest_left(&cell.channel[n]);
		break;
	}
}

static void check_disk(void)
{
	static uint8_t untouched[DISK_BYTES];
	const size_t first = CAP_FIRST << NXBLK_SECTOR_SHIFT;
	const size_t end = (CAP_LAST + 1) << NXBLK_SECTOR_SHIFT;

	if (!untouched[0])
		memset(untouched, PATTERN, DISK_BYTES);
	FUZZ_CHECK(!memcmp(disk, untouched, first));
	FUZZ_CHECK(!memcmp(disk + end, untouched, DISK_BYTES - end));
}

/* However the guest behaved, its successor is served. */
static void check_recovery(unsigned int n)
{
	const struct ion_dir_entry *d = &cell.window.plan.dir[n];
	const struct ion_terms terms = { .features = NXBLK_F_INDIRECT,
					 .depth = 2 };
	struct nxblk_req req = {
		.op = NXBLK_OP_INFO,
		.cap_slot = d->cap_slot,
		.nseg = 1,
		.seg[0] = { d->data.offset, sizeof(struct nxblk_config), 0 },
	};
	struct ion_offer offer;
	struct nxblk_resp rsp;

	ion_guest_reset(&guest[n], cell.channel[n].end.drained_id + 1);
	one_round();
	one_round();
	FUZZ_CHECK(ion_guest_offer(&guest[n], &offer));
	ion_guest_ack(&guest[n], &offer, &terms);
	req.generation = (uint32_t)guest[n].generation;
	ion_prod_put(&guest[n].req, &req);
	ion_prod_publish(&guest[n].req);
	one_round();
	FUZZ_CHECK(ion_cons_avail(&guest[n].rsp) == 1);
	ion_cons_get(&guest[n].rsp, &rsp);
	FUZZ_CHECK(rsp.status == NXBLK_S_OK &&
		   rsp.done == sizeof(struct nxblk_config));
}

void fuzz_one(struct fuzz_in *in)
{
	unsigned int i;

	start_afresh();
	for (i = 0; i < MOST_OPS && in->left; i++)
		step(in);
	one_round();
	check_disk();
	for (i = 0; i < DISKS; i++)
		check_recovery(i);
	window_repair(&cell.window);
	FUZZ_CHECK(!window_repair(&cell.window));
}
