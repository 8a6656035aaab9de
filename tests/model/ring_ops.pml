/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * include/nexus/ion_ring.h, function by function, on the memory of memory.pml.
 * Indices are modulo INDEX instead of 2^32 and start just below it, so that each
 * run wraps; INDEX is larger than what a run produces, so that no stale index
 * comes to mean another. An entry's two words are the number of the entry.
 *
 * Each access to shared memory is a step of its own. Without a barrier (NO_...)
 * an access is what it would be in the header: ion_read() or ion_write().
 *
 * Header: include/nexus/ion_ring.h
 * Barrier: ion_prod_free ion_load_acquire(p->shared_cons)
 * Barrier: ion_prod_publish ion_store_release(p->shared_prod, p->prod)
 * Barrier: ion_prod_publish ion_mb()
 * Barrier: ion_cons_avail ion_load_acquire(c->shared_prod)
 * Barrier: ion_cons_release ion_store_release(c->shared_cons, c->cons)
 * Barrier: ion_cons_arm ion_mb()
 */

#define INDEX 16
#define INITIAL 14
#define MASK (ENTRIES - 1)
#define SUB(a, b) (((a) + INDEX - (b)) % INDEX)
#define NUMBER(index) (SUB(index, INITIAL) + 1)

/* struct ion_prod and struct ion_cons, private to their owners. */
byte p_prod[RINGS] = INITIAL;
byte p_published[RINGS] = INITIAL;
byte p_cons[RINGS] = INITIAL;
byte c_cons[RINGS] = INITIAL;
byte c_prod[RINGS] = INITIAL;
bool broken;

/* An index that is loaded late is guessed: any that the judgement lets pass. */
inline guess(p, first, most, into)
{
	into = 0;
	do
	:: into < most -> into++
	:: break
	od;
	into = (first + into) % INDEX;
	load_late(p, into)
}

/* ion_prod_free(), its barrier the acquire of (B) */
inline ion_prod_free(r, into)
{
	atomic {
#ifdef NO_FREE_ACQUIRE
		!(ld & BIT(CONS(r)));
		guess(CONS(r), p_cons[r], SUB(p_published[r], p_cons[r]), into);
#else
		into = mem[CONS(r)];
#endif
		broken = broken || SUB(into, p_cons[r]) > SUB(p_published[r], p_cons[r]);
		p_cons[r] = into;
		into = MASK + 1 - SUB(p_prod[r], p_cons[r]);
	}
}

/* ion_prod_put() */
inline ion_prod_put(r)
{
	atomic {
		CAN_STORE(WORD(r, p_prod[r] & MASK, 0)) &&
			CAN_STORE(WORD(r, p_prod[r] & MASK, 1));
		store(WORD(r, p_prod[r] & MASK, 0), NUMBER(p_prod[r]));
		store(WORD(r, p_prod[r] & MASK, 1), NUMBER(p_prod[r]));
		p_prod[r] = (p_prod[r] + 1) % INDEX;
	}
}

/* ion_need_event() */
#define NEED_EVENT(event, now, old) (SUB(now, event + 1) < SUB(now, old))

/*
 * ion_prod_publish(), its barriers the release of (A) and the producer's side of
 * (C). The event index is loaded at its place: were it later, the doorbell would
 * be later with it.
 */
inline ion_prod_publish(r, mine, old, ring)
{
	atomic {
		CAN_STORE(PROD(r));
		old = p_published[r];
#ifdef NO_PUBLISH_RELEASE
		store(PROD(r), p_prod[r]);
#else
		store_release(PROD(r), p_prod[r], mine);
#endif
		p_published[r] = p_prod[r];
	}
	atomic {
#ifndef NO_PUBLISH_MB
		FENCED(mine);
#endif
		ring = NEED_EVENT(mem[EVENT(r)], p_prod[r], old);
		old = 0;
	}
}

/*
 * The doorbell of whoever published: a system call, or a store to a device, both of
 * which come after the stores to memory before them.
 */
inline ring_bell(bell, ring, mine)
{
	atomic {
		!ring || FENCED(mine);
		bell = bell || ring;
		ring = false
	}
}

/* ion_cons_avail(), its barrier the acquire of (A) */
inline ion_cons_avail(r, into)
{
	atomic {
#ifdef NO_AVAIL_ACQUIRE
		!(ld & BIT(PROD(r)));
		guess(PROD(r), c_prod[r], ENTRIES - SUB(c_prod[r], c_cons[r]), into);
#else
		into = mem[PROD(r)];
#endif
		broken = broken || SUB(into, c_cons[r]) > ENTRIES ||
			SUB(into, c_cons[r]) < SUB(c_prod[r], c_cons[r]);
		c_prod[r] = into;
		into = SUB(into, c_cons[r]);
	}
}

/* ion_cons_get() */
inline ion_cons_get(r)
{
	atomic {
		!(ld & (BIT(WORD(r, c_cons[r] & MASK, 0)) |
			BIT(WORD(r, c_cons[r] & MASK, 1))));
		load_late(WORD(r, c_cons[r] & MASK, 0), NUMBER(c_cons[r]));
		load_late(WORD(r, c_cons[r] & MASK, 1), NUMBER(c_cons[r]));
		c_cons[r] = (c_cons[r] + 1) % INDEX;
	}
}

/* ion_cons_release(), its barrier the release of (B) */
inline ion_cons_release(r, mine)
{
	atomic {
		CAN_STORE(CONS(r));
#ifdef NO_RELEASE_RELEASE
		store(CONS(r), c_cons[r]);
#else
		store_release(CONS(r), c_cons[r], mine);
#endif
	}
}

/* ion_cons_arm(), its barrier the consumer's side of (C) */
inline ion_cons_arm(r, mine, into)
{
	atomic {
		CAN_STORE(EVENT(r));
		store(EVENT(r), c_cons[r]);
	}
#ifndef NO_ARM_MB
	FENCED(mine);
#endif
#ifdef NO_ARM_LOOK
	into = 0;
#else
	ion_cons_avail(r, into);
#endif
}

/* ion_prod_reset() and ion_cons_reset(); the handshake orders them. */
inline reset_rings()
{
	for (k : 0 .. FIRST_WORD - 1) {
		mem[k] = INITIAL;
	}
}
