/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The supervisor, with workers that only pretend: each does what the next entry
 * of a script says. It runs in a process of its own.
 *
 *   test --- signals ---> supervisor --- fork ---> worker 0, 1, 2 ...
 *        <-- page shared by all: what happened ---/
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rumpk/log.h"
#include "rumpk/relay.h"
#include "rumpk/supervisor.h"
#include "rumpk/util.h"
#include "control_client.h"

#define MOST 64
#define SILENT_MS 500u

enum behaviour {
	SERVE,
	CRASH,
	FAIL,
	HANG,
	STOP_ITSELF,
	HANG_FINISHING,
	LATCH_AND_CRASH,
	FLOOD,
	FORGE,
};

/**
 * struct page - what everybody sees
 * @script: by worker; the last entry goes for all that follow
 * @entries: of it
 * @born_ms: when each one began
 * @pid: of each one
 * @born: workers so far
 * @serving: workers that have served
 * @hups: SIGHUPs that workers got
 * @served: calls of the plan's
 * @busy: workers that serve read no news
 * @news: words that workers got
 * @heard: what was in them
 * @guest: what a worker knows of the guest by now
 */
struct page {
	enum behaviour script[8];
	unsigned int entries;
	uint64_t born_ms[MOST];
	pid_t pid[MOST];
	unsigned int born;
	unsigned int serving;
	unsigned int hups;
	unsigned int served;
	unsigned int busy;
	unsigned int news;
	unsigned int heard;
	unsigned int guest;
};

static struct page *page;
static int authority_fd;
static int ledger_fd;
static struct authority *authority;
static int keeper[2];
static int log_fd;
static pid_t supervisor;
static char control_path[64];
/* Master of the supervisor's own, when it has one. */
static int terminal = -1;

static unsigned int count(const unsigned int *n)
{
	return __atomic_load_n(n, __ATOMIC_SEQ_CST);
}

static void one_more(unsigned int *n)
{
	__atomic_add_fetch(n, 1, __ATOMIC_SEQ_CST);
}

static void say_served(const struct worker_seat *seat, struct ledger *l)
{
	const uint32_t word = WORKER_SERVES;

	l->phase = LEDGER_SERVING;
	send(seat->link, &word, sizeof(word), 0);
	one_more(&page->serving);
}

/* In the order in which a worker takes them. */
static void hear(uint32_t word)
{
	if (word & KEEPER_GUEST_LEFT)
		page->guest = 0;
	if (word & KEEPER_GUEST_CAME)
		page->guest = 1;
	__atomic_or_fetch(&page->heard, word, __ATOMIC_SEQ_CST);
	one_more(&page->news);
}

static ssize_t read_news(const struct worker_seat *seat)
{
	uint32_t word;
	ssize_t n = 1;

	while (n > 0 && !count(&page->busy)) {
		n = recv(seat->link, &word, sizeof(word), MSG_DONTWAIT);
		if (n > 0)
			hear(word);
	}
	return n;
}

/* Until SIGTERM, or the supervisor's end. */
static int serve(const struct worker_seat *seat, struct ledger *l)
{
	const struct timespec tenth = { .tv_nsec = 20000000 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	for (;;) {
		int got = sigtimedwait(&set, NULL, &tenth);
		ssize_t n = read_news(seat);

		l->beat.turns++;
		l->beat.beats++;
		if (got == SIGTERM)
			return 7;
		if (got == SIGHUP)
			one_more(&page->hups);
		if (n == 0)
			return 8;
	}
}

/* All that it can say, as fast as it can, and nothing of it is any use. */
static void __attribute__((noreturn))
flood(const struct worker_seat *seat, struct ledger *l)
{
	static const uint32_t words[] = { WORKER_SERVES, 0, ~0u };
	struct broker_reply reply;
	unsigned int n;

	say_served(seat, l);
	for (n = 0;; n++) {
		const struct broker_question q = { n, n % 2, n % 4 };

		l->beat.turns++;
		send(seat->link, &words[n % 3], sizeof(*words), MSG_DONTWAIT);
		send(seat->broker, &q, sizeof(q), MSG_DONTWAIT);
		while (recv(seat->broker, &reply, sizeof(reply), MSG_DONTWAIT) > 0)
			;
	}
}

/* The log as it is, and another one instead. */
static void __attribute__((noreturn)) forge(void)
{
	char line[RELAY_LINE_BYTES + 1];
	int flags = fcntl(2, F_GETFL);

	memset(line, 'x', sizeof(line));
	dprintf(2, "rumpk: info: forged\n");
	fcntl(2, F_SETFL, flags & ~O_APPEND);
	if (ftruncate(2, 0) == 0 || lseek(2, 0, SEEK_SET) == 0 ||
	    fallocate(2, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 5) == 0)
		one_more(&page->hups);
	dprintf(2, "%.*srumpk: long\n", RELAY_LINE_BYTES, line);
	dprintf(2, "rumpk: hidden\r\033[8m\n");
	dprintf(2, "rumpk: last words");
	raise(SIGKILL);
	_exit(0);
}

static int fake_work(const void *arg, const struct worker_seat *seat)
{
	struct ledger *l = safety_map_ledger(ledger_fd);
	unsigned int last = page->entries - 1;

	(void)arg;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* What a terminal says it says to the supervisor alone. */
	setpgid(0, 0);
	page->born_ms[seat->number % MOST] = now_ms();
	page->pid[seat->number % MOST] = getpid();
	one_more(&page->born);
	switch (page->script[seat->number < last ? seat->number : last]) {
	case SERVE:
		say_served(seat, l);
		return serve(seat, l);
	case CRASH:
		raise(SIGKILL);
		break;
	case FAIL:
		return 5;
	case HANG:
		say_served(seat, l);
		/* It beats, but does not turn. */
		for (;;) {
			l->beat.beats++;
			usleep(10000);
		}
	case STOP_ITSELF:
		say_served(seat, l);
		raise(SIGSTOP);
		/* Never again. */
		one_more(&page->hups);
		break;
	case HANG_FINISHING:
		say_served(seat, l);
		serve(seat, l);
		l->phase = LEDGER_FINISHING;
		usleep(3 * SILENT_MS * 1000);
		break;
	case FLOOD:
		flood(seat, l);
	case FORGE:
		forge();
	case LATCH_AND_CRASH:
		say_served(seat, l);
		l->channel[2].sync_failed = 1;
		raise(SIGKILL);
		break;
	}
	return 6;
}

static int fake_served(void *arg)
{
	one_more(&page->served);
	return *(int *)arg;
}

static struct control *open_control(void)
{
	static struct window_record record;
	static struct options o = { .disks = 1 };
	const struct control_cell cell = {
		.o = &o,
		.a = safety_map_authority(authority_fd),
		.l = safety_map_ledger(ledger_fd),
		.record = &record,
	};

	return *control_path ? control_open(control_path, &cell) : NULL;
}

static void start(int status, const enum behaviour *script, unsigned int n)
{
	memcpy(page->script, script, n * sizeof(*script));
	page->entries = n;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
				    keeper),
			 0);
	supervisor = fork();
	if (supervisor == 0) {
		struct keeper_link link = { .fd = keeper[1] };
		struct broker broker = {
			.image[0] = { .path = "/nonexistent", .known = -1 },
			.image[1] = { .path = "/dev/null", .known = -1 },
		};
		const struct supervisor_plan plan = {
			.work = fake_work,
			.served = fake_served,
			.served_arg = &status,
			.link = &link,
			.broker = &broker,
			.authority = safety_map_authority(authority_fd),
			.ledger = safety_map_ledger(ledger_fd),
			.control = open_control(),
			.silent_ms = SILENT_MS,
			.start_ms = SUPERVISOR_START_MS,
		};

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(keeper[0]);
		if (log_fd >= 0)
			dup2(log_fd, 2);
		if (terminal >= 0) {
			setsid();
			ioctl(open(ptsname(terminal), O_RDWR), TIOCSCTTY, 0);
			close(terminal);
		}
		_exit(supervisor_run(&plan));
	}
	close(keeper[1]);
}

#define START(status, ...)                                                     \
	do {                                                                   \
		const enum behaviour s[] = { __VA_ARGS__ };                    \
		start(status, s, ARRAY_SIZE(s));                               \
	} while (0)

static void wait_count(const unsigned int *n, unsigned int least)
{
	uint64_t until = now_ms() + 20000;

	while (count(n) < least) {
		assert_true(now_ms() < until);
		usleep(2000);
	}
}

static int wait_end(void)
{
	int status;

	assert_int_equal(waitpid(supervisor, &status, 0), supervisor);
	supervisor = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int setup(void **state)
{
	(void)state;
	rumpk_log_level(RUMPK_ERROR);
	memset(page, 0, sizeof(*page));
	supervisor = 0;
	log_fd = -1;
	assert_int_equal(safety_create(&authority_fd, &ledger_fd), 0);
	authority = safety_map_authority(authority_fd);
	return authority ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	if (supervisor > 0) {
		kill(supervisor, SIGKILL);
		waitpid(supervisor, NULL, 0);
	}
	close(keeper[0]);
	safety_unmap(authority, sizeof(*authority));
	close(authority_fd);
	close(ledger_fd);
	return 0;
}

static void ends_with_its_worker(void **state)
{
	(void)state;
	START(0, SERVE);
	wait_count(&page->served, 1);
	kill(supervisor, SIGTERM);
	assert_int_equal(wait_end(), 7);
	assert_int_equal(page->born, 1);
}

/* What others put on their way does not keep it from handing descriptors over. */
static void has_room_for_descriptors(void **state)
{
	struct rlimit before;
	struct rlimit limit;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	limit.rlim_cur = 100;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	START(0, SERVE);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	wait_count(&page->served, 1);
	assert_int_equal(prlimit(supervisor, RLIMIT_NOFILE, NULL, &limit), 0);
	assert_int_equal(limit.rlim_cur, before.rlim_max);
	kill(supervisor, SIGTERM);
	assert_int_equal(wait_end(), 7);
}

/* A start that fails is the user's to mend. */
static void first_failure_is_final(void **state)
{
	(void)state;
	START(0, FAIL, SERVE);
	assert_int_equal(wait_end(), 5);
	assert_int_equal(page->born, 1);
	assert_int_equal(page->served, 0);
}

static void first_crash_is_final(void **state)
{
	(void)state;
	START(0, CRASH, SERVE);
	assert_int_equal(wait_end(), 1);
	assert_int_equal(page->born, 1);
}

/* What it says is heard, to its last word, and as a worker's; the log stays what it was. */
static void log_is_no_workers(void **state)
{
	static char text[2 * RELAY_LINE_BYTES];
	static const char *const lines[] = {
		"rumpk: info: forged [worker]\n",
		"xxx [worker]\nrumpk: long [worker]\n",
		"\nrumpk: hidden??[8m [worker]\n",
		"\nrumpk: last words [worker]\nrumpk: error: channel=- worker (pid ",
	};
	unsigned int i;

	(void)state;
	log_fd = memfd_create("log", MFD_CLOEXEC);
	assert_int_equal(write(log_fd, "kept\n", 5), 5);
	assert_int_equal(fcntl(log_fd, F_SETFL, O_APPEND), 0);
	START(0, FORGE);
	assert_int_equal(wait_end(), 1);
	assert_int_equal(page->hups, 0);
	assert_true(pread(log_fd, text, sizeof(text) - 1, 0) > 0);
	assert_memory_equal(text, "kept\n", 5);
	for (i = 0; i < ARRAY_SIZE(lines); i++)
		if (!strstr(text, lines[i]))
			fail_msg("not there: %s, but: %s", lines[i], text);
	close(log_fd);
}

/* What is to be done once a worker serves can fail as well. */
static void failed_service_is_final(void **state)
{
	(void)state;
	START(9, SERVE);
	assert_int_equal(wait_end(), 9);
	assert_int_equal(kill(page->pid[0], 0), -1);
}

static void next_one_serves(void **state)
{
	unsigned int i;

	(void)state;
	START(0, SERVE);
	for (i = 0; i < 20; i++) {
		wait_count(&page->serving, i + 1);
		kill(page->pid[i], SIGKILL);
	}
	wait_count(&page->serving, 21);
	assert_int_equal(count(&page->served), 1);
	kill(supervisor, SIGTERM);
	assert_int_equal(wait_end(), 7);
}

/* Crash loops become slower and never end; who then lives is left alone. */
static void crash_loop_backs_off(void **state)
{
	unsigned int i;
	uint64_t pause;

	(void)state;
	START(0, SERVE, CRASH);
	wait_count(&page->serving, 1);
	usleep(200000);
	kill(page->pid[0], SIGKILL);
	wait_count(&page->born, 13);
	for (i = 7; i < 13; i++) {
		pause = page->born_ms[i] - page->born_ms[i - 1];
		assert_true(pause >= supervisor_backoff_ms(i - 1));
	}
	kill(supervisor, SIGTERM);
	assert_int_equal(wait_end(), 1);
}

static void backoff_is_bounded(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i <= 5; i++)
		assert_int_equal(supervisor_backoff_ms(i), 0);
	for (; i < 200; i++) {
		assert_in_range(supervisor_backoff_ms(i), 10, 1000);
		assert_true(supervisor_backoff_ms(i) >=
			    supervisor_backoff_ms(i - 1));
	}
	assert_int_equal(supervisor_backoff_ms(~0u), 1000);
}

static void hung_one_is_killed(void **state)
{
	(void)state;
	START(0, HANG, SERVE);
	wait_count(&page->serving, 2);
	assert_true(page->born_ms[1] - page->born_ms[0] >= SILENT_MS);
	assert_int_equal(kill(page->pid[0], 0), -1);
	kill(supervisor, SIGTERM);
	assert_int_equal(wait_end(), 7);
}

static void stopped_one_never_runs_again(void **state)
{
	(void)state;
	START(0, STOP_ITSELF, SERVE);
	wait_count(&page->serving, 2);
	kill(page->pid[0], SIGCONT);
	kill(supervisor, SIGTERM);
	assert_int_equal(wait_end(), 7);
	assert_int_equal(page->hups, 0);
}

/* One that serves is left alone, however long. */
static void busy_one_is_left_alone(void **state)
{
	(void)state;
	START(0, SERVE);
	wait_count(&page->serving, 1);
	usleep(4 * SILENT_MS * 1000);
	assert_int_equal(count(&page->born), 1);
	kill(supervisor, SIGTERM);
	assert_int_equal(wait_end(), 7);
}

/* It may take long, but not sleep: then nothing was made durable. */
static void hung_end_is_a_failure(void **state)
{
	(void)state;
	START(0, HANG_FINISHING);
	wait_count(&page->serving, 1);
	kill(supervisor, SIGTERM);
	assert_int_equal(wait_end(), 1);
	assert_int_equal(page->born, 1);
}

static void latch_outlives_its_worker(void **state)
{
	(void)state;
	START(0, LATCH_AND_CRASH, SERVE);
	wait_count(&page->serving, 2);
	assert_int_equal(authority->sync_failed[2], 1);
	assert_int_equal(authority->sync_failed[1], 0);
	kill(supervisor, SIGTERM);
	assert_int_equal(wait_end(), 7);
}

/* A signal that finds no worker reaches the next one. */
static void signals_are_passed_on(void **state)
{
	(void)state;
	START(0, SERVE, CRASH, CRASH, CRASH, CRASH, CRASH, CRASH, SERVE);
	wait_count(&page->serving, 1);
	kill(supervisor, SIGHUP);
	wait_count(&page->hups, 1);
	kill(page->pid[0], SIGKILL);
	wait_count(&page->born, 7);
	kill(supervisor, SIGHUP);
	wait_count(&page->hups, 2);
	kill(supervisor, SIGTERM);
	assert_int_equal(wait_end(), 7);
}

/* A terminal that is closed is no operator who asks for something. */
static void hangup_is_no_word(void **state)
{
	const uint32_t came = KEEPER_GUEST_CAME;

	(void)state;
	terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_int_equal(grantpt(terminal) || unlockpt(terminal), 0);
	START(0, SERVE);
	wait_count(&page->served, 1);
	close(terminal);
	terminal = -1;
	/* Events are taken in their order: this one comes later. */
	assert_int_equal(send(keeper[0], &came, sizeof(came), 0), sizeof(came));
	wait_count(&page->news, 1);
	assert_int_equal(count(&page->hups), 0);
	kill(supervisor, SIGHUP);
	wait_count(&page->hups, 1);
	kill(supervisor, SIGTERM);
	assert_int_equal(wait_end(), 7);
	assert_int_equal(page->hups, 1);
}

static void news_are_passed_on(void **state)
{
	const uint32_t came = KEEPER_GUEST_CAME;

	(void)state;
	START(0, SERVE);
	wait_count(&page->served, 1);
	assert_int_equal(send(keeper[0], &came, sizeof(came), 0), sizeof(came));
	wait_count(&page->news, 1);
	kill(supervisor, SIGTERM);
	assert_int_equal(wait_end(), 7);
}

/* What the supervisor is sent, it has read when this returns. */
static void keeper_says(uint32_t word)
{
	uint64_t until = now_ms() + 20000;
	int unread = 1;

	assert_int_equal(send(keeper[0], &word, sizeof(word), 0), sizeof(word));
	while (unread) {
		assert_true(now_ms() < until);
		assert_int_equal(ioctl(keeper[0], SIOCOUTQ, &unread), 0);
	}
}

static void wait_heard(uint32_t words)
{
	uint64_t until = now_ms() + 20000;

	while ((count(&page->heard) & words) != words) {
		assert_true(now_ms() < until);
		usleep(2000);
	}
}

/* More than there is room for while a worker is busy: nothing of it is lost. */
static void news_are_not_lost(void **state)
{
	const uint32_t last[] = { KEEPER_GUEST_LEFT, KEEPER_GUEST_CAME };
	unsigned int i;
	int n;

	(void)state;
	START(0, SERVE);
	wait_count(&page->served, 1);
	for (i = 0; i < ARRAY_SIZE(last); i++) {
		page->busy = 1;
		for (n = 0; n < 1000; n++)
			keeper_says(KEEPER_GUEST_REFUSED);
		keeper_says(last[1 - i]);
		keeper_says(last[i]);
		page->heard = 0;
		page->busy = 0;
		wait_heard(last[i]);
		assert_int_equal(page->guest, last[i] == KEEPER_GUEST_CAME);
	}
	kill(supervisor, SIGTERM);
	assert_int_equal(wait_end(), 7);
}

/* However often the authority changes, a worker that is busy has one word to read. */
static void changes_are_one_word(void **state)
{
	int n;

	(void)state;
	START(0, SERVE);
	wait_count(&page->served, 1);
	page->busy = 1;
	for (n = 0; n < 1000; n++) {
		safety_changed(authority);
		/* A turn, in which there is nothing else to tell. */
		keeper_says(0);
	}
	keeper_says(KEEPER_GUEST_LEFT);
	page->busy = 0;
	wait_heard(WORKER_LOOK | KEEPER_GUEST_LEFT);
	/* And one that it was about to read when it became busy. */
	assert_in_range(count(&page->news), 1, 3);
	kill(supervisor, SIGTERM);
	assert_int_equal(wait_end(), 7);
}

/* Its end is the end of the cell; the worker is told, not killed. */
static void keeper_ends(void **state)
{
	int said = memfd_create("said", MFD_CLOEXEC);
	int before = dup(STDERR_FILENO);
	static char text[4096];

	(void)state;
	dup2(said, STDERR_FILENO);
	START(0, SERVE);
	dup2(before, STDERR_FILENO);
	close(before);
	wait_count(&page->served, 1);
	close(keeper[0]);
	assert_int_equal(wait_end(), 8);
	assert_int_equal(page->born, 1);
	assert_true(pread(said, text, sizeof(text) - 1, 0) > 0);
	assert_non_null(strstr(text, "the keeper is gone"));
	close(said);
	keeper[0] = -1;
}

/* Processor time of a process so far, in milliseconds. */
static uint64_t used_ms(pid_t pid)
{
	unsigned long user;
	unsigned long system;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
				&user, &system),
			 2);
	fclose(f);
	return (user + system) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

static unsigned int lines_of(int fd)
{
	unsigned int lines = 0;
	char bytes[4096];
	off_t at = 0;
	ssize_t n;
	ssize_t i;

	for (; (n = pread(fd, bytes, sizeof(bytes), at)) > 0; at += n)
		for (i = 0; i < n; i++)
			lines += bytes[i] == '\n';
	return lines;
}

/* One that was taken over costs neither an operator's time, nor the log, nor a processor. */
static void flood_keeps_nobody_out(void **state)
{
	int said = memfd_create("said", MFD_CLOEXEC);
	int before = dup(STDERR_FILENO);
	uint64_t begun;
	uint64_t used;
	int control;
	int i;

	(void)state;
	snprintf(control_path, sizeof(control_path), "/dev/shm/rumpk-unit-%d",
		 (int)getpid());
	dup2(said, STDERR_FILENO);
	rumpk_log_level(RUMPK_INFO);
	START(0, SERVE, FLOOD);
	dup2(before, STDERR_FILENO);
	close(before);
	wait_count(&page->serving, 1);
	kill(page->pid[0], SIGKILL);
	wait_count(&page->serving, 2);
	begun = now_ms();
	used = used_ms(supervisor);
	for (i = 0; i < 10; i++) {
		control = client_connect(control_path);
		assert_string_equal(client_class(control,
						 "{\"execute\":\"status\"}"),
				    "");
		close(control);
		usleep(200000);
	}
	begun = now_ms() - begun;
	used = used_ms(supervisor) - used;
	kill(supervisor, SIGTERM);
	kill(page->pid[1], SIGKILL);
	wait_end();
	/* Of two images ten a second, how many were not said, and what there always is. */
	assert_in_range(lines_of(said), 1, 22 * (begun / 1000 + 2) + 10);
	assert_in_range(used, 0, begun * 6 / 10);
	close(said);
	unlink(control_path);
	*control_path = '\0';
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ends_with_its_worker),
		TEST(has_room_for_descriptors),
		TEST(first_failure_is_final),
		TEST(first_crash_is_final),
		TEST(log_is_no_workers),
		TEST(failed_service_is_final),
		TEST(next_one_serves),
		TEST(crash_loop_backs_off),
		TEST(backoff_is_bounded),
		TEST(hung_one_is_killed),
		TEST(stopped_one_never_runs_again),
		TEST(busy_one_is_left_alone),
		TEST(hung_end_is_a_failure),
		TEST(latch_outlives_its_worker),
		TEST(signals_are_passed_on),
		TEST(hangup_is_no_word),
		TEST(news_are_passed_on),
		TEST(news_are_not_lost),
		TEST(changes_are_one_word),
		TEST(keeper_ends),
		TEST(flood_keeps_nobody_out),
	};

	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return cmocka_run_group_tests_name("supervisor", tests, NULL, NULL);
}
