/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The capability file: what it names is granted, what it does not name is not, and
 * a fault is said with its line.
 */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rumpk/caps_file.h"
#include "rumpk/cspace.h"

#define DISKS 4u

static struct caps caps;
static char said[4096];

/* What is printed while @call is made ends in @said. */
#define listening(call)                                                        \
	do {                                                                   \
		int saved = dup(STDERR_FILENO);                                \
		int fd = memfd_create("said", MFD_CLOEXEC);                    \
		ssize_t n;                                                     \
                                                                               \
		dup2(fd, STDERR_FILENO);                                       \
		call;                                                          \
		dup2(saved, STDERR_FILENO);                                    \
		n = pread(fd, said, sizeof(said) - 1, 0);                      \
		said[n > 0 ? n : 0] = '\0';                                    \
		close(saved);                                                  \
		close(fd);                                                     \
	} while (0)

static int parse(const char *text)
{
	int err;

	listening(err = caps_parse("F", text, strlen(text), DISKS, &caps));
	return err;
}

static void caps_are_read(void **state)
{
	static const char text[] = "# who may do what\n"
				   "\n"
				   "0 rwdm\n"
				   "\t 2\t r:0-2047   # the first MiB\n"
				   "nxblk1 none#and no more\n";

	assert_int_equal(parse(text), 0);
	assert_string_equal(said, "");
	assert_int_equal(caps.disk[0].rights, CSPACE_ALL);
	assert_int_equal(caps.disk[0].first, 0);
	assert_true(caps.disk[0].last == UINT64_MAX);
	assert_int_equal(caps.disk[1].rights, 0);
	assert_int_equal(caps.disk[2].rights, CSPACE_READ);
	assert_int_equal(caps.disk[2].last, 2047);
	assert_int_equal(caps.line[0], 3);
	assert_int_equal(caps.line[2], 4);
}

/* A file that is cut off anywhere but behind a line is refused. */
static void caps_refuse_what_was_cut(void **state)
{
	static const char whole[] = "1 r:0-15\n# x\n0 rw:0-7 # y\n";
	size_t cut;
	int err;

	for (cut = 1; cut < sizeof(whole) - 1; cut++) {
		listening(err = caps_parse("F", whole, cut, DISKS, &caps));
		if (whole[cut - 1] == '\n')
			assert_int_equal(err, 0);
		else if (!err)
			fail_msg("accepted: %.*s", (int)cut, whole);
	}
	assert_int_not_equal(parse("1 r:0-15\n0 rw"), 0);
	assert_non_null(strstr(said, "F, line 2: ends without a newline: "));
	assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
}

static void caps_deny_by_default(void **state)
{
	static const char *const empty[] = { "", "\n\n", "# 0 rw\n", " \t#\n" };
	unsigned int i;
	unsigned int n;

	for (i = 0; i < sizeof(empty) / sizeof(empty[0]); i++) {
		memset(&caps, 0xff, sizeof(caps));
		assert_int_equal(parse(empty[i]), 0);
		for (n = 0; n < OPTIONS_MAX_DISKS; n++)
			assert_int_equal(caps.disk[n].rights, 0);
	}
	assert_int_equal(parse("1 rw\n"), 0);
	assert_int_equal(caps.disk[0].rights, 0);
	assert_int_equal(caps.disk[3].rights, 0);
}

static void caps_name_the_line(void **state)
{
	static const struct {
		const char *text;
		const char *says;
	} bad[] = {
		{ "0 rw\n\n1 rx\n",
		  "F, line 3: rx: must be none or r[m]|rw[d][m]" },
		{ "4 rw\n",
		  "line 1: 4: must be the number of a disk, from 0 to 3" },
		{ "#\n-1 rw\n", "line 2: -1: must be the number of a disk" },
		{ "nxblk4 rw", "line 1: nxblk4: must be the number" },
		{ "nxblk rw", "line 1: nxblk: must be the number" },
		{ "18446744073709551616 r", "must be the number" },
		{ "0 rw\n1 r\n0 r\n", "line 3: 0: was named in line 1 already" },
		{ "0 r\nnxblk0 r\n", "line 2: nxblk0: was named in line 1" },
		{ "0\n", "line 1: 0: a capability must follow" },
		{ "0 #rw\n", "line 1: 0: a capability must follow" },
		{ "0 rw 1 rw\n", "line 1: 1: nothing may follow" },
		{ "0 rw:0-9 ,\n", "line 1: ,: nothing may follow" },
		{ "0 rw\r\n", "line 1: rw?: must be none or" },
		{ "0 r:5-4\n", "r:5-4: must be none or" },
		{ "0 \033[2J\n", "line 1: ?[2J: must be" },
		{ "rw\n", "line 1: rw: must be the number" },
	};
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_not_equal(parse(bad[i].text), 0);
		if (!strstr(said, bad[i].says))
			fail_msg("\"%s\" says: %s", bad[i].text, said);
		assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
	}
}

/* A byte 0 ends no line, and a word of any length is told of in short. */
static void caps_survive_bytes(void **state)
{
	static const char nul[] = "0 r\0w\n";
	char text[3000];
	int err;

	listening(err = caps_parse("F", nul, sizeof(nul) - 1, DISKS, &caps));
	assert_int_not_equal(err, 0);
	assert_non_null(strstr(said, "line 1: r?w: "));
	memset(text, 'x', sizeof(text));
	memcpy(text, "0 ", 2);
	listening(err = caps_parse("F", text, sizeof(text), DISKS, &caps));
	assert_int_not_equal(err, 0);
	assert_non_null(strstr(said, "xxx...: must be"));
	assert_true(strlen(said) < 256);
}

static int read_file(const char *path)
{
	int err;

	listening(err = caps_read(path, DISKS, &caps));
	return err;
}

static void put(const char *path, const char *text, off_t length)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	if (length)
		assert_int_equal(ftruncate(fd, length), 0);
	close(fd);
}

static void caps_want_a_file(void **state)
{
	static char most[CAPS_FILE_MAX + 1];
	char dir[] = "/tmp/caps-unit-XXXXXX";
	char path[64];

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/f", dir);
	assert_int_not_equal(read_file(path), 0);
	assert_non_null(strstr(said, "No such file"));
	assert_int_not_equal(read_file(dir), 0);
	assert_int_not_equal(read_file("/dev/zero"), 0);
	assert_non_null(strstr(said, "must be a regular file"));
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_not_equal(read_file(path), 0);
	assert_non_null(strstr(said, "must be a regular file"));
	unlink(path);
	put(path, "0 rw\n", 0);
	assert_int_equal(read_file(path), 0);
	assert_int_equal(caps.disk[0].rights, CSPACE_READ | CSPACE_WRITE);
	put(path, "#", CAPS_FILE_MAX + 1);
	assert_int_not_equal(read_file(path), 0);
	assert_non_null(strstr(said, "at most 65536 bytes"));
	memset(most, '\n', CAPS_FILE_MAX);
	put(path, most, 0);
	assert_int_equal(read_file(path), 0);
	unlink(path);
	rmdir(dir);
}

/* Who else may write it could grant. */
static void caps_of_the_owner_alone(void **state)
{
	char dir[] = "/tmp/caps-unit-XXXXXX";
	char path[64];

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/f", dir);
	put(path, "0 rw\n", 0);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(read_file(path), 0);
	assert_int_equal(chmod(path, 0664), 0);
	assert_int_not_equal(read_file(path), 0);
	assert_non_null(strstr(said, "may be written by others"));
	assert_int_equal(chmod(path, 0602), 0);
	assert_int_not_equal(read_file(path), 0);
	assert_non_null(strstr(said, "may be written by others"));
	/* Only root can give a file away. */
	assert_int_equal(chmod(path, 0444), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 4711, 0), 0);
		assert_int_not_equal(read_file(path), 0);
		assert_non_null(strstr(said, "must be owned by root or"));
	}
	unlink(path);
	rmdir(dir);
}

static void caps_are_written_as_read(void **state)
{
	static const char *const text[] = {
		"none",	 "r",
		"rm",	 "rw",
		"rwd",	 "rwdm",
		"rwm",	 "rwdm:0-511",
		"r:1-1", "r:7-18446744073709551615",
	};
	struct disk_options d;
	char again[PARSE_CAP_BYTES];
	unsigned int i;

	for (i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
		assert_int_equal(parse_cap(text[i], &d), 0);
		format_cap(&d, again, sizeof(again));
		assert_string_equal(again, text[i]);
	}
	d.rights = CSPACE_ALL;
	d.first = UINT64_MAX - 1;
	d.last = UINT64_MAX;
	format_cap(&d, again, sizeof(again));
	assert_string_equal(again,
			    "rwdm:18446744073709551614-18446744073709551615");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(caps_are_read),
		cmocka_unit_test(caps_refuse_what_was_cut),
		cmocka_unit_test(caps_deny_by_default),
		cmocka_unit_test(caps_name_the_line),
		cmocka_unit_test(caps_survive_bytes),
		cmocka_unit_test(caps_want_a_file),
		cmocka_unit_test(caps_of_the_owner_alone),
		cmocka_unit_test(caps_are_written_as_read),
	};

	return cmocka_run_group_tests_name("caps_file", tests, NULL, NULL);
}
