/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The reset guard: a connection to QEMU's monitor (QMP) that keeps a guest's
 * reset waiting until nothing moves into its RAM any more.
 *
 * Armed, QEMU pauses where it would reset or end, and says so. The owner then
 * ends all that is in flight (->drain, qmp_drained()), and only then the machine
 * is reset, or QEMU quits. QEMU keeps pausing when the connection is lost: the
 * guest is as safe as before, but its reset waits until the connection is back.
 *
 * QEMU is the server; it may start later, and come and go. What it says is
 * judged: a line that is too long, no JSON, or no answer to what was asked ends
 * the connection.
 *
 * All calls come from one thread. Nothing here blocks.
 */
#ifndef RUMPK_QMP_H
#define RUMPK_QMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QMP_LINE_BYTES 32768u

/**
 * enum qmp_verdict - may zero copy be offered to the guest that is there
 * @QMP_NO_GUEST: there is none
 * @QMP_PENDING: not known yet
 * @QMP_ARMED: yes: a reset will wait
 * @QMP_FAILED: no, as long as this guest is there
 */
enum qmp_verdict {
	QMP_NO_GUEST,
	QMP_PENDING,
	QMP_ARMED,
	QMP_FAILED,
};

/**
 * enum qmp_phase - of the connection
 * @QMP_OFF: not connected
 * @QMP_GREETING: connected, waiting for QEMU's greeting
 * @QMP_ARMING: telling QEMU to pause, asking what it does
 * @QMP_WATCHING: waiting for a reset or an end
 * @QMP_RESETTING: resetting the machine
 * @QMP_QUITTING: QEMU was told to quit
 */
enum qmp_phase {
	QMP_OFF,
	QMP_GREETING,
	QMP_ARMING,
	QMP_WATCHING,
	QMP_RESETTING,
	QMP_QUITTING,
};

/**
 * struct qmp - the guard of a cell
 * @path: of the monitor's socket; NULL: there is no guard
 * @broker: who connects; NULL: this process itself
 * @quit_on_reset: a reset of the guest ends QEMU
 * @event_fd: readable when qmp_look() has something to do
 * @verdict: &enum qmp_verdict
 * @drain: the guest has stopped to reset or to end: see that nothing is in
 *	flight, then call qmp_drained()
 * @quit: what follows is the end and no reset
 * @phase: &enum qmp_phase
 * @sock: connection; -1: none
 * @script: commands yet to be answered, the first one was sent
 * @id: of that one
 * @now: when it was last looked at, in milliseconds
 * @next: when to try to connect, or to give up a command, in milliseconds
 * @deadline: of @QMP_PENDING, in milliseconds; 0: nobody waits
 * @told: that the connection is lost was said
 * @fill: bytes in @line
 * @line: what was read and is no whole line
 */
struct qmp {
	const char *path;
	struct broker_link *broker;
	bool quit_on_reset;
	int event_fd;
	enum qmp_verdict verdict;
	bool drain;
	bool quit;
	enum qmp_phase phase;
	int sock;
	const char *const *script;
	unsigned int id;
	uint64_t now;
	uint64_t next;
	uint64_t deadline;
	bool told;
	size_t fill;
	char line[QMP_LINE_BYTES];
};

int qmp_init(struct qmp *q, const char *path, bool quit_on_reset);
void qmp_exit(struct qmp *q);
void qmp_guest_came(struct qmp *q);
void qmp_guest_left(struct qmp *q);
void qmp_look(struct qmp *q, uint64_t now, bool waited_for);
void qmp_drained(struct qmp *q);

/**
 * qmp_holds - must a guest wait for its channels
 * @q: guard
 *
 * Return: whether it is not known yet what to offer, or the machine is being
 * reset or ended.
 */
static inline bool qmp_holds(const struct qmp *q)
{
	return q->path && (q->verdict == QMP_NO_GUEST ||
			   q->verdict == QMP_PENDING || q->drain ||
			   q->phase == QMP_RESETTING || q->phase == QMP_QUITTING);
}

#endif /* RUMPK_QMP_H */
