/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Both rings of a channel: a guest that has up to DEPTH requests under way, up to
 * TOTAL in all, and stops issuing at any moment; a host that takes as many as
 * there is room for answers (R-RING-7), and answers some time later. Each side
 * sleeps when it has nothing to do. No safety poll.
 *
 * Holds: -DTOTAL=4
 * Broken: -DNO_PUBLISH_RELEASE
 * Broken: -DNO_PUBLISH_MB
 * Broken: -DNO_AVAIL_ACQUIRE
 * Broken: -DNO_ARM_MB
 * Broken: -DNO_ARM_LOOK
 * Broken: -DREACH
 *
 * Without (B) this holds all the same: a guest puts another request only after an
 * answer, which is itself ordered after the copy of what was there before. So a
 * ring that more than tags may fill needs (B); see ring.pml.
 */
#define RINGS 2
#ifndef ENTRIES
#define ENTRIES 2
#endif
#ifndef DEPTH
#define DEPTH ENTRIES
#endif
#ifndef TOTAL
#define TOTAL 3
#endif

#define REQ 0
#define RSP 1
#define GUEST (OF_PRODUCER(REQ) | OF_CONSUMER(RSP))
#define HOST (OF_CONSUMER(REQ) | OF_PRODUCER(RSP))

#include "memory.pml"
#include "ring_ops.pml"

bool started, guest_bell, host_bell;
byte issued, answered;
bool no_place; /* for a request or an answer, although depth <= entries */

/* ion_channel_send() of one to all that may be under way, ion_channel_flush() */
inline submit()
{
	ion_prod_free(REQ, n);
	do
	::
		no_place = no_place || n == 0;
		ion_prod_put(REQ);
		issued++;
		n--;
		if
		:: issued < TOTAL && issued - answered < DEPTH
		:: break
		fi
	od;
	n = 0;
	ion_prod_publish(REQ, GUEST, old, ring);
	ring_bell(host_bell, ring, GUEST)
}

#define MAY_SUBMIT (issued < TOTAL && issued - answered < DEPTH)

/* ion_channel_receive(): each answer is given back before it is acted upon. */
active proctype guest()
{
	byte n, old;
	bool ring;

	started;
	do
	:: MAY_SUBMIT -> submit()
	::
		ion_cons_avail(RSP, n);
		if
		:: n > 0 ->
			n = 0;
			ion_cons_get(RSP);
			ion_cons_release(RSP, GUEST);
			answered++
		:: else ->
			ion_cons_arm(RSP, GUEST, n);
			if
			:: n > 0 -> n = 0
			:: n == 0 && MAY_SUBMIT -> submit()
			:: atomic { n == 0 && guest_bell -> guest_bell = false }
			fi
		fi
	od
}

/* channel_answer(), channel_publish() */
inline answer()
{
	do
	:: under_way > 0 ->
		ion_prod_put(RSP);
		under_way--
	:: p_prod[RSP] != p_published[RSP] -> break
	od;
	ion_prod_publish(RSP, HOST, old, ring);
	ring_bell(guest_bell, ring, HOST)
}

/* channel_room(), channel_consume(), channel_arm() */
active proctype host()
{
	byte n, room, old, under_way;
	bool ring;

	started;
	do
	:: under_way > 0 -> answer()
	::
		ion_cons_avail(REQ, n);
		ion_prod_free(RSP, room);
		room = room - under_way;
		no_place = no_place || (n > 0 && room == 0);
		if
		:: n > 0 && room > 0 ->
			do
			::
				ion_cons_get(REQ);
				under_way++;
				n--;
				room--;
				if
				:: n > 0 && room > 0
				:: break
				fi
			od;
			n = 0;
			room = 0;
			ion_cons_release(REQ, HOST)
		:: else ->
			if
			:: n == 0 -> ion_cons_arm(REQ, HOST, n)
			:: else -> n = 0 /* stalled: not armed */
			fi;
			room = 0;
			if
			:: n > 0 -> n = 0
			:: n == 0 && under_way > 0 -> answer()
			:: atomic { n == 0 && host_bell -> host_bell = false }
			fi
		fi
	od
}

/* When nothing moves any more, every request has its answer. */
active proctype observer()
{
	byte k;

	atomic {
		reset_rings();
		k = 0;
		started = true
	}
	timeout;
	assert(!REAL_EXECUTION || !(broken || no_place));
	assert(!REAL_EXECUTION || !wrong);
	assert(!REAL_EXECUTION || answered == issued)
#ifdef REACH
	; assert(answered < TOTAL)
#endif
}
