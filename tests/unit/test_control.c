/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The control socket of a whole daemon with a guest: what commands do and refuse,
 * what outlives whom, and clients that mean no good.
 *
 *   client --- control socket --- supervisor --- authority
 *   sim_guest --- window --- worker --- image
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rumpk/control.h"
#include "rumpk/util.h"
#include "control_client.h"
#include "daemon.h"
#include "sim_guest.h"
#include "worker_of.h"

#define ALL (~0ull)
#define DEPTH 64
#define BYTES (8u << 20)
#define SECTORS (BYTES / 512)

static char dir[64];
static char socket_path[80];
static char control_path[80];
static char log_path[80];
static char caps_path[80];
static char image[80];
static char disk[128];
static bool with_caps;
static pid_t daemon_pid;
static struct sim_guest g;
static int ctl;
static int *sync_fails;

/* The C library's is not used: this is the one that rumpk is linked with. */
int fdatasync(int fd)
{
	if (*sync_fails) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
	if (*sync_fails) {
		errno = EIO;
		return -1;
	}
	return (int)syscall(SYS_fsync, fd);
}

static const char *const *command_line(void)
{
	static const char *args[] = { "--socket",   socket_path, "--control",
				      control_path, "--disk",	 disk,
				      "--disk",	    "mem=1M",	 NULL,
				      caps_path,    NULL };

	args[8] = with_caps ? "--caps" : NULL;
	return args;
}

static void start(void)
{
	daemon_pid = daemon_start(command_line(), log_path);
	ctl = client_connect(control_path);
}

static void attach(void)
{
	start();
	assert_int_equal(sim_connect(&g, socket_path, 2, 3), 0);
	assert_int_equal(sim_bind(&g, 0), 0);
	assert_int_equal(sim_attach(&g, ALL, DEPTH), 0);
}

static int end(int signal)
{
	close(ctl);
	return daemon_end(&daemon_pid, signal);
}

static void kill_worker(void)
{
	uint64_t until = now_ms() + 5000;
	pid_t pid = worker_of(daemon_pid);

	assert_true(pid > 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	while (!ion_guest_lost(&g.end))
		assert_true(now_ms() < until);
	daemon_follow(&g, DEPTH);
}

static void restart_all(void)
{
	assert_int_equal(end(SIGKILL), 256);
	start();
	daemon_follow(&g, DEPTH);
}

static void write_caps(const char *text)
{
	int fd = open(caps_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	with_caps = true;
}

static int write_at(uint64_t lba)
{
	return sim_rw(&g, NXBLK_OP_WRITE, lba, 8, 0);
}

static int read_at(uint64_t lba)
{
	return sim_rw(&g, NXBLK_OP_READ, lba, 8, 0);
}

static int flush(void)
{
	return sim_simple(&g, NXBLK_OP_FLUSH, 0, 0, 0);
}

static void wait_logged(const char *text, unsigned int times)
{
	uint64_t until = now_ms() + 10000;

	while (daemon_logged(log_path, text) < times) {
		if (now_ms() > until)
			fail_msg("the log has no \"%s\"", text);
		usleep(5000);
	}
}

static void assert_cap(unsigned int n, const char *cap)
{
	json_t *answer = client_ask(ctl, "{\"execute\":\"caps\"}");
	json_t *held = json_array_get(json_object_get(answer, "return"), n);

	assert_string_equal(json_string_value(json_object_get(held, "cap")), cap);
	json_decref(answer);
}

#define REVOKE "{\"execute\":\"revoke\",\"arguments\":{\"disk\":0}}"
#define GRANT(cap)                                                             \
	"{\"execute\":\"grant\",\"arguments\":{\"disk\":0,\"cap\":\"" cap "\"}}"
#define NARROW(cap)                                                            \
	"{\"execute\":\"narrow\",\"arguments\":{\"disk\":0,\"cap\":\"" cap "\"}}"
#define RESIZE(more)                                                           \
	"{\"execute\":\"resize\",\"arguments\":{\"disk\":0," more "}}"

/* Mode 0600, a greeting, and what each command returns. */
static void control_answers(void **state)
{
	struct stat st;
	json_t *answer;
	json_t *list;

	start();
	assert_int_equal(stat(control_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_true(S_ISSOCK(st.st_mode));
	answer = client_ask(ctl,
			    "{\"execute\":\"disks\",\"id\":[1,{\"a\":null}]}");
	list = json_object_get(answer, "return");
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(json_string_value(
				    json_object_get(json_array_get(list, 0),
						    "path")),
			    image);
	assert_int_equal(json_integer_value(
				 json_object_get(json_array_get(list, 0), "size")),
			 BYTES);
	assert_true(json_is_array(json_object_get(answer, "id")));
	json_decref(answer);
	/* An id comes back as it was, also where 2^53 is exceeded. */
	answer = client_ask(ctl, "{\"id\":9007199254740993,\"execute\":\"x\"}");
	assert_true(json_integer_value(json_object_get(answer, "id")) ==
		    9007199254740993);
	json_decref(answer);
	answer = client_ask(ctl, "{\"execute\":\"caps\"}");
	assert_null(json_object_get(answer, "id"));
	json_decref(answer);
	assert_cap(0, "rwdm");
	assert_int_equal(client_number(ctl, "{\"execute\":\"status\"}", "worker"),
			 worker_of(daemon_pid));
	assert_int_equal(end(SIGTERM), 0);
	assert_int_equal(access(control_path, F_OK), -1);
}

static void control_refuses(void **state)
{
	static const struct {
		const char *line;
		const char *class;
	} bad[] = {
		{ "", "Syntax" },
		{ "x", "Syntax" },
		{ "[]", "Syntax" },
		{ "{}", "Syntax" },
		{ "{\"execute\":1}", "Syntax" },
		{ "{\"execute\":\"caps\",\"execute\":\"caps\"}", "Syntax" },
		{ "{\"execute\":\"caps\"}}", "Syntax" },
		{ "{\"execute\":\"caps\",\"more\":1}", "Syntax" },
		{ "{\"execute\":\"caps\",\"id\":99999999999999999999}", "Syntax" },
		{ "{\"execute\":\"c\\u0000\"}", "Syntax" },
		{ "{\"execute\":\"caps\",\"id\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}",
		  "Syntax" },
		{ "{\"execute\":\"quit\"}", "UnknownCommand" },
		{ "{\"execute\":\"\"}", "UnknownCommand" },
		{ "{\"execute\":\"caps\",\"arguments\":[]}", "BadArgument" },
		{ "{\"execute\":\"caps\",\"arguments\":{\"disk\":0}}",
		  "BadArgument" },
		{ "{\"execute\":\"revoke\"}", "BadArgument" },
		{ "{\"execute\":\"revoke\",\"arguments\":{\"disk\":0.0}}",
		  "BadArgument" },
		{ "{\"execute\":\"revoke\",\"arguments\":{\"disk\":null}}",
		  "BadArgument" },
		{ "{\"execute\":\"revoke\",\"arguments\":{\"disk\":-1}}",
		  "NotFound" },
		{ "{\"execute\":\"revoke\",\"arguments\":{\"disk\":2}}",
		  "NotFound" },
		{ "{\"execute\":\"revoke\",\"arguments\":{\"disk\":4294967296}}",
		  "NotFound" },
		{ "{\"execute\":\"revoke\",\"arguments\":{\"disk\":\"x\"}}",
		  "NotFound" },
		{ "{\"execute\":\"revoke\",\"arguments\":{\"disk\":\"nxblk2\"}}",
		  "NotFound" },
		{ "{\"execute\":\"revoke\",\"arguments\":{\"disk\":0,\"drain\":1}}",
		  "BadArgument" },
		{ GRANT("w"), "BadArgument" },
		{ GRANT("none"), "BadArgument" },
		{ GRANT("r:1-0"), "BadArgument" },
		{ "{\"execute\":\"grant\",\"arguments\":{\"disk\":0}}",
		  "BadArgument" },
		{ "{\"execute\":\"grant\",\"arguments\":{\"disk\":0,\"cap\":7}}",
		  "BadArgument" },
		{ NARROW("rwdm:0-18446744073709551616"), "BadArgument" },
		{ RESIZE("\"size\":0"), "BadArgument" },
		{ RESIZE("\"size\":-512"), "BadArgument" },
		{ RESIZE("\"size\":513"), "BadArgument" },
		{ RESIZE("\"size\":512.0"), "BadArgument" },
		{ RESIZE("\"size\":\"1Q\""), "BadArgument" },
		{ RESIZE("\"size\":9223372036854775296"), "BadArgument" },
		{ RESIZE("\"size\":512"), "Denied" },
		{ RESIZE("\"size\":512,\"shrink\":false"), "Denied" },
		{ "{\"execute\":\"resize\",\"arguments\":{\"disk\":1,\"size\":512}}",
		  "Unsupported" },
		{ "{\"execute\":\"reopen\",\"arguments\":{\"disk\":7}}",
		  "NotFound" },
	};
	struct stat st;
	unsigned int i;

	start();
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *class = client_class(ctl, bad[i].line);

		if (strcmp(class, bad[i].class) != 0)
			fail_msg("%s: %s, not %s", bad[i].line, class,
				 bad[i].class);
	}
	/* None of them did anything. */
	assert_cap(0, "rwdm");
	assert_cap(1, "rwdm");
	assert_int_equal(stat(image, &st), 0);
	assert_int_equal(st.st_size, BYTES);
	/* Limited, and counted: ten lines of a second, and what was held back. */
	assert_true(daemon_logged(log_path, "refused: ") >= 10);
	assert_int_equal(daemon_logged(log_path, "\033"), 0);
}

/*
 * From the answer on nothing passes, whoever dies and comes again; the image keeps
 * its bytes and its time. A grant gives back.
 */
static void control_revokes(void **state)
{
	struct nxblk_config config;
	struct stat before;
	struct stat after;

	attach();
	assert_int_equal(write_at(0), NXBLK_S_OK);
	assert_int_equal(client_number(ctl, REVOKE, "drained"), 1);
	assert_int_equal(stat(image, &before), 0);
	assert_int_equal(write_at(0), NXBLK_S_PERM);
	assert_int_equal(read_at(0), NXBLK_S_PERM);
	assert_int_equal(sim_info(&g, &config), NXBLK_S_PERM);
	kill_worker();
	assert_int_equal(write_at(0), NXBLK_S_PERM);
	restart_all();
	assert_int_equal(write_at(0), NXBLK_S_PERM);
	assert_cap(0, "none");
	assert_int_equal(stat(image, &after), 0);
	assert_memory_equal(&before.st_mtim, &after.st_mtim,
			    sizeof(after.st_mtim));
	wait_logged("refused generation=", 3);
	/* Said once more it is no fault. */
	assert_int_equal(client_number(ctl, REVOKE, "drained"), 1);
	assert_string_equal(client_class(ctl, NARROW("r")), "NotFound");
	assert_string_equal(client_class(ctl, GRANT("rw:0-15")), "");
	assert_int_equal(write_at(8), NXBLK_S_OK);
	assert_int_equal(write_at(16), NXBLK_S_PERM);
	/* Exactly so many, over one worker's death and rumpk's. */
	assert_string_equal(client_class(ctl, GRANT("rwdm")), "");
	assert_int_equal(write_at(16), NXBLK_S_OK);
	assert_int_equal(end(SIGTERM), 0);
	assert_int_equal(daemon_logged(log_path, " perm=6 "), 1);
	assert_int_equal(daemon_logged(log_path, "control: uid="), 5);
}

static void control_narrows(void **state)
{
	struct nxblk_config config;

	attach();
	assert_int_equal(sim_info(&g, &config), NXBLK_S_OK);
	assert_int_equal(config.flags, NXBLK_CFG_VOLATILE_CACHE);
	assert_string_equal(client_class(ctl, NARROW("rw:0-99")), "");
	assert_int_equal(write_at(0), NXBLK_S_OK);
	assert_int_equal(write_at(96), NXBLK_S_PERM);
	assert_string_equal(client_class(ctl, NARROW("rwd")), "Denied");
	assert_string_equal(client_class(ctl, NARROW("rw:0-100")), "Denied");
	assert_cap(0, "rw:0-99");
	/* Without a range the sectors stay. */
	assert_string_equal(client_class(ctl, NARROW("r")), "");
	assert_cap(0, "r:0-99");
	assert_int_equal(write_at(0), NXBLK_S_PERM);
	assert_int_equal(read_at(0), NXBLK_S_OK);
	assert_int_equal(read_at(96), NXBLK_S_PERM);
	assert_int_equal(sim_info(&g, &config), NXBLK_S_OK);
	assert_int_equal(config.flags,
			 NXBLK_CFG_READ_ONLY | NXBLK_CFG_VOLATILE_CACHE);
	/* What the successor says is no less: a guest would refuse it. */
	kill_worker();
	assert_int_equal(sim_info(&g, &config), NXBLK_S_OK);
	assert_int_equal(config.flags,
			 NXBLK_CFG_READ_ONLY | NXBLK_CFG_VOLATILE_CACHE);
	assert_int_not_equal(config.max_discard_sectors, 0);
	restart_all();
	assert_cap(0, "r:0-99");
	assert_int_equal(write_at(0), NXBLK_S_PERM);
}

/* The file says what is granted at start; what was taken since it does not give. */
static void control_outlives_the_file(void **state)
{
	write_caps("0 rw\n1 r\n");
	attach();
	assert_cap(0, "rw");
	assert_cap(1, "r");
	assert_string_equal(client_class(ctl, NARROW("r")), "");
	restart_all();
	assert_cap(0, "r");
	assert_int_equal(write_at(0), NXBLK_S_PERM);
	/* A fault: all stays. */
	write_caps("0 rwdm\n1 x\n");
	kill(daemon_pid, SIGHUP);
	wait_logged("line 2: x: must be none or", 1);
	wait_logged("what was granted before stays", 1);
	assert_cap(0, "r");
	/* Said once more: that is the operator's word. */
	write_caps("0 rw\n");
	kill(daemon_pid, SIGHUP);
	wait_logged("channel=0 --caps", 1);
	wait_logged("channel=1 --caps", 1);
	assert_cap(0, "rw");
	assert_cap(1, "none");
	assert_int_equal(write_at(0), NXBLK_S_OK);
	/* And a start that says less takes away. */
	write_caps("# nothing\n");
	restart_all();
	assert_cap(0, "none");
	assert_int_equal(read_at(0), NXBLK_S_PERM);
}

static uint64_t capacity(void)
{
	struct nxblk_config config;

	assert_int_equal(sim_info(&g, &config), NXBLK_S_OK);
	return config.capacity;
}

static off_t image_size_now(void)
{
	struct stat st;

	assert_int_equal(stat(image, &st), 0);
	return st.st_size;
}

static void control_resizes(void **state)
{
	attach();
	assert_int_equal(write_at(SECTORS), NXBLK_S_RANGE);
	assert_int_equal(client_number(ctl, RESIZE("\"size\":\"16M\""), "before"),
			 BYTES);
	assert_int_equal(capacity(), 2 * SECTORS);
	assert_int_equal(write_at(SECTORS), NXBLK_S_OK);
	assert_string_equal(client_class(ctl, RESIZE("\"size\":4194304")),
			    "Denied");
	assert_int_equal(client_number(ctl,
				       RESIZE("\"size\":4194304,\"shrink\":true"),
				       "size"),
			 4 << 20);
	assert_int_equal(capacity(), SECTORS / 2);
	assert_int_equal(image_size_now(), 4 << 20);
	assert_int_equal(write_at(SECTORS / 2), NXBLK_S_RANGE);
	assert_int_equal(write_at(SECTORS / 2 - 8), NXBLK_S_OK);
	assert_int_equal(image_size_now(), 4 << 20);
	kill_worker();
	assert_int_equal(capacity(), SECTORS / 2);
}

/* A successor that cannot have the disk offers it as it was at the end. */
static void control_resizes_what_is_lost_later(void **state)
{
	attach();
	assert_int_equal(client_number(ctl,
				       RESIZE("\"size\":4194304,\"shrink\":true"),
				       "size"),
			 4 << 20);
	assert_int_equal(truncate(image, (4 << 20) - 1), 0);
	kill_worker();
	assert_int_equal(read_at(0), NXBLK_S_IOERR);
	assert_int_equal(capacity(), SECTORS / 2);
}

/* The file is changed by then, and that is what is said, and offered. */
static void control_resizes_without_a_sync(void **state)
{
	json_t *reply;
	json_t *error;

	attach();
	*sync_fails = 1;
	reply = client_ask(ctl, RESIZE("\"size\":\"16M\""));
	*sync_fails = 0;
	error = json_object_get(reply, "error");
	assert_string_equal(json_string_value(json_object_get(error, "class")),
			    "Failed");
	assert_non_null(strstr(json_string_value(json_object_get(error, "desc")),
			       "the image has the new size, but"));
	json_decref(reply);
	assert_int_equal(image_size_now(), 2 * BYTES);
	assert_int_equal(capacity(), 2 * SECTORS);
}

/* A file that took the image's name is left alone, and the disk keeps its size. */
static void control_resizes_no_other_file(void **state)
{
	char aside[96];
	int fd;

	attach();
	snprintf(aside, sizeof(aside), "%s.aside", image);
	assert_int_equal(rename(image, aside), 0);
	fd = open(image, O_RDWR | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, BYTES), 0);
	close(fd);
	assert_string_equal(client_class(ctl,
					 RESIZE("\"size\":512,\"shrink\":true")),
			    "Failed");
	/* Once in the log, and also when nobody waits for the answer. */
	wait_logged(" resize refused: Failed", 1);
	client_say(ctl, RESIZE("\"size\":512,\"shrink\":true"));
	close(ctl);
	wait_logged(" resize refused: Failed", 2);
	ctl = client_connect(control_path);
	assert_int_equal(daemon_logged(log_path, " resize refused: "), 2);
	assert_int_equal(image_size_now(), BYTES);
	assert_int_equal(capacity(), SECTORS);
	assert_int_equal(write_at(SECTORS - 8), NXBLK_S_OK);
	assert_int_equal(rename(aside, image), 0);
	assert_string_equal(client_class(ctl,
					 RESIZE("\"size\":512,\"shrink\":true")),
			    "");
	assert_int_equal(capacity(), 1);
}

static int latched(void)
{
	json_t *answer = client_ask(ctl, "{\"execute\":\"disks\"}");
	json_t *d = json_array_get(json_object_get(answer, "return"), 0);
	int is = json_is_true(json_object_get(d, "sync_failed"));

	json_decref(answer);
	return is;
}

/* The word that what was lost is made good; the next failure is a new one. */
static void control_reopens(void **state)
{
	attach();
	*sync_fails = 1;
	assert_int_equal(flush(), NXBLK_S_IOERR);
	*sync_fails = 0;
	assert_int_equal(flush(), NXBLK_S_IOERR);
	assert_true(latched());
	/* For another disk it says nothing. */
	assert_string_equal(
		client_class(ctl,
			     "{\"execute\":\"reopen\",\"arguments\":{\"disk\":1}}"),
		"");
	assert_int_equal(flush(), NXBLK_S_IOERR);
	assert_string_equal(client_class(ctl, "{\"execute\":\"reopen\"}"), "");
	assert_int_equal(flush(), NXBLK_S_OK);
	assert_false(latched());
	kill_worker();
	assert_int_equal(flush(), NXBLK_S_OK);
	restart_all();
	assert_int_equal(flush(), NXBLK_S_OK);
	*sync_fails = 1;
	assert_int_equal(flush(), NXBLK_S_IOERR);
	*sync_fails = 0;
	kill_worker();
	assert_int_equal(flush(), NXBLK_S_IOERR);
	assert_true(latched());
}

/* The supervisor has another worker serve, and the guest is served: soon. */
static void still_works(void)
{
	uint64_t from = now_ms();

	kill_worker();
	assert_int_equal(write_at(0), NXBLK_S_OK);
	assert_true(now_ms() - from < 5000);
}

static void control_takes_lines_in_pieces(void **state)
{
	static const char two[] =
		"{\"execute\":\"caps\",\"id\":1}\n{\"execute\":\"caps\",\"id\":2}\n";
	unsigned int i;

	start();
	for (i = 0; i < strlen(two); i++) {
		assert_int_equal(send(ctl, two + i, 1, MSG_NOSIGNAL), 1);
		if (i % 7 == 0)
			usleep(500);
	}
	assert_non_null(strstr(client_line(ctl), "\"id\":1"));
	assert_non_null(strstr(client_line(ctl), "\"id\":2"));
	/* Half-closed: what was asked is answered, then comes the end. */
	client_say(ctl, "{\"execute\":\"caps\",\"id\":3}");
	client_say(ctl, "{\"execute\":\"caps\",\"id\":4}");
	assert_int_equal(send(ctl, "{\"exec", 7, MSG_NOSIGNAL), 7);
	shutdown(ctl, SHUT_WR);
	assert_non_null(strstr(client_line(ctl), "\"id\":3"));
	assert_non_null(strstr(client_line(ctl), "\"id\":4"));
	assert_null(client_line(ctl));
}

static void control_bounds_a_line(void **state)
{
	static char line[CONTROL_LINE];
	char *said;

	attach();
	/* The longest that is taken, and one byte more. */
	memset(line, ' ', sizeof(line));
	memcpy(line, "{\"execute\":\"caps\"}", 18);
	line[sizeof(line) - 1] = '\0';
	assert_string_equal(client_class(ctl, line), "");
	memset(line, '[', sizeof(line));
	assert_int_equal(send(ctl, line, sizeof(line), MSG_NOSIGNAL),
			 sizeof(line));
	said = client_line(ctl);
	assert_non_null(strstr(said, "\"class\":\"Syntax\""));
	assert_null(client_line(ctl));
	close(ctl);
	ctl = client_connect(control_path);
	memset(line, 0xff, 1000);
	line[1000] = '\0';
	assert_string_equal(client_class(ctl, line), "Syntax");
	memset(line, '[', 4000);
	line[4000] = '\0';
	assert_string_equal(client_class(ctl, line), "Syntax");
	still_works();
}

/* Who reads nothing is told nothing more, and holds up nobody else. */
static void control_waits_for_no_reader(void **state)
{
	static const char ask[] = "{\"execute\":\"status\"}\n";
	unsigned int sent = 0;
	int slow;

	attach();
	slow = client_connect(control_path);
	while (send(slow, ask, strlen(ask), MSG_DONTWAIT | MSG_NOSIGNAL) ==
		       (ssize_t)strlen(ask) &&
	       sent < 1000000)
		sent++;
	assert_true(sent < 1000000);
	assert_string_equal(client_class(ctl, NARROW("rw")), "");
	still_works();
	/* All of it is answered in the end, as far as it was whole. */
	while (sent--)
		assert_non_null(strstr(client_line(slow), "\"return\""));
	close(slow);
}

/* Any number of silent ones, with half a line or none: the next one gets in. */
static void control_lets_an_operator_in(void **state)
{
	int fd[3 * CONTROL_CLIENTS];
	unsigned int i;

	attach();
	for (i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = client_connect(control_path);
		if (i % 2)
			assert_int_equal(send(fd[i], "{\"e", 3, MSG_NOSIGNAL), 3);
	}
	close(ctl);
	ctl = client_connect(control_path);
	assert_string_equal(client_class(ctl, GRANT("rw")), "");
	still_works();
	for (i = 0; i < ARRAY_SIZE(fd); i++)
		close(fd[i]);
	assert_string_equal(client_class(ctl, GRANT("rwd")), "");
}

static void control_survives_a_crowd(void **state)
{
	unsigned int i;

	attach();
	for (i = 0; i < 10000; i++) {
		int fd = unix_connect(control_path, SOCK_STREAM);

		assert_true(fd >= 0);
		if (i % 3 == 0)
			send(fd, "\n{}\n\xff\n", 6, MSG_NOSIGNAL | MSG_DONTWAIT);
		close(fd);
	}
	close(ctl);
	ctl = client_connect(control_path);
	assert_cap(0, "rwdm");
	still_works();
}

/* Where the socket's mode was loosened: the kernel says who it is. */
static void control_refuses_others(void **state)
{
	int status;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	attach();
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(chmod(control_path, 0666), 0);
	pid = fork();
	if (pid == 0) {
		char c;
		int fd;

		if (setresgid(65534, 65534, 65534) ||
		    setresuid(65534, 65534, 65534))
			_exit(1);
		fd = unix_connect(control_path, SOCK_STREAM);
		_exit(fd < 0 ? 2 : recv(fd, &c, 1, 0) == 1 ? 3 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 0);
	wait_logged("control: refused uid=65534 pid=", 1);
	assert_cap(0, "rwdm");
}

/* A socket that a dead rumpk left is replaced; what is none is left alone. */
static void control_takes_its_place(void **state)
{
	struct stat st;
	int fd;

	attach();
	assert_int_equal(end(SIGKILL), 256);
	assert_int_equal(lstat(control_path, &st), 0);
	start();
	daemon_follow(&g, DEPTH);
	assert_cap(0, "rwdm");
	assert_int_equal(end(SIGKILL), 256);
	unlink(control_path);
	fd = open(control_path, O_RDWR | O_CREAT, 0600);
	close(fd);
	assert_int_equal(daemon_fails(command_line(), log_path), 2);
	assert_int_equal(daemon_logged(log_path, "exists and is no socket"), 1);
	assert_int_equal(lstat(control_path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	unlink(control_path);
	start();
	daemon_follow(&g, DEPTH);
}

/* Its log is its standard descriptor @fd, where it says that it is ready. */
static void start_ready_at(const char *fd)
{
	const char *const *more = command_line();
	char *argv[16] = { "rumpk", "--ready-fd", (char *)(uintptr_t)fd };
	int argc = 3;

	while (*more)
		argv[argc++] = (char *)(uintptr_t)*more++;
	daemon_pid = fork();
	if (daemon_pid == 0) {
		int log = open(log_path, O_RDWR | O_CREAT | O_APPEND, 0600);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(log, STDERR_FILENO);
		dup2(log, atoi(fd));
		_exit(rumpk_run(argc, argv));
	}
}

/* Who says there that it is ready goes on to write down there what is done. */
static void control_is_audited_at_the_ready_fd(void **state)
{
	static const char *const fds[] = { "0", "1", "2" };
	char link[64];
	char file[128];
	unsigned int i;
	ssize_t n;

	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		start_ready_at(fds[i]);
		wait_logged("serving 2 disks at ", i + 1);
		wait_logged("\n\n", i + 1);
		ctl = client_connect(control_path);
		assert_string_equal(client_class(ctl, REVOKE), "");
		wait_logged(" revoke: capability now none", i + 1);
		snprintf(link, sizeof(link), "/proc/%d/fd/%s", (int)daemon_pid,
			 fds[i]);
		n = readlink(link, file, sizeof(file) - 1);
		assert_true(n > 0);
		file[n] = '\0';
		assert_string_equal(file, log_path);
		assert_int_equal(end(SIGTERM), 0);
		daemon_wait_keeper(socket_path);
	}
}

static int setup(void **state)
{
	int fd;

	strcpy(dir, "/dev/shm/rumpk-unit-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(socket_path, sizeof(socket_path), "%s/s", dir);
	snprintf(control_path, sizeof(control_path), "%s/c", dir);
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	snprintf(caps_path, sizeof(caps_path), "%s/caps", dir);
	snprintf(image, sizeof(image), "%s/image", dir);
	snprintf(disk, sizeof(disk), "file=%s", image);
	fd = open(image, O_RDWR | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, BYTES), 0);
	close(fd);
	memset(&g, 0, sizeof(g));
	*sync_fails = 0;
	with_caps = false;
	return 0;
}

static int teardown(void **state)
{
	if (g.base)
		sim_disconnect(&g);
	if (daemon_pid > 0)
		end(SIGTERM);
	daemon_wait_keeper(socket_path);
	unlink(log_path);
	unlink(caps_path);
	unlink(image);
	return rmdir(dir);
}

/* Who looks for a stale socket is alone with it: another waits, and replaces nothing. */
static void control_waits_for_its_place(void **state)
{
	char lock[128];
	pid_t holder;
	int status;
	int fd;

	attach();
	assert_int_equal(end(SIGKILL), 256);
	snprintf(lock, sizeof(lock), "%s.lock", control_path);
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	holder = fork();
	if (!holder) {
		usleep(1000000);
		_exit(unix_connect(control_path, SOCK_STREAM) != -ECONNREFUSED);
	}
	close(fd);
	start();
	assert_int_equal(waitpid(holder, &status, 0), holder);
	assert_int_equal(status, 0);
	assert_int_not_equal(access(lock, F_OK), 0);
	daemon_follow(&g, DEPTH);
	assert_cap(0, "rwdm");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(control_answers),
		TEST(control_refuses),
		TEST(control_revokes),
		TEST(control_narrows),
		TEST(control_outlives_the_file),
		TEST(control_resizes),
		TEST(control_resizes_what_is_lost_later),
		TEST(control_resizes_without_a_sync),
		TEST(control_resizes_no_other_file),
		TEST(control_reopens),
		TEST(control_takes_lines_in_pieces),
		TEST(control_bounds_a_line),
		TEST(control_waits_for_no_reader),
		TEST(control_lets_an_operator_in),
		TEST(control_survives_a_crowd),
		TEST(control_refuses_others),
		TEST(control_takes_its_place),
		TEST(control_is_audited_at_the_ready_fd),
		TEST(control_waits_for_its_place),
	};

	sync_fails = mmap(NULL, sizeof(*sync_fails), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
