/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A worker's stderr. It is a pipe to the supervisor, which passes on line by line, each
 * marked as a worker's: the log itself, which says what an operator did and what was
 * refused, is not in reach of who could erase it, or speak as somebody else.
 */
#ifndef RUMPK_RELAY_H
#define RUMPK_RELAY_H

#include <stdbool.h>

#define RELAY_MARK " [worker]\n"
#define RELAY_LINE_BYTES 2048

/**
 * struct relay - the supervisor's end
 * @fd: non-blocking; -1: there is none
 * @fill: bytes of @line
 * @line: what has come of a line; room for the mark behind it
 */
struct relay {
	int fd;
	unsigned int fill;
	char line[RELAY_LINE_BYTES + sizeof(RELAY_MARK)];
};

int relay_open(struct relay *r);
bool relay_turn(struct relay *r);
void relay_finish(struct relay *r);

#endif /* RUMPK_RELAY_H */
