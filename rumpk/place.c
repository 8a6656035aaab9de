/* SPDX-License-Identifier: GPL-2.0-only */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "unix.h"
#include "util.h"

#define LOCK_SUFFIX ".lock"
#define LOCK_MS 30000
#define LOCK_RETRY_US 5000

static char *absolute(const char *path)
{
	char cwd[PATH_MAX];
	char *out;

	if (path[0] == '/' || !getcwd(cwd, sizeof(cwd)))
		return strdup(path);
	return asprintf(&out, "%s/%s", cwd, path) < 0 ? NULL : out;
}

/* Somebody else's file could be held for ever, and is not waited for. */
static int lock_refuse_foreign(const char *option, const char *path, uid_t owner)
{
	rumpk_error("%s: %s is a lock of uid %u, and must be one of uid %u: remove it, or use a directory where nobody else may write",
		    option, path, owner, geteuid());
	return -EPERM;
}

static int lock_open(const char *option, const char *path)
{
	struct stat st;
	int err;
	int fd = open(path,
		      O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
		      0600);

	if (fd < 0) {
		err = -errno;
		if (lstat(path, &st) == 0 && st.st_uid != geteuid())
			return lock_refuse_foreign(option, path, st.st_uid);
		rumpk_error("%s: %s: %s", option, path, strerror(-err));
		return err;
	}
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid())
		return fd;
	close(fd);
	if (st.st_uid != geteuid())
		return lock_refuse_foreign(option, path, st.st_uid);
	rumpk_error("%s: %s exists and is no lock", option, path);
	return -EEXIST;
}

/* Who had it may have removed it since, and another one may be there. */
static bool lock_is_there(const char *path, int fd)
{
	struct stat there;
	struct stat ours;

	return fstat(fd, &ours) == 0 && lstat(path, &there) == 0 &&
	       ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

static int lock_within(const char *option, const char *path)
{
	uint64_t until = now_ms() + LOCK_MS;
	uint64_t now;
	int err;
	int fd;

	do {
		fd = lock_open(option, path);
		if (fd < 0)
			return fd;
		now = now_ms();
		err = flock_within(fd, now < until ? until - now : 0,
				   LOCK_RETRY_US);
		if (!err && lock_is_there(path, fd))
			return fd;
		close(fd);
	} while (!err);
	rumpk_error("%s: %s is held by another rumpk: %s", option, path,
		    strerror(-err));
	return err;
}

/**
 * place_lock - be the only rumpk that looks for a socket and replaces what is stale
 * @l: filled; place_unlock() is due also after a failure
 * @option: that names the socket, for messages
 * @path: of the socket
 *
 * The lock is a file of its own that nobody else can open: a directory can be locked by
 * all who read it.
 *
 * Return: 0, or -errno after a message.
 */
int place_lock(struct place_lock *l, const char *option, const char *path)
{
	l->fd = -1;
	if (asprintf(&l->path, "%s%s", path, LOCK_SUFFIX) < 0) {
		l->path = NULL;
		rumpk_error("%s %s: %s", option, path, strerror(ENOMEM));
		return -ENOMEM;
	}
	l->fd = lock_within(option, l->path);
	return l->fd < 0 ? l->fd : 0;
}

/**
 * place_unlock - let the next rumpk look
 * @l: lock; letting go of it once more does nothing
 */
void place_unlock(struct place_lock *l)
{
	/* Before it is let go: who waits for it looks whether it is still there. */
	if (l->fd >= 0)
		unlink(l->path);
	close_fd(&l->fd);
	free(l->path);
	l->path = NULL;
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
	p->lock.fd = -1;
	p->socket = socket;
	err = place_names(p, window_file);
	if (err) {
		rumpk_error("--socket %s: %s", socket, strerror(-err));
		return err;
	}
	return place_lock(&p->lock, "--socket", socket);
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
	place_unlock(&p->lock);
	free(p->keeper);
	free(p->absolute_socket);
	free(p->absolute_keeper);
	free(p->absolute_window);
	memset(p, 0, sizeof(*p));
	p->lock.fd = -1;
}
