// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a hostile host does all the time, in threads of their own beside the one
 * that serves: a directory that flips, doorbells without end, noise all over the
 * window. Each begins by unrest_*() and goes on until unrest_stop().
 */
#include "rogue_host.h"

#include <err.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FLIP_US 1000
#define NOISE_US 5000
/* One time in so many the data too; most of what matters lies before it. */
#define NOISE_ALL 16

static atomic_bool stop;
static pthread_t thread;
static bool running;

static void begin(void *(*fn)(void *), struct server *s)
{
	atomic_store(&stop, false);
	if (pthread_create(&thread, NULL, fn, s))
		errx(1, "thread");
	running = true;
}

/**
 * unrest_stop - whatever was begun has ended when this returns
 */
void unrest_stop(void)
{
	if (!running)
		return;
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	running = false;
}

static void *flip(void *arg)
{
	struct server *s = arg;
	struct ion_host_header *hdr = (struct ion_host_header *)s->mem;
	struct ion_dir_entry *dir =
		(struct ion_dir_entry *)(s->mem + hdr->dir_offset);
	const uint64_t right = dir->rsp.offset;
	uint64_t generation = hdr->generation;

	while (!atomic_load(&stop)) {
		ion_write(&dir->rsp.offset, generation & 1 ? right : 0);
		ion_wmb(); /* The guest that sees the generation sees the change. */
		ion_write(&hdr->generation, ++generation);
		if (s->client >= 0)
			server_ring(s, 0);
		usleep(FLIP_US);
	}
	return NULL;
}

/**
 * unrest_flips - the directory goes wrong and right again
 * @s: server with a window
 */
void unrest_flips(struct server *s)
{
	begin(flip, s);
}

static void *storm(void *arg)
{
	const struct server *s = arg;
	unsigned long rung;

	for (rung = 0; !atomic_load(&stop); rung++)
		server_ring(s, rung % SERVER_VECTORS);
	printf("storm of %lu doorbells\n", rung);
	return NULL;
}

/**
 * unrest_storm - ring every vector of the client as fast as can be
 * @s: server
 */
void unrest_storm(struct server *s)
{
	begin(storm, s);
}

static uint64_t noise_next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/*
 * One seed is one way to spoil: all of it by what is nonsense at first sight, or
 * here and there; by what looks like states, tags and counts; by what was true
 * elsewhere in the window, or a while ago.
 */
static uint64_t noise_word(const struct server *s, uint64_t seed, uint64_t r,
			   uint64_t was)
{
	switch (seed % 4) {
	case 0:
		return r;
	case 1:
		return r % 8 ? was : r;
	case 2:
		return r % 8 ? was : r & 0x0000000700000007ull;
	default:
		return r % 8 ? was : ((uint64_t *)s->mem)[r / 8 % (s->size / 8)];
	}
}

static void *noise(void *arg)
{
	struct server *s = arg;
	volatile uint64_t *mem = (uint64_t *)s->mem;
	const size_t control = s->size / NOISE_ALL / sizeof(*mem);
	const size_t all = s->size / sizeof(*mem);
	uint64_t seed, x;
	size_t i, n;

	for (seed = 1; !atomic_load(&stop); seed++) {
		x = seed * 0x9e3779b97f4a7c15ull;
		n = seed % NOISE_ALL ? control : all;
		for (i = 0; i < n; i++)
			mem[i] = noise_word(s, seed, noise_next(&x), mem[i]);
		server_ring(s, seed % SERVER_VECTORS);
		usleep(NOISE_US);
	}
	printf("noise of %llu seeds\n", (unsigned long long)seed - 1);
	return NULL;
}

/**
 * unrest_noise - overwrite the window, again and again
 * @s: server
 */
void unrest_noise(struct server *s)
{
	begin(noise, s);
}
