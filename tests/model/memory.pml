/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A weak memory for two sides, each of which stores to places of its own and
 * loads those of the other (R-WIN-8: nobody reads his own back).
 *
 * What a machine and a compiler may do under C11's rules to relaxed accesses,
 * all of it, is a matter of when an access takes effect:
 *
 *   - a store is on its way for a while (->sb), and stores pass each other;
 *   - a load whose value nothing waits for is performed later (->ld), after
 *     stores and loads that follow it;
 *   - a load whose value the program does wait for is performed later too: its
 *     value is guessed, the program goes on, and only what turns out to have
 *     been guessed right counts as an execution. A branch orders nothing.
 *
 * Accesses to one place stay in order, and a store is seen by everybody at once.
 * What bounds them:
 *
 *   load_acquire   performed at its place: before all that follows it
 *   store_release  takes effect after all stores and loads before it, while what
 *                  follows it may be earlier
 *   full_barrier   all before is over
 *
 * Places, RINGS rings of ENTRIES entries of two words each. Masks hold a bit a
 * place; there is one writer to each, so a mask of places says whose store it is.
 */

#define PROD(r) (2 * (r))
#define CONS(r) (2 * (r) + 1)
#define EVENT(r) (2 * RINGS + (r))
#define WORD(r, slot, w) (3 * RINGS + 2 * (ENTRIES * (r) + (slot)) + (w))
#define PLACES (3 * RINGS + 2 * ENTRIES * RINGS)
#define FIRST_WORD (3 * RINGS)
#define RELEASABLE (2 * RINGS)

#define BIT(p) (1 << (p))
#define INDICES (BIT(FIRST_WORD) - 1)
/* The places that the producer, and the consumer, of ring r stores to. */
#define OF_PRODUCER(r)                                                         \
	(BIT(PROD(r)) |                                                        \
	 ((BIT(2 * ENTRIES) - 1) << WORD(r, 0, 0)))
#define OF_CONSUMER(r) (BIT(CONS(r)) | BIT(EVENT(r)))

byte mem[PLACES];          /* what is visible */
byte sb_value[PLACES];     /* what is on its way */
byte ld_value[PLACES];     /* what a load not yet performed is taken to find */
int sb;                    /* places with a store on its way */
int ld;                    /* places with a load not yet performed */
int behind_sb[RELEASABLE]; /* what a release on its way has to wait for */
int behind_ld[RELEASABLE];
bool wrong;                /* an entry was not what was put */

/* A load that was guessed and is never performed: no execution. */
#define REAL_EXECUTION ((ld & INDICES) == 0)

/* One store to a place is on its way at a time: the next waits for it. */
#define CAN_STORE(p) (!(sb & BIT(p)))

inline store(p, value)
{
	sb_value[p] = value;
	sb = sb | BIT(p);
}

inline store_release(p, value, mine)
{
	behind_sb[p] = sb & (mine);
	behind_ld[p] = ld & ~(mine);
	store(p, value)
}

/* Its value is used by nothing but the check that it is the right one. */
inline load_late(p, value)
{
	ld_value[p] = value;
	ld = ld | BIT(p);
}

#define FENCED(mine) (!(sb & (mine)) && !(ld & ~(mine)))

#define CAN_DRAIN(p)                                                           \
	((sb & BIT(p)) &&                                                      \
	 (p >= RELEASABLE || !(behind_sb[p] | behind_ld[p])))

inline drain(p)
{
	mem[p] = sb_value[p];
	sb_value[p] = 0;
	sb = sb & ~BIT(p);
	for (k : 0 .. RELEASABLE - 1) {
		behind_sb[k] = behind_sb[k] & ~BIT(p);
	}
	k = 0
}

#define CAN_PERFORM(p)                                                         \
	((ld & BIT(p)) && (p >= FIRST_WORD || mem[p] == ld_value[p]))

inline perform(p)
{
	wrong = wrong || mem[p] != ld_value[p];
	ld_value[p] = 0;
	ld = ld & ~BIT(p);
	for (k : 0 .. RELEASABLE - 1) {
		behind_ld[k] = behind_ld[k] & ~BIT(p);
	}
	k = 0
}

#define MAY(p)                                                                 \
	::d_step { CAN_DRAIN(p) -> drain(p) }                                  \
	::d_step { CAN_PERFORM(p) -> perform(p) }

active proctype memory()
{
	byte k;
end:
	do
	MAY(0) MAY(1) MAY(2) MAY(3) MAY(4) MAY(5) MAY(6)
#if PLACES > 7
	MAY(7) MAY(8) MAY(9) MAY(10)
#endif
#if PLACES > 11
	MAY(11) MAY(12) MAY(13)
#endif
#if PLACES > 14
#error "more places than the memory looks after"
#endif
	od
}
