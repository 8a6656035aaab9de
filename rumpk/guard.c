/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the reset guard (qmp.h) means for a cell: what its channels offer, and
 * when a guest has to wait for them.
 *
 * Zero copy is offered to the guest that is there once the guard is armed, and
 * then for as long as that guest is there: what was offered cannot be taken
 * back. When the machine stops, all channels are drained, and stay so until it
 * has been reset: what the guest had in its rings before is never carried out.
 */
#include "cell.h"

#include <errno.h>
#include <poll.h>

#include "util.h"

#define LOOK_MS 10u
/* A machine that waits longer to be reset is worth a line. */
#define SLOW_MS 5000u

static bool guest_waits(const struct cell *c)
{
	unsigned int i;

	for (i = 0; i < c->count; i++)
		if (channel_is_drained(&c->channel[i]))
			return true;
	return false;
}

static uint32_t zero_copy_disks(const struct cell *c)
{
	uint32_t disks = 0;
	unsigned int i;

	for (i = 0; i < c->count && c->qmp.verdict == QMP_ARMED; i++)
		disks |= (uint32_t)c->disk[i].zero_copy << i;
	return disks;
}

/**
 * guard_apply - make the channels do what the guard has found
 * @c: cell with its window mapped
 */
void guard_apply(struct cell *c)
{
	uint32_t disks = zero_copy_disks(c);
	unsigned int i;

	for (i = 0; i < c->count; i++) {
		struct cell_channel *ch = &c->channel[i];

		ch->held = qmp_holds(&c->qmp);
		ch->end.offered &= ~NXBLK_F_ZERO_COPY;
		if (disks & 1u << i)
			ch->end.offered |= NXBLK_F_ZERO_COPY;
	}
	c->ledger->zero_copy = disks;
}

/* Nothing that the guest asked for is begun any more, nor answered. */
static void drain(struct cell *c, uint64_t now)
{
	unsigned int i;

	for (i = 0; i < c->count; i++)
		channel_guest_left(&c->channel[i]);
	if (!cell_in_flight(c)) {
		qmp_drained(&c->qmp);
		return;
	}
	if (!c->stopped)
		c->stopped = now;
	if (now - c->stopped < SLOW_MS)
		return;
	rumpk_warn("%u requests are still in flight, the guest's machine waits for them",
		   cell_in_flight(c));
	c->stopped = now;
}

/**
 * guard_look - see what the guest's machine does
 * @c: started cell
 * @now: monotonic milliseconds
 *
 * To be called often: it costs nothing most of the time.
 */
void guard_look(struct cell *c, uint64_t now)
{
	struct qmp *q = &c->qmp;

	if (!q->path || (now - c->qmp_looked < LOOK_MS && !q->drain))
		return;
	c->qmp_looked = now;
	qmp_look(q, now, guest_waits(c));
	if (q->drain)
		drain(c, now);
	else
		c->stopped = 0;
	guard_apply(c);
}

/**
 * guard_guest_came - a QEMU has attached to the window
 * @c: started cell
 */
void guard_guest_came(struct cell *c)
{
	qmp_guest_came(&c->qmp);
	guard_apply(c);
}

/**
 * guard_guest_left - it is gone
 * @c: started cell
 */
void guard_guest_left(struct cell *c)
{
	qmp_guest_left(&c->qmp);
	guard_apply(c);
}

/**
 * guard_again - arm the guard for a guest that was there before
 * @c: cell with its disks open, not started
 *
 * What it was offered before must be offered again.
 *
 * Return: 0, or -EIO after a message.
 */
int guard_again(struct cell *c)
{
	struct pollfd p[] = {
		{ .fd = c->qmp.event_fd, .events = POLLIN },
		{ .fd = c->broker.sock, .events = POLLIN },
	};
	uint32_t lost;

	qmp_guest_came(&c->qmp);
	qmp_look(&c->qmp, now_ms(), true);
	while (c->qmp.verdict == QMP_PENDING) {
		poll(p, ARRAY_SIZE(p), LOOK_MS);
		qmp_look(&c->qmp, now_ms(), true);
	}
	lost = c->ledger->zero_copy & ~zero_copy_disks(c);
	if (!lost)
		return 0;
	rumpk_error("disk %d: zero copy was offered to the guest that is there and cannot be taken back: see that --ram, --qmp, cap= and data= are as before and QEMU answers, or end the guest first",
		    __builtin_ctz(lost));
	return -EIO;
}
