// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a power cut could have left of a disk, made from rumpk's operation log.
 *
 *	powercut LOG cuts DISK N           so many places to cut at, one a line
 *	powercut LOG image DISK CUT SEED FILE UNIT   of a copy of the image before
 *	powercut LOG lines DISK CUT        first line of each block written to DISK
 *	powercut LOG lives DISK 0          how often service of DISK began
 *
 * CUT is a number of records: those before it have happened. An operation is on
 * the medium for certain when it had ended before a sync began that has ended
 * well, or was durable and has ended well. Of all others that had begun each UNIT of
 * bytes is there or not, as SEED has it; with SEED 0 none of them is.
 */
#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rumpk/oplog.h"
#include "rumpk/util.h"

#define BLOCK 512u
#define NEVER SIZE_MAX

/**
 * struct event - a record of the log
 * @rec: as it was written
 * @data: of a write
 * @end: BEGIN: index of its END; NEVER
 */
struct event {
	const struct oplog_record *rec;
	const uint8_t *data;
	size_t end;
};

static struct event *events;
static size_t count;

static const void *map_file(const char *path, size_t *length)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p;

	if (fd < 0 || fstat(fd, &st) < 0)
		err(1, "%s", path);
	*length = (size_t)st.st_size;
	p = mmap(NULL, *length, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		err(1, "%s", path);
	close(fd);
	return p;
}

static size_t data_bytes(const struct oplog_record *rec)
{
	return rec->type == OPLOG_BEGIN && rec->op == HAL_WRITE ?
		       (size_t)rec->length :
		       0;
}

static void add_event(const struct oplog_record *rec, size_t *room)
{
	if (count == *room) {
		*room = *room ? 2 * *room : 1024;
		events = realloc(events, *room * sizeof(*events));
		if (!events)
			err(1, "memory");
	}
	events[count].rec = rec;
	events[count].data = (const uint8_t *)(rec + 1);
	events[count++].end = NEVER;
}

/* A log may end within a record: its rumpk was killed. */
static void load(const char *path)
{
	size_t length;
	size_t room = 0;
	const uint8_t *p = map_file(path, &length);

	while (length >= sizeof(struct oplog_record)) {
		const struct oplog_record *rec = (const void *)p;
		size_t whole = sizeof(*rec) + data_bytes(rec);

		if (rec->magic != OPLOG_MAGIC)
			errx(1, "%s: no record after %zu", path, count);
		if (whole > length)
			break;
		add_event(rec, &room);
		p += whole;
		length -= whole;
	}
}

static bool begins(const struct event *e, unsigned int disk)
{
	return e->rec->type == OPLOG_BEGIN && e->rec->disk == disk;
}

/* Which END belongs to which BEGIN; a disk that is opened anew ends nothing. */
static void match(unsigned int disk)
{
	size_t first = 0;
	size_t i, j;

	for (i = 0; i < count; i++) {
		const struct oplog_record *rec = events[i].rec;

		if (rec->disk != disk)
			continue;
		if (rec->type == OPLOG_DISK)
			first = i;
		if (rec->type != OPLOG_END)
			continue;
		for (j = i; j-- > first;) {
			if (begins(&events[j], disk) &&
			    events[j].rec->id == rec->id) {
				events[j].end = i;
				break;
			}
		}
	}
}

static bool ended_well(const struct event *e, size_t before)
{
	return e->end < before && events[e->end].rec->length == 0;
}

/* Where the last sync began that had ended well at a cut; 0: none. */
static size_t synced_until(unsigned int disk, size_t cut)
{
	size_t until = 0;
	size_t i;

	for (i = 0; i < cut; i++)
		if (begins(&events[i], disk) && events[i].rec->op == HAL_SYNC &&
		    ended_well(&events[i], cut))
			until = i;
	return until;
}

static bool is_durable(const struct event *e, size_t until, size_t cut)
{
	return ended_well(e, until) ||
	       ((e->rec->flags & OPLOG_DURABLE) && ended_well(e, cut));
}

static uint64_t rng;

static bool coin(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng & 1;
}

static void apply_block(uint8_t *image, const struct event *e, uint64_t at,
			uint64_t n)
{
	if (e->rec->op == HAL_WRITE)
		memcpy(image + e->rec->offset + at, e->data + at, n);
	else
		memset(image + e->rec->offset + at, 0, n);
}

/* @unit: what the medium writes whole or not at all. */
static void apply(uint8_t *image, uint64_t size, const struct event *e,
		  bool whole, uint64_t unit)
{
	const struct oplog_record *rec = e->rec;
	/* Half of them are torn; of the others all or nothing is there. */
	bool torn = !whole && coin();
	bool all = whole || coin();
	uint64_t at;

	if (rec->op == HAL_SYNC)
		return;
	if (rec->offset > size || rec->length > size - rec->offset)
		errx(1, "an operation lies outside the image");
	for (at = 0; at < rec->length; at += unit)
		if (torn ? coin() : all)
			apply_block(image, e, at,
				    min_u64(unit, rec->length - at));
}

static void make_image(unsigned int disk, size_t cut, uint64_t seed,
		       const char *path, uint64_t unit)
{
	size_t until = synced_until(disk, cut);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;
	uint8_t *image;
	size_t i;

	if (!unit)
		errx(2, "unit 0: must be a number of bytes");
	if (fd < 0 || fstat(fd, &st) < 0)
		err(1, "%s", path);
	image = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE,
		     MAP_SHARED, fd, 0);
	if (image == MAP_FAILED)
		err(1, "%s", path);
	rng = seed * 0x9e3779b97f4a7c15ull + 1;
	for (i = 0; i < cut; i++) {
		const struct event *e = &events[i];
		bool durable = begins(e, disk) && is_durable(e, until, cut);

		if (begins(e, disk) && (durable || seed))
			apply(image, (uint64_t)st.st_size, e, durable, unit);
	}
	munmap(image, (size_t)st.st_size);
	close(fd);
}

static bool ends_sync(const struct oplog_record *rec, unsigned int disk)
{
	return rec->type == OPLOG_END && rec->disk == disk &&
	       rec->op == HAL_SYNC && !rec->length;
}

/* So many of @n places, of all of the log where these are fewer; how many that were. */
static size_t print_some(const size_t *at, size_t n, size_t after, size_t wanted)
{
	size_t most = wanted < n ? wanted : n;
	size_t i;

	for (i = 0; i < most; i++)
		printf("%zu\n", at[i * n / most] + after);
	return most;
}

/*
 * Just before each sync ends, when most can be lost: what an earlier one should have
 * made safe, and has not, is safe after it. Then just after it, and then anywhere.
 */
static void print_cuts(unsigned int disk, size_t wanted)
{
	size_t *syncs = calloc(count, sizeof(*syncs));
	size_t n = 0;
	size_t i;

	if (!syncs)
		err(1, "memory");
	for (i = 0; i < count; i++)
		if (ends_sync(events[i].rec, disk))
			syncs[n++] = i;
	wanted -= print_some(syncs, n, 0, wanted);
	wanted -= print_some(syncs, n, 1, wanted);
	free(syncs);
	rng = 88172645463325252ull;
	for (; wanted; wanted--) {
		coin();
		printf("%zu\n", 1 + (size_t)(rng % count));
	}
}

static void print_line(const uint8_t *block)
{
	size_t n = 0;

	while (n < BLOCK && block[n] && block[n] != '\n')
		n++;
	if (n)
		printf("%.*s\n", (int)n, (const char *)block);
}

static void print_lines(unsigned int disk, size_t cut)
{
	uint64_t at;
	size_t i;

	for (i = 0; i < cut; i++) {
		const struct event *e = &events[i];

		if (!begins(e, disk) || e->rec->op != HAL_WRITE)
			continue;
		for (at = 0; at < e->rec->length; at += BLOCK)
			print_line(e->data + at);
	}
}

static void print_lives(unsigned int disk)
{
	size_t lives = 0;
	size_t i;

	for (i = 0; i < count; i++)
		lives += events[i].rec->type == OPLOG_DISK &&
			 events[i].rec->disk == disk;
	printf("%zu\n", lives);
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t v = strtoull(text, &end, 10);

	if (*end || end == text)
		errx(2, "%s: is no number", text);
	return v;
}

static size_t place(const char *text)
{
	uint64_t cut = number(text);

	if (cut > count)
		errx(2, "%s: the log has %zu records", text, count);
	return cut;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[2] : "";
	unsigned int disk = argc > 3 ? (unsigned int)number(argv[3]) : 0;

	if (argc < 5)
		errx(2, "usage: powercut LOG cuts|image|lines|lives DISK ...");
	load(argv[1]);
	match(disk);
	if (!strcmp(what, "cuts"))
		print_cuts(disk, number(argv[4]));
	else if (!strcmp(what, "lines"))
		print_lines(disk, place(argv[4]));
	else if (!strcmp(what, "lives"))
		print_lives(disk);
	else if (!strcmp(what, "image") && argc == 8)
		make_image(disk, place(argv[4]), number(argv[5]), argv[6],
			   number(argv[7]));
	else
		errx(2, "%s: must be cuts, image, lines or lives", what);
	return 0;
}
