/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The commands of the control socket: what a line asks for, whether that can be,
 * doing it, and the answer.
 */
#ifndef RUMPK_COMMAND_H
#define RUMPK_COMMAND_H

#include <jansson.h>
#include <stddef.h>
#include <sys/socket.h>

#include "control.h"
#include "resize.h"

/**
 * enum command_class - what is wrong
 * @COMMAND_OK: nothing
 * @COMMAND_SYNTAX: the line is no command
 * @COMMAND_UNKNOWN: no such command
 * @COMMAND_ARGUMENT: an argument is missing, unknown, or cannot be
 * @COMMAND_NOT_FOUND: no such disk, or it has no capability
 * @COMMAND_DENIED: it would give where it may only take
 * @COMMAND_UNSUPPORTED: not with this disk
 * @COMMAND_BUSY: something else has to end first
 * @COMMAND_TIMEOUT: it did not come about in time
 * @COMMAND_FAILED: the system said no
 */
enum command_class {
	COMMAND_OK,
	COMMAND_SYNTAX,
	COMMAND_UNKNOWN,
	COMMAND_ARGUMENT,
	COMMAND_NOT_FOUND,
	COMMAND_DENIED,
	COMMAND_UNSUPPORTED,
	COMMAND_BUSY,
	COMMAND_TIMEOUT,
	COMMAND_FAILED,
};

/**
 * struct command_board - what the commands of all clients share
 * @resize: the one that is under way
 * @resizer: who asked for it
 * @held: by disk: the capability, as it was looked at last
 * @taken: by disk: the last change that took something away, by whatever way it came;
 *	no changes: nothing of before is left
 * @refusals: limits the lines about commands that are refused
 * @changes: by disk: likewise, about what is done
 */
struct command_board {
	struct resize resize;
	struct ucred resizer;
	struct disk_options held[WINDOW_MAX_DISKS];
	struct drain taken[WINDOW_MAX_DISKS];
	struct rumpk_ratelimit refusals;
	struct rumpk_ratelimit changes[WINDOW_MAX_DISKS];
};

struct command;

/**
 * struct command_call - one command of a client
 * @cell: what it is about
 * @now: how things stand
 * @board: shared with other clients
 * @peer: who asks
 * @command: which one; NULL: none, so far
 * @id: to come back with the answer; NULL: none
 * @disk: which disk it is about
 * @all: it is about all of them
 * @drain: what it waits for
 * @drained: nothing of before is left
 * @resize: number of the resize that it waits for
 * @class: what is wrong
 * @text: about that
 */
struct command_call {
	const struct control_cell *cell;
	const struct control_now *now;
	struct command_board *board;
	struct ucred peer;
	const struct command *command;
	json_t *id;
	unsigned int disk;
	bool all;
	struct drain drain;
	bool drained;
	unsigned int resize;
	enum command_class class;
	char text[256];
};

json_t *command_begin(struct command_call *call, const char *line, size_t length);
json_t *command_poll(struct command_call *call);
void command_abandon(struct command_board *board, struct command_call *call);
json_t *command_refuse_line(struct command_call *call, const char *why);
void command_close(const struct command_board *board);

void command_go_on(struct command_board *board, const struct control_cell *cell);
bool command_busy(const struct command_board *board);

json_t *view_status(const struct control_cell *cell,
		    const struct control_now *now);
json_t *view_disks(const struct control_cell *cell);
json_t *view_caps(const struct control_cell *cell);

#endif /* RUMPK_COMMAND_H */
