/* SPDX-License-Identifier: GPL-2.0-only */
#include "cell.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
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
#define EXTENSIONS                                                             \
	(NXBLK_F_FLUSH | NXBLK_F_FUA | NXBLK_F_DISCARD | NXBLK_F_WRITE_ZEROES)
/* A fence of a successor, and patience with an end that is just happening. */
#define LOCK_AGAIN_MS 10000u
#define LOCK_FRESH_MS 500u
#define FINISH_MS 10000u
#define DEVICE_MS 2000u

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

static struct hal *open_file(const struct disk_options *d, bool again)
{
	const struct hal_file_options opt = {
		.path = d->path,
		.read_only = d->read_only,
		.block = d->block,
		.wait_ms = again ? LOCK_AGAIN_MS : LOCK_FRESH_MS,
	};

	return hal_file_open(&opt);
}

/* Does not wait, not even where too many wait already. */
static int connect_device(void *arg)
{
	const struct cell_device *device = arg;

	if (device->broker >= 0)
		return broker_connect(device->broker, device->number);
	return unix_connect(device->path, SOCK_STREAM | SOCK_NONBLOCK);
}

static bool may_zero_copy(const struct cell *c, const struct disk_options *d)
{
	return c->ram.base && d->data != DISK_BOUNCE && (d->rights & CSPACE_DMA);
}

/*
 * What an earlier rumpk sent to a device may still be written, and without a
 * fence nothing says when it is over: the guest must not send it again.
 */
static struct hal *open_vhost(struct cell *c, const struct disk_options *d,
			      unsigned int n, bool again)
{
	struct cell_device *device = &c->device[n];
	struct hal_virtio_options opt = {
		.connect = connect_device,
		.arg = device,
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

	device->broker = c->broker;
	device->number = n;
	device->path = d->path;
	/* A device sees the guest's RAM only when it may move data there. */
	if (may_zero_copy(c, d))
		opt.region[opt.regions++] =
			(struct hal_virtio_region){ c->ram.fd, c->ram.base,
						    c->ram.length, true };
	if (!again || d->fence)
		return hal_virtio_open(&opt);
	rumpk_error("--disk vhost=%s: the device is not fenced against the former rumpk (fence=lock); end the guest first",
		    d->path);
	return NULL;
}

static struct hal *open_disk(struct cell *c, const struct disk_options *d,
			     unsigned int n, unsigned int *mem, bool again,
			     const uint8_t uuid[16])
{
	if (d->vhost)
		return open_vhost(c, d, n, again);
	if (d->path)
		return open_file(d, again);
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

static int open_op_log(const struct options *o, int *fd)
{
	*fd = -1;
	if (!o->op_log)
		return 0;
	*fd = open(o->op_log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (*fd >= 0)
		return 0;
	rumpk_error("--op-log %s: %s", o->op_log, strerror(errno));
	return -EINVAL;
}

static int log_disks(struct cell *c, const struct options *o)
{
	unsigned int i;
	int fd;
	int err = open_op_log(o, &fd);

	for (i = 0; i < c->count && !err && fd >= 0; i++) {
		c->disk[i].hal = hal_log_open(c->disk[i].hal, fd, i);
		if (!c->disk[i].hal)
			err = -EINVAL;
	}
	close_fd(&fd);
	return err;
}

/**
 * cell_open_ram - map the guest's RAM, when there is any to be had
 * @c: configured cell
 * @o: command line
 *
 * Return: 0, or -EINVAL after a message.
 */
int cell_open_ram(struct cell *c, const struct options *o)
{
	return o->ram ? ram_open(&c->ram, o->ram, o->machine) : 0;
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
	}
	return log_disks(c, o);
}

/**
 * cell_configure - prepare a cell for a command line
 * @c: zeroed
 * @o: command line
 *
 * Return: 0, or -EINVAL when the window is too small for the disks.
 */
int cell_configure(struct cell *c, const struct options *o)
{
	int err;

	c->epoll = -1;
	c->signals = -1;
	c->link.fd = -1;
	c->fds.window = -1;
	c->fds.record = -1;
	c->fds.authority = -1;
	c->fds.ledger = -1;
	c->broker = -1;
	c->count = o->disks;
	err = qmp_init(&c->qmp, o->qmp, o->quit_on_reset);
	if (err) {
		rumpk_error("--qmp %s: %s", o->qmp, strerror(-err));
		return err;
	}
	return window_plan(&c->window.plan, o->window, o->disks) ? 0 : -EINVAL;
}

static int channel_setup(struct cell *c, unsigned int i)
{
	const struct ion_dir_entry *dir = &c->window.plan.dir[i];
	struct cell_channel *ch = &c->channel[i];
	struct valve *v = &ch->valve;

	ch->number = (int)i;
	ch->bell = c->fds.host[i];
	ch->guest_bells = c->fds.guest;
	ch->nguest = c->fds.nguest;
	ch->end.offered = NXBLK_F_INDIRECT | (c->disk[i].strict ? 0 : EXTENSIONS);
	ch->end.max_depth = c->window.plan.depth;
	ch->end.vectors = c->fds.nguest;
	ion_host_bind(&ch->end, c->window.base, dir);
	v->cspace = &c->authority->cspace;
	v->reopened = &c->authority->reopened[i];
	v->account = &c->ledger->channel[i];
	v->disk = &c->disk[i];
	v->window = c->window.base;
	v->ram = &c->ram;
	v->channel = (int)i;
	v->kind = dir->kind;
	v->instance = dir->instance;
	v->limits.data = dir->data;
	v->limits.indirect = dir->indirect;
	return valve_init(v, c->window.plan.depth);
}

/**
 * cell_prepare - take what service needs, and start the heartbeat
 * @c: cell with its window mapped and its disks fenced
 *
 * Nothing of the window is read before cell_start(): in between, the process can
 * be confined.
 *
 * Return: 0, or -errno after a message.
 */
int cell_prepare(struct cell *c)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < c->count && !err; i++) {
		err = channel_setup(c, i);
		if (!err)
			err = hal_start(c->disk[i].hal, 2 * c->window.plan.depth);
	}
	if (!err)
		err = beat_start(&c->beat,
				 (struct ion_host_header *)c->window.base,
				 &c->ledger->beat);
	if (err)
		rumpk_error("cannot start: %s", strerror(-err));
	return err;
}

/**
 * cell_start - offer all channels to the guest
 * @c: prepared cell
 * @again: the window was published before
 *
 * Return: 0, or -errno after a message.
 */
int cell_start(struct cell *c, bool again)
{
	uint8_t instance[16];
	unsigned int i;

	if (getrandom(instance, sizeof(instance), 0) < 0) {
		rumpk_error("cannot start: %s", strerror(errno));
		return -EIO;
	}
	guard_apply(c);
	for (i = 0; i < c->count; i++) {
		if (!c->guest)
			c->ledger->channel[i].told = 0;
		cell_show_disk(c, i);
		channel_start(&c->channel[i]);
	}
	if (again)
		window_restart(&c->window);
	else
		window_publish(&c->window, instance);
	__atomic_store_n(&c->ledger->seen, c->seen, __ATOMIC_RELEASE);
	return 0;
}

/**
 * cell_resize_disk - look at a disk's size again, and let the guest know
 * @c: cell
 * @i: disk
 */
void cell_resize_disk(struct cell *c, unsigned int i)
{
	struct valve_disk *disk = &c->disk[i];
	uint64_t before = disk->config.capacity;
	uint64_t after;

	if (hal_resize(disk->hal))
		return;
	after = cell_capacity(c, i);
	if (after == before)
		return;
	disk->config.capacity = after;
	cell_show_disk(c, i);
	rumpk_log(RUMPK_INFO, (int)i, "resized from %llu to %llu sectors",
		  (unsigned long long)before, (unsigned long long)after);
	channel_notify(&c->channel[i]);
}

/**
 * cell_disk_changed - take notice of what a disk has to say of itself
 * @c: cell
 * @i: disk
 *
 * What a lost medium acknowledged may be lost too: from then on nothing is
 * called durable, until an operator has reopened it.
 */
void cell_disk_changed(struct cell *c, unsigned int i)
{
	struct valve_disk *disk = &c->disk[i];
	bool lost = disk->hal->lost;

	if (lost != disk->lost) {
		disk->lost = lost;
		c->ledger->channel[i].lost = lost;
		disk->sync_failed = lost;
		if (!lost)
			rumpk_log(RUMPK_INFO, (int)i, "reopened");
	}
	cell_resize_disk(c, i);
}

/**
 * cell_reload - look at the sizes of all disks again, and reopen what was lost
 * @c: cell
 */
void cell_reload(struct cell *c)
{
	unsigned int i;

	for (i = 0; i < c->count; i++) {
		if (c->disk[i].hal->lost)
			hal_reopen(c->disk[i].hal);
		else
			cell_resize_disk(c, i);
	}
}

/**
 * cell_print_stats - print the counters, one line a channel
 * @c: cell
 */
void cell_print_stats(const struct cell *c)
{
	unsigned int i;

	for (i = 0; i < c->count; i++)
		valve_print_stats(&c->channel[i].valve,
				  c->channel[i].end.generation);
}

/**
 * cell_in_flight - requests that the disks have
 * @c: cell
 *
 * Return: of all channels.
 */
uint32_t cell_in_flight(const struct cell *c)
{
	uint32_t n = 0;
	unsigned int i;

	for (i = 0; i < c->count; i++)
		n += c->channel[i].valve.in_flight;
	return n;
}

/* Take no more requests, but answer those that were taken. */
static void cell_quiesce(struct cell *c)
{
	uint64_t until = now_ms() + FINISH_MS;
	unsigned int i;

	while (cell_in_flight(c) && now_ms() < until) {
		for (i = 0; i < c->count; i++) {
			hal_kick(c->disk[i].hal);
			hal_poll(c->disk[i].hal);
		}
		usleep(50);
	}
	for (i = 0; i < c->count; i++)
		channel_publish(&c->channel[i]);
}

/**
 * cell_finish - end in an orderly way
 * @c: started cell
 *
 * Return: 0, or -EIO after a message when something may be lost.
 */
int cell_finish(struct cell *c)
{
	unsigned int i;
	int err = 0;

	cell_quiesce(c);
	if (cell_in_flight(c)) {
		rumpk_error("%u requests did not end", cell_in_flight(c));
		err = -EIO;
	}
	for (i = 0; i < c->count; i++) {
		int e = hal_sync(c->disk[i].hal);

		if (e) {
			rumpk_log(RUMPK_ERROR, (int)i, "sync failed: %s",
				  strerror(-e));
			err = -EIO;
		}
		channel_gone(&c->channel[i]);
	}
	window_gone(&c->window);
	cell_print_stats(c);
	return err;
}

/**
 * cell_release - release everything; also after a start that failed
 * @c: configured cell
 */
void cell_release(struct cell *c)
{
	unsigned int i;

	beat_stop(&c->beat);
	for (i = 0; i < c->count; i++) {
		hal_close(c->disk[i].hal);
		valve_exit(&c->channel[i].valve);
	}
	window_unmap(&c->window);
	ram_close(&c->ram);
	qmp_exit(&c->qmp);
	keeper_leave(&c->link);
	keeper_close_fds(&c->fds);
}
