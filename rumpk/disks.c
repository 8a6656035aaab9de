/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The disks of a cell: how they are opened, first and again. The first worker of a
 * rumpk waits for what it is told to serve, and its failure is the user's to mend. A
 * successor has a guest, and other disks besides: one that cannot be had is served
 * as lost, and one on which the worker before may still have requests is not offered
 * until these are over. Nothing else waits for it.
 */
#include "cell.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker.h"
#include "hal_virtio.h"
#include "oplog.h"
#include "unix.h"
#include "util.h"

#define MAX_DISCARD_SECTORS (256u << 11)
#define MAX_WRITE_ZEROES_SECTORS (16u << 11)
/* What another rumpk left, and patience with an end that is just happening. */
#define LOCK_AGAIN_MS 10000u
#define LOCK_FRESH_MS 500u
#define DEVICE_MS 2000u
/* No file has a page here that could be waited for. */
#define NOWHERE (1ll << 62)

static struct hal *open_mem(const struct cell *c, const struct disk_options *d,
			    unsigned int nth, const uint8_t uuid[16])
{
	struct stat st;

	if (nth >= c->fds.nmem || fstat(c->fds.mem[nth], &st) < 0 ||
	    (uint64_t)st.st_size != d->size) {
		rumpk_error("--disk mem=%llu: is another disk than the window was laid out for; end the guest first",
			    (unsigned long long)d->size);
		return NULL;
	}
	return hal_mem_open(c->fds.mem[nth], d->size, d->read_only, d->block,
			    uuid);
}

static int open_late(void *arg, bool name, struct image *img)
{
	const struct cell_device *device = arg;

	int fd = broker_ask(device->broker, device->number,
			    name ? BROKER_OPEN_OR_NAME : BROKER_OPEN, img);

	return fd < 0 ? fd : 0;
}

static struct hal *open_file(struct cell *c, const struct disk_options *d,
			     unsigned int n, bool again)
{
	const struct ledger_disk *known = &c->ledger->disk[n];
	struct hal_file_former former = {
		.known = keeper_witness(&c->fds, n),
		.capacity = known->capacity,
		.lost = known->lost,
		.open = open_late,
		.arg = &c->device[n],
	};
	struct hal_file_options opt = {
		.path = d->path,
		.read_only = d->read_only,
		.block = d->block,
		.wait_ms = again ? LOCK_AGAIN_MS : LOCK_FRESH_MS,
	};

	if (c->successor) {
		memcpy(former.uuid, c->window.record->disk[n].uuid,
		       sizeof(former.uuid));
		opt.former = &former;
	}
	return hal_file_open(&opt);
}

/* Does not wait, not even where too many wait already. */
static int connect_device(void *arg)
{
	const struct cell_device *device = arg;

	if (device->broker->sock >= 0)
		return broker_ask(device->broker, device->number,
				  BROKER_CONNECT, NULL);
	return unix_connect(device->path, SOCK_STREAM | SOCK_NONBLOCK);
}

static bool may_zero_copy(const struct cell *c, const struct disk_options *d)
{
	return c->ram.base && options_lend(d);
}

/* The connection is the driver's from now on. */
static void former_device(struct cell *c, unsigned int n,
			  struct hal_virtio_former *former)
{
	const struct ledger_disk *known = &c->ledger->disk[n];

	memset(former, 0, sizeof(*former));
	former->sock = c->former[n];
	c->former[n] = -1;
	former->limits = known->limits;
	former->limits.capacity = known->capacity;
	former->lost = known->lost;
	memcpy(former->id, known->id, VIRTIO_BLK_ID_BYTES);
}

/*
 * What an earlier process sent to a device may still be written, and without a
 * fence nothing says when it is over: the guest must not send it again. A successor
 * serves such a disk as lost; an operator who starts rumpk is told.
 */
static struct hal *open_vhost(struct cell *c, const struct disk_options *d,
			      unsigned int n, bool again)
{
	struct hal_virtio_former former;
	struct hal_virtio_options opt = {
		.connect = connect_device,
		.arg = &c->device[n],
		.name = d->path,
		.read_only = d->read_only,
		.block = d->block,
		.timeout_ms = DEVICE_MS,
		.open_ms = again ? LOCK_AGAIN_MS : 0,
		.fence = d->fence,
		.reconnect_ms = 1000 * d->reconnect,
		.region[0] = { c->fds.window, c->window.base,
			       c->window.plan.hdr.length, false },
		.regions = 1,
	};

	/* A device sees the guest's RAM only when it may move data there. */
	if (may_zero_copy(c, d))
		opt.region[opt.regions++] =
			(struct hal_virtio_region){ c->ram.fd, c->ram.base,
						    c->ram.length, true };
	if (c->successor) {
		former_device(c, n, &former);
		opt.former = &former;
	}
	if (!again || d->fence || c->successor)
		return hal_virtio_open(&opt);
	rumpk_error("--disk vhost=%s: the device is not fenced against the former rumpk (fence=lock); end the guest first",
		    d->path);
	return NULL;
}

static struct hal *open_disk(struct cell *c, const struct disk_options *d,
			     unsigned int n, unsigned int *mem, bool again,
			     const uint8_t uuid[16])
{
	c->device[n].broker = &c->broker;
	c->device[n].number = n;
	c->device[n].path = d->path;
	if (d->vhost)
		return open_vhost(c, d, n, again);
	if (d->path)
		return open_file(c, d, n, again);
	return open_mem(c, d, (*mem)++, uuid);
}

static void ram_identity(const struct cell *c, const struct options *o,
			 struct window_ram *id)
{
	struct stat st;

	memset(id, 0, sizeof(*id));
	if (!c->ram.base || fstat(c->ram.fd, &st) < 0)
		return;
	id->device = st.st_dev;
	id->inode = st.st_ino;
	id->machine = o->machine;
}

/* A guest that is there has the RAM that it had. */
static int check_ram(const struct cell *c, const struct options *o, bool again)
{
	struct window_record *rec = c->window.record;
	struct window_ram id;

	ram_identity(c, o, &id);
	if (again && memcmp(&id, &rec->ram, sizeof(id))) {
		rumpk_error("--ram %s: not the RAM of the guest that is there; end the guest first",
			    o->ram ? o->ram : "(none)");
		return -EINVAL;
	}
	rec->ram = id;
	return 0;
}

static void disk_identity(const struct valve_disk *disk,
			  const struct disk_options *d,
			  struct window_identity *id)
{
	memset(id, 0, sizeof(*id));
	memcpy(id->uuid, disk->hal->info.uuid, 16);
	id->block = d->block;
	id->flags = (d->path ? 0 : WINDOW_DISK_MEM) |
		    (d->read_only ? WINDOW_DISK_RO : 0) |
		    (d->strict ? WINDOW_DISK_STRICT : 0);
}

static void disk_serial(struct nxblk_config *config, const char *serial)
{
	char text[2 * sizeof(config->uuid) + 1];
	size_t i;

	if (!*serial) {
		for (i = 0; i < sizeof(config->uuid); i++)
			snprintf(text + 2 * i, 3, "%02x", config->uuid[i]);
		serial = text;
	}
	memcpy(config->serial, serial, strnlen(serial, sizeof(config->serial)));
}

static void disk_config(struct valve_disk *disk, const struct disk_options *d,
			uint32_t max_sectors)
{
	struct nxblk_config *config = &disk->config;

	disk->strict = d->strict;
	config->zero_copy_min = d->data == DISK_ZERO_COPY;
	config->capacity = disk->hal->info.capacity >> NXBLK_SECTOR_SHIFT;
	config->logical_block = d->block;
	config->physical_block = NXBLK_MAX_BLOCK_SIZE;
	config->max_sectors = max_sectors;
	config->max_segments = NXBLK_MAX_SEGS;
	if (disk->hal->info.max_segs && disk->hal->info.max_segs < NXBLK_MAX_SEGS)
		config->max_segments = disk->hal->info.max_segs;
	if (disk->hal->info.read_only)
		config->flags |= NXBLK_CFG_READ_ONLY;
	if (!d->strict) {
		config->max_discard_sectors = MAX_DISCARD_SECTORS;
		config->discard_granularity = NXBLK_MAX_BLOCK_SIZE;
		config->max_write_zeroes_sectors = MAX_WRITE_ZEROES_SECTORS;
		if (!disk->hal->info.read_only)
			config->flags |= NXBLK_CFG_VOLATILE_CACHE;
	}
	memcpy(config->uuid, disk->hal->info.uuid, sizeof(config->uuid));
	disk_serial(config, d->serial);
}

static int log_disks(struct cell *c, const struct options *o)
{
	struct oplog_known *log = &c->ledger->log;
	unsigned int i;
	int err = 0;
	int fd;

	if (!o->op_log)
		return 0;
	fd = oplog_open(o->op_log, log, c->successor);
	if (fd < 0)
		return log->end == OPLOG_ENDED ? 0 : fd;
	for (i = 0; i < c->count && !err; i++) {
		c->disk[i].hal = hal_log_open(c->disk[i].hal, fd, i, &log->end);
		if (!c->disk[i].hal)
			err = -EINVAL;
	}
	close_fd(&fd);
	return err;
}

/* What a successor goes on from. */
static void know_disk(struct cell *c, unsigned int i,
		      const struct disk_options *d)
{
	struct ledger_disk *known = &c->ledger->disk[i];
	const struct hal *hal = c->disk[i].hal;

	known->capacity = hal->info.capacity;
	known->lost = hal->lost;
	if (!d->vhost)
		return;
	known->limits = *hal_virtio_limits(hal);
	memcpy(known->id, hal_virtio_id(hal), VIRTIO_BLK_ID_BYTES);
}

/*
 * Not whether data was lost, but that this kernel cannot be asked. Any other errno may
 * be one that a device or a server gave when it was written back.
 */
static bool cannot_ask(int error)
{
	return error == EINVAL || error == ESPIPE || error == EBADF ||
	       error == EPERM || error == ENOSYS;
}

/* What the witness was not told of yet; each time is once. */
static int witness_error(const struct cell *c, unsigned int i)
{
	int fd = keeper_witness(&c->fds, i);

	if (fd < 0 ||
	    sync_file_range(fd, NOWHERE, 1, SYNC_FILE_RANGE_WAIT_BEFORE) == 0)
		return 0;
	return cannot_ask(errno) ? 0 : errno;
}

/**
 * disk_forget_witness - an operator has taken all errors so far upon himself
 * @c: cell
 * @i: disk
 */
void disk_forget_witness(struct cell *c, unsigned int i)
{
	witness_error(c, i);
}

/**
 * disk_judge_witness - has a sync failed that nobody was told of
 * @c: cell, whose ledger is still mapped
 * @i: disk that nothing of the worker before can reach any more
 *
 * The kernel tells each open file description once that writing back has failed. A
 * worker that dies may have been told; its successor's description is newer than
 * the failure, and is not. The witness has lived all the time, in the keeper, and
 * is asked in a way that writes nothing and waits for nothing.
 */
void disk_judge_witness(struct cell *c, unsigned int i)
{
	int err;

	if (c->disk[i].hal->lost || c->disk[i].hal->waiting)
		return;
	err = witness_error(c, i);
	if (!err)
		return;
	c->disk[i].sync_failed = true;
	__atomic_store_n(&c->ledger->channel[i].sync_failed,
			 valve_latch(&c->authority->reopened[i]),
			 __ATOMIC_SEQ_CST);
	rumpk_log(RUMPK_ERROR, (int)i,
		  "data that the worker before had written was lost: %s; flushes fail until the image is reopened",
		  strerror(err));
}

/* Each disk has its own time: the supervisor sees how far this has come. */
static void start_turn(struct cell *c)
{
	uint64_t *turns = &c->ledger->beat.turns;

	__atomic_store_n(turns, *turns + 1, __ATOMIC_RELAXED);
}

/**
 * cell_open_disks - open, judge and fence all disks
 * @c: configured cell, with its record and its safety state
 * @o: command line
 * @again: the window was served before: the disks must be the same
 *
 * Return: 0, or -errno after a message.
 */
int cell_open_disks(struct cell *c, const struct options *o, bool again)
{
	struct window_record *rec = c->window.record;
	struct window_identity id;
	unsigned int mem = 0;
	unsigned int i;

	if (check_ram(c, o, again))
		return -EINVAL;
	cell_take_notice(c);
	for (i = 0; i < c->count; i++) {
		const struct disk_options *d = &o->disk[i];
		struct valve_disk *disk = &c->disk[i];

		start_turn(c);
		disk->hal = open_disk(c, d, i, &mem, again, rec->disk[i].uuid);
		if (!disk->hal)
			return -EINVAL;
		disk_identity(disk, d, &id);
		if (again && memcmp(&id, &rec->disk[i], sizeof(id))) {
			rumpk_error("disk %u is another one than the window was laid out for; end the guest first",
				    i);
			return -EINVAL;
		}
		rec->disk[i] = id;
		disk_config(disk, d, c->window.plan.max_sectors);
		disk->config.capacity = cell_capacity(c, i);
		disk->sync_failed = safety_latched(c->authority, c->ledger, i);
		disk->zero_copy = may_zero_copy(c, d);
		know_disk(c, i, d);
		disk_judge_witness(c, i);
	}
	return log_disks(c, o);
}
