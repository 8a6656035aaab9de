/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The attacks of the rogue guest: each is run on the first channel of a window
 * whose channels are all attached, and returns when the host has shown the one
 * reaction that docs/protocol.md fixes. Anything else ends the program.
 */
#ifndef NEXUS_TESTS_ATTACK_H
#define NEXUS_TESTS_ATTACK_H

#include "guest.h"

/**
 * struct tally - what the host must have counted, exactly
 * @status: answers, by &enum nxblk_status
 * @stale: requests dropped for their generation
 * @latches: of the channel
 * @dropped: a reset took requests back, nobody knows how many were consumed
 * @anything: the host may have read anything, only its latches can be foretold
 */
struct tally {
	uint64_t status[NXBLK_S_COUNT];
	uint64_t stale;
	uint64_t latches;
	bool dropped;
	bool anything;
};

/**
 * struct attack - one attack
 * @name: on the command line
 * @run: channel 0 is the victim
 */
struct attack {
	const char *name;
	void (*run)(struct channel *c);
};

extern struct tally tally;

extern const struct attack request_attacks[];
extern const struct attack ring_attacks[];
extern const struct attack race_attacks[];
extern const struct attack handshake_attacks[];
extern const struct attack memory_attacks[];
extern const struct attack window_attacks[];

void expect_status(struct channel *c, const struct nxblk_req *req,
		   uint8_t status);
void expect_silence(struct channel *c, unsigned int ms);
void expect_latch(struct channel *c, uint32_t reason);

#endif /* NEXUS_TESTS_ATTACK_H */
