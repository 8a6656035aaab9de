/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ivshmem server's messages, and the keeper that sends them: guests that
 * leave half-way, come twice or read nothing, and rumpks that come and go.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rumpk/ivshmem.h"
#include "rumpk/keeper.h"
#include "rumpk/unix.h"
#include "rumpk/util.h"

#define NHOST 3u
#define NGUEST 4u

struct place_of_test {
	char dir[64];
	char guest[80];
	char rumpk[96];
	struct keeper_fds fds;
	struct keeper_link link;
};

static void make_fds(struct keeper_fds *f)
{
	unsigned int i;

	memset(f, 0, sizeof(*f));
	f->window = memfd_create("w", MFD_CLOEXEC);
	assert_int_equal(ftruncate(f->window, 1 << 20), 0);
	f->record = memfd_create("r", MFD_CLOEXEC);
	f->authority = memfd_create("a", MFD_CLOEXEC);
	f->ledger = memfd_create("l", MFD_CLOEXEC);
	f->nhost = NHOST;
	f->nguest = NGUEST;
	f->nmem = 1;
	f->mem[0] = memfd_create("m", MFD_CLOEXEC);
	for (i = 0; i < NHOST; i++)
		f->host[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (i = 0; i < NGUEST; i++)
		f->guest[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

static void server_of(const struct keeper_fds *f, struct ivshmem_server *s)
{
	s->window = f->window;
	s->host = f->host;
	s->nhost = f->nhost;
	s->guest = f->guest;
	s->nguest = f->nguest;
}

static void message_order(void **state)
{
	struct ivshmem_server srv;
	struct keeper_fds f;
	int64_t value;
	unsigned int i;
	int fd;

	make_fds(&f);
	server_of(&f, &srv);
	assert_int_equal(ivshmem_messages(&srv), 3 + NHOST + NGUEST);
	ivshmem_message(&srv, 0, &value, &fd);
	assert_true(value == 0 && fd == -1);
	ivshmem_message(&srv, 1, &value, &fd);
	assert_true(value == IVSHMEM_GUEST_PEER && fd == -1);
	ivshmem_message(&srv, 2, &value, &fd);
	assert_true(value == -1 && fd == f.window);
	for (i = 0; i < NHOST; i++) {
		ivshmem_message(&srv, 3 + i, &value, &fd);
		assert_true(value == IVSHMEM_HOST_PEER && fd == f.host[i]);
	}
	for (i = 0; i < NGUEST; i++) {
		ivshmem_message(&srv, 3 + NHOST + i, &value, &fd);
		assert_true(value == IVSHMEM_GUEST_PEER && fd == f.guest[i]);
	}
	keeper_close_fds(&f);
}

/* A client with a tiny buffer that reads late gets everything, in order. */
static void slow_client(void **state)
{
	struct ivshmem_client c = { .next = 0 };
	struct ivshmem_server srv;
	struct keeper_fds f;
	int got[UNIX_MAX_FDS];
	unsigned int nfds;
	unsigned int n = 0;
	unsigned int blocked = 0;
	int size = 1;
	int64_t value;
	int pair[2];

	make_fds(&f);
	server_of(&f, &srv);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair),
			 0);
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	c.fd = pair[0];
	while (n < ivshmem_messages(&srv)) {
		assert_int_equal(ivshmem_tell(&srv, &c), 0);
		blocked += !ivshmem_told(&srv, &c);
		assert_int_equal(unix_recv(pair[1], &value, sizeof(value), got,
					   &nfds),
				 sizeof(value));
		assert_int_equal(nfds, n >= 2);
		if (nfds)
			close(got[0]);
		n++;
	}
	assert_true(blocked > 0);
	assert_true(ivshmem_told(&srv, &c));
	close(pair[0]);
	close(pair[1]);
	keeper_close_fds(&f);
}

static void lost_client(void **state)
{
	struct ivshmem_client c = { .next = 0 };
	struct ivshmem_server srv;
	struct keeper_fds f;
	int pair[2];

	make_fds(&f);
	server_of(&f, &srv);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair),
			 0);
	close(pair[1]);
	c.fd = pair[0];
	assert_int_equal(ivshmem_tell(&srv, &c), -EPIPE);
	close(pair[0]);
	keeper_close_fds(&f);
}

static int keeper_setup(void **state)
{
	struct place_of_test *p = calloc(1, sizeof(*p));
	struct keeper_spec spec = { 0 };

	strcpy(p->dir, "/tmp/rumpk-unit-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->guest, sizeof(p->guest), "%s/s", p->dir);
	snprintf(p->rumpk, sizeof(p->rumpk), "%s.keeper", p->guest);
	make_fds(&p->fds);
	spec.listen_guest = unix_listen(p->guest, SOCK_STREAM);
	spec.listen_rumpk = unix_listen(p->rumpk, SOCK_SEQPACKET);
	assert_true(spec.listen_guest >= 0 && spec.listen_rumpk >= 0);
	spec.fds = &p->fds;
	spec.unlink[0] = p->guest;
	spec.unlink[1] = p->rumpk;
	spec.nunlink = 2;
	assert_int_equal(keeper_spawn(&spec, &p->link), 0);
	close(spec.listen_guest);
	close(spec.listen_rumpk);
	*state = p;
	return 0;
}

/* Every test ends with a keeper that has gone and left nothing. */
static int keeper_teardown(void **state)
{
	struct place_of_test *p = *state;
	int status;

	keeper_leave(&p->link);
	if (wait(&status) < 0 || status)
		return -1;
	keeper_close_fds(&p->fds);
	if (access(p->guest, F_OK) == 0 || access(p->rumpk, F_OK) == 0 ||
	    rmdir(p->dir) < 0)
		return -1;
	free(p);
	return 0;
}

static unsigned int next_events(struct keeper_link *link)
{
	struct pollfd pfd = { .fd = link->fd, .events = POLLIN };
	unsigned int events = 0;

	assert_int_equal(poll(&pfd, 1, 2000), 1);
	assert_int_equal(keeper_events(link, &events), 0);
	return events;
}

static int guest_connect(const struct place_of_test *p)
{
	int fd = unix_connect(p->guest, SOCK_STREAM);

	assert_true(fd >= 0);
	return fd;
}

/* Read all that a guest is told; the number of messages until the end or NGUEST. */
static unsigned int guest_read(int fd, unsigned int most)
{
	int fds[UNIX_MAX_FDS];
	unsigned int nfds;
	unsigned int n;
	int64_t value;

	for (n = 0; n < most; n++) {
		if (unix_recv(fd, &value, sizeof(value), fds, &nfds) !=
		    sizeof(value))
			break;
		if (nfds)
			close(fds[0]);
	}
	return n;
}

static void keeper_serves_a_guest(void **state)
{
	struct place_of_test *p = *state;
	int fd = guest_connect(p);

	assert_int_equal(next_events(&p->link), KEEPER_GUEST_CAME);
	assert_int_equal(guest_read(fd, 3 + NHOST + NGUEST), 3 + NHOST + NGUEST);
	close(fd);
	assert_int_equal(next_events(&p->link), KEEPER_GUEST_LEFT);
}

static void keeper_refuses_a_second_guest(void **state)
{
	struct place_of_test *p = *state;
	int first = guest_connect(p);
	int second;

	assert_int_equal(next_events(&p->link), KEEPER_GUEST_CAME);
	second = guest_connect(p);
	assert_int_equal(next_events(&p->link), KEEPER_GUEST_REFUSED);
	assert_int_equal(guest_read(second, 1), 0);
	assert_int_equal(guest_read(first, 10), 10);
	close(second);
	close(first);
	assert_int_equal(next_events(&p->link), KEEPER_GUEST_LEFT);
}

static void keeper_survives_half_a_guest(void **state)
{
	struct place_of_test *p = *state;
	struct pollfd pfd = { .fd = p->link.fd, .events = POLLIN };
	unsigned int events = 0;
	int i;

	for (i = 0; i < 200; i++) {
		int fd = guest_connect(p);

		guest_read(fd, (unsigned int)i % 6);
		close(fd);
	}
	while (poll(&pfd, 1, 300) == 1)
		assert_int_equal(keeper_events(&p->link, &events), 0);
	assert_int_equal(events, KEEPER_GUEST_LEFT);
	keeper_serves_a_guest(state);
}

static void keeper_drops_a_talking_guest(void **state)
{
	struct place_of_test *p = *state;
	int fd = guest_connect(p);

	assert_int_equal(next_events(&p->link), KEEPER_GUEST_CAME);
	assert_int_equal(write(fd, "hello", 5), 5);
	assert_int_equal(next_events(&p->link), KEEPER_GUEST_LEFT);
	close(fd);
}

static bool same_file(int x, int y)
{
	struct stat a;
	struct stat b;

	assert_int_equal(fstat(x, &a), 0);
	assert_int_equal(fstat(y, &b), 0);
	return a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

static void keeper_takes_a_new_rumpk(void **state)
{
	struct place_of_test *p = *state;
	struct keeper_fds again;
	pid_t holder = 0;
	int fd = guest_connect(p);

	assert_int_equal(next_events(&p->link), KEEPER_GUEST_CAME);
	keeper_leave(&p->link);
	assert_int_equal(keeper_attach(p->rumpk, &p->link, &again, &holder), 0);
	assert_true(p->link.guest);
	assert_int_equal(again.nhost, NHOST);
	assert_int_equal(again.nguest, NGUEST);
	assert_int_equal(again.nmem, 1);
	assert_true(same_file(p->fds.window, again.window));
	assert_true(same_file(p->fds.record, again.record));
	assert_true(same_file(p->fds.authority, again.authority));
	assert_true(same_file(p->fds.ledger, again.ledger));
	assert_true(same_file(p->fds.mem[0], again.mem[0]));
	keeper_close_fds(&again);
	close(fd);
	assert_int_equal(next_events(&p->link), KEEPER_GUEST_LEFT);
}

static void keeper_takes_one_rumpk(void **state)
{
	struct place_of_test *p = *state;
	struct keeper_link second = { .fd = -1 };
	struct keeper_fds again;
	pid_t holder = 0;

	assert_int_equal(keeper_attach(p->rumpk, &second, &again, &holder),
			 -EBUSY);
	assert_int_equal(holder, getpid());
}

static void keeper_outlives_rumpk_not_the_guest(void **state)
{
	struct place_of_test *p = *state;
	int fd = guest_connect(p);
	int i;

	assert_int_equal(next_events(&p->link), KEEPER_GUEST_CAME);
	keeper_leave(&p->link);
	usleep(50000);
	assert_int_equal(access(p->guest, F_OK), 0);
	close(fd);
	for (i = 0; i < 200 && access(p->rumpk, F_OK) == 0; i++)
		usleep(10000);
	assert_int_not_equal(access(p->guest, F_OK), 0);
}

static void attach_without_keeper(void **state)
{
	char path[64] = "/tmp/rumpk-unit-none";
	struct keeper_link link = { .fd = -1 };
	struct keeper_fds fds;
	pid_t holder;
	int fd;

	assert_int_equal(keeper_attach(path, &link, &fds, &holder), -ENOENT);
	fd = unix_listen(path, SOCK_SEQPACKET);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(keeper_attach(path, &link, &fds, &holder),
			 -ECONNREFUSED);
	unlink(path);
}

#define with_keeper(f)                                                         \
	cmocka_unit_test_setup_teardown(f, keeper_setup, keeper_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message_order),
		cmocka_unit_test(slow_client),
		cmocka_unit_test(lost_client),
		with_keeper(keeper_serves_a_guest),
		with_keeper(keeper_refuses_a_second_guest),
		with_keeper(keeper_survives_half_a_guest),
		with_keeper(keeper_drops_a_talking_guest),
		with_keeper(keeper_takes_a_new_rumpk),
		with_keeper(keeper_takes_one_rumpk),
		with_keeper(keeper_outlives_rumpk_not_the_guest),
		cmocka_unit_test(attach_without_keeper),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
