/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * rumpkctl, in a process of its own, against a socket on which nobody answers: it says
 * so in time, in one line, and ends.
 */
#include "unit.h"

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

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_place_in_time),
		TEST(no_greeting_in_time),
		TEST(timeout_nonsense),
		TEST(negative_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
