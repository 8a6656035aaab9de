/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The keeper's own process. See keeper_link.c for the other end.
 */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keeper_msg.h"
#include "shed.h"
#include "unix.h"
#include "util.h"

/**
 * struct keeper - the process
 * @spec: what it holds
 * @server: what it tells a QEMU
 * @guest: the QEMU
 * @rumpk: connection of the rumpk; -1: none
 * @rumpk_pid: of the rumpk
 * @news: KEEPER_GUEST_* not yet told
 */
struct keeper {
	const struct keeper_spec *spec;
	struct ivshmem_server server;
	struct ivshmem_client guest;
	int rumpk;
	pid_t rumpk_pid;
	uint32_t news;
};

/*
 * The paths go before the descriptors, rumpk's last: who can still connect to
 * it finds, when the connection ends, that nothing is left to be removed.
 */
static void __attribute__((noreturn)) keeper_end(const struct keeper *k)
{
	unsigned int i;

	for (i = 0; i < k->spec->nunlink; i++)
		unlink(k->spec->unlink[i]);
	_exit(0);
}

static void keeper_lose_guest(struct keeper *k)
{
	close_fd(&k->guest.fd);
	k->news |= KEEPER_GUEST_LEFT;
	/* Came and left before anybody was told: left is what counts. */
	k->news &= ~KEEPER_GUEST_CAME;
}

static void keeper_tell_guest(struct keeper *k)
{
	if (ivshmem_tell(&k->server, &k->guest))
		keeper_lose_guest(k);
}

static void keeper_accept_guest(struct keeper *k)
{
	int fd = accept4(k->spec->listen_guest, NULL, NULL,
			 SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (k->guest.fd >= 0) {
		close(fd);
		k->news |= KEEPER_GUEST_REFUSED;
		return;
	}
	k->guest.fd = fd;
	k->guest.next = 0;
	k->news |= KEEPER_GUEST_CAME;
	keeper_tell_guest(k);
}

/* A client has nothing to say: whatever is readable is its end. */
static void keeper_on_guest(struct keeper *k, short events)
{
	if (events & (POLLIN | POLLHUP | POLLERR))
		keeper_lose_guest(k);
	else if (events & POLLOUT)
		keeper_tell_guest(k);
}

static void keeper_on_rumpk(struct keeper *k, short events)
{
	ssize_t n;

	if (events & (POLLIN | POLLHUP | POLLERR)) {
		if (k->guest.fd < 0)
			keeper_end(k);
		close_fd(&k->rumpk);
		return;
	}
	n = unix_send(k->rumpk, &k->news, sizeof(k->news), NULL, 0);
	if (n > 0)
		k->news = 0;
}

static unsigned int keeper_gather(const struct keeper_fds *f, int *fds)
{
	unsigned int n = 0;
	unsigned int i;

	fds[n++] = f->window;
	fds[n++] = f->record;
	fds[n++] = f->authority;
	fds[n++] = f->ledger;
	memcpy(fds + n, f->host, f->nhost * sizeof(int));
	n += f->nhost;
	memcpy(fds + n, f->guest, f->nguest * sizeof(int));
	n += f->nguest;
	memcpy(fds + n, f->mem, f->nmem * sizeof(int));
	n += f->nmem;
	for (i = 0; i < KEEPER_MAX_DISKS; i++)
		if (keeper_witness(f, i) >= 0)
			fds[n++] = f->witness[i];
	return n;
}

static void keeper_welcome(struct keeper *k, int fd, pid_t pid)
{
	const struct keeper_fds *f = k->spec->fds;
	struct keeper_hello hello = {
		.magic = KEEPER_MAGIC,
		.version = KEEPER_VERSION,
		.nhost = f->nhost,
		.nguest = f->nguest,
		.nmem = f->nmem,
		.witnesses = f->witnesses,
		.guest = k->guest.fd >= 0,
	};
	int fds[UNIX_MAX_FDS];

	if (unix_send(fd, &hello, sizeof(hello), fds, keeper_gather(f, fds)) < 0) {
		close(fd);
		return;
	}
	k->rumpk = fd;
	k->rumpk_pid = pid;
	k->news = 0;
}

static void keeper_accept_rumpk(struct keeper *k)
{
	struct keeper_hello busy = {
		.magic = KEEPER_MAGIC,
		.version = KEEPER_VERSION,
	};
	pid_t pid;
	int fd = accept4(k->spec->listen_rumpk, NULL, NULL,
			 SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (!unix_trusted(fd, &pid)) {
		close(fd);
	} else if (k->rumpk >= 0) {
		busy.holder = k->rumpk_pid;
		unix_send(fd, &busy, sizeof(busy), NULL, 0);
		close(fd);
	} else {
		keeper_welcome(k, fd, pid);
	}
}

/* Ends are looked at before beginnings: who comes again is let in. */
static void keeper_round(struct keeper *k)
{
	bool telling = k->guest.fd >= 0 && !ivshmem_told(&k->server, &k->guest);
	struct pollfd p[] = {
		{ k->rumpk, POLLIN | (k->news ? POLLOUT : 0), 0 },
		{ k->guest.fd, POLLIN | (telling ? POLLOUT : 0), 0 },
		{ k->spec->listen_rumpk, POLLIN, 0 },
		{ k->spec->listen_guest, POLLIN, 0 },
	};

	if (poll(p, ARRAY_SIZE(p), -1) <= 0)
		return;
	if (p[0].revents)
		keeper_on_rumpk(k, p[0].revents);
	if (p[1].revents)
		keeper_on_guest(k, p[1].revents);
	if (p[2].revents)
		keeper_accept_rumpk(k);
	if (p[3].revents)
		keeper_accept_guest(k);
}

/*
 * Let go of everything else: an image's lock held here would outlive its holder, and a
 * pipe that somebody reads until its end would never end.
 */
static void keeper_shed(struct keeper *k)
{
	int keep[UNIX_MAX_FDS + 3];
	unsigned int n = keeper_gather(k->spec->fds, keep);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	keep[n++] = k->spec->listen_guest;
	keep[n++] = k->spec->listen_rumpk;
	keep[n++] = k->rumpk;
	close_all_but(keep, n);
}

/* Not stopped by what stops a terminal's or a service's other processes. */
static void keeper_detach(void)
{
	sigset_t none;

	setsid();
	if (chdir("/") < 0)
		_exit(1);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	/* A service manager ends all at once; rumpk's end is what counts. */
	signal(SIGTERM, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_NAME, "ion-keeper");
}

static void keeper_main(const struct keeper_spec *spec, int rumpk, pid_t pid)
{
	struct keeper k = {
		.spec = spec,
		.server = {
			.window = spec->fds->window,
			.host = spec->fds->host,
			.nhost = spec->fds->nhost,
			.guest = spec->fds->guest,
			.nguest = spec->fds->nguest,
		},
		.guest = { .fd = -1 },
		.rumpk = rumpk,
		.rumpk_pid = pid,
	};

	keeper_detach();
	keeper_shed(&k);
	while (k.rumpk >= 0 || k.guest.fd >= 0)
		keeper_round(&k);
	keeper_end(&k);
}

/**
 * keeper_spawn - start a keeper and attach to it
 * @spec: what it is to hold; the caller's descriptors remain the caller's
 * @link: filled on success
 *
 * Return: 0 or -errno.
 */
int keeper_spawn(const struct keeper_spec *spec, struct keeper_link *link)
{
	pid_t self = getpid();
	int pair[2];
	pid_t pid;
	int err;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
		       0, pair) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		err = -errno;
		close(pair[0]);
		close(pair[1]);
		return err;
	}
	if (pid == 0)
		keeper_main(spec, pair[1], self);
	close(pair[1]);
	link->fd = pair[0];
	link->guest = false;
	return 0;
}
