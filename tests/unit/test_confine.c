/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Confinement: what a worker has given up, and that what is left is enough to
 * serve. Each test is a child that is confined as a worker is, since there is no
 * way back.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/capability.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rumpk/broker.h"
#include "rumpk/confine.h"
#include "rumpk/hal.h"
#include "rumpk/oplog.h"
#include "rumpk/unix.h"
#include "rumpk/uring.h"
#include "rumpk/util.h"

#define BYTES (1u << 20)
/* What it does is counted by user: an unusual one, so that no other test suffers. */
#define LONELY_UID 54321u
#define USUAL_DESCRIPTORS 1024u

static char dir[] = "/dev/shm/rumpk-unit-XXXXXX";
static char image[64];
static char listener[64];
static char datagrams[64];
static int listening;

/* In the child: says what is wrong, and where, and ends it. */
#define must(condition)                                                        \
	do {                                                                   \
		if (!(condition)) {                                            \
			dprintf(2, "%s:%d: %s: %s\n", __func__, __LINE__,      \
				#condition, strerror(errno));                  \
			_exit(1);                                              \
		}                                                              \
	} while (0)

#define denied(call) must((call) == -1 && errno == EPERM)

static void in_child(void (*body)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		alarm(30);
		body();
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static bool confine_all(void)
{
	bool no_landlock;

	must(confine_files(&no_landlock) == 0);
	must(confine_calls() == 0);
	return !no_landlock;
}

static void names_nothing(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM, 0);
	struct stat st;

	strcpy(addr.sun_path, listener);
	confine_all();
	denied(syscall(SYS_stat, image, &st));
	denied(syscall(SYS_newfstatat, AT_FDCWD, image, &st, AT_EMPTY_PATH));
	denied(syscall(SYS_statx, AT_FDCWD, image, AT_EMPTY_PATH, 0, &st));
	denied(syscall(SYS_openat, AT_FDCWD, image, O_RDONLY));
	denied(syscall(SYS_open, image, O_RDONLY));
	denied(syscall(SYS_openat2, AT_FDCWD, image, NULL, 0));
	denied(unlink(image));
	denied(rename(image, listener));
	denied(access(image, R_OK));
	denied(mkdir(dir, 0700));
	denied(socket(AF_UNIX, SOCK_STREAM, 0));
	denied(socket(AF_INET, SOCK_STREAM, 0));
	denied(connect(sock, (struct sockaddr *)&addr, sizeof(addr)));
	denied(bind(sock, (struct sockaddr *)&addr, sizeof(addr)));
	denied(listen(sock, 1));
}

static void denied_pair(int type)
{
	int pair[2];

	denied(socketpair(AF_UNIX, type, 0, pair));
	denied(socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
}

static int named_socket(const struct sockaddr_un *addr, size_t name)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	socklen_t length = offsetof(struct sockaddr_un, sun_path) + name;

	must(fd >= 0 && bind(fd, (const struct sockaddr *)addr, length) == 0);
	return fd;
}

/* Is what it says heard at @fd, which a confined process may name by @addr? */
static void reach(int sock, int fd, struct sockaddr_un *addr, size_t name)
{
	struct iovec iov = { addr, 1 };
	struct msghdr msg = {
		.msg_name = addr,
		.msg_namelen = offsetof(struct sockaddr_un, sun_path) + name,
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	char byte;

	denied(sendto(sock, "x", 1, 0, msg.msg_name, msg.msg_namelen));
	sendmsg(sock, &msg, MSG_DONTWAIT);
	must(recv(fd, &byte, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN);
}

/* Datagrams go to whom they name, and a pair is not asked whom it may name. */
static void sends_to_no_name(void)
{
	struct sockaddr_un addr[2] = { { .sun_family = AF_UNIX },
				       { .sun_family = AF_UNIX } };
	const int type[] = { SOCK_STREAM, SOCK_SEQPACKET };
	size_t name[2];
	int pair[2][2];
	int fd[2];
	int i;

	name[0] = 1 + (size_t)snprintf(addr[0].sun_path,
				       sizeof(addr[0].sun_path), "%s", datagrams);
	name[1] = 1 + (size_t)snprintf(addr[1].sun_path + 1,
				       sizeof(addr[1].sun_path) - 1, "%s", dir);
	for (i = 0; i < 2; i++) {
		fd[i] = named_socket(&addr[i], name[i]);
		must(socketpair(AF_UNIX, type[i], 0, pair[i]) == 0);
	}
	confine_all();
	denied_pair(SOCK_DGRAM);
	denied_pair(SOCK_RAW);
	denied_pair(SOCK_SEQPACKET);
	for (i = 0; i < 2; i++) {
		reach(pair[i][0], fd[0], &addr[0], name[0]);
		reach(pair[i][0], fd[1], &addr[1], name[1]);
	}
}

static void becomes_nothing_else(void)
{
	char *argv[] = { "true", NULL };
	int fd = open(image, O_RDWR);
	struct flock fl = { .l_type = F_UNLCK, .l_len = 1 };
	struct iovec iov = { argv, sizeof(argv) };

	confine_all();
	denied(execve("/bin/true", argv, NULL));
	denied(syscall(SYS_execveat, fd, "", argv, NULL, AT_EMPTY_PATH));
	denied(syscall(SYS_fork));
	denied(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
	denied(syscall(SYS_clone, CLONE_VM | SIGCHLD, 0, 0, 0, 0));
	must(syscall(SYS_clone3, NULL, 0) == -1 && errno == ENOSYS);
	denied(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
	denied(process_vm_readv(getppid(), &iov, 1, &iov, 1, 0));
	denied(kill(getppid(), 0));
	denied(syscall(SYS_tgkill, getppid(), getppid(), 0));
	denied(setuid(0));
	denied(syscall(SYS_unshare, 0));
	denied(prctl(PR_SET_PDEATHSIG, 0));
	/* The fence is not its to open. */
	denied(flock(fd, LOCK_UN));
	denied(fcntl(fd, F_OFD_SETLK, &fl));
	/* Who shares the description goes by its flags. */
	denied(fcntl(fd, F_SETFL, 0));
	denied(fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK));
	denied(ioctl(fd, FIONBIO, argv));
	denied(mprotect(NULL, 4096, PROT_READ | PROT_EXEC));
	must(mmap(NULL, 4096, PROT_READ | PROT_EXEC,
		  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
	     errno == EPERM);
	denied(syscall(SYS_io_uring_setup, 1, NULL));
	denied(syscall(SYS_io_uring_register, -1, 0, NULL, 0));
}

static int ring_result(struct io_uring *ring, struct io_uring_sqe *sqe)
{
	struct io_uring_cqe *cqe;
	int res;

	(void)sqe;
	must(io_uring_submit(ring) == 1);
	must(io_uring_wait_cqe(ring, &cqe) == 0);
	res = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return res;
}

static void ring_names_nothing(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM, 0);
	int fd = open(image, O_RDWR);
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	char byte = 'x';
	struct iovec iov = { &byte, 1 };

	strcpy(addr.sun_path, listener);
	must(uring_open(&ring, 8) == 0);
	confine_all();
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_openat(sqe, AT_FDCWD, image, O_RDONLY, 0);
	must(ring_result(&ring, sqe) == -EACCES);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_connect(sqe, sock, (struct sockaddr *)&addr, sizeof(addr));
	must(ring_result(&ring, sqe) == -EACCES);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_rw(IORING_OP_SOCKET, sqe, AF_UNIX, NULL, 0, SOCK_STREAM);
	must(ring_result(&ring, sqe) == -EACCES);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_unlink(sqe, image, 0);
	must(ring_result(&ring, sqe) == -EACCES);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_send(sqe, sock, &byte, 1, 0);
	must(ring_result(&ring, sqe) == -EACCES);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_writev(sqe, fd, &iov, 1, 0);
	must(ring_result(&ring, sqe) == 1);
}

static bool landlock_there(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= 1;
}

/* Without seccomp: each layer holds by itself. */
static void landlock_alone(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct caps[2];
	bool no_landlock;
	int fd = open(image, O_RDWR);
	char byte;

	must(confine_files(&no_landlock) == 0);
	must(!no_landlock);
	must(open(image, O_RDONLY) == -1 && errno == EACCES);
	must(open("/dev/null", O_WRONLY) == -1 && errno == EACCES);
	must(unlink(image) == -1 && errno == EACCES);
	must(execl("/bin/true", "true", NULL) == -1 && errno == EACCES);
	must(pread(fd, &byte, 1, 0) == 1);
	must(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	must(syscall(SYS_capget, &header, caps) == 0);
	must(!caps[0].effective && !caps[0].permitted && !caps[1].effective);
}

static bool io_done;

static void on_done(struct hal_io *io)
{
	(void)io;
	io_done = true;
}

static int run(struct hal *hal, enum hal_op op, bool durable, void *buf,
	       uint64_t at)
{
	struct iovec iov = { buf, 4096 };
	struct hal_io io = {
		.op = op,
		.durable = durable,
		.unmap = op == HAL_ZERO && durable,
		.iov = &iov,
		.niov = 1,
		.offset = at,
		.length = 4096,
		.done = on_done,
	};

	io_done = false;
	hal_submit(hal, &io);
	while (!io_done) {
		hal_kick(hal);
		hal_poll(hal);
	}
	return io.error;
}

static void serve_disk(struct hal *hal)
{
	static uint8_t out[4096];
	static uint8_t in[4096];

	memset(out, 0x5a, sizeof(out));
	must(run(hal, HAL_WRITE, false, out, 8192) == 0);
	must(run(hal, HAL_WRITE, true, out, 4096) == 0);
	must(run(hal, HAL_SYNC, false, out, 0) == 0);
	must(run(hal, HAL_READ, false, in, 4096) == 0);
	must(memcmp(in, out, sizeof(in)) == 0);
	must(run(hal, HAL_ZERO, false, out, 4096) == 0);
	must(run(hal, HAL_ZERO, true, out, 8192) == 0);
	must(run(hal, HAL_DISCARD, false, out, 12288) == 0);
	must(run(hal, HAL_READ, false, in, 8192) == 0);
	must(in[0] == 0 && in[4095] == 0);
	must(hal_resize(hal) == 0);
	must(hal_sync(hal) == 0);
}

/* On a disk io_uring does the work, on tmpfs this thread. */
static struct hal *open_image(const char *path)
{
	struct hal_file_options opt = { .path = path, .block = 512 };
	struct hal *hal;
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	must(fd >= 0 && ftruncate(fd, BYTES) == 0);
	close(fd);
	hal = hal_file_open(&opt);
	must(hal && hal_start(hal, 16) == 0);
	return hal;
}

static void serves_disks(void)
{
	char path[] = "/var/tmp/rumpk-unit-XXXXXX";
	const uint8_t uuid[16] = { 0 };
	struct hal *disk[3];
	int mem = -1;
	int i;

	close(mkstemp(path));
	disk[0] = open_image(image);
	disk[1] = open_image(path);
	unlink(path);
	must(hal_mem_create(BYTES, &mem) == 0);
	disk[2] = hal_mem_open(mem, BYTES, false, 512, uuid);
	confine_all();
	for (i = 0; i < 3; i++) {
		serve_disk(disk[i]);
		hal_close(disk[i]);
	}
}

/* What did not fit is taken back here as well. */
static void ends_its_log_whole(void)
{
	const struct rlimit small = { sizeof(struct oplog_record) + 1000,
				      RLIM_INFINITY };
	int log = memfd_create("oplog", MFD_CLOEXEC);
	const uint8_t uuid[16] = { 0 };
	uint8_t data[4096] = { 0 };
	uint64_t end = 0;
	struct hal *hal;
	int mem = -1;

	must(fcntl(log, F_SETFL, O_APPEND) == 0);
	must(hal_mem_create(BYTES, &mem) == 0);
	hal = hal_log_open(hal_mem_open(mem, BYTES, false, 512, uuid), log, 0,
			   &end);
	must(hal && hal_start(hal, 16) == 0);
	must(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	must(setrlimit(RLIMIT_FSIZE, &small) == 0);
	confine_all();
	must(run(hal, HAL_WRITE, false, data, 0) == 0);
	must(end == OPLOG_ENDED);
	must(lseek(log, 0, SEEK_END) == sizeof(struct oplog_record));
}

/* Once it hears the word: hands a descriptor over, and says that it could. */
static void __attribute__((noreturn)) hand_over(int sock)
{
	int pair[2];
	char byte;

	must(read(sock, &byte, 1) == 1);
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	must(unix_send(pair[0], "x", 1, &sock, 1) == 1);
	must(write(sock, "y", 1) == 1);
	_exit(0);
}

/* Puts as many descriptors on their way, to nobody, as it can. */
static void park_descriptors(int sock)
{
	int fds[UNIX_MAX_FDS];
	unsigned int i;
	ssize_t n = 1;

	for (i = 0; i < UNIX_MAX_FDS; i++)
		fds[i] = sock;
	for (i = 0; i < 100 && n == 1; i++)
		n = unix_send(sock, "x", 1, fds, UNIX_MAX_FDS);
	must(n == -ETOOMANYREFS);
}

static void leaves_descriptors(void)
{
	struct rlimit limit = { USUAL_DESCRIPTORS, USUAL_DESCRIPTORS };
	int pair[2];
	int ask[2];
	char byte;

	must(geteuid() != 0 || setuid(LONELY_UID) == 0);
	must(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, ask) == 0);
	if (fork() == 0) {
		close(ask[0]);
		hand_over(ask[1]);
	}
	close(ask[1]);
	confine_all();
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	park_descriptors(pair[0]);
	must(write(ask[0], "x", 1) == 1);
	must(read(ask[0], &byte, 1) == 1);
	denied(setrlimit(RLIMIT_NOFILE, &limit));
}

static void nothing(int signal)
{
	(void)signal;
}

/* What the loop does beside disks, and a device that is connected to again. */
static void serves_the_rest(void)
{
	struct sigaction action = { .sa_handler = nothing };
	uint64_t one = 1;
	int pair[2];
	int bell = eventfd(0, EFD_NONBLOCK);
	int fd;

	must(write(bell, &one, 8) == 8);
	confine_all();
	must(preadv2(bell, &(struct iovec){ &one, 8 }, 1, -1, RWF_NOWAIT) == 8);
	fd = memfd_create("rings", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	must(fd >= 0 && ftruncate(fd, 8192) == 0);
	must(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
	must(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) !=
	     MAP_FAILED);
	must(eventfd(0, EFD_CLOEXEC) >= 0);
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	must(unix_send(pair[0], &one, 8, &fd, 1) == 8);
	must(recv(pair[1], &one, 8, MSG_DONTWAIT) == 8);
	must(sigaction(SIGALRM, &action, NULL) == 0);
	must(raise(SIGALRM) == 0);
	must(usleep(10) == 0);
	free(malloc(10 << 20));
}

static int thread_runs;

/* A thread is confined with the others, whenever it began. */
static void *open_later(void *arg)
{
	int *bell = arg;
	uint64_t n;

	__atomic_store_n(&thread_runs, 1, __ATOMIC_RELEASE);
	must(read(*bell, &n, 8) == 8);
	denied(open(image, O_RDONLY));
	return NULL;
}

static void threads_too(void)
{
	int bell = eventfd(0, 0);
	uint64_t one = 1;
	pthread_t thread;

	must(pthread_create(&thread, NULL, open_later, &bell) == 0);
	while (!__atomic_load_n(&thread_runs, __ATOMIC_ACQUIRE))
		sched_yield();
	confine_all();
	must(write(bell, &one, 8) == 8);
	must(pthread_join(thread, NULL) == 0);
	/* So is one that comes later. */
	must(pthread_create(&thread, NULL, open_later, &bell) == 0);
	must(write(bell, &one, 8) == 8);
	must(pthread_join(thread, NULL) == 0);
}

static int ask(struct broker_link *l, uint32_t index)
{
	int fd;

	while ((fd = broker_ask(l, index, BROKER_CONNECT, NULL)) == -EINPROGRESS)
		usleep(100);
	return fd;
}

/* What no worker of ours would ask. */
static void ask_nonsense(int sock, uint32_t index, uint32_t what)
{
	const struct broker_question q = { 99, index, what };
	struct broker_reply reply;

	must(send(sock, &q, sizeof(q), 0) == sizeof(q));
	while (recv(sock, &reply, sizeof(reply), 0) < 0)
		must(errno == EAGAIN);
	must(reply.serial == 99 && reply.result == -ENOENT);
}

/* The broker connects to what is on the command line, and to nothing else. */
static void broker_serves(void)
{
	struct broker b = { .path = { [3] = listener, [4] = image } };
	struct broker_link l;
	int pair[2];
	pid_t pid;
	int fd;

	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair) == 0);
	pid = fork();
	if (pid == 0) {
		confine_all();
		broker_link_init(&l, pair[1]);
		must(ask(&l, 0) == -ENOENT);
		ask_nonsense(pair[1], BROKER_PATHS, BROKER_CONNECT);
		ask_nonsense(pair[1], ~0u, BROKER_CONNECT);
		ask_nonsense(pair[1], ~0u, BROKER_OPEN);
		must(ask(&l, 4) == -ECONNREFUSED);
		fd = ask(&l, 3);
		must(fd >= 0 && write(fd, "hello", 5) == 5);
		/* Nonsense is not answered, and does no harm. */
		must(send(pair[1], "x", 1, 0) == 1);
		must(ask(&l, 3) >= 0);
		_exit(0);
	}
	close(pair[1]);
	for (;;) {
		struct pollfd p = { .fd = pair[0], .events = POLLIN };
		char c;

		must(poll(&p, 1, 20000) == 1);
		if (recv(pair[0], &c, 1, MSG_PEEK) <= 0)
			break;
		broker_answer(&b, pair[0]);
	}
	must(waitpid(pid, &fd, 0) == pid && fd == 0);
	fd = accept(listening, NULL, NULL);
	must(read(fd, image, 5) == 5 && memcmp(image, "hello", 5) == 0);
}

/*
 * A supervisor that says nothing is not waited for; what it says late is an answer all
 * the same, and not to something else.
 */
static void broker_late(void)
{
	struct broker b = { .path = { [3] = listener } };
	struct broker_link l;
	int pair[2];

	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair) == 0);
	broker_link_init(&l, pair[1]);
	must(broker_ask(&l, 3, BROKER_CONNECT, NULL) == -EINPROGRESS);
	must(broker_ask(&l, 0, BROKER_CONNECT, NULL) == -EINPROGRESS);
	must(broker_ask(&l, 3, BROKER_CONNECT, NULL) == -EINPROGRESS);
	broker_answer(&b, pair[0]);
	broker_answer(&b, pair[0]);
	/* Each question was sent once. */
	broker_answer(&b, pair[0]);
	must(broker_ask(&l, 0, BROKER_CONNECT, NULL) == -ENOENT);
	must(broker_ask(&l, 3, BROKER_CONNECT, NULL) >= 0);
	must(broker_ask(&l, 3, BROKER_CONNECT, NULL) == -EINPROGRESS);
	broker_answer(&b, pair[0]);
	close(pair[0]);
	must(broker_ask(&l, 3, BROKER_CONNECT, NULL) == -EPIPE);
}

#define CONFINE_TEST(body)                                                     \
	static void confined_##body(void **state)                              \
	{                                                                      \
		(void)state;                                                   \
		in_child(body);                                                \
	}

CONFINE_TEST(names_nothing)
CONFINE_TEST(sends_to_no_name)
CONFINE_TEST(becomes_nothing_else)
CONFINE_TEST(ring_names_nothing)
CONFINE_TEST(leaves_descriptors)
CONFINE_TEST(serves_disks)
CONFINE_TEST(ends_its_log_whole)
CONFINE_TEST(serves_the_rest)
CONFINE_TEST(threads_too)
CONFINE_TEST(broker_serves)
CONFINE_TEST(broker_late)

static void confined_by_landlock_alone(void **state)
{
	(void)state;
	if (!landlock_there())
		skip();
	in_child(landlock_alone);
}

static int setup(void **state)
{
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(image, sizeof(image), "%s/image", dir);
	snprintf(listener, sizeof(listener), "%s/socket", dir);
	fd = open(image, O_RDWR | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, BYTES), 0);
	close(fd);
	snprintf(datagrams, sizeof(datagrams), "%s/datagrams", dir);
	listening = unix_listen(listener, SOCK_STREAM);
	return listening >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	close(listening);
	unlink(image);
	unlink(listener);
	unlink(datagrams);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(confined_names_nothing),
		cmocka_unit_test(confined_sends_to_no_name),
		cmocka_unit_test(confined_becomes_nothing_else),
		cmocka_unit_test(confined_ring_names_nothing),
		cmocka_unit_test(confined_by_landlock_alone),
		cmocka_unit_test(confined_leaves_descriptors),
		cmocka_unit_test(confined_serves_disks),
		cmocka_unit_test(confined_ends_its_log_whole),
		cmocka_unit_test(confined_serves_the_rest),
		cmocka_unit_test(confined_threads_too),
		cmocka_unit_test(confined_broker_serves),
		cmocka_unit_test(confined_broker_late),
	};

	return cmocka_run_group_tests_name("confine", tests, setup, teardown);
}
