/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * rumpkctl, in a process of its own, against a socket on which nobody answers: it says
 * so in time, in one line, and ends.
 */
#include "unit.h"

#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rumpk/unix.h"

int ctl_main(int argc, char **argv);
#define main ctl_main
#include "rumpk/ctl_main.c"
#undef main

static char path[64];
static char said[4096];
static int listener;

/* Its exit status; what it says is in @said. */
static int ctl_with(const char *const *argv, int argc)
{
	int out = memfd_create("said", MFD_CLOEXEC);
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		alarm(20);
		dup2(out, STDERR_FILENO);
		_exit(ctl_main(argc, (char **)(uintptr_t)argv));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	memset(said, 0, sizeof(said));
	assert_true(pread(out, said, sizeof(said) - 1, 0) >= 0);
	close(out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int ctl(const char *timeout)
{
	const char *const argv[] = { "rumpkctl",  "--socket", path,
				     "--timeout", timeout,    "status" };

	return ctl_with(argv, 6);
}

static int setup(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/dev/shm/rumpk-ctl-%d", (int)getpid());
	listener = unix_listen(path, SOCK_STREAM);
	return listener < 0;
}

static int teardown(void **state)
{
	(void)state;
	close(listener);
	return unlink(path);
}

static void no_place_in_time(void **state)
{
	int fds[64];
	unsigned int n = 0;

	(void)state;
	while (n < 64 &&
	       (fds[n] = unix_connect(path, SOCK_STREAM | SOCK_NONBLOCK)) >= 0)
		n++;
	assert_in_range(n, 1, 63);
	assert_int_equal(ctl("1"), EXIT_USAGE);
	assert_non_null(strstr(said, "no place among its clients within 1 s"));
	while (n--)
		close(fds[n]);
}

static void no_greeting_in_time(void **state)
{
	(void)state;
	assert_int_equal(ctl("1"), EXIT_USAGE);
	assert_non_null(strstr(said, "no greeting within 1 s"));
}

static void timeout_nonsense(void **state)
{
	static const char *const words[] = { "",      "0",
					     "-1",    "1s",
					     "86401", "99999999999999999999" };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(words); i++) {
		assert_int_equal(ctl(words[i]), EXIT_USAGE);
		assert_non_null(strstr(said, "must be a number of seconds"));
	}
}

static void negative_size(void **state)
{
	const char *const argv[] = { "rumpkctl", "resize", "0", "-5" };

	(void)state;
	assert_int_equal(ctl_with(argv, 4), EXIT_USAGE);
	assert_non_null(strstr(said, "-5: no number is below 0; SIZE must be"));
}

/* Whatever it was refused for: the log has a line of each. */
static void status_counts_what_was_refused(void **state)
{
	json_t *answer =
		json_pack("{s:[{s:s, s:{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}}]}",
			  "channels", "name", "nxblk0", "counters", "perm", 1,
			  "ro", 20, "range", 300, "inval", 4000, "unsupp",
			  50000, "stale", 600000, "ioerr", 7000000, "writes", 2);
	int out = memfd_create("said", MFD_CLOEXEC);
	int before = dup(STDOUT_FILENO);

	(void)state;
	assert_non_null(answer);
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	print_status(answer);
	fflush(stdout);
	dup2(before, STDOUT_FILENO);
	memset(said, 0, sizeof(said));
	assert_true(pread(out, said, sizeof(said) - 1, 0) > 0);
	assert_non_null(strstr(said, " 654321\n"));
	close(before);
	close(out);
	json_decref(answer);
}

/* A rumpk that answers and has gone before it is sent anything. */
static pid_t answer_at_once(void)
{
	static const char lines[] =
		"{\"rumpk\":{\"version\":\"1\",\"protocol\":1}}\n"
		"{\"error\":{\"class\":\"Syntax\",\"desc\":\"too long\"}}\n";
	pid_t pid = fork();

	if (pid == 0) {
		struct pollfd p = { .fd = listener, .events = POLLIN };
		int fd = poll(&p, 1, 20000) == 1 ? accept(listener, NULL, NULL) :
						   -1;
		ssize_t n = send(fd, lines, sizeof(lines) - 1, MSG_NOSIGNAL);

		_exit(n != sizeof(lines) - 1);
	}
	return pid;
}

/* What could not be sent as a whole was answered all the same. */
static void refused_before_it_is_sent(void **state)
{
	static char word[5001];
	const char *const argv[] = { "rumpkctl", "--socket", path, "revoke",
				     word };
	pid_t pid = answer_at_once();
	int status;

	(void)state;
	memset(word, 'x', sizeof(word) - 1);
	assert_int_equal(ctl_with(argv, 5), EXIT_FAILED);
	assert_string_equal(said, "rumpkctl: error: revoke: too long (Syntax)\n");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void wrong_arguments(void **state)
{
	static const struct {
		const char *argv[6];
		int argc;
		const char *says;
	} bad[] = {
		{ { "rumpkctl", "grant", "0" },
		  3,
		  "grant 0: must be followed by DISK CAP, see" },
		{ { "rumpkctl", "grant", "0", "rw", "0-7" },
		  5,
		  "grant 0 rw 0-7: must be followed by DISK CAP, see" },
		{ { "rumpkctl", "revoke" }, 2, "revoke: must be followed by DISK" },
		{ { "rumpkctl", "reopen", "0", "1" },
		  4,
		  "reopen 0 1: must be followed by at most one DISK" },
		{ { "rumpkctl", "caps", "0" },
		  3,
		  "caps 0: must be followed by no arguments" },
	};
	static char word[5001];
	const char *const many[] = { "rumpkctl", "revoke", word, word };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(ctl_with(bad[i].argv, bad[i].argc), EXIT_USAGE);
		if (!strstr(said, bad[i].says))
			fail_msg("%s: %s", bad[i].argv[1], said);
		assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
	}
	memset(word, 'x', sizeof(word) - 1);
	assert_int_equal(ctl_with(many, 4), EXIT_USAGE);
	assert_non_null(strstr(said, "xxx: must be followed by DISK"));
	assert_true(strlen(said) < 512);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_place_in_time),
		TEST(no_greeting_in_time),
		TEST(timeout_nonsense),
		TEST(negative_size),
		TEST(status_counts_what_was_refused),
		TEST(refused_before_it_is_sent),
		TEST(wrong_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
