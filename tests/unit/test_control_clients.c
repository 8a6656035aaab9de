/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Clients of a control socket, whose turns are run here; no worker ever looks, so a
 * command that waits for one does so for its full time:
 *
 *   crowd, operator --- control socket --- turns --- authority
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rumpk/control.h"
#include "rumpk/place.h"
#include "rumpk/unix.h"
#include "rumpk/util.h"

#define GREETING "{\"rumpk\":"
#define REOPEN "{\"execute\":\"reopen\",\"arguments\":{\"disk\":0}}\n"
#define GRANT                                                                  \
	"{\"execute\":\"grant\",\"arguments\":{\"disk\":0,\"cap\":\"r\"}}\n"
#define RESIZE                                                                 \
	"{\"execute\":\"resize\",\"arguments\":{\"disk\":0,\"size\":512}}\n"
#define CAPS "{\"execute\":\"caps\"}\n"
#define MOST_MS 30000

static char dir[64];
static char path[80];
static char image[] = "/image";
static struct options options;
static struct authority authority;
static struct ledger ledger;
static struct window_record record;
static struct control *control;
static struct control_now now;
static int stderr_fd;
static int log_fd;

/* The C library's are not used: these are what rumpk is linked with. */
static int connect_fails;

int connect(int fd, const struct sockaddr *addr, socklen_t length)
{
	if (connect_fails) {
		errno = connect_fails;
		return -1;
	}
	return (int)syscall(SYS_connect, fd, addr, length);
}

static int fork_fails;

pid_t fork(void)
{
	if (!fork_fails)
		return _Fork();
	errno = fork_fails;
	return -1;
}

/* As the supervisor does: asleep until something is due. */
static void turn(void)
{
	struct pollfd p = { .fd = control_fd(control), .events = POLLIN };
	int timeout = control_timeout(control);

	poll(&p, 1, timeout < 0 || timeout > 100 ? 100 : timeout);
	control_turn(control, &now);
}

static int come(void)
{
	int fd = unix_connect(path, SOCK_STREAM);

	assert_true(fd >= 0);
	return fd;
}

/* What @fd has been sent so far; "": nothing. */
static const char *heard(int fd)
{
	static char text[4096];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_PEEK);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static bool has_left(int fd)
{
	char text[4096];

	while (recv(fd, text, sizeof(text), MSG_DONTWAIT) > 0)
		;
	return recv(fd, text, 1, MSG_DONTWAIT) == 0;
}

static unsigned int wait_heard(int fd, const char *text)
{
	uint64_t until = now_ms() + MOST_MS;
	unsigned int turns = 0;

	while (!strstr(heard(fd), text)) {
		if (now_ms() > until)
			fail_msg("\"%s\" has not come", text);
		turn();
		turns++;
	}
	return turns;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL),
			 strlen(text));
}

static void fill_places(int *fd)
{
	unsigned int i;

	for (i = 0; i < CONTROL_CLIENTS; i++) {
		fd[i] = come();
		wait_heard(fd[i], GREETING);
	}
}

static void close_all(int *fd)
{
	unsigned int i;

	for (i = 0; i < CONTROL_CLIENTS; i++)
		close(fd[i]);
}

/* Who has just come is not made to go; a newcomer waits, and is not asked after. */
static void newcomer_waits_for_the_young(void **state)
{
	uint64_t from = now_ms();
	int fd[CONTROL_CLIENTS];
	unsigned int turns;
	int next;

	fill_places(fd);
	next = come();
	turns = wait_heard(next, GREETING);
	assert_true(now_ms() - from >= 900);
	assert_true(turns < 100);
	assert_true(has_left(fd[0]));
	assert_false(has_left(fd[1]));
	close(next);
	close_all(fd);
}

/* A place that comes free is taken at once. */
static void newcomer_follows_who_leaves(void **state)
{
	int fd[CONTROL_CLIENTS];
	unsigned int i;
	int next;

	fill_places(fd);
	next = come();
	turn();
	turn();
	close(fd[3]);
	fd[3] = next;
	wait_heard(next, GREETING);
	for (i = 0; i < CONTROL_CLIENTS; i++)
		assert_false(has_left(fd[i]));
	close_all(fd);
}

/* Commands that wait, and more behind them: they hold, their clients do not. */
static void busy_ones_make_room(void **state)
{
	int fd[CONTROL_CLIENTS];
	unsigned int i;
	uint64_t from;
	int next;

	fill_places(fd);
	for (i = 0; i < CONTROL_CLIENTS; i++) {
		say(fd[i], REOPEN REOPEN REOPEN);
		while (authority.reopened[0] < i + 1)
			turn();
	}
	from = now_ms();
	next = come();
	wait_heard(next, GREETING);
	say(next, CAPS);
	wait_heard(next, "\"return\"");
	assert_true(now_ms() - from < 8000);
	assert_true(has_left(fd[0]));
	assert_false(has_left(fd[CONTROL_CLIENTS - 1]));
	assert_int_equal(authority.reopened[0], CONTROL_CLIENTS);
	close(next);
	close_all(fd);
}

/* Comes without an end, and stays, goes, or asks for what takes its time. */
static void __attribute__((noreturn)) crowd(unsigned int which)
{
	int fd[4] = { -1, -1, -1, -1 };
	unsigned int i = which;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;; i++) {
		int *f = &fd[i % ARRAY_SIZE(fd)];

		close_fd(f);
		*f = unix_connect(path, SOCK_STREAM);
		if (*f >= 0 && i % 3 == 0)
			send(*f, REOPEN REOPEN, 2 * strlen(REOPEN), MSG_NOSIGNAL);
		if (i % 3 == 1)
			close_fd(f);
	}
}

static bool receive(int fd, const char *what)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char text[4096];
	ssize_t n;

	if (poll(&p, 1, MOST_MS) != 1)
		return false;
	n = recv(fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	return strstr(text, what) != NULL;
}

/* As rumpkctl does, by the hand of somebody who is slower than a crowd. */
static bool operate_once(void)
{
	int fd = unix_connect(path, SOCK_STREAM);
	bool answered = fd >= 0 && receive(fd, GREETING);

	usleep(200000);
	if (answered)
		send(fd, CAPS, strlen(CAPS), MSG_NOSIGNAL);
	answered = answered && receive(fd, "\"return\"");
	close_fd(&fd);
	return answered;
}

/* A machine that stands still for a second may cost it some attempts. */
static void __attribute__((noreturn)) operate(void)
{
	unsigned int answered = 0;
	unsigned int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (i = 0; i < 9 && answered < 3; i++)
		answered += operate_once();
	_exit(answered < 3);
}

static void crowd_keeps_no_operator_out(void **state)
{
	uint64_t until = now_ms() + 3 * MOST_MS;
	pid_t member[4];
	pid_t operator;
	unsigned int i;
	int status = -1;

	for (i = 0; i < ARRAY_SIZE(member); i++) {
		member[i] = fork();
		if (member[i] == 0)
			crowd(i);
	}
	for (i = 0; i < 200; i++)
		turn();
	operator= fork();
	if (operator== 0)
		operate();
	while (now_ms() < until && waitpid(operator, & status, WNOHANG) == 0)
		turn();
	for (i = 0; i < ARRAY_SIZE(member); i++) {
		assert_int_equal(waitpid(member[i], NULL, WNOHANG), 0);
		kill(member[i], SIGKILL);
		waitpid(member[i], NULL, 0);
	}
	assert_int_equal(status, 0);
}

static struct control *open_another(void)
{
	const struct control_cell cell = { .o = &options, .a = &authority };

	return control_open(path, &cell);
}

/* Somebody listens there, whose backlog is full: it is not waited for. */
static void full_backlog_is_in_use(void **state)
{
	int fd[64];
	unsigned int n = 0;

	do
		fd[n] = unix_connect(path, SOCK_STREAM | SOCK_NONBLOCK);
	while (fd[n] >= 0 && ++n < ARRAY_SIZE(fd));
	assert_true(n < ARRAY_SIZE(fd));
	alarm(MOST_MS / 1000);
	assert_int_equal(place_clear(path), -EADDRINUSE);
	assert_null(open_another());
	alarm(0);
	while (n > 0)
		close(fd[--n]);
}

/* Only who refuses to be connected to is dead; what cannot be told stays. */
static void doubt_removes_nothing(void **state)
{
	char other[96];
	struct stat st;
	int fd;

	snprintf(other, sizeof(other), "%s/d", dir);
	fd = unix_listen(other, SOCK_STREAM);
	close(fd);
	assert_int_equal(place_clear(other), 0);
	assert_int_equal(lstat(other, &st), -1);
	fd = unix_listen(other, SOCK_SEQPACKET);
	assert_int_equal(place_clear(other), -EADDRINUSE);
	close(fd);
	connect_fails = EACCES;
	assert_int_equal(place_clear(other), -EACCES);
	connect_fails = 0;
	assert_int_equal(lstat(other, &st), 0);
	unlink(other);
}

/* Whoever has the path by now keeps it. */
static void path_of_another_stays(void **state)
{
	struct control *first = control;
	struct stat st;

	assert_int_equal(unlink(path), 0);
	control = open_another();
	assert_non_null(control);
	control_close(first);
	assert_int_equal(lstat(path, &st), 0);
	control_close(control);
	control = NULL;
	assert_int_equal(lstat(path, &st), -1);
}

/* What is written on stderr from here on until log_lines(). */
static void log_begin(void)
{
	stderr_fd = dup(2);
	log_fd = memfd_create("log", 0);
	dup2(log_fd, 2);
}

/* So many lines with @text; those that were held back are added to @held. */
static unsigned int log_lines(const char *text, unsigned long *held)
{
	FILE *log = fdopen(log_fd, "r");
	unsigned int found = 0;
	char line[1024];
	char *at;

	dup2(stderr_fd, 2);
	close(stderr_fd);
	rewind(log);
	while (fgets(line, sizeof(line), log)) {
		found += strstr(line, text) != NULL;
		at = strstr(line, "suppressed=");
		*held += at ? strtoul(at + 11, NULL, 10) : 0;
	}
	fclose(log);
	return found;
}

/* What changes nothing, again and again: seen or counted, each one. */
static void lines_are_limited_and_counted(void **state)
{
	const unsigned int times = 2000;
	uint64_t from = now_ms();
	unsigned long held = 0;
	unsigned int seconds;
	unsigned int found;
	unsigned int i;
	int fd = come();

	wait_heard(fd, GREETING);
	log_begin();
	for (i = 0; i < times; i++) {
		say(fd, GRANT);
		wait_heard(fd, "\"return\"");
		assert_false(has_left(fd));
	}
	close(fd);
	control_close(control);
	control = NULL;
	found = log_lines(" grant: ", &held);
	seconds = (unsigned int)(now_ms() - from) / 1000 + 1;
	assert_true(found >= 1);
	assert_true(found <= 10 * (seconds + 1));
	assert_int_equal(found + held, times);
}

/* What nobody reads is counted as well, and nobody waits for it. */
static void lines_that_nobody_reads_are_counted(void **state)
{
	const unsigned int times = 30;
	unsigned long held = 0;
	int before = dup(2);
	char bytes[4096];
	unsigned int i;
	int full[2];
	int fd = come();

	wait_heard(fd, GREETING);
	assert_int_equal(pipe2(full, O_NONBLOCK | O_CLOEXEC), 0);
	memset(bytes, 'x', sizeof(bytes));
	while (write(full[1], bytes, sizeof(bytes)) > 0)
		;
	dup2(full[1], 2);
	for (i = 0; i < times; i++) {
		say(fd, GRANT);
		wait_heard(fd, "\"return\"");
		assert_false(has_left(fd));
	}
	dup2(before, 2);
	close(before);
	close(full[0]);
	close(full[1]);
	close(fd);
	log_begin();
	control_close(control);
	control = NULL;
	assert_int_equal(log_lines("control: end ", &held), 1);
	assert_int_equal(held, times);
}

/* A line that is too quiet to be written hides none, and tells of none. */
static void quiet_lines_hide_none(void **state)
{
	struct rumpk_ratelimit rl = { .since = now_ms() };
	unsigned long held = 0;
	unsigned int found;
	unsigned int i;

	log_begin();
	for (i = 0; i < 25; i++)
		rumpk_log_limited(&rl, RUMPK_DEBUG, 0, "quiet");
	for (i = 0; i < 25; i++)
		rumpk_log_limited(&rl, RUMPK_WARN, 0, "latched");
	rl.since = now_ms() - 1000;
	rumpk_log_limited(&rl, RUMPK_DEBUG, 0, "quiet");
	rumpk_log_limited(&rl, RUMPK_WARN, 0, "latched");
	found = log_lines("latched", &held);
	assert_true(found >= 11);
	assert_int_equal(found + held, 26);
	assert_int_equal(rl.dropped, 0);
}

static void overlong_line_is_written_down(void **state)
{
	static char line[CONTROL_LINE];
	unsigned long held = 0;
	int fd = come();

	wait_heard(fd, GREETING);
	memset(line, 'x', sizeof(line));
	log_begin();
	assert_int_equal(send(fd, line, sizeof(line), MSG_NOSIGNAL),
			 sizeof(line));
	wait_heard(fd, "\"class\":\"Syntax\"");
	assert_int_equal(log_lines(" ? refused: Syntax suppressed=0", &held), 1);
	close(fd);
}

/* Of a text in @line at most @most bytes are told of. */
static const struct quote {
	const char *line;
	size_t most;
	const char *before;
	const char *behind;
} quotes[] = {
	{ "{\"execute\":\"revoke\",\"arguments\":{\"disk\":\"%s\"}}\n", 100,
	  "disk ", ": must be a number, nxblkN, or a path" },
	{ "{\"execute\":\"grant\",\"arguments\":{\"disk\":0,\"cap\":\"%s\"}}\n",
	  60, "cap ", ": must be none or r[m]|rw[d][m]" },
	{ "{\"execute\":\"resize\",\"arguments\":{\"disk\":0,\"size\":\"%s\"}}\n",
	  60, "size ", ": must be a number of bytes above 0" },
	{ "{\"execute\":\"caps\",\"arguments\":{\"%s\":0}}\n", 60,
	  "caps has no argument ", "\"" },
	{ "{\"execute\":\"%s\"}\n", 60, "", ": there is no such command" },
	{ "{\"execute\":\"caps\",\"%s\":0}\n", 60, "and id, but no ", "\"" },
};

static void quote_with(int fd, const struct quote *q, const char *lead,
		       const char *character)
{
	char wanted[256];
	char text[256];
	char line[512];
	size_t told = 0;
	size_t n;

	strcpy(text, lead);
	for (n = strlen(lead); n < 130; n += strlen(character)) {
		strcat(text, character);
		if (n + strlen(character) <= q->most)
			told = n + strlen(character);
	}
	snprintf(line, sizeof(line), q->line, text);
	snprintf(wanted, sizeof(wanted), "%s%.*s%s", q->before, (int)told, text,
		 q->behind);
	say(fd, line);
	wait_heard(fd, wanted);
	assert_false(has_left(fd));
}

/* Text of any length is told of up to the end of a character. */
static void long_texts_end_with_a_character(void **state)
{
	static const char *const leads[] = { "", "x", "xx", "xxx" };
	static const char *const characters[] = { "y", "\u00e4", "\u20ac",
						  "\U0001f600" };
	unsigned int i;
	unsigned int c;
	unsigned int l;
	int fd = come();

	wait_heard(fd, GREETING);
	has_left(fd);
	for (i = 0; i < ARRAY_SIZE(quotes); i++)
		for (c = 0; c < ARRAY_SIZE(characters); c++)
			for (l = 0; l < ARRAY_SIZE(leads); l++)
				quote_with(fd, &quotes[i], leads[l],
					   characters[c]);
	close(fd);
}

/* What the system says is told as that, and is none of our own reasons. */
static void system_errors_are_the_systems(void **state)
{
	int fd = come();

	wait_heard(fd, GREETING);
	has_left(fd);
	for (fork_fails = 1; fork_fails < 134; fork_fails++) {
		say(fd, RESIZE);
		ledger.seen = UINT64_MAX;
		wait_heard(fd, "\"class\":\"Failed\"");
		wait_heard(fd, strerror(fork_fails));
		assert_false(has_left(fd));
	}
	fork_fails = 0;
	close(fd);
}

/* A worker that is to be started is not kept waiting by what is asked for. */
static void next_worker_comes_first(void **state)
{
	unsigned int i;
	int fd = come();

	wait_heard(fd, GREETING);
	has_left(fd);
	say(fd, CAPS);
	now.worker = 0;
	now.due = true;
	for (i = 0; i < 10; i++)
		turn();
	assert_string_equal(heard(fd), "");
	/* Where it could not be started, somebody may want to know. */
	now.due = false;
	wait_heard(fd, "\"return\"");
	close(fd);
}

static void disk_out_of_range_is_a_number(void **state)
{
	int fd = come();

	wait_heard(fd, GREETING);
	say(fd, "{\"execute\":\"revoke\",\"arguments\":{\"disk\":\"7\"}}\n");
	wait_heard(fd, "disk 7: there are disks 0 to 0");
	close(fd);
}

/* It is not said to be tried any further. */
static void lost_disk_is_tried_once(void **state)
{
	int fd = come();

	wait_heard(fd, GREETING);
	has_left(fd);
	ledger.seen = UINT64_MAX;
	ledger.disk[0].lost = 1;
	say(fd, REOPEN);
	wait_heard(fd, "disk 0 was tried once and is not back");
	wait_heard(fd, "\"class\":\"Timeout\"");
	close(fd);
}

static int setup(void **state)
{
	const struct control_cell cell = {
		.o = &options,
		.a = &authority,
		.l = &ledger,
		.record = &record,
	};

	strcpy(dir, "/dev/shm/rumpk-unit-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/c", dir);
	options = (struct options){ .disks = 1 };
	options.disk[0].path = image;
	options.disk[0].block = 512;
	connect_fails = 0;
	fork_fails = 0;
	memset(&authority, 0, sizeof(authority));
	memset(&ledger, 0, sizeof(ledger));
	ledger.channel[0].state = ION_HOST_LIVE;
	now = (struct control_now){ .worker = 7, .started = 1 };
	control = control_open(path, &cell);
	return control ? 0 : -1;
}

static int teardown(void **state)
{
	control_close(control);
	return rmdir(dir);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(newcomer_waits_for_the_young),
		TEST(newcomer_follows_who_leaves),
		TEST(busy_ones_make_room),
		TEST(crowd_keeps_no_operator_out),
		TEST(full_backlog_is_in_use),
		TEST(doubt_removes_nothing),
		TEST(path_of_another_stays),
		TEST(long_texts_end_with_a_character),
		TEST(system_errors_are_the_systems),
		TEST(next_worker_comes_first),
		TEST(disk_out_of_range_is_a_number),
		TEST(lost_disk_is_tried_once),
		TEST(lines_are_limited_and_counted),
		TEST(lines_that_nobody_reads_are_counted),
		TEST(quiet_lines_hide_none),
		TEST(overlong_line_is_written_down),
	};

	return cmocka_run_group_tests_name("control_clients", tests, NULL, NULL);
}
