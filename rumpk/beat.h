/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The heartbeat: a thread that does no I/O shows the guest that the host lives,
 * so that a slow disk does not look like death. It also sees to it that no wait
 * of the serving thread is for ever: see beat_turn().
 */
#ifndef RUMPK_BEAT_H
#define RUMPK_BEAT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <nexus/ion_abi.h>

/**
 * struct beat - the heartbeat of a window
 * @header: where it shows
 * @thread: that beats
 * @server: thread that serves
 * @turns: of the serving thread
 * @stop: asks @thread to end
 * @running: @thread exists
 */
struct beat {
	struct ion_host_header *header;
	pthread_t thread;
	pthread_t server;
	uint64_t turns;
	bool stop;
	bool running;
};

int beat_start(struct beat *b, struct ion_host_header *header);
void beat_stop(struct beat *b);

/**
 * beat_turn - the serving thread has come round
 * @b: heartbeat
 *
 * It comes round at least every 100 ms, asleep or not. When it does not, it is
 * interrupted: a peer that shares a doorbell's description can make a write to
 * it block, after all checks.
 */
static inline void beat_turn(struct beat *b)
{
	__atomic_store_n(&b->turns, b->turns + 1, __ATOMIC_RELAXED);
}

#endif /* RUMPK_BEAT_H */
