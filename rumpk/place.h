/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The place in the file system where a cell is found: its sockets, and the lock
 * under which they are made and replaced.
 */
#ifndef RUMPK_PLACE_H
#define RUMPK_PLACE_H

#include "keeper.h"

/**
 * struct place - a cell's place
 * @lock: of @lock_path, locked while a rumpk starts
 * @lock_path: there while it is locked
 * @socket: path of QEMU's socket, as the command line has it
 * @keeper: path of the keeper's socket, likewise
 * @absolute_socket: for the keeper, whose working directory is another
 * @absolute_keeper: likewise
 * @absolute_window: path of the window, or NULL
 */
struct place {
	int lock;
	char *lock_path;
	const char *socket;
	char *keeper;
	char *absolute_socket;
	char *absolute_keeper;
	char *absolute_window;
};

int place_open(struct place *p, const char *socket, const char *window_file);
int place_listen(struct place *p, struct keeper_spec *spec);
int place_clear(const char *path);
void place_close(struct keeper_spec *spec);
void place_release(struct place *p);

#endif /* RUMPK_PLACE_H */
