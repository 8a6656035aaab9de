// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hostile guest in user space: attaches to a running host as QEMU does, runs
 * one attack on the first channel and then proves that both channels are well:
 * a new handshake, verified writes and reads on the first, 1,000 verified
 * requests on the second.
 *
 * usage: rogue_guest SOCKET ATTACK [PID...]
 *
 * PIDs are the host's processes: while the channel is latched they may use less
 * than 0.2 s of CPU in 2 s. The last line printed is what the host must have
 * counted on the first channel since it started.
 */
#include "attack.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WATCH_US 2000000u
#define WATCH_CPU_MS 200

struct tally tally;

static char **pids;

void expect_status(struct channel *c, const struct nxblk_req *req, uint8_t status)
{
	uint8_t seen = channel_status(c, req);

	if (seen != status)
		fail("status %u instead of %u: op %u flags %#x tag %u nseg %u lba %llu count %u seg %#llx+%u",
		     seen, status, req->op, req->flags, req->tag, req->nseg,
		     (unsigned long long)req->lba, req->count,
		     (unsigned long long)req->seg[0].addr, req->seg[0].len);
	tally.status[status]++;
}

/* No answer, now or in a while. */
void expect_silence(struct channel *c, unsigned int ms)
{
	struct nxblk_resp rsp;

	if (channel_poll(c, &rsp, ms))
		fail("an answer to tag %u that nobody asked for", rsp.tag);
}

static unsigned long cpu_ms(void)
{
	unsigned long user, system, ticks = 0;
	char path[64], line[1024], *after;
	char **pid;
	FILE *f;

	for (pid = pids; *pid; pid++) {
		snprintf(path, sizeof(path), "/proc/%s/stat", *pid);
		f = fopen(path, "r");
		if (!f || !fgets(line, sizeof(line), f))
			fail("%s: the host is gone", path);
		fclose(f);
		after = strrchr(line, ')');
		if (!after ||
		    sscanf(after,
			   ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			   &user, &system) != 2)
			fail("%s: cannot be read", path);
		ticks += user + system;
	}
	return ticks * 1000 / sysconf(_SC_CLK_TCK);
}

/*
 * The host latched the channel for this reason: now it consumes nothing and
 * hardly runs, though the ring is left in the state that made it latch.
 */
void expect_latch(struct channel *c, uint32_t reason)
{
	unsigned long before;
	uint32_t consumed;

	channel_expect_latch(c, reason);
	tally.latches++;
	consumed = ion_read(&c->end.theirs->req_cons);
	before = cpu_ms();
	usleep(WATCH_US);
	before = cpu_ms() - before;
	if (before >= WATCH_CPU_MS)
		fail("a latched channel costs %lu ms of CPU in 2 s", before);
	if (ion_read(&c->end.theirs->req_cons) != consumed)
		fail("a latched channel consumes requests");
	channel_expect_latch(c, reason);
}

static const struct attack *find(const char *name)
{
	static const struct attack *const groups[] = {
		request_attacks,   ring_attacks,   race_attacks,
		handshake_attacks, memory_attacks, window_attacks,
	};
	const struct attack *a;
	unsigned int i;

	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		for (a = groups[i]; a->name; a++)
			if (!strcmp(a->name, name))
				return a;
	fail("%s: no such attack", name);
}

static void print_tally(const struct channel *c)
{
	printf("expect: ");
	if (tally.anything) {
		printf("latches=%llu\n", (unsigned long long)tally.latches);
		return;
	}
	if (!tally.dropped)
		printf("requests=%llu ", (unsigned long long)c->requests);
	printf("inval=%llu range=%llu unsupp=%llu perm=%llu ro=%llu ioerr=%llu stale=%llu latches=%llu\n",
	       (unsigned long long)tally.status[NXBLK_S_INVAL],
	       (unsigned long long)tally.status[NXBLK_S_RANGE],
	       (unsigned long long)tally.status[NXBLK_S_UNSUPP],
	       (unsigned long long)tally.status[NXBLK_S_PERM],
	       (unsigned long long)tally.status[NXBLK_S_RO],
	       (unsigned long long)tally.status[NXBLK_S_IOERR],
	       (unsigned long long)tally.stale,
	       (unsigned long long)tally.latches);
}

int main(int argc, char **argv)
{
	const struct attack *attack;
	static struct guest g;
	unsigned int i;

	if (argc < 3) {
		fprintf(stderr, "usage: %s SOCKET ATTACK [PID...]\n", argv[0]);
		return 2;
	}
	attack = find(argv[2]);
	pids = argv + 3;
	guest_open(&g, argv[1]);
	for (i = 0; i < g.count; i++)
		channel_attach(&g.ch[i]);

	attack->run(&g.ch[0]);

	if (g.count > 1 && ion_guest_lost(&g.ch[1].end))
		fail("the attack took the second channel down");
	channel_attach(&g.ch[0]);
	if (!(g.ch[0].config.flags & NXBLK_CFG_READ_ONLY))
		channel_verify(&g.ch[0], 200);
	for (i = 1; i < g.count; i++)
		channel_verify(&g.ch[i], 1000);
	print_tally(&g.ch[0]);
	guest_close(&g);
	return 0;
}
