/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One ring and its doorbell: a producer that puts and publishes up to TOTAL
 * entries, in batches of any size and with at most DEPTH under way, and stops for
 * ever at any moment; a consumer that takes them in batches of any size, and
 * sleeps when there is nothing. No safety poll. The request ring and the response
 * ring are both this one; channel.pml has the two together.
 *
 * Holds: -DENTRIES=2 -DTOTAL=9
 * Holds: -DENTRIES=4 -DDEPTH=3 -DTOTAL=7
 * Holds: -DENTRIES=4 -DTOTAL=7
 * Broken: -DENTRIES=2 -DNO_FREE_ACQUIRE
 * Broken: -DENTRIES=2 -DNO_PUBLISH_RELEASE
 * Broken: -DENTRIES=2 -DNO_PUBLISH_MB
 * Broken: -DENTRIES=2 -DNO_AVAIL_ACQUIRE
 * Broken: -DENTRIES=2 -DNO_RELEASE_RELEASE
 * Broken: -DENTRIES=2 -DNO_ARM_MB
 * Broken: -DENTRIES=2 -DNO_ARM_LOOK
 * Broken: -DENTRIES=2 -DREACH
 *
 * The last two are no barriers: a consumer that does not look again, and "never is
 * all taken after the ring was full and the consumer asleep", lest the rest be said
 * of nothing.
 */
#define RINGS 1
#ifndef ENTRIES
#define ENTRIES 2
#endif
#ifndef DEPTH
#define DEPTH ENTRIES
#endif
#ifndef TOTAL
#define TOTAL 5
#endif

#include "memory.pml"
#include "ring_ops.pml"

bool started, bell;
#ifdef REACH
bool was_full, has_slept;
#endif

active proctype producer()
{
	byte n, old;
	bool ring;

	started;
	do
	:: SUB(p_published[0], INITIAL) == TOTAL -> break
	:: break
	:: SUB(p_published[0], INITIAL) < TOTAL ->
		ion_prod_free(0, n);
		if
		:: n <= ENTRIES - DEPTH ->
			/* It looks again when there is something new. */
			n = 0;
#ifdef REACH
			was_full = true;
#endif
			mem[CONS(0)] != p_cons[0]
		:: else ->
			do
			:: n > ENTRIES - DEPTH && SUB(p_prod[0], INITIAL) < TOTAL ->
				ion_prod_put(0);
				n--
			:: p_prod[0] != p_published[0] -> break
			od;
			n = 0;
			ion_prod_publish(0, OF_PRODUCER(0), old, ring);
			ring_bell(bell, ring, OF_PRODUCER(0))
		fi
	od
}

active proctype consumer()
{
	byte n;

	started;
	do
	::
		ion_cons_avail(0, n);
		if
		:: n > 0 ->
			do
			::
				ion_cons_get(0);
				n--;
				if
				:: n > 0
				:: break
				fi
			od;
			n = 0;
			ion_cons_release(0, OF_CONSUMER(0))
		:: else ->
			ion_cons_arm(0, OF_CONSUMER(0), n);
			if
			:: n > 0 -> n = 0
			:: else ->
#ifdef REACH
				has_slept = true;
#endif
				atomic { bell -> bell = false }
			fi
		fi
	od
}

/* When nothing moves any more, everything that was published has been taken. */
active proctype observer()
{
	byte k;

	atomic {
		reset_rings();
		k = 0;
		started = true
	}
	timeout;
	assert(!REAL_EXECUTION || !broken);
	assert(!REAL_EXECUTION || !wrong);
	assert(!REAL_EXECUTION || c_cons[0] == p_published[0])
#ifdef REACH
	; assert(NUMBER(c_cons[0]) <= TOTAL || !was_full || !has_slept)
#endif
}
