/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The command line: every value that cannot be right is refused, and every
 * refusal is one line on stderr that names the value.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rumpk/cspace.h"
#include "rumpk/options.h"

#define MOST_ARGS 64

/* What went to stderr while a command line was read. */
static char said[4096];

static int saved_stderr;
static int pipe_read;

static void listen_begin(void)
{
	int p[2];

	assert_int_equal(pipe2(p, O_NONBLOCK), 0);
	fflush(stderr);
	saved_stderr = dup(2);
	dup2(p[1], 2);
	close(p[1]);
	pipe_read = p[0];
}

static void listen_end(void)
{
	ssize_t n = read(pipe_read, said, sizeof(said) - 1);

	said[n > 0 ? n : 0] = '\0';
	dup2(saved_stderr, 2);
	close(saved_stderr);
	close(pipe_read);
}

/* Words are separated by single spaces; "<>" stands for an empty word. */
static int try(struct options *o, const char *line)
{
	static char copy[1024];
	char *argv[MOST_ARGS] = { "rumpk" };
	int argc = 1;
	char *word;
	int err;

	/* The options point into it. */
	assert_true(strlen(line) < sizeof(copy));
	strcpy(copy, line);
	for (word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = strcmp(word, "<>") ? word : "";
	listen_begin();
	err = options_parse(o, argc, argv);
	listen_end();
	return err;
}

static void refused(const char *line, const char *named)
{
	struct options o;
	char *newline;

	if (!try(&o, line))
		fail_msg("accepted: %s", line);
	options_free(&o);
	newline = strchr(said, '\n');
	if (!newline || newline[1] || strncmp(said, "rumpk: error: ", 14) ||
	    !strstr(said, named))
		fail_msg("%s: not one line that names %s: %s", line, named, said);
}

static void size_suffixes(void **state)
{
	uint64_t v = 0;

	assert_int_equal(parse_size("4096", &v), 0);
	assert_int_equal(v, 4096);
	assert_int_equal(parse_size("3K", &v), 0);
	assert_int_equal(v, 3072);
	assert_int_equal(parse_size("16M", &v), 0);
	assert_int_equal(v, 16u << 20);
	assert_int_equal(parse_size("2G", &v), 0);
	assert_int_equal(v, 2ull << 30);
	assert_int_equal(parse_size("1T", &v), 0);
	assert_int_equal(v, 1ull << 40);
	assert_int_equal(parse_size("18446744073709551615", &v), 0);
	assert_true(v == UINT64_MAX);
}

static void size_nonsense(void **state)
{
	static const char *const bad[] = { "",	  "K",	 "-1",	"+1",	"1.5M",
					   "1k",  "1MB", "1 M", "0x10", "M1",
					   "1MK", " 1",	 "1P" };
	static const char *const huge[] = { "18446744073709551616", "16777216T",
					    "99999999999999999999",
					    "1111111111111111111111111111111111" };
	uint64_t v = 7;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(parse_size(bad[i], &v), -EINVAL);
	for (i = 0; i < ARRAY_SIZE(huge); i++)
		assert_int_equal(parse_size(huge[i], &v), -ERANGE);
	assert_int_equal(v, 7);
}

static void cap_specs(void **state)
{
	struct disk_options d;

	assert_int_equal(parse_cap("none", &d), 0);
	assert_int_equal(d.rights, 0);
	assert_int_equal(parse_cap("r", &d), 0);
	assert_int_equal(d.rights, CSPACE_READ);
	assert_true(d.first == 0 && d.last == UINT64_MAX);
	assert_int_equal(parse_cap("rw:8-15", &d), 0);
	assert_int_equal(d.rights, CSPACE_READ | CSPACE_WRITE);
	assert_true(d.first == 8 && d.last == 15);
	assert_int_equal(parse_cap("rwd:0-0", &d), 0);
	assert_int_equal(d.rights, CSPACE_READ | CSPACE_WRITE | CSPACE_DISCARD);
	assert_int_equal(parse_cap("rwdm", &d), 0);
	assert_int_equal(d.rights, CSPACE_ALL);
	assert_int_equal(parse_cap("rwm:1-2", &d), 0);
	assert_int_equal(d.rights, CSPACE_READ | CSPACE_WRITE | CSPACE_DMA);
	assert_int_equal(parse_cap("rm", &d), 0);
	assert_int_equal(d.rights, CSPACE_READ | CSPACE_DMA);
}

static void cap_nonsense(void **state)
{
	static const char *const bad[] = {
		"",	   "w",	    "rd",
		"rwx",	   "R",	    "none:0-1",
		"r:",	   "r:1",   "r:1-",
		"r:-1",	   "r:2-1", "r:a-b",
		"r:0-1-2", "r 0-1", "rw:0-99999999999999999999",
		":0-1",	   "m",	    "rwmd",
		"rmw",	   "rdm",   "rwdmm",
		"mr"
	};
	struct disk_options d;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		if (!parse_cap(bad[i], &d))
			fail_msg("accepted: %s", bad[i]);
}

static void disk_full(void **state)
{
	struct disk_options d;

	assert_int_equal(parse_disk("file=/a,,b,ro,bs=4096,strict,serial=x,,y",
				    &d),
			 0);
	assert_string_equal(d.path, "/a,b");
	assert_string_equal(d.serial, "x,y");
	assert_true(d.read_only && d.strict);
	assert_int_equal(d.block, 4096);
	assert_int_equal(d.rights, CSPACE_READ | CSPACE_DMA);
	assert_int_equal(d.data, DISK_AUTO);
	free(d.path);
	assert_int_equal(parse_disk("file=a,,", &d), 0);
	assert_string_equal(d.path, "a,");
	free(d.path);
	assert_false(d.vhost);
	assert_int_equal(parse_disk("vhost=/v,,w,ro,strict,cap=r:0-7", &d), 0);
	assert_string_equal(d.path, "/v,w");
	assert_true(d.vhost && d.read_only && d.strict);
	assert_true(d.first == 0 && d.last == 7);
	assert_false(d.fence);
	free(d.path);
	assert_int_equal(parse_disk("vhost=/v,fence=lock", &d), 0);
	assert_true(d.fence);
	assert_int_equal(d.reconnect, 60);
	free(d.path);
	assert_int_equal(parse_disk("vhost=/v,reconnect=86400,fence=lock", &d),
			 0);
	assert_int_equal(d.reconnect, 86400);
	free(d.path);
	assert_int_equal(parse_disk("mem=64M", &d), 0);
	assert_null(d.path);
	assert_int_equal(d.size, 64u << 20);
	assert_int_equal(d.block, 512);
	assert_int_equal(d.rights, CSPACE_ALL);
	assert_int_equal(parse_disk("mem=64M,data=bounce", &d), 0);
	assert_int_equal(d.data, DISK_BOUNCE);
	assert_int_equal(parse_disk("mem=64M,cap=rm,data=zerocopy", &d), 0);
	assert_int_equal(d.data, DISK_ZERO_COPY);
	assert_int_equal(parse_disk("mem=64M,data=auto", &d), 0);
	assert_int_equal(d.data, DISK_AUTO);
}

static void line_complete(void **state)
{
	struct options o;

	assert_int_equal(try(&o, "--socket /s --disk mem=1M --disk file=/x "
				 "--window 64M --log-level debug --ready-fd 1 "
				 "--pid-file /p --window-file /w"),
			 0);
	assert_string_equal(o.socket, "/s");
	assert_int_equal(o.disks, 2);
	assert_int_equal(o.window, 64u << 20);
	assert_int_equal(o.level, RUMPK_DEBUG);
	assert_int_equal(o.ready_fd, 1);
	assert_int_equal(o.action, OPTIONS_SERVE);
	assert_null(o.ram);
	assert_null(o.qmp);
	options_free(&o);
	assert_int_equal(try(&o, "--help"), 0);
	assert_int_equal(o.action, OPTIONS_HELP);
	assert_int_equal(try(&o, "--version"), 0);
	assert_int_equal(o.action, OPTIONS_VERSION);
	assert_int_equal(try(&o, "--socket=/s --disk=mem=1M "
				 "--print-qemu-args"),
			 0);
	assert_int_equal(o.action, OPTIONS_QEMU_ARGS);
	assert_int_equal(o.window, 16u << 20);
	assert_int_equal(o.ready_fd, -1);
	options_free(&o);
}

static void line_zero_copy(void **state)
{
	struct options o;

	assert_int_equal(try(&o, "--socket /s --disk mem=1M,data=zerocopy "
				 "--ram /dev/shm/a,,b --qmp /q"),
			 0);
	assert_string_equal(o.ram, "/dev/shm/a,b");
	assert_int_equal(o.machine, RAM_Q35);
	assert_string_equal(o.qmp, "/q");
	assert_false(o.quit_on_reset);
	options_free(&o);
	assert_int_equal(try(&o, "--socket /s --disk mem=1M --ram /r,machine=pc "
				 "--qmp /q,,r,reset=quit"),
			 0);
	assert_int_equal(o.machine, RAM_PC);
	assert_string_equal(o.qmp, "/q,r");
	assert_true(o.quit_on_reset);
	options_free(&o);
	assert_int_equal(try(&o, "--socket /s --disk mem=1M --qmp /q,reset=reset "
				 "--ram /r,machine=virt"),
			 0);
	assert_int_equal(o.machine, RAM_VIRT);
	assert_false(o.quit_on_reset);
	options_free(&o);
}

static void line_zero_copy_refused(void **state)
{
	static const char *const cases[][2] = {
		{ "--socket /s --disk mem=1M --ram /r", "--qmp" },
		{ "--socket /s --disk mem=1M --qmp /q", "--ram" },
		{ "--socket /s --ram /r --print-qemu-args", "--qmp" },
		{ "--socket /s --disk mem=1M --qmp /q --ram <>", "''" },
		{ "--socket /s --disk mem=1M --qmp /q --ram ,machine=pc",
		  ",machine=pc" },
		{ "--socket /s --disk mem=1M --qmp /q --ram /r,", "/r," },
		{ "--socket /s --disk mem=1M --qmp /q --ram /r,machine=i440fx",
		  "i440fx" },
		{ "--socket /s --disk mem=1M --qmp /q --ram /r,machine=",
		  "machine=" },
		{ "--socket /s --disk mem=1M --qmp /q --ram /r,size=1G",
		  "size=1G" },
		{ "--socket /s --disk mem=1M --qmp /q --ram "
		  "/r,machine=pc,machine=pc",
		  "machine=pc" },
		{ "--socket /s --disk mem=1M --qmp /q --ram /r --ram /r",
		  "--ram" },
		{ "--socket /s --disk mem=1M --ram /r --qmp <>", "''" },
		{ "--socket /s --disk mem=1M --ram /r --qmp /q,reset=no",
		  "reset=no" },
		{ "--socket /s --disk mem=1M --ram /r --qmp /q,quit", "quit" },
		{ "--socket /s --disk mem=1M,data=zerocopy", "--ram" },
		{ "--socket /s --ram /r --qmp /q --disk mem=1M,cap=rwd,data="
		  "zerocopy",
		  "right m" },
		{ "--socket /s --disk mem=1M,data=copy", "copy" },
		{ "--socket /s --disk mem=1M,data=", "data" },
		{ "--socket /s --disk mem=1M,data=auto,data=auto", "data=auto" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		refused(cases[i][0], cases[i][1]);
}

static void line_refused(void **state)
{
	static const char *const cases[][2] = {
		{ "--socket /s --control /s --disk mem=1M", "--control /s" },
		{ "--disk mem=1M", "--socket" },
		{ "--socket /s", "--disk" },
		{ "--socket", "--socket" },
		{ "--socket <> --disk mem=1M", "''" },
		{ "--socket /s --socket /t --disk mem=1M", "--socket" },
		{ "--socket /s --disk mem=1M --window", "--window" },
		{ "--socket /s --disk mem=1M --window 0", "0" },
		{ "--socket /s --disk mem=1M --window 2M", "2M" },
		{ "--socket /s --disk mem=1M --window 5M", "5M" },
		{ "--socket /s --disk mem=1M --window -16M", "-16M" },
		{ "--socket /s --disk mem=1M --window 2T", "2T" },
		{ "--socket /s --disk mem=1M --window 16MB", "16MB" },
		{ "--socket /s --disk mem=1M --window 16M --window 16M",
		  "--window" },
		{ "--socket /s --disk mem=1M --log-level loud", "loud" },
		{ "--socket /s --disk mem=1M --ready-fd x", "x" },
		{ "--socket /s --disk mem=1M --ready-fd -1", "-1" },
		{ "--socket /s --disk mem=1M --ready-fd 99999", "99999" },
		{ "--socket /s --disk mem=1M --ready-fd 4294967297",
		  "4294967297" },
		{ "--socket /s --disk mem=1M --pid-file <>", "--pid-file" },
		{ "--socket /s --disk mem=1M --window-file <>", "--window-file" },
		{ "--socket /s --disk mem=1M extra", "extra" },
		{ "--socket /s --disk mem=1M --frobnicate", "--frobnicate" },
		{ "--socket /s --disk mem=1M --sock /t", "--sock" },
		{ "--socket /s --disk mem=1M -x", "-x" },
		{ "--socket /s --disk mem=1M --help=yes", "--help" },
		{ "--socket /s --disk <>", "--disk" },
		{ "--socket /s --disk /image", "/image" },
		{ "--socket /s --disk file=", "file=" },
		{ "--socket /s --disk mem=", "mem=" },
		{ "--socket /s --disk vhost=", "vhost=" },
		{ "--socket /s --disk vhost=/v,queues=2", "queues=2" },
		{ "--socket /s --disk vhost=/v,fence=", "fence" },
		{ "--socket /s --disk vhost=/v,fence=yes", "yes" },
		{ "--socket /s --disk vhost=/v,fence=lock,fence=lock", "fence" },
		{ "--socket /s --disk vhost=/v,reconnect=5", "fence=lock" },
		{ "--socket /s --disk vhost=/v,fence=lock,reconnect=0", "0" },
		{ "--socket /s --disk vhost=/v,fence=lock,reconnect=-1", "-1" },
		{ "--socket /s --disk vhost=/v,fence=lock,reconnect=1m", "1m" },
		{ "--socket /s --disk vhost=/v,fence=lock,reconnect=86401",
		  "86401" },
		{ "--socket /s --disk file=/v,fence=lock", "vhost=PATH" },
		{ "--socket /s --disk mem=1M,reconnect=5", "vhost=PATH" },
		{ "--socket /s --disk mem=0", "mem=0" },
		{ "--socket /s --disk mem=-1", "mem=-1" },
		{ "--socket /s --disk mem=1MM", "mem=1MM" },
		{ "--socket /s --disk mem=513", "mem=513" },
		{ "--socket /s --disk mem=5K,bs=4096", "mem=5K" },
		{ "--socket /s --disk mem=16777216T", "mem=16777216T" },
		{ "--socket /s --disk mem=1M,", "--disk" },
		{ "--socket /s --disk mem=1M,rw", "rw" },
		{ "--socket /s --disk mem=1M,ro,ro", "ro" },
		{ "--socket /s --disk mem=1M,strict,strict", "strict" },
		{ "--socket /s --disk mem=1M,bs=1024", "1024" },
		{ "--socket /s --disk mem=1M,bs=", "bs" },
		{ "--socket /s --disk mem=1M,bs=512,bs=512", "bs=512" },
		{ "--socket /s --disk mem=1M,cap=x", "cap" },
		{ "--socket /s --disk mem=1M,cap=r,cap=r", "cap=r" },
		{ "--socket /s --disk mem=1M,serial=", "serial" },
		{ "--socket /s --disk mem=1M,serial="
		  "12345678901234567890123456789012345678901",
		  "serial" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		refused(cases[i][0], cases[i][1]);
}

static void line_long_socket(void **state)
{
	char line[400] = "--disk mem=1M --socket /";

	memset(line + strlen(line), 'x', 150);
	refused(line, "too long");
	memcpy(line, "--disk mem=1M --ram /r --qmp /", 30);
	refused(line, "too long");
}

static void line_too_many_disks(void **state)
{
	char line[512] = "--socket /s";
	int i;

	for (i = 0; i < 17; i++)
		strcat(line, " --disk mem=1M");
	refused(line, "16");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(size_suffixes),
		cmocka_unit_test(size_nonsense),
		cmocka_unit_test(cap_specs),
		cmocka_unit_test(cap_nonsense),
		cmocka_unit_test(disk_full),
		cmocka_unit_test(line_complete),
		cmocka_unit_test(line_zero_copy),
		cmocka_unit_test(line_zero_copy_refused),
		cmocka_unit_test(line_refused),
		cmocka_unit_test(line_long_socket),
		cmocka_unit_test(line_too_many_disks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
