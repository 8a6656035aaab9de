/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Unix sockets, and descriptors sent through them.
 */
#ifndef RUMPK_UNIX_H
#define RUMPK_UNIX_H

#include <stdbool.h>
#include <sys/socket.h>
#include <stddef.h>
#include <sys/types.h>

#define UNIX_MAX_FDS 192u

int unix_listen(const char *path, int type);
int unix_connect(const char *path, int type);
int unix_path_ok(const char *path, const char *suffix);
int unix_peer(int sock, struct ucred *peer);
bool unix_trusted(int sock, pid_t *pid);
ssize_t unix_send(int sock, const void *data, size_t length, const int *fds,
		  unsigned int nfds);
ssize_t unix_recv(int sock, void *data, size_t length, int *fds,
		  unsigned int *nfds);
ssize_t unix_recv_now(int sock, void *data, size_t length, int *fds,
		      unsigned int *nfds);

#endif /* RUMPK_UNIX_H */
