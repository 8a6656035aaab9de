/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The heartbeat: a thread that does no I/O shows the guest that the host lives,
 * so that a slow disk does not look like death. It also sees to it that no wait
 * of the serving thread is for ever (see beat_turn()), and shows the supervisor
 * that the process runs at all.
 */
#ifndef RUMPK_BEAT_H
#define RUMPK_BEAT_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

#include <nexus/ion_abi.h>

/**
 * struct beat_words - signs of life for whoever watches the process
 * @beats: of the heartbeat's thread: it runs
 * @turns: of the serving thread: it serves
 */
struct beat_words {
	uint64_t beats;
	uint64_t turns;
};

/**
 * struct beat - the heartbeat of a window
 * @header: where it shows
 * @words: where it shows to a watcher
 * @thread: that beats
 * @server: thread that serves
 * @stop: asks @thread to end
 * @running: @thread exists
 * @begun: @thread is past all that a new thread does
 */
struct beat {
	struct ion_host_header *header;
	struct beat_words *words;
	pthread_t thread;
	pthread_t server;
	bool stop;
	bool running;
	sem_t begun;
};

int beat_start(struct beat *b, struct ion_host_header *header,
	       struct beat_words *words);
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
	__atomic_store_n(&b->words->turns, b->words->turns + 1, __ATOMIC_RELAXED);
}

#endif /* RUMPK_BEAT_H */
