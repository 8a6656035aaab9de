// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prints the frequency of this processor's time stamp counter in kHz; fails where
 * there is none.
 *
 * Under TCG the guest's counter is the host's. Its kernel measures it against an
 * emulated timer at boot, and on a busy host it can be wrong by a factor of ten or
 * forty: then ten seconds of the guest pass in one, and its kernel complains of
 * stalls. So the guest is told.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#ifdef __x86_64__
#include <x86intrin.h>

#define TRIES 16
#define MEASURED_NS 20000000

struct moment {
	uint64_t ns;
	uint64_t ticks;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Both at one time, as well as can be: the try that was interrupted least. */
static struct moment look(void)
{
	struct moment best = { 0, 0 };
	uint64_t least = UINT64_MAX;
	int i;

	for (i = 0; i < TRIES; i++) {
		uint64_t before = now_ns();
		uint64_t ticks = __rdtsc();
		uint64_t after = now_ns();

		if (after - before >= least)
			continue;
		least = after - before;
		best.ns = before + least / 2;
		best.ticks = ticks;
	}
	return best;
}

int main(void)
{
	const struct timespec pause = { .tv_nsec = MEASURED_NS };
	struct moment a = look();
	struct moment b;

	nanosleep(&pause, NULL);
	b = look();
	printf("%llu\n", (unsigned long long)((b.ticks - a.ticks) * 1000000 /
					      (b.ns - a.ns)));
	return 0;
}
#else
int main(void)
{
	return 1;
}
#endif
