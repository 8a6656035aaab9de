/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a worker takes notice of while it serves: the supervisor changes the
 * authority, and here is what follows from that beside what the valve finds.
 */
#include "cell.h"

#include "util.h"

static uint32_t disk_rights(const struct cell *c, unsigned int n)
{
	const struct ion_dir_entry *dir = &c->window.plan.dir[n];
	struct cspace_cap cap;

	if (!cspace_lookup(&c->authority->cspace, dir->cap_slot, dir->kind,
			   dir->instance, &cap))
		return 0;
	return cap.rights;
}

/**
 * cell_take_notice - go by what the authority says now
 * @c: cell whose disks are to be opened
 *
 * What changes from now on is found by cell_look().
 */
void cell_take_notice(struct cell *c)
{
	const struct authority *a = c->authority;
	unsigned int i;

	c->seen = __atomic_load_n(&a->changes, __ATOMIC_ACQUIRE);
	for (i = 0; i < c->count; i++) {
		c->notice[i].rights = disk_rights(c, i);
		c->notice[i].reopened = a->reopened[i];
		c->notice[i].sized = a->sized[i];
		c->notice[i].limit = a->limit[i];
	}
}

/**
 * cell_capacity - how much of a disk may be offered
 * @c: cell
 * @i: disk
 *
 * Return: sectors.
 */
uint64_t cell_capacity(const struct cell *c, unsigned int i)
{
	uint64_t sectors = c->disk[i].hal->info.capacity >> NXBLK_SECTOR_SHIFT;
	uint64_t limit = c->notice[i].limit;

	return limit ? min_u64(sectors, limit) : sectors;
}

/**
 * cell_show_disk - let a disk's page say what INFO would say now
 * @c: cell
 * @i: disk
 *
 * The page is a hint: the guest asks when it has changed.
 */
void cell_show_disk(struct cell *c, unsigned int i)
{
	struct valve *v = &c->channel[i].valve;
	struct nxblk_config config;

	valve_show_config(v, c->notice[i].rights, &config);
	window_set_config(&c->window, i, &config);
	v->disk->config.sequence = config.sequence;
	v->account->capacity = config.capacity;
}

static void disk_reopen(struct cell *c, unsigned int i)
{
	struct valve_disk *disk = &c->disk[i];

	if (disk->hal->lost) {
		hal_reopen(disk->hal);
		return;
	}
	disk_forget_witness(c, i);
	disk->sync_failed = safety_latched(c->authority, c->ledger, i);
	cell_resize_disk(c, i);
}

static void disk_look(struct cell *c, unsigned int i)
{
	const struct cell_notice was = c->notice[i];
	struct cell_notice *now = &c->notice[i];
	const struct authority *a = c->authority;

	now->rights = disk_rights(c, i);
	now->reopened = __atomic_load_n(&a->reopened[i], __ATOMIC_RELAXED);
	now->sized = __atomic_load_n(&a->sized[i], __ATOMIC_RELAXED);
	now->limit = __atomic_load_n(&a->limit[i], __ATOMIC_RELAXED);
	if (now->reopened != was.reopened)
		disk_reopen(c, i);
	if (now->limit != was.limit || now->sized != was.sized)
		cell_resize_disk(c, i);
	if (now->rights != was.rights) {
		cell_show_disk(c, i);
		channel_notify(&c->channel[i]);
	}
}

/**
 * cell_look - take notice of what the supervisor has changed
 * @c: started cell
 *
 * The valve looks at the capabilities themselves, at each request. This is what else
 * follows from them: what INFO says has changed, and the guest is to ask.
 */
void cell_look(struct cell *c)
{
	/* Pairs with the store in safety_changed(). */
	uint64_t changes =
		__atomic_load_n(&c->authority->changes, __ATOMIC_ACQUIRE);
	unsigned int i;

	if (changes == c->seen)
		return;
	c->seen = changes;
	for (i = 0; i < c->count; i++)
		disk_look(c, i);
	/* What was judged before is pending by now: who sees this sees that. */
	__atomic_store_n(&c->ledger->seen, changes, __ATOMIC_RELEASE);
}
