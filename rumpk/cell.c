/* SPDX-License-Identifier: GPL-2.0-only */
#include "cell.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "util.h"

#define EXTENSIONS                                                             \
	(NXBLK_F_FLUSH | NXBLK_F_FUA | NXBLK_F_DISCARD | NXBLK_F_WRITE_ZEROES)
#define FINISH_MS 10000u

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
 * cell_configure - prepare a cell for a command line
 * @c: zeroed
 * @o: command line
 *
 * Return: 0, or -EINVAL when the window is too small for the disks.
 */
int cell_configure(struct cell *c, const struct options *o)
{
	unsigned int i;
	int err;

	c->epoll = -1;
	c->signals = -1;
	c->link.fd = -1;
	c->fds.window = -1;
	c->fds.record = -1;
	c->fds.authority = -1;
	c->fds.ledger = -1;
	broker_link_init(&c->broker, -1);
	for (i = 0; i < WINDOW_MAX_DISKS; i++)
		c->former[i] = -1;
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
	v->lost = &c->ledger->disk[i].lost;
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
		if (c->disk[i].hal->waiting)
			channel_wait(&c->channel[i]);
		else
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
	/* Also where what is offered was lowered before. */
	c->ledger->disk[i].capacity = disk->hal->info.capacity;
	after = cell_capacity(c, i);
	if (after == before)
		return;
	disk->config.capacity = after;
	cell_show_disk(c, i);
	rumpk_log(RUMPK_INFO, (int)i, "resized from %llu to %llu sectors",
		  (unsigned long long)before, (unsigned long long)after);
	channel_notify(&c->channel[i]);
}

/* What the worker before had under way on a disk is over: now its guest may come. */
static void disk_offer(struct cell *c, unsigned int i)
{
	uint64_t waited = now_ns() - c->ledger->stamps.locking;

	disk_judge_witness(c, i);
	channel_start(&c->channel[i]);
	rumpk_log(RUMPK_INFO, (int)i, "offered %s, after %llu us",
		  c->disk[i].hal->lost ? "as lost" : "behind its fence",
		  (unsigned long long)(waited / 1000));
}

/**
 * cell_disk_changed - take notice of what a disk has to say of itself
 * @c: cell
 * @i: disk
 *
 * What a lost medium acknowledged may be lost too: from then on nothing is
 * called durable, until an operator has reopened it. That a medium is back says
 * nothing of a sync that failed before.
 */
void cell_disk_changed(struct cell *c, unsigned int i)
{
	struct valve_disk *disk = &c->disk[i];
	bool lost = disk->hal->lost;

	/* Each time: the valve may have said so of one that is back already. */
	__atomic_store_n(&c->ledger->disk[i].lost, lost, __ATOMIC_RELAXED);
	if (lost != disk->lost) {
		disk->lost = lost;
		disk->sync_failed = lost ||
				    safety_latched(c->authority, c->ledger, i);
		if (!lost) {
			disk_forget_witness(c, i);
			rumpk_log(RUMPK_INFO, (int)i, "reopened");
		}
	}
	cell_resize_disk(c, i);
	if (c->channel[i].end.state == ION_HOST_DOWN && !disk->hal->waiting)
		disk_offer(c, i);
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
 * Those of an earlier worker are unknown: a disk that waits for them has one.
 *
 * Return: of all channels.
 */
uint32_t cell_in_flight(const struct cell *c)
{
	uint32_t n = 0;
	unsigned int i;

	for (i = 0; i < c->count; i++)
		n += c->channel[i].valve.in_flight + c->disk[i].hal->waiting;
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

		if (e)
			rumpk_log(RUMPK_ERROR, (int)i, "sync failed: %s",
				  strerror(-e));
		else if (c->disk[i].sync_failed)
			rumpk_log(RUMPK_ERROR, (int)i,
				  "a sync had failed before, data may be lost");
		if (e || c->disk[i].sync_failed)
			err = -EIO;
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
