/* SPDX-License-Identifier: GPL-2.0-only */
#include "safety.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "sealed.h"
#include "util.h"

#define AUTHORITY_MAGIC 0x48545541u
#define LEDGER_MAGIC 0x4744454cu
#define FENCE_RETRY_US 200

static int create(const char *name, uint32_t magic, uint32_t bytes, int *fd)
{
	const struct safety_header header = {
		.magic = magic,
		.version = SAFETY_VERSION,
		.bytes = bytes,
	};
	int m = sealed_create(name, bytes);
	int err;

	if (m < 0)
		return m;
	if (pwrite(m, &header, sizeof(header), 0) != sizeof(header)) {
		err = -errno;
		close(m);
		return err;
	}
	*fd = m;
	return 0;
}

/**
 * safety_create - make the safety state of a new cell
 * @authority_fd: filled on success
 * @ledger_fd: filled on success
 *
 * Return: 0 or -errno.
 */
int safety_create(int *authority_fd, int *ledger_fd)
{
	int err = create("ion-authority", AUTHORITY_MAGIC,
			 sizeof(struct authority), authority_fd);

	if (err)
		return err;
	err = create("ion-ledger", LEDGER_MAGIC, sizeof(struct ledger),
		     ledger_fd);
	if (err)
		close_fd(authority_fd);
	return err;
}

/*
 * A child of the process that maps it does not inherit the mapping: a worker has
 * what it maps itself.
 */
static void *map(int fd, int prot, uint32_t magic, uint32_t bytes)
{
	struct safety_header *header;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return NULL;
	if (st.st_size != bytes)
		goto err_version;
	header = mmap(NULL, bytes, prot, MAP_SHARED, fd, 0);
	if (header == MAP_FAILED)
		return NULL;
	if (header->magic != magic || header->version != SAFETY_VERSION ||
	    header->bytes != bytes) {
		munmap(header, bytes);
		goto err_version;
	}
	madvise(header, bytes, MADV_DONTFORK);
	return header;

err_version:
	errno = EPROTO;
	return NULL;
}

/**
 * safety_map_authority - map the authority to change it
 * @fd: memory
 *
 * Return: it, or NULL with errno: EPROTO when another version of rumpk made it.
 */
struct authority *safety_map_authority(int fd)
{
	return map(fd, PROT_READ | PROT_WRITE, AUTHORITY_MAGIC,
		   sizeof(struct authority));
}

static int reopen(int fd, int flags)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
}

/**
 * safety_map_authority_read_only - map the authority to look things up
 * @fd: memory; the caller closes it before it trusts itself no more
 *
 * The mapping is of a description that cannot write, so no later mprotect() can
 * make it writable.
 *
 * Return: as safety_map_authority().
 */
const struct authority *safety_map_authority_read_only(int fd)
{
	const struct authority *a;
	int ro = reopen(fd, O_RDONLY);

	if (ro < 0)
		return NULL;
	a = map(ro, PROT_READ, AUTHORITY_MAGIC, sizeof(*a));
	close(ro);
	return a;
}

/**
 * safety_map_ledger - map the ledger
 * @fd: memory
 *
 * Return: as safety_map_authority().
 */
struct ledger *safety_map_ledger(int fd)
{
	return map(fd, PROT_READ | PROT_WRITE, LEDGER_MAGIC,
		   sizeof(struct ledger));
}

/**
 * safety_unmap - undo safety_map_*()
 * @state: what was mapped, or NULL
 * @length: its size
 */
void safety_unmap(void *state, uint64_t length)
{
	if (state)
		munmap(state, length);
}

/**
 * safety_fence - wait until no other worker of this cell runs
 * @ledger_fd: memory
 * @wait_ms: how long
 *
 * The lock is on a description of the caller's own, which it keeps to its end:
 * the kernel lets go of a dead process's memory before its descriptors, so who
 * gets the lock is alone with window, ledger and disks in memory. An image has a
 * lock of its own, for what the kernel still does for the dead.
 *
 * Return: the descriptor that holds the lock, or -errno.
 */
int safety_fence(int ledger_fd, unsigned int wait_ms)
{
	int fd = reopen(ledger_fd, O_RDWR);
	int err;

	if (fd < 0)
		return -errno;
	err = flock_within(fd, wait_ms, FENCE_RETRY_US);
	if (!err)
		return fd;
	close(fd);
	return err == -EWOULDBLOCK ? -EBUSY : err;
}

static struct cspace_cap cap_of(unsigned int n, const struct disk_options *d)
{
	return (struct cspace_cap){
		.kind = ION_KIND_BLK,
		.instance = (uint16_t)n,
		.rights = d->rights,
		.first = d->first,
		.last = d->last,
	};
}

/**
 * safety_changed - workers are to take notice
 * @a: authority that was changed
 */
void safety_changed(struct authority *a)
{
	__atomic_store_n(&a->changes, a->changes + 1, __ATOMIC_RELEASE);
}

/**
 * safety_held - see what a disk's capability is
 * @a: authority
 * @n: number of the disk
 * @d: rights, first and last are filled; no rights: it has none
 */
void safety_held(const struct authority *a, unsigned int n,
		 struct disk_options *d)
{
	struct cspace_cap cap;

	d->rights = 0;
	if (!cspace_lookup(&a->cspace, n, ION_KIND_BLK, (uint16_t)n, &cap))
		return;
	d->rights = cap.rights;
	d->first = cap.first;
	d->last = cap.last;
}

/**
 * safety_regrant - an operator says what a disk's capability is from now on
 * @a: authority
 * @n: number of the disk
 * @d: with the capability
 *
 * Return: whether it was another one before.
 */
bool safety_regrant(struct authority *a, unsigned int n,
		    const struct disk_options *d)
{
	struct cspace_cap cap = cap_of(n, d);
	struct disk_options held;

	safety_held(a, n, &held);
	if (held.rights == d->rights &&
	    (!d->rights || (held.first == d->first && held.last == d->last)))
		return false;
	if (d->rights)
		cspace_set(&a->cspace, n, &cap);
	else
		cspace_revoke(&a->cspace, n);
	safety_changed(a);
	return true;
}

static uint64_t max_u64(uint64_t x, uint64_t y)
{
	return x > y ? x : y;
}

static void tell_narrowed(const struct authority *a, unsigned int n,
			  const struct cspace_cap *held)
{
	const struct disk_options was = {
		.rights = held->rights,
		.first = held->first,
		.last = held->last,
	};
	struct disk_options now = { .rights = 0 };
	char text[2][PARSE_CAP_BYTES];

	safety_held(a, n, &now);
	format_cap(&was, text[0], sizeof(text[0]));
	format_cap(&now, text[1], sizeof(text[1]));
	if (strcmp(text[0], text[1]) != 0)
		rumpk_log(RUMPK_INFO, (int)n,
			  "started again with less: capability now %s, before %s",
			  text[1], text[0]);
}

/* What a guest holds already is at most narrowed by a command line. */
static void grant_again(struct authority *a, unsigned int n,
			const struct disk_options *d)
{
	struct cspace_cap held;
	uint64_t first;
	uint64_t last;

	if (!cspace_lookup(&a->cspace, n, ION_KIND_BLK, (uint16_t)n, &held)) {
		if (d->rights)
			rumpk_log(RUMPK_WARN, (int)n,
				  "holds no capability, and a restart gives none back");
		return;
	}
	first = max_u64(held.first, d->first);
	last = min_u64(held.last, d->last);
	if ((d->rights & ~held.rights) || first != d->first || last != d->last)
		rumpk_log(RUMPK_WARN, (int)n,
			  "holds less than it is to have, and a restart gives no more");
	if (cspace_narrow(&a->cspace, n, d->rights & held.rights, first, last))
		cspace_revoke(&a->cspace, n);
	tell_narrowed(a, n, &held);
}

/**
 * safety_grant - give the cell what the command line says
 * @a: authority
 * @o: command line
 * @again: the cell was there before: what was narrowed or revoked since stays
 *	so, and a command line that says less than the cell holds takes it away
 *
 * What a resize left unfinished is as if it had not been asked for.
 */
void safety_grant(struct authority *a, const struct options *o, bool again)
{
	unsigned int i;

	for (i = 0; i < o->disks; i++) {
		a->limit[i] = 0;
		if (again)
			grant_again(a, i, &o->disk[i]);
		else
			safety_regrant(a, i, &o->disk[i]);
	}
}

/**
 * safety_latched - has a sync failed, and nobody reopened the disk since
 * @a: authority
 * @l: ledger
 * @n: number of the disk
 *
 * Return: whether that is so.
 */
bool safety_latched(const struct authority *a, const struct ledger *l,
		    unsigned int n)
{
	return a->sync_failed[n] ||
	       __atomic_load_n(&l->channel[n].sync_failed, __ATOMIC_SEQ_CST) ==
		       valve_latch(&a->reopened[n]);
}

/**
 * safety_reopen - an operator takes what was lost upon himself
 * @a: authority
 * @n: number of the disk
 */
void safety_reopen(struct authority *a, unsigned int n)
{
	/* First: what the worker has latched so far is of before. */
	__atomic_store_n(&a->reopened[n], a->reopened[n] + 1, __ATOMIC_RELEASE);
	a->sync_failed[n] = 0;
	safety_changed(a);
}

/**
 * safety_keep_latches - make the latches that a worker has set last
 * @a: authority
 * @l: ledger
 */
void safety_keep_latches(struct authority *a, const struct ledger *l)
{
	unsigned int i;

	for (i = 0; i < WINDOW_MAX_DISKS; i++)
		if (safety_latched(a, l, i))
			a->sync_failed[i] = 1;
}

/**
 * safety_load - count what is under way
 * @l: ledger
 *
 * Return: it.
 */
struct safety_load safety_load(const struct ledger *l)
{
	struct safety_load load = { 0 };
	uint32_t now = coarse_ms();
	unsigned int i;
	unsigned int tag;

	for (i = 0; i < WINDOW_MAX_DISKS; i++) {
		for (tag = 0; tag < VALVE_MAX_DEPTH; tag++) {
			const struct valve_pending *p =
				&l->channel[i].pending[tag];
			uint32_t since =
				__atomic_load_n(&p->since_ms, __ATOMIC_RELAXED);

			if (!since)
				continue;
			load.requests++;
			load.bytes += p->bytes;
			if (now - since > load.oldest_ms)
				load.oldest_ms = now - since;
		}
	}
	return load;
}

/**
 * safety_clear_worker - forget what concerned one worker alone
 * @l: ledger, which no worker uses
 */
void safety_clear_worker(struct ledger *l)
{
	unsigned int i;

	l->phase = LEDGER_STARTING;
	__atomic_store_n(&l->seen, 0, __ATOMIC_SEQ_CST);
	memset(&l->beat, 0, sizeof(l->beat));
	memset(&l->stamps, 0, sizeof(l->stamps));
	for (i = 0; i < WINDOW_MAX_DISKS; i++)
		memset(l->channel[i].pending, 0, sizeof(l->channel[i].pending));
}
