/* SPDX-License-Identifier: GPL-2.0-only */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "unix.h"
#include "util.h"

#define LOCK_MS 30000
#define LOCK_RETRY_MS 5

static char *absolute(const char *path)
{
	char cwd[PATH_MAX];
	char *out;

	if (path[0] == '/' || !getcwd(cwd, sizeof(cwd)))
		return strdup(path);
	return asprintf(&out, "%s/%s", cwd, path) < 0 ? NULL : out;
}

static int flock_within(int fd, unsigned int ms)
{
	uint64_t until = now_ms() + ms;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (now_ms() >= until)
			return -errno;
		usleep(LOCK_RETRY_MS * 1000);
	}
	return 0;
}

/* One rumpk at a time looks for sockets and replaces what is stale. */
static int place_lock(const char *socket)
{
	char *copy = strdup(socket);
	int fd = -1;
	int err;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	if (fd < 0)
		return -errno;
	err = flock_within(fd, LOCK_MS);
	if (!err)
		return fd;
	close(fd);
	return err;
}

static int place_names(struct place *p, const char *window_file)
{
	if (asprintf(&p->keeper, "%s%s", p->socket, KEEPER_SUFFIX) < 0)
		p->keeper = NULL;
	if (!p->keeper)
		return -ENOMEM;
	p->absolute_socket = absolute(p->socket);
	p->absolute_keeper = absolute(p->keeper);
	p->absolute_window = window_file ? absolute(window_file) : NULL;
	return p->absolute_socket && p->absolute_keeper &&
			       (p->absolute_window || !window_file) ?
		       0 :
		       -ENOMEM;
}

/**
 * place_open - lock the place of a cell
 * @p: filled; place_release() is due also after a failure
 * @socket: --socket
 * @window_file: --window-file, or NULL
 *
 * Return: 0, or -errno after a message.
 */
int place_open(struct place *p, const char *socket, const char *window_file)
{
	int err;

	memset(p, 0, sizeof(*p));
	p->socket = socket;
	p->lock = place_lock(socket);
	err = p->lock < 0 ? p->lock : place_names(p, window_file);
	if (err)
		rumpk_error("--socket %s: %s", socket, strerror(-err));
	return err;
}

/**
 * place_clear - make room for a socket
 * @path: of it. What a dead process left goes; what is no socket, is in use, or may
 *	be, stays. Nothing is waited for
 *
 * Return: 0; -EEXIST for what is no socket; -EADDRINUSE; another -errno.
 */
int place_clear(const char *path)
{
	struct stat st;
	int fd;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = unix_connect(path, SOCK_STREAM | SOCK_NONBLOCK);
	if (fd >= 0) {
		close(fd);
		return -EADDRINUSE;
	}
	switch (fd) {
	case -ENOENT: /* gone since */
		return 0;
	case -ECONNREFUSED:
		return unlink(path) < 0 ? -errno : 0;
	case -EAGAIN: /* somebody's backlog is full */
	case -EPROTOTYPE:
		return -EADDRINUSE;
	default:
		return fd;
	}
}

static int place_socket(const char *path, int type)
{
	int err = place_clear(path);
	int fd = err ? err : unix_listen(path, type);

	if (fd < 0)
		rumpk_error("--socket %s: %s", path,
			    fd == -EEXIST ? "exists and is no socket" :
					    strerror(-fd));
	return fd;
}

/**
 * place_listen - make the sockets of a new cell
 * @p: place
 * @spec: listening sockets and paths to remove are filled
 *
 * Return: 0, or -errno after a message.
 */
int place_listen(struct place *p, struct keeper_spec *spec)
{
	spec->listen_rumpk = place_socket(p->keeper, SOCK_SEQPACKET);
	if (spec->listen_rumpk < 0)
		return spec->listen_rumpk;
	spec->listen_guest = place_socket(p->socket, SOCK_STREAM);
	if (spec->listen_guest < 0) {
		unlink(p->keeper);
		close_fd(&spec->listen_rumpk);
		return -EADDRINUSE;
	}
	if (p->absolute_window)
		spec->unlink[spec->nunlink++] = p->absolute_window;
	spec->unlink[spec->nunlink++] = p->absolute_socket;
	spec->unlink[spec->nunlink++] = p->absolute_keeper;
	return 0;
}

/**
 * place_close - close the listening sockets: the keeper has them now
 * @spec: from place_listen()
 */
void place_close(struct keeper_spec *spec)
{
	close_fd(&spec->listen_guest);
	close_fd(&spec->listen_rumpk);
}

/**
 * place_release - let the next rumpk look
 * @p: place; releasing it once more does nothing
 */
void place_release(struct place *p)
{
	free(p->keeper);
	free(p->absolute_socket);
	free(p->absolute_keeper);
	free(p->absolute_window);
	close_fd(&p->lock);
	memset(p, 0, sizeof(*p));
	p->lock = -1;
}
