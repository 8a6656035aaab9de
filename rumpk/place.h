/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The place in the file system where a cell is found: its sockets, and the lock
 * under which they are made and replaced.
 */
#ifndef RUMPK_PLACE_H
#define RUMPK_PLACE_H

#include "keeper.h"

/**
 * struct place_lock - the lock of a socket's path
 * @fd: of @path, locked; -1: is not
 * @path: there while it is locked
 */
struct place_lock {
	int fd;
	char *path;
};

/**
 * struct place - a cell's place
 * @lock: held while a rumpk starts
 * @socket: path of QEMU's socket, as the command line has it
 * @keeper: path of the keeper's socket, likewise
 * @absolute_socket: for the keeper, whose working directory is another
 * @absolute_keeper: likewise
 * @absolute_window: path of the window, or NULL
 */
struct place {
	struct place_lock lock;
	const char *socket;
	char *keeper;
	char *absolute_socket;
	char *absolute_keeper;
	char *absolute_window;
};

int place_lock(struct place_lock *l, const char *option, const char *path);
void place_unlock(struct place_lock *l);
int place_open(struct place *p, const char *socket, const char *window_file);
int place_listen(struct place *p, struct keeper_spec *spec);
int place_clear(const char *path);
void place_close(struct keeper_spec *spec);
void place_release(struct place *p);

#endif /* RUMPK_PLACE_H */
