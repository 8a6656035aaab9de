/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The control socket of --control: an operator's programs ask and command, a line of
 * JSON each way (docs/control.md). The supervisor serves it beside its work:
 *
 *   client --- {"execute": ..., "id": ...} ---> control.c  lines, limits
 *          <-- {"return"|"error": ..., "id"} --   command.c  what is asked for
 *                                                   authority, ledger
 *
 * Nothing here waits. One command of one client is carried out in a turn, and the
 * next one of that client when its answer is gone; so a client that is slow, silent
 * or mad holds up itself.
 */
#ifndef RUMPK_CONTROL_H
#define RUMPK_CONTROL_H

#include <stdbool.h>
#include <sys/types.h>

#include "options.h"
#include "safety.h"
#include "window.h"

#define CONTROL_PROTOCOL 1
#define CONTROL_CLIENTS 8u
/* A supervisor that takes a line starts no worker meanwhile. */
#define CONTROL_LINE 4096u

/**
 * struct control_cell - what commands are about
 * @o: command line
 * @a: authority, which they change
 * @l: ledger
 * @record: of the window
 */
struct control_cell {
	const struct options *o;
	struct authority *a;
	const struct ledger *l;
	const struct window_record *record;
};

/**
 * struct control_now - how things stand with the supervisor
 * @worker: process number; 0: none
 * @due: there is none, and the next one is to be started at once: that comes first
 * @started: workers so far
 * @guest: a QEMU is attached
 */
struct control_now {
	pid_t worker;
	bool due;
	unsigned int started;
	bool guest;
};

struct control;

struct control *control_open(const char *path, const struct control_cell *cell);
void control_close(struct control *ctl);
int control_fd(const struct control *ctl);
void control_turn(struct control *ctl, const struct control_now *now);
int control_timeout(const struct control *ctl);

#endif /* RUMPK_CONTROL_H */
