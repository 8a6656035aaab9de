/* SPDX-License-Identifier: GPL-2.0-only */
#include "beat.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#define BEAT_MS 50
/* So many beats without a turn, and the serving thread is interrupted. */
#define STUCK_BEATS 20u

static void nothing(int signal)
{
	(void)signal;
}

static void *beat_main(void *arg)
{
	const struct timespec pause = { .tv_nsec = BEAT_MS * 1000000l };
	struct beat *b = arg;
	uint64_t beat = ion_read(&b->header->heartbeat);
	uint64_t seen = 0;
	unsigned int still = 0;

	sem_post(&b->begun);
	while (!__atomic_load_n(&b->stop, __ATOMIC_RELAXED)) {
		uint64_t turns =
			__atomic_load_n(&b->words->turns, __ATOMIC_RELAXED);

		ion_write(&b->header->heartbeat, ++beat);
		__atomic_store_n(&b->words->beats, b->words->beats + 1,
				 __ATOMIC_RELAXED);
		still = turns == seen ? still + 1 : 0;
		seen = turns;
		if (still >= STUCK_BEATS)
			pthread_kill(b->server, SIGALRM);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

/**
 * beat_start - show a guest that the host lives
 * @b: zeroed
 * @header: of the window
 * @words: signs of life, written by nobody else
 *
 * The caller is the serving thread.
 *
 * Return: 0 or -errno.
 */
int beat_start(struct beat *b, struct ion_host_header *header,
	       struct beat_words *words)
{
	/* Without SA_RESTART: what was interrupted ends with EINTR. */
	struct sigaction action = { .sa_handler = nothing };
	sigset_t all;
	sigset_t before;
	int err;

	sigaction(SIGALRM, &action, NULL);
	b->header = header;
	b->words = words;
	b->server = pthread_self();
	sem_init(&b->begun, 0, 0);
	sigfillset(&all);
	/* Memory that is gone ends this thread's process, but not in silence. */
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&b->thread, NULL, beat_main, b);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	b->running = err == 0;
	/* The C library's own set-up is not to meet a confinement that follows. */
	while (!err && sem_wait(&b->begun) < 0 && errno == EINTR)
		;
	return -err;
}

/**
 * beat_stop - undo beat_start()
 * @b: heartbeat; stopping one that is not running does nothing
 */
void beat_stop(struct beat *b)
{
	if (!b->running)
		return;
	__atomic_store_n(&b->stop, true, __ATOMIC_RELAXED);
	pthread_join(b->thread, NULL);
	memset(b, 0, sizeof(*b));
}
