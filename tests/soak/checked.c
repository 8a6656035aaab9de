// SPDX-License-Identifier: GPL-2.0-only
/*
 * A checked writer: each sector that it writes says where it belongs and how new it
 * is. What it was told is on the disk it tells at once, so that the history is kept by
 * somebody whom no crash of the guest or of rumpk reaches.
 *
 *	checked run DISK WORD THREADS   until WORD, a disk of the host's, says "stop"
 *	checked scan IMAGE              what is in it
 *
 * An event is a line that ends with a dot: one that a reset cut off is none.
 *
 *	boot N .                begins; WORD says which boot it is
 *	f BLOCK SECTOR SEQ .    found, from this sector of the block on; 0: zeroes
 *	writes .                has found all, and writes from now on
 *	a FIRST COUNT SEQ .     a write of blocks was answered
 *	Z FIRST COUNT SEQ .     zeroing of blocks was answered
 *	e WHAT FIRST ERRNO .    read, write, zero or flush ended with an error
 *	s SECTORS .             the size of the disk, when it changes
 *	bad TEXT .              what must not be; the end, with status 1
 *	stopped .               told to stop; nothing is written from now on
 *	end .                   has found all once more
 *
 * Of these the last ones may be lost in a reset, since they go through pipes and queues.
 * What must not be is told by a port, byte by byte, each with the machine's emulator
 * before the next instruction:
 *
 *	z FIRST COUNT SEQ .     blocks are about to be zeroed
 *
 * A thread has blocks of its own, and one operation under way. So it knows in its own
 * boot what each sector holds, to the number; over boots judge.awk does.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <unistd.h>

#define BLOCK 4096u
#define SECTOR 512u
#define SECTORS (BLOCK / SECTOR)
#define WORDS (SECTOR / 8)
#define BLOCKS 4096u
#define MAX_THREADS 64u
#define MAX_COUNT 16u
#define TOLD_PORT 0xe9 /* isa-debugcon */
#define MAGIC 0x6b636f6c426f696eull

/**
 * struct block - what a block holds, as its thread knows
 * @at: number of each sector; 0: zeroes
 * @torn: a write has failed since, and any of its sectors may be there
 * @torn_zero: the same of zeroing
 */
static struct block {
	uint64_t at[SECTORS];
	bool torn;
	bool torn_zero;
} blocks[BLOCKS];

struct worker {
	pthread_t thread;
	uint32_t first;
	uint32_t count;
	uint64_t rng;
	uint8_t *buf;
};

static pthread_mutex_t telling = PTHREAD_MUTEX_INITIALIZER;
static int disk;
static uint64_t boot;
static atomic_uint_least64_t issued;
static atomic_bool stopping;

/* One write a line, so that no other thread's comes in between. */
static void __attribute__((format(printf, 1, 2))) say(const char *fmt, ...)
{
	char line[160];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 4, fmt, ap);
	va_end(ap);
	memcpy(line + n, " .\n", 3);
	if (write(STDOUT_FILENO, line, (size_t)n + 3) != n + 3)
		_exit(3);
}

/* Before it is done: who finds it done after a reset must have been told. */
static void tell_zeroing(uint32_t first, uint32_t count, uint64_t seq)
{
	char line[80];
	/* What the last boot told may have been cut off. */
	int n = snprintf(line, sizeof(line), "\nz %u %u %llu .\n", first, count,
			 (unsigned long long)seq);

	pthread_mutex_lock(&telling);
	outsb(TOLD_PORT, line, (unsigned long)n);
	pthread_mutex_unlock(&telling);
}

static void fill_sector(uint64_t *s, uint32_t block, uint32_t sector, uint64_t seq)
{
	unsigned int i;

	s[0] = MAGIC;
	s[1] = (uint64_t)block << 32 | sector;
	s[2] = seq;
	for (i = 3; i < WORDS; i++)
		s[i] = (s[i - 1] + s[1] + i) * 0x9e3779b97f4a7c15ull;
}

/* Its number; what is neither ours for this place nor zeroes is the end. */
static uint64_t read_sector(const uint64_t *s, uint32_t block, uint32_t sector)
{
	uint64_t wanted[WORDS];
	unsigned int i;

	for (i = 0; i < WORDS && !s[i]; i++)
		;
	if (i == WORDS)
		return 0;
	fill_sector(wanted, block, sector, s[2]);
	if (!memcmp(s, wanted, SECTOR))
		return s[2];
	say("bad block %u sector %u holds %016llx %016llx %016llx", block,
	    sector, (unsigned long long)s[0], (unsigned long long)s[1],
	    (unsigned long long)s[2]);
	_exit(1);
}

static const uint64_t *sector_of(const uint8_t *buf, uint32_t i, uint32_t sector)
{
	return (const uint64_t *)(buf + (size_t)i * BLOCK + sector * SECTOR);
}

/* Says what is in a block, and believes it. */
static void find_block(const uint8_t *buf, uint32_t block)
{
	struct block *b = &blocks[block];
	uint32_t sector;

	for (sector = 0; sector < SECTORS; sector++) {
		b->at[sector] =
			read_sector(sector_of(buf, 0, sector), block, sector);
		if (!sector || b->at[sector] != b->at[sector - 1])
			say("f %u %u %llu", block, sector,
			    (unsigned long long)b->at[sector]);
	}
}

static bool may_hold(const struct block *b, uint32_t sector, uint64_t seq)
{
	if (seq == b->at[sector])
		return true;
	/* A write that failed is of this boot: an older one has come too late. */
	if (seq)
		return b->torn && seq >> 32 == boot && seq > b->at[sector];
	return b->torn_zero;
}

static void check_block(const uint8_t *buf, uint32_t i, uint32_t block)
{
	struct block *b = &blocks[block];
	uint32_t sector;

	for (sector = 0; sector < SECTORS; sector++) {
		uint64_t seq =
			read_sector(sector_of(buf, i, sector), block, sector);

		if (!may_hold(b, sector, seq)) {
			say("bad block %u sector %u is %llu instead of %llu",
			    block, sector, (unsigned long long)seq,
			    (unsigned long long)b->at[sector]);
			_exit(1);
		}
		b->at[sector] = seq;
	}
	b->torn = false;
	b->torn_zero = false;
}

static void find_all(uint8_t *buf, bool known)
{
	uint32_t block;

	for (block = 0; block < BLOCKS; block++) {
		while (pread(disk, buf, BLOCK, (off_t)block * BLOCK) != BLOCK) {
			say("e read %u %d", block, errno);
			usleep(200000);
		}
		if (known)
			check_block(buf, 0, block);
		find_block(buf, block);
	}
}

static void hold(uint32_t first, uint32_t count, uint64_t seq)
{
	uint32_t i, sector;

	for (i = first; i < first + count; i++) {
		for (sector = 0; sector < SECTORS; sector++)
			blocks[i].at[sector] = seq;
		blocks[i].torn = false;
		blocks[i].torn_zero = false;
	}
}

static void failed(const char *what, uint32_t first)
{
	say("e %s %u %d", what, first, errno);
	usleep(100000);
}

static void do_write(struct worker *w, uint32_t first, uint32_t count)
{
	uint64_t seq = atomic_fetch_add(&issued, 1);
	uint32_t i, sector;

	for (i = 0; i < count; i++)
		for (sector = 0; sector < SECTORS; sector++)
			fill_sector((uint64_t *)sector_of(w->buf, i, sector),
				    first + i, sector, seq);
	if (pwrite(disk, w->buf, (size_t)count * BLOCK, (off_t)first * BLOCK) ==
	    (ssize_t)count * BLOCK) {
		hold(first, count, seq);
		say("a %u %u %llu", first, count, (unsigned long long)seq);
		return;
	}
	for (i = first; i < first + count; i++)
		blocks[i].torn = true;
	failed("write", first);
}

/* Makes holes in the image, which a full filesystem then has no room to fill. */
static void do_zero(uint32_t first, uint32_t count)
{
	uint64_t seq = atomic_fetch_add(&issued, 1);
	uint32_t i;

	tell_zeroing(first, count, seq);
	if (!fallocate(disk, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		       (off_t)first * BLOCK, (off_t)count * BLOCK)) {
		hold(first, count, 0);
		say("Z %u %u %llu", first, count, (unsigned long long)seq);
		return;
	}
	for (i = first; i < first + count; i++)
		blocks[i].torn_zero = true;
	failed("zero", first);
}

static void do_read(struct worker *w, uint32_t first, uint32_t count)
{
	uint32_t i;

	if (pread(disk, w->buf, (size_t)count * BLOCK, (off_t)first * BLOCK) !=
	    (ssize_t)count * BLOCK) {
		failed("read", first);
		return;
	}
	for (i = 0; i < count; i++)
		check_block(w->buf, i, first + i);
}

static uint32_t below(struct worker *w, uint32_t n)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return (uint32_t)(w->rng >> 32) % n;
}

static void *work(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(&stopping)) {
		uint32_t count = below(w, 4) ? 1 : 1 + below(w, MAX_COUNT);
		uint32_t first = w->first + below(w, w->count - count + 1);
		uint32_t dice = below(w, 100);

		if (dice < 60)
			do_write(w, first, count);
		else if (dice < 88)
			do_read(w, first, count);
		else if (dice < 95)
			do_zero(first, count);
		else if (fdatasync(disk))
			failed("flush", first);
	}
	return NULL;
}

static uint8_t *block_buffer(uint32_t count)
{
	void *p = aligned_alloc(BLOCK, (size_t)count * BLOCK);

	if (!p)
		err(3, "memory");
	return p;
}

static void start_worker(struct worker *w, uint32_t n, uint32_t threads)
{
	w->count = BLOCKS / threads;
	w->first = n * w->count;
	w->rng = (boot << 8 | n) * 0x9e3779b97f4a7c15ull + 1;
	w->buf = block_buffer(MAX_COUNT);
	if (pthread_create(&w->thread, NULL, work, w))
		errx(3, "no thread");
}

/* The word of the host; NULL while it cannot be had. */
static const char *hear(int word, uint8_t *buf)
{
	if (pread(word, buf, BLOCK, 0) != BLOCK)
		return NULL;
	buf[BLOCK - 1] = 0;
	return (const char *)buf;
}

static void say_size(void)
{
	static off_t last;
	off_t size = lseek(disk, 0, SEEK_END);

	if (size != last)
		say("s %lld", (long long)size / SECTOR);
	last = size;
}

static void run(const char *word_path, uint32_t threads)
{
	static struct worker workers[MAX_THREADS];
	int word = open(word_path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	uint8_t *buf = block_buffer(1);
	const char *text;
	uint32_t i;

	if (word < 0)
		err(3, "%s", word_path);
	/* Of the whole process, since the threads come after it. */
	if (ioperm(TOLD_PORT, 1, 1))
		err(3, "port %#x", TOLD_PORT);
	while (!(text = hear(word, buf)) || sscanf(text, "boot %lu", &boot) != 1)
		usleep(100000);
	atomic_store(&issued, (boot << 32) + 1);
	/* What the last boot said may have been cut off. */
	say("\nboot %lu", boot);
	find_all(buf, false);
	say("writes");
	for (i = 0; i < threads; i++)
		start_worker(&workers[i], i, threads);
	while (!(text = hear(word, buf)) || strncmp(text, "stop", 4)) {
		say_size();
		usleep(100000);
	}
	atomic_store(&stopping, true);
	for (i = 0; i < threads; i++)
		pthread_join(workers[i].thread, NULL);
	say("stopped");
	find_all(buf, true);
	say("end");
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	int threads = argc == 5 ? atoi(argv[4]) : 1;
	bool scan = !strcmp(what, "scan") && argc == 3;

	if ((!scan && (strcmp(what, "run") || argc != 5)) || threads < 1 ||
	    threads > (int)MAX_THREADS)
		errx(2,
		     "usage: checked run DISK WORD THREADS, checked scan IMAGE");
	disk = open(argv[2], scan ? O_RDONLY : O_RDWR | O_DIRECT);
	if (disk < 0)
		err(3, "%s", argv[2]);
	if (scan)
		find_all(block_buffer(1), false);
	else
		run(argv[3], (uint32_t)threads);
	return 0;
}
