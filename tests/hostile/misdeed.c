// SPDX-License-Identifier: GPL-2.0-only
/* What the rogue host can do wrong. To add a misdeed, add a function and a line. */
#include "rogue_host.h"

/*
 * Answers. Each gets the request and the answer that would be right, after the
 * data has been moved.
 */

#define ANSWER(name, change)                                                   \
	static void name(struct disk *d, const struct nxblk_req *req,          \
			 const struct nxblk_resp *right)                       \
	{                                                                      \
		struct nxblk_resp rsp = *right;                                \
		(void)req;                                                     \
		change;                                                        \
		disk_answer(d, &rsp);                                          \
	}

ANSWER(status_unknown, rsp.status = 200)
ANSWER(status_ioerr, (rsp.status = NXBLK_S_IOERR, rsp.done = 0))
ANSWER(status_nospc, (rsp.status = NXBLK_S_NOSPC, rsp.done = 0))
ANSWER(status_perm, (rsp.status = NXBLK_S_PERM, rsp.done = 0))
ANSWER(status_ro, (rsp.status = NXBLK_S_RO, rsp.done = 0))
ANSWER(status_timeout, (rsp.status = NXBLK_S_TIMEOUT, rsp.done = 0))
ANSWER(done_short, rsp.done -= 512)
ANSWER(done_zero, rsp.done = 0)
ANSWER(done_long, rsp.done += 512)
ANSWER(done_huge, rsp.done = ~0ull)
ANSWER(tag_at_depth, rsp.tag = d->end.depth)
ANSWER(tag_high, rsp.tag = 0xffff)
/* Tags go up from 0 in a quiet guest: the one below the last is idle. */
ANSWER(tag_idle, rsp.tag = (rsp.tag + d->end.depth - 1) % d->end.depth)
ANSWER(wrong_op, rsp.op = NXBLK_OP_WRITE)
ANSWER(wrong_cookie, rsp.cookie ^= 1)

static void twice(struct disk *d, const struct nxblk_req *req,
		  const struct nxblk_resp *right)
{
	(void)req;
	disk_answer(d, right);
	disk_answer(d, right);
}

/* Keep what was answered, and answer it again once the tag is used anew. */
static void reused(struct disk *d, const struct nxblk_req *req,
		   const struct nxblk_resp *right)
{
	d->kept = *req;
	d->keeping = true;
	disk_answer(d, right);
}

static void reused_request(struct disk *d, const struct nxblk_req *req)
{
	struct nxblk_resp rsp = {
		.tag = d->kept.tag,
		.op = d->kept.op,
		.generation = d->kept.generation,
		.cookie = d->kept.cookie,
		.done = nxblk_buffer_bytes(&d->kept),
	};

	if (!d->keeping || req->tag != d->kept.tag)
		return;
	d->keeping = false;
	printf("misdeed answers tag %u of its former use\n", req->tag);
	disk_answer(d, &rsp);
}

/* Answers of other generations come first, and then the right one. */
static void other_generation(struct disk *d, const struct nxblk_req *req,
			     const struct nxblk_resp *right)
{
	static const int32_t off[] = { -1, 1, 1 << 30 };
	struct nxblk_resp rsp;
	unsigned int i;

	(void)req;
	for (i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
		rsp = *right;
		rsp.generation += off[i];
		rsp.status = NXBLK_S_IOERR;
		rsp.done = 0;
		disk_answer(d, &rsp);
	}
	rsp.tag = 0xffff;
	disk_answer(d, &rsp);
	disk_answer(d, right);
}

/* The channel is latched although the guest did nothing wrong. */
static void host_latch(struct disk *d, const struct nxblk_req *req,
		       const struct nxblk_resp *right)
{
	(void)req;
	(void)right;
	ion_host_set_state(&d->end, ION_HOST_LATCHED, ION_REASON_REQ_PROD);
	server_ring(d->server, 0);
}

/* As if the host had started anew, with a generation that goes on or back. */
static void restart(struct disk *d, const struct nxblk_req *req,
		    const struct nxblk_resp *right)
{
	(void)req;
	(void)right;
	ion_host_start(&d->end, d->end.mine->generation);
	server_ring(d->server, 0);
}

static void restart_back(struct disk *d, const struct nxblk_req *req,
			 const struct nxblk_resp *right)
{
	(void)req;
	(void)right;
	ion_host_ready(&d->end, d->end.generation - 1,
		       ion_read(&d->end.theirs->reset_id));
	server_ring(d->server, 0);
}

/*
 * What goes on a hundred times a second. The last call, with 0 left, puts right
 * what the others spoiled.
 */

/* As if there had been a handshake: on, back, far away, and back to where it was. */
static void generation_alone(struct disk *d, unsigned int left)
{
	static const int64_t off[] = { 1, -1, 1ll << 32, 0 };
	uint64_t shown = d->end.generation + (left ? off[left % 4] : 0);

	ion_write(&d->end.mine->generation, shown);
	server_ring(d->server, 0);
}

/* Offers that nobody asked for: on, back, and the same once more. */
static void generation_offered(struct disk *d, unsigned int left)
{
	static const int64_t off[] = { 1, -1, 0 };

	ion_host_ready(&d->end, d->end.generation + (left ? off[left % 3] : 1),
		       ion_read(&d->end.theirs->reset_id));
	server_ring(d->server, 0);
}

/* At once, and then twice a second, the host starts anew with another disk. */
static void another_disk(struct disk *d, unsigned int left)
{
	if (left && (left + 1) % 50)
		return;
	d->config.uuid[0] = left ? 0xff : d->config.uuid[1];
	generation_offered(d, 0);
}

/* Left unanswered for a while in which others are answered; then the host starts anew. */
static void never(struct disk *d, const struct nxblk_req *req,
		  const struct nxblk_resp *right)
{
	(void)right;
	d->kept = *req;
	d->keeping = true;
}

static void restart_when_kept(struct disk *d, unsigned int left)
{
	(void)left;
	if (!d->keeping)
		return;
	d->keeping = false;
	generation_offered(d, 0);
}

/*
 * What the guest says of itself lies in memory that the host can write: here it is
 * overwritten before the host, which does no other wrong, has seen it.
 */

#define NO_STATE 77u

static struct ion_guest_channel *guest_record(struct disk *d)
{
	return (struct ion_guest_channel *)d->end.theirs;
}

static void reset_erased(struct disk *d, unsigned int left)
{
	d->erases = left > 0;
}

/* First less is offered than the guest needs; then it is forgotten that it refused. */
static void refusal_erased(struct disk *d, unsigned int left)
{
	d->end.offered = left ? 0 : NXBLK_F_INDIRECT;
	if (left == 99)
		generation_offered(d, 0);
	d->erases = left > 0 && left < 50;
}

static void acknowledgement_erased(struct disk *d, unsigned int left)
{
	if (left == 99) {
		generation_offered(d, 0);
		d->deaf = true;
	} else if (left == 0) {
		ion_write(&guest_record(d)->generation, 1ull << 40);
		d->deaf = false;
	}
}

void disk_erase(struct disk *d)
{
	ion_write(&guest_record(d)->reset_id, 0);
	ion_write(&guest_record(d)->state, NO_STATE);
}

static void capacity_flips(struct disk *d, unsigned int left)
{
	uint64_t whole = d->size / NXBLK_SECTOR_SIZE;

	d->config.capacity = left ? whole / 4 * (left % 3) : whole;
	disk_hint(d);
}

/* Nothing has changed: the guest is made to ask. */
static void hint_always(struct disk *d, unsigned int left)
{
	(void)left;
	disk_hint(d);
}

/* Five times a second; in the end it is twice as large. */
static void read_only_flips(struct disk *d, unsigned int left)
{
	if (left / 20 % 2)
		d->config.flags |= NXBLK_CFG_READ_ONLY;
	else
		d->config.flags &= ~NXBLK_CFG_READ_ONLY;
	if (!left)
		d->config.capacity *= 2;
	if (left % 20 == 0)
		disk_hint(d);
}

static void half(struct nxblk_config *config)
{
	config->capacity /= 2;
}

static void offer_zeroes(struct ion_host_end *end)
{
	end->offered |= NXBLK_F_WRITE_ZEROES | NXBLK_F_DISCARD;
}

static void zeroes(struct nxblk_config *config)
{
	config->max_write_zeroes_sectors = 2048;
	config->max_discard_sectors = 2048;
	config->discard_granularity = 512;
}

static void offer_flush(struct ion_host_end *end)
{
	end->offered |= NXBLK_F_FLUSH;
}

static void volatile_cache(struct nxblk_config *config)
{
	config->flags |= NXBLK_CFG_VOLATILE_CACHE;
}

/*
 * Indices. The lie is told instead of an answer; nothing more is answered until
 * the guest asks for a new handshake.
 */

#define INDEX(name, field, change)                                             \
	static void name(struct disk *d, const struct nxblk_req *req,          \
			 const struct nxblk_resp *right)                       \
	{                                                                      \
		(void)req;                                                     \
		(void)right;                                                   \
		ion_store_release(&d->end.mine->field,                         \
				  d->end.mine->field change);                  \
		server_ring(d->server, d->end.vector);                         \
	}

INDEX(rsp_jump, rsp_prod, +129)
INDEX(rsp_far, rsp_prod, +(1u << 31))
INDEX(rsp_back, rsp_prod, -1)
INDEX(req_back, req_cons, -2)
INDEX(req_beyond, req_cons, +1)
INDEX(req_far, req_cons, +(1u << 31))

/* Geometry. */

#define CONFIG(name, change)                                                   \
	static void name(struct nxblk_config *config)                          \
	{                                                                      \
		config->change;                                                \
	}

CONFIG(capacity_zero, capacity = 0)
CONFIG(capacity_max, capacity = ~0ull)
CONFIG(capacity_sign, capacity = 1ull << 63)
CONFIG(block_zero, logical_block = 0)
CONFIG(block_one, logical_block = 1)
CONFIG(block_511, logical_block = 511)
CONFIG(block_513, logical_block = 513)
CONFIG(block_8192, logical_block = 8192)
CONFIG(block_huge, logical_block = 1u << 31)
CONFIG(physical_zero, physical_block = 0)
CONFIG(physical_odd, physical_block = 513)
CONFIG(physical_small, physical_block = 256)
CONFIG(sectors_zero, max_sectors = 0)
CONFIG(sectors_huge, max_sectors = ~0u)
CONFIG(segments_zero, max_segments = 0)
CONFIG(segments_huge, max_segments = ~0u)
CONFIG(io_odd, io_opt = 777)

static void capacity_odd(struct nxblk_config *config)
{
	config->logical_block = 4096;
	config->physical_block = 4096;
	config->capacity -= 1;
}

static void discard_nonsense(struct nxblk_config *config)
{
	config->max_discard_sectors = ~0u;
	config->discard_granularity = 3;
	config->discard_alignment = ~0u;
	config->max_write_zeroes_sectors = ~0u;
}

/* The text of the serial fills the field, and is none. */
static void serial_wild(struct nxblk_config *config)
{
	memset(config->serial, 0xff, sizeof(config->serial));
	config->serial[3] = '\n';
}

static void depth_zero(struct ion_host_end *end)
{
	end->max_depth = 0;
}

static void depth_one(struct ion_host_end *end)
{
	end->max_depth = 1;
}

/* Beside INFO's tag there is one: the next request has the last one's. */
static void depth_two(struct ion_host_end *end)
{
	end->max_depth = 2;
}

static void depth_huge(struct ion_host_end *end)
{
	end->max_depth = 1u << 31;
}

static void features_unknown(struct ion_host_end *end)
{
	end->offered = ~0ull & ~NXBLK_F_ZERO_COPY;
}

/* Advised against, so that the guest does it only when it is told to. */
static void offer_zero_copy(struct ion_host_end *end)
{
	end->offered |= NXBLK_F_ZERO_COPY;
}

static void zero_copy_never(struct nxblk_config *config)
{
	config->zero_copy_min = ~0u;
}

/* Header and directory. */

#define HEADER(name, change)                                                     \
	static void name(struct ion_host_header *hdr, struct ion_dir_entry *dir) \
	{                                                                        \
		(void)hdr;                                                       \
		(void)dir;                                                       \
		change;                                                          \
	}

HEADER(magic, hdr->magic = 0x494F4E53)
HEADER(version, hdr->abi_major = 2)
HEADER(length, hdr->length = WINDOW_BYTES * 2)
HEADER(length_zero, hdr->length = 0)
HEADER(required,
       (hdr->features_offered = 1ull << 40, hdr->features_required = 1ull << 40))
HEADER(guest_region, hdr->guest.offset = WINDOW_BYTES)
HEADER(directory_count, hdr->dir_count = 0)
HEADER(directory_outside, hdr->dir_offset = hdr->data.offset)
HEADER(overlap_rings, dir[1].req.offset = dir[0].req.offset)
HEADER(overlap_data, dir[1].data = dir[0].data)
HEADER(ring_outside, dir[0].rsp.offset = WINDOW_BYTES)
HEADER(ring_wraps, dir[0].rsp.offset = 0ull - 4096)
HEADER(ring_shape, dir[0].req.log2_entries = 31)
HEADER(entry_size, dir[0].req.entry_size = 8)
HEADER(queue_number, dir[0].queue = 1000)
HEADER(repeated, dir[1].instance = 0)
HEADER(no_config, dir[0].config.length = 0)
HEADER(no_data, dir[0].data.length = 0)
HEADER(peer, (dir[0].host_peer = 0xffff, dir[0].host_vector = 0xffff))

const struct misdeed misdeeds[] = {
	{ .name = "none" },

	{ .name = "status-unknown", .answer = status_unknown },
	{ .name = "status-ioerr", .answer = status_ioerr },
	{ .name = "status-nospc", .answer = status_nospc },
	{ .name = "status-perm", .answer = status_perm },
	{ .name = "status-ro", .answer = status_ro },
	{ .name = "status-timeout", .answer = status_timeout },
	{ .name = "done-short", .answer = done_short },
	{ .name = "done-zero", .answer = done_zero },
	{ .name = "done-long", .answer = done_long },
	{ .name = "done-huge", .answer = done_huge },
	{ .name = "other-generation", .answer = other_generation },

	{ .name = "tag-at-depth", .times = 1, .answer = tag_at_depth },
	{ .name = "tag-high", .times = 1, .answer = tag_high },
	{ .name = "tag-idle", .times = 1, .answer = tag_idle },
	{ .name = "twice", .times = 1, .answer = twice },
	{ .name = "reused",
	  .times = 1,
	  .answer = reused,
	  .request = reused_request,
	  .end = depth_two },
	{ .name = "wrong-op", .times = 1, .answer = wrong_op },
	{ .name = "wrong-cookie", .times = 1, .answer = wrong_cookie },

	{ .name = "rsp-jump", .times = 1, .answer = rsp_jump },
	{ .name = "rsp-far", .times = 1, .answer = rsp_far },
	{ .name = "rsp-back", .times = 1, .answer = rsp_back },
	{ .name = "req-back", .times = 1, .answer = req_back },
	{ .name = "req-beyond", .times = 1, .answer = req_beyond },
	{ .name = "req-far", .times = 1, .answer = req_far },

	{ .name = "mute", .mute = true },
	{ .name = "slow", .slow = true },
	{ .name = "slow-chatty", .slow = true, .tick = hint_always, .ticks = ~0u },
	{ .name = "lost-denied", .slow = true, .denies = true },
	{ .name = "deaf-queue", .deaf = true, .joins = true },
	{ .name = "flips", .flips = true },
	{ .name = "host-latch", .times = 1, .answer = host_latch },
	{ .name = "restart", .times = 1, .answer = restart },
	{ .name = "restart-back", .times = 1, .answer = restart_back },
	{ .name = "flush-unsupp",
	  .op = NXBLK_OP_FLUSH,
	  .refusal = NXBLK_S_UNSUPP,
	  .end = offer_flush,
	  .config = volatile_cache },

	{ .name = "generation-alone", .tick = generation_alone, .ticks = 300 },
	{ .name = "generation-offered", .tick = generation_offered, .ticks = 300 },
	{ .name = "another-disk", .tick = another_disk, .ticks = 1000 },
	{ .name = "restart-always", .answer = restart },
	{ .name = "restart-others",
	  .answer = never,
	  .tick = restart_when_kept,
	  .ticks = ~0u },
	{ .name = "latch-always", .answer = host_latch },
	{ .name = "reset-erased", .tick = reset_erased, .ticks = 100 },
	{ .name = "refusal-erased", .tick = refusal_erased, .ticks = 100 },
	{ .name = "ack-erased", .tick = acknowledgement_erased, .ticks = 100 },
	{ .name = "storm", .unrest = &unrest_storm },
	{ .name = "noise", .unrest = &unrest_noise, .size = 2 << 20, .config = half },
	{ .name = "capacity-flips", .tick = capacity_flips, .ticks = 500 },
	{ .name = "read-only-flips",
	  .tick = read_only_flips,
	  .ticks = 600,
	  .size = 32 << 20,
	  .config = half },
	{ .name = "zeroes-unsupp",
	  .op = NXBLK_OP_WRITE_ZEROES,
	  .refusal = NXBLK_S_UNSUPP,
	  .end = offer_zeroes,
	  .config = zeroes },
	{ .name = "zeroes-perm",
	  .op = NXBLK_OP_WRITE_ZEROES,
	  .refusal = NXBLK_S_PERM,
	  .end = offer_zeroes,
	  .config = zeroes },
	{ .name = "discard-unsupp",
	  .op = NXBLK_OP_DISCARD,
	  .refusal = NXBLK_S_UNSUPP,
	  .end = offer_zeroes,
	  .config = zeroes },
	{ .name = "write-perm", .op = NXBLK_OP_WRITE, .refusal = NXBLK_S_PERM },

	{ .name = "zero-copy", .end = offer_zero_copy, .config = zero_copy_never },
	{ .name = "zero-copy-denied",
	  .denies = true,
	  .end = offer_zero_copy,
	  .config = zero_copy_never },

	{ .name = "capacity-zero", .config = capacity_zero },
	{ .name = "capacity-max", .config = capacity_max },
	{ .name = "capacity-sign", .config = capacity_sign },
	{ .name = "capacity-odd", .config = capacity_odd },
	{ .name = "block-zero", .config = block_zero },
	{ .name = "block-one", .config = block_one },
	{ .name = "block-511", .config = block_511 },
	{ .name = "block-513", .config = block_513 },
	{ .name = "block-8192", .config = block_8192 },
	{ .name = "block-huge", .config = block_huge },
	{ .name = "physical-zero", .config = physical_zero },
	{ .name = "physical-odd", .config = physical_odd },
	{ .name = "physical-small", .config = physical_small },
	{ .name = "sectors-zero", .config = sectors_zero },
	{ .name = "sectors-huge", .config = sectors_huge },
	{ .name = "segments-zero", .config = segments_zero },
	{ .name = "segments-huge", .config = segments_huge },
	{ .name = "io-odd", .config = io_odd },
	{ .name = "discard-nonsense", .config = discard_nonsense },
	{ .name = "serial-wild", .config = serial_wild },
	{ .name = "depth-zero", .end = depth_zero },
	{ .name = "depth-one", .end = depth_one },
	{ .name = "depth-huge", .end = depth_huge },
	{ .name = "features-unknown", .end = features_unknown },

	{ .name = "foreign", .foreign = true },
	{ .name = "magic", .header = magic },
	{ .name = "version", .header = version },
	{ .name = "length", .header = length },
	{ .name = "length-zero", .header = length_zero },
	{ .name = "short", .bytes = 1 << 20 },
	{ .name = "required", .header = required },
	{ .name = "guest-region", .header = guest_region },
	{ .name = "directory-count", .header = directory_count },
	{ .name = "directory-outside", .header = directory_outside },
	{ .name = "overlap-rings", .header = overlap_rings },
	{ .name = "overlap-data", .header = overlap_data },
	{ .name = "ring-outside", .header = ring_outside },
	{ .name = "ring-wraps", .header = ring_wraps },
	{ .name = "ring-shape", .header = ring_shape },
	{ .name = "entry-size", .header = entry_size },
	{ .name = "queue-number", .header = queue_number },
	{ .name = "repeated", .header = repeated },
	{ .name = "no-config", .header = no_config },
	{ .name = "no-data", .header = no_data },
	{ .name = "peer", .header = peer },
	{},
};

/**
 * misdeed_find - a misdeed by its name
 * @name: of it
 *
 * Return: NULL when there is none.
 */
const struct misdeed *misdeed_find(const char *name)
{
	const struct misdeed *m;

	for (m = misdeeds; m->name; m++)
		if (!strcmp(m->name, name))
			return m;
	return NULL;
}
