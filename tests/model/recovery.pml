/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Recovery: one guest, one image, and workers that follow each other, each killed
 * at any moment while the kernel still carries out what it was given.
 *
 * A user writes the values 1 to VALUES, odd ones to block 1 and even ones to block
 * 0, one after the other to each block. A write ends by an answer, or early and
 * with an error when the user's patience is over (an outage); the next may follow.
 * Whatever happens, at every moment:
 *
 *   - a block never shows a value older than the last that was acknowledged to it:
 *     no ghost write, and nothing acknowledged is lost;
 *   - what is written for a request is what was in its buffer when it was issued;
 *   - a request ends once;
 *   - no side finds the other breaking a rule;
 *
 * and once nobody is killed any more every request ends, without any timeout: what
 * moves does so a bounded number of times.
 *
 * Steps are those of include/nexus/ion_host.h and ion_guest.h, of rumpk's channel.c
 * and nexus_blk's outage.c and queue.c, named where they stand. Memory is strong
 * here: the barriers of the handshake are held by tests/unit/test_order.c.
 *
 * Holds: -DVALUES=3 -DDEATHS=1 -DOUTAGES=1
 * Holds: -DVALUES=3 -DDEATHS=2 -DOUTAGES=0
 * Holds: -DVALUES=2 -DDEATHS=2 -DOUTAGES=1
 * Ends: -DVALUES=2 -DDEATHS=1 -DOUTAGES=1
 * Broken: -DDEATHS=1 -DOUTAGES=0 -DNO_LOCK
 * Broken: -DDEATHS=0 -DNO_DRAIN
 * Broken: -DDEATHS=0 -DEARLY_REUSE
 * Broken: -DDEATHS=1 -DOUTAGES=0 -DNO_ACK_GENERATION
 * Broken: -DDEATHS=1 -DOUTAGES=0 -DNO_ACK_GENERATION -DNO_MESSAGE_GENERATION
 * Broken: -DDEATHS=0 -DNO_RESET_ID
 * Broken: -DDEATHS=1 -DOUTAGES=0 -DKEPT_AFTER_READY
 * Broken: -DVALUES=2 -DREACH
 */
#ifndef VALUES
#define VALUES 3
#endif
#ifndef DEATHS
#define DEATHS 2
#endif
#ifndef OUTAGES
#define OUTAGES 1
#endif
#define TAGS 2
#define ENTRIES 2
#define IOS 4
#define INDEX 16
#define INITIAL 14
#define SUB(a, b) (((a) + INDEX - (b)) % INDEX)
#define NEXT(a) (((a) + 1) % INDEX)
#define BLOCK(value) ((value) & 1)

mtype = { DOWN, READY, LIVE, DRAINING, RESET, LOST, UP };
mtype = { FREE, WAITING, IN_FLIGHT, QUARANTINE };
mtype = { IDLE, SUBMITTED, CAPTURED, DONE };
mtype = { RUN, LOOK, KEEP, LEAVE, FILL, OFFER, KEEP_LATE };
mtype = { STEADY, ASK, ASK_STATE, ACK_INDICES, ACK_GENERATION, ACK_LIVE };

/* Of a request, value is what its buffer holds: known to nobody but the checks. */
typedef message {
	byte tag, value, generation, cookie
};

/* The window: records, rings, buffers. */
mtype h_state = DOWN, g_state = DOWN;
byte h_generation, h_drained, g_generation, g_reset_id;
byte req_prod, req_cons, rsp_prod, rsp_cons;
message req[ENTRIES], rsp[ENTRIES];
byte buffer[TAGS];

/* What outlives a worker: the medium, the kept generation, what the kernel does. */
byte block[2], kept;
typedef kernel_io {
	mtype state = IDLE;
	bool orphan;
	byte value;
	message rq
};
kernel_io io[IOS];

bool acking; /* the guest's acknowledgement is half done */

/* The user. */
byte next = 1, acknowledged[2], pending[2];
byte deaths, outages;
bool calm; /* nobody is killed any more, and the user has patience */

/* The worker's own: struct ion_host_end. */
bool alive;
mtype phase = RUN, w_state = DOWN, seen = DOWN;
byte w_generation, w_next, w_drained, w_pending, w_cons, w_rsp;

#define IO_IS(i, s) (io[i].state == s)
#define MINE(i) (!IO_IS(i, IDLE) && !io[i].orphan)
#define ORPHAN(i) (!IO_IS(i, IDLE) && io[i].orphan)
#define ANY(what) (what(0) || what(1) || what(2) || what(3))

inline end_request(value, good)
{
	assert(pending[BLOCK(value)] == value);
	pending[BLOCK(value)] = 0;
	if
	:: good ->
		acknowledged[BLOCK(value)] = value;
		assert(block[BLOCK(value)] == value)
	:: else
	fi
}

/* ---------------------------------------------------------------- kernel */

inline io_over(i)
{
	io[i].state = IDLE;
	io[i].orphan = false;
	io[i].value = 0;
	io[i].rq.tag = 0;
	io[i].rq.value = 0;
	io[i].rq.generation = 0;
	io[i].rq.cookie = 0
}

/*
 * Reads the buffer some time after it was told to write, and the medium changes
 * some time after that; of what a dead worker left, all, some or nothing happens.
 */
#define KERNEL(i)                                                              \
	::atomic { IO_IS(i, SUBMITTED) ->                                      \
		io[i].value = buffer[io[i].rq.tag];                            \
		io[i].state = CAPTURED }                                       \
	::atomic { IO_IS(i, CAPTURED) ->                                       \
		assert(io[i].value == io[i].rq.value);                         \
		block[BLOCK(io[i].rq.value)] = io[i].value;                    \
		assert(io[i].value >= acknowledged[BLOCK(io[i].rq.value)]);    \
		if                                                             \
		:: io[i].orphan -> io_over(i)                                  \
		:: else -> io[i].state = DONE                                  \
		fi }                                                           \
	::atomic { ORPHAN(i) -> io_over(i) }

active proctype kernel()
{
end:
	do
	KERNEL(0) KERNEL(1) KERNEL(2) KERNEL(3)
	od
}

/* ---------------------------------------------------------------- worker */

/* ion_host_look(): would it find anything? */
#define ACKNOWLEDGED                                                           \
	(w_state == READY && g_state == LIVE && ACK_IS_NEW)
#ifdef NO_ACK_GENERATION
#define ACK_IS_NEW true
#else
#define ACK_IS_NEW (g_generation == w_generation)
#endif
#ifdef NO_MESSAGE_GENERATION
#define IS_CURRENT(m, current) true
#else
#define IS_CURRENT(m, current) (m.generation == (current))
#endif
#define ASKED                                                                  \
	((w_state == READY || w_state == LIVE) && g_state == RESET &&          \
	 !(w_state == READY && g_reset_id == w_drained))

inline look()
{
	if
	:: seen == RESET ->
		w_pending = g_reset_id;
		w_state = DRAINING;
		h_state = DRAINING
	:: seen == LIVE && ACK_IS_NEW ->
		w_state = LIVE;
		h_state = LIVE
	:: else
	fi;
	seen = DOWN;
	phase = RUN
}

inline submit(i, e)
{
	io[i].rq.tag = e.tag;
	io[i].rq.value = e.value;
	io[i].rq.generation = e.generation;
	io[i].rq.cookie = e.cookie;
	io[i].state = SUBMITTED
}

/* channel_consume(), valve_submit() */
inline consume()
{
	assert(SUB(req_prod, w_cons) <= ENTRIES);
	if
	:: !IS_CURRENT(req[w_cons % ENTRIES], w_generation)
	:: else ->
		if
		:: IO_IS(0, IDLE) -> submit(0, req[w_cons % ENTRIES])
		:: !IO_IS(0, IDLE) && IO_IS(1, IDLE) -> submit(1, req[w_cons % ENTRIES])
		:: !IO_IS(0, IDLE) && !IO_IS(1, IDLE) && IO_IS(2, IDLE) ->
			submit(2, req[w_cons % ENTRIES])
		:: else -> submit(3, req[w_cons % ENTRIES])
		fi
	fi;
	w_cons = NEXT(w_cons);
	req_cons = w_cons
}

/* channel_answer(), channel_publish(); nobody waits for it but in LIVE */
#define ANSWER(i)                                                              \
	::atomic { alive && phase == RUN && MINE(i) && IO_IS(i, DONE) ->       \
		if                                                             \
		:: w_state == LIVE ->                                          \
			assert(SUB(w_rsp, rsp_cons) < ENTRIES);                \
			rsp[w_rsp % ENTRIES].tag = io[i].rq.tag;               \
			rsp[w_rsp % ENTRIES].generation = io[i].rq.generation; \
			rsp[w_rsp % ENTRIES].cookie = io[i].rq.cookie;         \
			w_rsp = NEXT(w_rsp);                                   \
			rsp_prod = w_rsp                                       \
		:: else                                                        \
		fi;                                                            \
		io_over(i) }

#ifdef NO_LOCK
#define LOCK_IS_FREE true
#else
#define LOCK_IS_FREE (!ANY(ORPHAN))
#endif
#ifdef NO_DRAIN
#define IS_DRAINED true
#else
#define IS_DRAINED (!ANY(MINE))
#endif

active proctype worker()
{
end:
	do
	/* The fence: the lock goes with the last reference of the dead. */
	::atomic { !alive && LOCK_IS_FREE ->
		alive = true;
		/* channel_start(), ion_host_start() */
		w_next = kept + 1;
		w_pending = g_reset_id;
#ifdef KEPT_AFTER_READY
		phase = LEAVE
#else
		phase = KEEP
#endif
		}
	/* channel_drained() */
	::atomic { alive && phase == RUN && w_state == DRAINING && IS_DRAINED ->
		w_next = w_generation + 1;
		phase = KEEP }
	/* ion_host_ready(), in the steps that a guest can tell apart */
	::atomic { alive && phase == KEEP ->
		kept = w_next;
		phase = LEAVE }
	::atomic { alive && phase == LEAVE ->
		w_state = DOWN;
		h_state = DOWN;
		phase = FILL }
	::atomic { alive && phase == FILL ->
		w_cons = INITIAL;
		w_rsp = INITIAL;
		req_cons = INITIAL;
		rsp_prod = INITIAL;
		w_generation = w_next;
		w_drained = w_pending;
		h_generation = w_next;
		h_drained = w_pending;
		w_next = 0;
		w_pending = 0;
		phase = OFFER }
	::atomic { alive && phase == OFFER ->
		w_state = READY;
		h_state = READY;
#ifdef KEPT_AFTER_READY
		phase = KEEP_LATE
#else
		phase = RUN
#endif
		}
	::atomic { alive && phase == KEEP_LATE ->
		kept = w_generation;
		phase = RUN }
	/*
	 * ion_host_look(): the state, and some time later what belongs to it. A look
	 * that finds nothing is none, so that nothing goes round in circles here.
	 */
	::atomic { alive && phase == RUN && (ASKED || ACKNOWLEDGED ||
		(w_state == READY && g_state == LIVE && acking)) ->
		seen = g_state;
		phase = LOOK }
	::atomic { alive && phase == LOOK && (seen != LIVE || ACK_IS_NEW || !acking) ->
		look() }
	::atomic { alive && phase == RUN && w_state == LIVE && req_prod != w_cons ->
		consume() }
	ANSWER(0) ANSWER(1) ANSWER(2) ANSWER(3)
	od
}

/* ----------------------------------------------------------------- guest */

/* struct ion_guest_end, and the slots of nexus_blk */
mtype channel = RESET, step = ASK;
bool suspicion; /* of a broken ring: ion_channel_note_latch() */
byte g_current, g_offered, g_prod, g_cons, g_req_cons, cookies;
typedef request {
	mtype state = FREE;
	byte cookie
};
request slot[TAGS];

/* ion_guest_offer(); taken whole or not at all (R-HS-4) */
#ifdef NO_RESET_ID
#define OFFERED (h_state == READY)
#else
#define OFFERED (h_state == READY && h_drained == g_reset_id)
#endif
/* ion_guest_lost() */
#define IS_LOST                                                                \
	((h_state != READY && h_state != LIVE) || h_generation != g_current)

/* ion_channel_send(), ion_channel_flush() */
inline issue(t)
{
	if
	:: SUB(req_cons, g_req_cons) > SUB(g_prod, g_req_cons) -> suspicion = true
	:: else ->
		g_req_cons = req_cons;
		cookies++;
		slot[t].cookie = cookies;
		slot[t].state = IN_FLIGHT;
		req[g_prod % ENTRIES].tag = t;
		req[g_prod % ENTRIES].value = buffer[t];
		req[g_prod % ENTRIES].generation = g_current;
		req[g_prod % ENTRIES].cookie = cookies;
		g_prod = NEXT(g_prod);
		req_prod = g_prod
	fi
}

/* nxblk_answer() */
inline receive()
{
	if
	:: SUB(rsp_prod, g_cons) > ENTRIES -> suspicion = true
	:: else ->
		tag = rsp[g_cons % ENTRIES].tag;
		if
		:: !IS_CURRENT(rsp[g_cons % ENTRIES], g_current)
		:: else ->
			/* R-RSP-2 */
			assert(slot[tag].state == IN_FLIGHT ||
			       slot[tag].state == QUARANTINE);
			assert(slot[tag].cookie == rsp[g_cons % ENTRIES].cookie);
			if
			:: slot[tag].state == IN_FLIGHT ->
				end_request(buffer[tag], true)
			:: else
			fi;
			slot[tag].state = FREE
		fi;
		tag = 0;
		g_cons = NEXT(g_cons);
		rsp_cons = g_cons
	fi
}

/* nxblk_outage_fail(): tags that the host has stay in quarantine */
inline give_up(t)
{
	if
	:: slot[t].state == IN_FLIGHT ->
		end_request(buffer[t], false);
#ifdef EARLY_REUSE
		slot[t].state = FREE
#else
		slot[t].state = QUARANTINE
#endif
	:: slot[t].state == WAITING ->
		end_request(buffer[t], false);
		slot[t].state = FREE
	:: else
	fi
}

/* nxblk_queue_drained() */
inline drained(t)
{
	if
	:: slot[t].state == IN_FLIGHT -> slot[t].state = WAITING
	:: slot[t].state == QUARANTINE -> slot[t].state = FREE
	:: else
	fi
}

/* A new write takes a free tag, and its buffer, whatever the channel does. */
#define USER(t)                                                                \
	::atomic { next <= VALUES && slot[t].state == FREE &&                  \
		pending[BLOCK(next)] == 0 ->                                   \
		slot[t].state = WAITING;                                       \
		buffer[t] = next;                                              \
		pending[BLOCK(next)] = next;                                   \
		next++ }                                                       \
	::atomic { step == STEADY && channel == UP && !suspicion &&            \
		slot[t].state == WAITING &&                                    \
		SUB(g_prod, req_cons) != ENTRIES -> issue(t) }

#define BUSY(t) (slot[t].state == IN_FLIGHT || slot[t].state == WAITING)

active proctype guest()
{
	byte tag;
end:
	do
	USER(0) USER(1)
	::atomic { step == STEADY && channel == UP && !suspicion &&
		rsp_prod != g_cons -> receive() }
	/* ion_channel_step_up(): first whether the host is still ours */
	::atomic { step == STEADY && channel == UP && IS_LOST -> channel = LOST }
	::atomic { step == STEADY && channel == UP && suspicion && !IS_LOST ->
		assert(!suspicion || IS_LOST) }
	/* ion_guest_reset(): the id, then the state */
	::atomic { step == ASK ->
		g_reset_id++;
		channel = RESET;
		step = ASK_STATE }
	::atomic { step == ASK_STATE ->
		g_state = RESET;
		step = STEADY }
	/* ion_channel_try_up(), ion_guest_ack() */
	::atomic { step == STEADY && channel != UP && OFFERED ->
		g_offered = h_generation;
		step = ACK_INDICES }
	::atomic { step == ACK_INDICES ->
		g_prod = INITIAL;
		g_cons = INITIAL;
		g_req_cons = INITIAL;
		req_prod = INITIAL;
		rsp_cons = INITIAL;
		acking = true;
		step = ACK_GENERATION }
	::atomic { step == ACK_GENERATION ->
		g_current = g_offered;
		g_generation = g_offered;
		g_offered = 0;
		step = ACK_LIVE }
	::atomic { step == ACK_LIVE ->
		g_state = LIVE;
		acking = false;
		suspicion = false;
		drained(0);
		drained(1);
		channel = UP;
		step = STEADY }
	/* ion_channel_step_lost() */
	::atomic { step == STEADY && channel == LOST && !OFFERED &&
		(h_state == READY || h_state == LIVE) -> step = ASK }
	/* nxblk_outage_work(): a channel that is up is reset */
	::atomic { step == STEADY && !calm && outages < OUTAGES &&
		(BUSY(0) || BUSY(1)) ->
		outages++;
		give_up(0);
		give_up(1);
		if
		:: channel == UP -> step = ASK
		:: else
		fi }
	od
}

/* --------------------------------------------------------------- nemesis */

inline bereave(i)
{
	if
	:: IO_IS(i, DONE) -> io_over(i)
	:: IO_IS(i, SUBMITTED) || IO_IS(i, CAPTURED) -> io[i].orphan = true
	:: else
	fi
}

active proctype nemesis()
{
	do
	::atomic { alive && deaths < DEATHS ->
		deaths++;
		alive = false;
		bereave(0);
		bereave(1);
		bereave(2);
		bereave(3);
		phase = RUN;
		w_state = DOWN;
		seen = DOWN;
		w_generation = 0;
		w_next = 0;
		w_drained = 0;
		w_pending = 0;
		w_cons = 0;
		w_rsp = 0 }
	:: break
	od;
	calm = true;
	/* When nothing moves any more, everything has ended. */
	timeout;
	assert(next == VALUES + 1 && !pending[0] && !pending[1] && !suspicion);
#ifdef REACH
	assert(deaths < DEATHS || outages < OUTAGES)
#endif
}
