/* SPDX-License-Identifier: GPL-2.0-only */
#include "unix.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util.h"

/**
 * unix_path_ok - does a path, with a suffix, fit into a socket address
 * @path: path
 * @suffix: suffix
 *
 * Return: how many bytes @path may have, 0 when it fits.
 */
int unix_path_ok(const char *path, const char *suffix)
{
	size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) - 1 -
		      strlen(suffix);

	return strlen(path) <= most ? 0 : (int)most;
}

static int unix_address(struct sockaddr_un *addr, const char *path)
{
	memset(addr, 0, sizeof(*addr));
	addr->sun_family = AF_UNIX;
	if (unix_path_ok(path, ""))
		return -ENAMETOOLONG;
	memcpy(addr->sun_path, path, strlen(path));
	return 0;
}

/**
 * unix_listen - listen on a path that does not exist, with mode 0600
 * @path: path
 * @type: of the socket
 *
 * Return: non-blocking descriptor or -errno.
 */
int unix_listen(const char *path, int type)
{
	struct sockaddr_un addr;
	int err = unix_address(&addr, path);
	mode_t mask;
	int fd;

	if (err)
		return err;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	mask = umask(0177);
	err = bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
	umask(mask);
	if (!err && listen(fd, 8) < 0)
		err = -errno;
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}

/**
 * unix_connect - connect to a path
 * @path: path
 * @type: of the socket
 *
 * Return: descriptor or -errno.
 */
int unix_connect(const char *path, int type)
{
	struct sockaddr_un addr;
	int err = unix_address(&addr, path);
	int fd;

	if (err)
		return err;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/**
 * unix_peer - who connected
 * @sock: connected socket
 * @peer: filled; with nobody's number after a failure
 *
 * Return: 0 or -errno.
 */
int unix_peer(int sock, struct ucred *peer)
{
	socklen_t length = sizeof(*peer);

	memset(peer, 0, sizeof(*peer));
	peer->uid = (uid_t)-1;
	return getsockopt(sock, SOL_SOCKET, SO_PEERCRED, peer, &length) < 0 ?
		       -errno :
		       0;
}

/**
 * unix_trusted - is the process at the other end ours, or root's
 * @sock: connected socket
 * @pid: filled with its number
 *
 * Return: whether it is.
 */
bool unix_trusted(int sock, pid_t *pid)
{
	struct ucred peer;

	if (unix_peer(sock, &peer))
		return false;
	*pid = peer.pid;
	return peer.uid == geteuid() || peer.uid == 0;
}

union unix_control {
	char bytes[CMSG_SPACE(sizeof(int) * UNIX_MAX_FDS)];
	struct cmsghdr align;
};

/**
 * unix_send - send bytes and descriptors as one message, and wait for nobody
 * @sock: socket
 * @data: bytes
 * @length: of @data
 * @fds: descriptors
 * @nfds: at most UNIX_MAX_FDS
 *
 * Return: bytes sent or -errno.
 */
ssize_t unix_send(int sock, const void *data, size_t length, const int *fds,
		  unsigned int nfds)
{
	struct iovec iov = { .iov_base = (void *)data, .iov_len = length };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	union unix_control control;
	struct cmsghdr *cmsg;
	ssize_t n;

	if (nfds > UNIX_MAX_FDS)
		return -EINVAL;
	if (nfds) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * nfds);
	}
	n = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	return n < 0 ? -errno : n;
}

static ssize_t receive(int sock, void *data, size_t length, int *fds,
		       unsigned int *nfds, int flags)
{
	struct iovec iov = { .iov_base = data, .iov_len = length };
	union unix_control control;
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *cmsg;
	ssize_t n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | flags);

	*nfds = 0;
	if (n < 0)
		return -errno;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg && cmsg->cmsg_level == SOL_SOCKET &&
	    cmsg->cmsg_type == SCM_RIGHTS) {
		*nfds = (unsigned int)((cmsg->cmsg_len - CMSG_LEN(0)) /
				       sizeof(int));
		memcpy(fds, CMSG_DATA(cmsg), *nfds * sizeof(int));
	}
	return n;
}

/**
 * unix_recv - receive one message with its descriptors
 * @sock: socket
 * @data: filled
 * @length: of @data
 * @fds: filled, room for UNIX_MAX_FDS
 * @nfds: filled
 *
 * Return: bytes received, 0 at the end, or -errno.
 */
ssize_t unix_recv(int sock, void *data, size_t length, int *fds,
		  unsigned int *nfds)
{
	return receive(sock, data, length, fds, nfds, 0);
}

/**
 * unix_recv_now - as unix_recv(), but wait for nobody
 * @sock: socket
 * @data: filled
 * @length: of @data
 * @fds: filled, room for UNIX_MAX_FDS
 * @nfds: filled
 *
 * Return: bytes received, 0 at the end, or -errno.
 */
ssize_t unix_recv_now(int sock, void *data, size_t length, int *fds,
		      unsigned int *nfds)
{
	return receive(sock, data, length, fds, nfds, MSG_DONTWAIT);
}
