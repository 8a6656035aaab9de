// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two threads and a pair of rings under ThreadSanitizer: one sends numbers, the
 * other sends each back, and both sleep by the book: arm, look again, then wait
 * for a doorbell. A lost wake-up is a wait that runs into its deadline, a
 * missing barrier of pair (A) is a data race on an entry.
 *
 * The answers order what the echo has read before what is written next. So then
 * numbers go one way alone: nothing but pair (B) keeps the sender from writing to
 * an entry that is still being read.
 *
 * usage: tsan_ring [ROUNDS]
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <nexus/ion_abi.h>
#include <nexus/ion_ring.h>

#define ENTRIES 8u
#define DEADLINE_MS 20000

struct entry {
	__u64 number;
	__u64 inverse;
};

struct half {
	__u32 prod __attribute__((aligned(128)));
	__u32 cons __attribute__((aligned(128)));
	__u32 event;
	struct entry entries[ENTRIES] __attribute__((aligned(128)));
	int bell;
};

struct side {
	struct ion_prod tx;
	struct ion_cons rx;
	int ring; /* doorbell of the peer */
	int bell; /* own doorbell */
	__u64 rounds;
	unsigned long sleeps;
};

static struct half there, back;

static void fail(const char *what, __u64 number)
{
	printf("not ok tsan_ring\n# %s at %llu\n", what,
	       (unsigned long long)number);
	exit(1);
}

static void bind_tx(struct ion_prod *p, struct half *h)
{
	p->shared_prod = &h->prod;
	p->shared_cons = &h->cons;
	p->shared_event = &h->event;
	p->entries = (__u8 *)h->entries;
	p->entry_size = sizeof(struct entry);
	p->mask = ENTRIES - 1;
	ion_prod_reset(p, ION_INITIAL_INDEX);
}

static void bind_rx(struct ion_cons *c, struct half *h)
{
	c->shared_prod = &h->prod;
	c->shared_cons = &h->cons;
	c->shared_event = &h->event;
	c->entries = (__u8 *)h->entries;
	c->entry_size = sizeof(struct entry);
	c->mask = ENTRIES - 1;
	ion_cons_reset(c, ION_INITIAL_INDEX);
}

static void ring_bell(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		fail("doorbell", 0);
}

static void wait_bell(struct side *s, __u64 number)
{
	struct pollfd p = { .fd = s->bell, .events = POLLIN };
	uint64_t count;

	s->sleeps++;
	if (poll(&p, 1, DEADLINE_MS) != 1)
		fail("lost wake-up", number);
	if (read(s->bell, &count, sizeof(count)) != sizeof(count))
		fail("doorbell", number);
}

/* The next number, sleeping for it by the arm and look-again protocol. */
static void take(struct side *s, __u64 number)
{
	struct entry e;

	while (!ion_cons_avail(&s->rx))
		if (!ion_cons_arm(&s->rx))
			wait_bell(s, number);
	if (s->rx.broken)
		fail("broken", number);
	ion_cons_get(&s->rx, &e);
	ion_cons_release(&s->rx);
	if (e.number != number || e.inverse != ~number)
		fail("wrong entry", number);
}

static void give(struct side *s, __u64 number)
{
	struct entry e = { number, ~number };

	ion_prod_put(&s->tx, &e);
	if (ion_prod_publish(&s->tx))
		ring_bell(s->ring);
}

static void *echo(void *arg)
{
	struct side *s = arg;
	__u64 i;

	for (i = 0; i < s->rounds; i++) {
		take(s, i);
		if (!ion_prod_free(&s->tx))
			fail("honest ring is full", i);
		give(s, i);
	}
	return NULL;
}

/* Keep 1 to ENTRIES numbers on their way, so that rings run empty and full. */
static void drive(struct side *s)
{
	__u64 sent = 0, seen = 0;

	while (seen < s->rounds) {
		while (sent < s->rounds &&
		       sent - seen < 1 + (seen / 64) % ENTRIES) {
			if (!ion_prod_free(&s->tx))
				fail("honest ring is full", sent);
			give(s, sent++);
		}
		take(s, seen++);
	}
}

static void *drain(void *arg)
{
	struct side *s = arg;
	__u64 i;

	for (i = 0; i < s->rounds; i++)
		take(s, i);
	return NULL;
}

/* As fast as entries are given back. */
static void flood(struct side *s)
{
	time_t until = time(NULL) + DEADLINE_MS / 1000;
	__u64 i;

	for (i = 0; i < s->rounds; i++) {
		while (!ion_prod_free(&s->tx)) {
			if (time(NULL) > until)
				fail("no entry is given back", i);
			sched_yield();
		}
		give(s, i);
	}
}

int main(int argc, char **argv)
{
	struct side a = { .rounds = argc > 1 ? strtoull(argv[1], NULL, 0) :
					       200000 };
	struct side b = { .rounds = a.rounds };
	pthread_t thread;

	there.bell = eventfd(0, 0);
	back.bell = eventfd(0, 0);
	if (there.bell < 0 || back.bell < 0)
		fail("eventfd", 0);
	bind_tx(&a.tx, &there);
	bind_rx(&a.rx, &back);
	bind_tx(&b.tx, &back);
	bind_rx(&b.rx, &there);
	a.ring = b.bell = there.bell;
	b.ring = a.bell = back.bell;
	if (pthread_create(&thread, NULL, echo, &b))
		fail("thread", 0);
	drive(&a);
	pthread_join(thread, NULL);
	if (!a.sleeps || !b.sleeps)
		fail("nobody ever slept", a.rounds);
	if (pthread_create(&thread, NULL, drain, &b))
		fail("thread", 0);
	flood(&a);
	pthread_join(thread, NULL);
	printf("ok tsan_ring\n# %llu rounds, %lu and %lu sleeps\n",
	       (unsigned long long)a.rounds, a.sleeps, b.sleeps);
	return 0;
}
