// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hostile host as a process, for one guest in QEMU.
 *
 * usage: rogue_host SOCKET MISDEED...      (rogue_host --list names them)
 *
 * Prints "ready", "client", and what rogue_host.c sees. SIGUSR1 has it answer what is
 * kept; where there is unrest SIGUSR1 ends it, and repairs the window. SIGTERM ends
 * it; with a foreign window the last line then says whether it was left alone.
 */
#include "rogue_host.h"

#include <err.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 2

static volatile sig_atomic_t stop;
static volatile sig_atomic_t told;

static void on_signal(int sig)
{
	if (sig == SIGUSR1)
		told = 1;
	else
		stop = 1;
}

void *rogue_memory(size_t size)
{
	return calloc(1, size);
}

int64_t rogue_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

/* Unrest: a thread beside the one that serves. */

static struct {
	const struct unrest *what;
	struct server *server;
	pthread_t thread;
	atomic_bool stop;
} unrest;

static void *unrest_thread(void *arg)
{
	uint64_t n;

	(void)arg;
	for (n = 0; !atomic_load(&unrest.stop); n++) {
		unrest.what->round(unrest.server, n);
		if (unrest.what->pause_us)
			usleep(unrest.what->pause_us);
	}
	printf("%s of %llu %s\n", unrest.what->name, (unsigned long long)n,
	       unrest.what->unit);
	return NULL;
}

void unrest_begin(struct server *s, const struct unrest *what)
{
	unrest.what = what;
	unrest.server = s;
	atomic_store(&unrest.stop, false);
	if (pthread_create(&unrest.thread, NULL, unrest_thread, NULL))
		errx(1, "thread");
}

void unrest_stop(void)
{
	if (!unrest.what)
		return;
	atomic_store(&unrest.stop, true);
	pthread_join(unrest.thread, NULL);
	unrest.what = NULL;
}

static void list_misdeeds(void)
{
	const struct misdeed *m;

	for (m = misdeeds; m->name; m++)
		puts(m->name);
}

static const struct misdeed *find(const char *name)
{
	const struct misdeed *m = misdeed_find(name);

	if (!m)
		errx(2, "%s: no such misdeed", name);
	return m;
}

static void run(struct server *s)
{
	bool now;

	printf("ready\n");
	while (!stop) {
		if (server_poll(s, LOOK_MS))
			printf("client\n");
		now = told;
		told = 0;
		rogue_step(s, now);
	}
}

int main(int argc, char **argv)
{
	const struct misdeed *chosen[MAX_DISKS];
	struct server s;
	bool well;
	int i;

	if (argc == 2 && !strcmp(argv[1], "--list")) {
		list_misdeeds();
		return 0;
	}
	if (argc < 3 || argc - 1 > (int)MAX_DISKS)
		errx(2, "usage: rogue_host SOCKET MISDEED... | --list");
	for (i = 2; i < argc; i++)
		chosen[i - 2] = find(argv[i]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	signal(SIGUSR1, on_signal);
	signal(SIGPIPE, SIG_IGN);
	server_open(&s, argv[1],
		    chosen[0]->bytes ? chosen[0]->bytes : WINDOW_BYTES);
	if (chosen[0]->foreign)
		rogue_foreign(&s);
	else if (!rogue_open(&s, chosen, argc - 2))
		errx(1, "no room for the disks");
	run(&s);
	well = rogue_close(&s);
	unlink(argv[1]);
	return !well;
}
