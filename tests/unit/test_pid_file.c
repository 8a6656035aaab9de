/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The process number's file: what is no such file is left alone, before anything is
 * served.
 */
#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rumpk/pid_file.h"
#include "daemon.h"
#include "sim_guest.h"

static char dir[64];
static char socket_path[80];
static char log_path[80];
static char path[80];
static char other[80];
static char disk[128];
static pid_t daemon_pid;

static const char *const *command_line(void)
{
	static const char *args[] = { "--socket",   socket_path, "--disk", disk,
				      "--pid-file", path,	 NULL };

	return args;
}

static void put(const char *where, const void *bytes, size_t n)
{
	int fd = open(where, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, bytes, n), n);
	close(fd);
}

static size_t get(const char *where, char *bytes, size_t most)
{
	int fd = open(where, O_RDONLY);
	ssize_t n = read(fd, bytes, most);

	assert_true(n >= 0);
	close(fd);
	return (size_t)n;
}

/* One line that says @why, and nothing has begun. */
static void refused(const char *why)
{
	unlink(log_path);
	assert_int_equal(daemon_fails(command_line(), log_path), 2);
	assert_int_equal(daemon_logged(log_path, "rumpk: "), 1);
	assert_int_equal(daemon_logged(log_path, "--pid-file /dev/shm/"), 1);
	if (!daemon_logged(log_path, why))
		fail_msg("the log has no \"%s\"", why);
	assert_int_equal(access(socket_path, F_OK), -1);
}

/* The image that is served, and whatever else is no number. */
static void what_is_no_number_is_left_alone(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} kept[] = {
		{ "text", 4 },
		{ "12 13\n", 6 },
		{ "12\n13\n", 6 },
		{ "\n", 1 },
		{ "12\0", 3 },
		{ "12\n\n", 4 },
		{ "-12\n", 4 },
		{ "12345678901234567", 17 },
		{ "12345678901234567\n", 18 },
	};
	static char image[1 << 20];
	static char again[sizeof(image) + 1];
	unsigned int i;

	memset(image, '7', sizeof(image));
	put(path, image, sizeof(image));
	snprintf(disk, sizeof(disk), "file=%s", path);
	refused("is no file of a process number");
	assert_int_equal(get(path, again, sizeof(again)), sizeof(image));
	assert_memory_equal(again, image, sizeof(image));
	strcpy(disk, "mem=1M");
	for (i = 0; i < ARRAY_SIZE(kept); i++) {
		put(path, kept[i].bytes, kept[i].n);
		refused("is no file of a process number");
		assert_int_equal(get(path, again, sizeof(again)), kept[i].n);
		assert_memory_equal(again, kept[i].bytes, kept[i].n);
	}
}

static void only_a_file_is_written(void **state)
{
	char text[8];

	put(other, "5\n", 2);
	assert_int_equal(symlink(other, path), 0);
	refused("must not be a symbolic link");
	assert_int_equal(get(other, text, sizeof(text)), 2);
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	refused("Is a directory");
	rmdir(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	refused("must be a regular file");
}

static void assert_number_while_served(void)
{
	char wanted[16];
	char text[32];
	size_t n;

	daemon_pid = daemon_start(command_line(), log_path);
	snprintf(wanted, sizeof(wanted), "%d\n", (int)daemon_pid);
	n = get(path, text, sizeof(text) - 1);
	text[n] = '\0';
	assert_string_equal(text, wanted);
}

/* What one that was killed left is overwritten; in the end there is nothing. */
static void the_number_is_there_while_served(void **state)
{
	assert_number_while_served();
	assert_int_equal(daemon_end(&daemon_pid, SIGTERM), 0);
	assert_int_equal(access(path, F_OK), -1);
	put(path, "999999999999999", 15);
	assert_number_while_served();
	assert_int_equal(daemon_end(&daemon_pid, SIGKILL), 256);
	daemon_wait_keeper(socket_path);
	assert_number_while_served();
	assert_int_equal(daemon_end(&daemon_pid, SIGTERM), 0);
	put(path, "", 0);
	assert_number_while_served();
}

/* It has become something else since it was looked at. */
static void looked_at_again_when_written(void **state)
{
	char text[8];

	put(path, "text", 4);
	assert_int_not_equal(pid_file_write(path), 0);
	assert_int_equal(get(path, text, sizeof(text)), 4);
	unlink(path);
	assert_int_equal(pid_file_check(path), 0);
	assert_int_equal(access(path, F_OK), -1);
}

static int setup(void **state)
{
	strcpy(dir, "/dev/shm/rumpk-unit-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(socket_path, sizeof(socket_path), "%s/s", dir);
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	snprintf(path, sizeof(path), "%s/pid", dir);
	snprintf(other, sizeof(other), "%s/other", dir);
	strcpy(disk, "mem=1M");
	return 0;
}

static int teardown(void **state)
{
	if (daemon_pid > 0)
		daemon_end(&daemon_pid, SIGTERM);
	daemon_wait_keeper(socket_path);
	unlink(log_path);
	unlink(path);
	unlink(other);
	return rmdir(dir);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_no_number_is_left_alone),
		TEST(only_a_file_is_written),
		TEST(the_number_is_there_while_served),
		TEST(looked_at_again_when_written),
	};

	return cmocka_run_group_tests_name("pid_file", tests, NULL, NULL);
}
