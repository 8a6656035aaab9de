/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * recovery SOCKET SUPERVISOR ROUNDS [fua]: a guest in user space that keeps 32
 * writes of 4 KiB in flight, kills the worker ROUNDS times, and recovers as the
 * kernel's driver does. For each kill a line: when it was, and how long it took to
 * the first answer.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

#define TAGS 32
#define SECTORS 8
#define BETWEEN_US 300000
#define PATIENCE_US 10000000

static uint16_t fua;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static bool is_worker(int pid)
{
	char path[64];
	char comm[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	f = fopen(path, "r");
	if (!f)
		return false;
	if (!fgets(comm, sizeof(comm), f))
		comm[0] = '\0';
	fclose(f);
	return strcmp(comm, "rumpk-worker\n") == 0;
}

static int find_worker(int supervisor)
{
	char path[64];
	int found = 0;
	int pid;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", supervisor,
		 supervisor);
	f = fopen(path, "r");
	while (f && !found && fscanf(f, "%d", &pid) == 1)
		if (is_worker(pid))
			found = pid;
	if (f)
		fclose(f);
	if (!found)
		fail("no worker below %d", supervisor);
	return found;
}

static void submit(struct channel *c, uint16_t tag)
{
	uint64_t blocks = c->config.capacity / SECTORS;
	struct nxblk_req req = channel_rw(c, NXBLK_OP_WRITE, tag,
					  (uint64_t)rand() % blocks * SECTORS,
					  SECTORS);

	req.flags = fua;
	channel_put(c, &req);
}

static void submit_all(struct channel *c)
{
	uint16_t tag;

	for (tag = 0; tag < TAGS; tag++)
		submit(c, tag);
	channel_publish(c);
}

/* Take what has been answered and ask for as much again. */
static unsigned int turn(struct channel *c)
{
	struct nxblk_resp rsp;
	unsigned int n = 0;

	while (ion_cons_avail(&c->end.rsp)) {
		ion_cons_get(&c->end.rsp, &rsp);
		ion_cons_release(&c->end.rsp);
		if (rsp.status)
			fail("a write ended with status %u", rsp.status);
		submit(c, rsp.tag);
		n++;
	}
	if (n)
		channel_publish(c);
	else
		usleep(20);
	return n;
}

static void expect_before(uint64_t deadline, const char *what)
{
	if (now_us() > deadline)
		fail("in vain: %s", what);
	usleep(20);
}

/* Everything that was not answered goes again, in the new generation. */
static void recover(struct channel *c)
{
	uint64_t deadline = now_us() + PATIENCE_US;

	while (!ion_guest_lost(&c->end))
		expect_before(deadline, "a new generation");
	while (!ion_guest_offer(&c->end, &c->offer))
		expect_before(deadline, "an offer");
	channel_ack(c, &c->terms);
	channel_wait_state(c, ION_HOST_LIVE);
	submit_all(c);
	while (!turn(c))
		expect_before(deadline, "an answer");
}

static void round_of(struct channel *c, int supervisor)
{
	uint64_t end = now_us() + BETWEEN_US;
	uint64_t killed;
	int worker;

	while (now_us() < end)
		turn(c);
	worker = find_worker(supervisor);
	killed = now_ns();
	kill(worker, SIGKILL);
	recover(c);
	printf("killed=%llu answer_us=%llu\n", (unsigned long long)killed,
	       (unsigned long long)(now_ns() - killed) / 1000);
}

int main(int argc, char **argv)
{
	static struct guest g;
	int rounds;

	if (argc < 4) {
		fprintf(stderr, "usage: %s SOCKET SUPERVISOR ROUNDS [fua]\n",
			argv[0]);
		return 2;
	}
	rounds = atoi(argv[3]);
	if (argc > 4)
		fua = NXBLK_REQ_FUA;
	guest_open(&g, argv[1]);
	channel_attach(&g.ch[0]);
	if (g.ch[0].terms.depth < TAGS)
		fail("depth %u", g.ch[0].terms.depth);
	submit_all(&g.ch[0]);
	while (rounds--)
		round_of(&g.ch[0], atoi(argv[2]));
	guest_close(&g);
	return 0;
}
