/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * rumpkctl: ask a rumpk that runs, or tell it something, over its control socket.
 * One command a run: connect, read the greeting, send it, print the answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control.h"
#include "log.h"
#include "unix.h"
#include "util.h"
#include "version.h"

#define EXIT_FAILED 1
#define EXIT_USAGE 2
/* An answer may take as long as a hung worker's end; a resize alone takes longer. */
#define TIMEOUT_S 60u
#define TIMEOUT_MOST_S 86400u
#define CONNECT_TRY_US 20000u
#define ANSWER_MAX (1u << 20)

static const char help[] =
	"Usage: rumpkctl [--socket PATH] [--json] COMMAND [ARGUMENT]...\n"
	"Ask a rumpk that was started with --control PATH, or tell it something.\n"
	"\n"
	"  status                    worker, guest, channels, requests\n"
	"  disks                     backend, path, size and state of each disk\n"
	"  caps                      what the guest may do with each disk\n"
	"  grant DISK CAP            from now on exactly CAP\n"
	"  narrow DISK CAP           take away all but CAP; without a range the sectors stay\n"
	"  revoke DISK               take away all\n"
	"  resize DISK SIZE [--shrink]   give the image another size\n"
	"  reopen [DISK]             disks whose device is gone or whose sync has failed go on:\n"
	"                            your word that what was lost is made good\n"
	"\n"
	"DISK is a number, nxblkN, or the path behind --disk; CAP is as behind cap=:\n"
	"r[m]|rw[d][m][:FIRST-LAST] in sectors; SIZE is in bytes or with K, M, G, T.\n"
	"grant, narrow and revoke hold from the next request on, and answer when what was\n"
	"under way before is over; --no-drain: do not wait for that.\n"
	"\n"
	"  --socket PATH   control socket ($RUMPK_CONTROL)\n"
	"  --timeout SECONDS   to wait for an answer, in all (60)\n"
	"  --json          print the answer as JSON, one line\n"
	"  --version       print the version\n"
	"  --help          print this\n"
	"\n"
	"Exit status: 0 done, 1 refused or failed, 2 wrong usage or no rumpk there.\n";

/**
 * struct ctl - what is to be done
 * @socket: path
 * @timeout_s: how long to wait, in all
 * @until_ms: until when that is, in milliseconds
 * @json: print the answer as it is
 * @shrink: --shrink
 * @no_drain: --no-drain
 * @command: its name
 * @arguments: of it
 */
struct ctl {
	const char *socket;
	unsigned int timeout_s;
	uint64_t until_ms;
	bool json;
	bool shrink;
	bool no_drain;
	const char *command;
	json_t *arguments;
};

/**
 * struct verb - a command
 * @name: of it
 * @least: arguments
 * @most: arguments
 * @names: what they are called
 * @form: likewise, for people
 * @print: the answer, for people
 */
struct verb {
	const char *name;
	int least;
	int most;
	const char *names[2];
	const char *form;
	void (*print)(const json_t *answer);
};

static const char *text(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value ? value : "-";
}

static json_int_t number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static const char *yes(const json_t *object, const char *key, const char *word)
{
	return json_is_true(json_object_get(object, key)) ? word : "";
}

/* As many as the log has lines of refused requests, those held back included. */
static json_int_t refused(const json_t *counters)
{
	static const char *const reasons[] = { "perm",	"ro",	  "range",
					       "inval", "unsupp", "stale" };
	json_int_t n = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(reasons); i++)
		n += number(counters, reasons[i]);
	return n;
}

static void print_status(const json_t *a)
{
	const json_t *counters;
	json_t *c;
	size_t i;

	printf("rumpk %s, worker %" JSON_INTEGER_FORMAT
	       " (%s for %" JSON_INTEGER_FORMAT " ms), %" JSON_INTEGER_FORMAT
	       " restarts, guest %s, generation %" JSON_INTEGER_FORMAT "\n",
	       text(a, "version"), number(a, "worker"), text(a, "phase"),
	       number(a, "serving_ms"), number(a, "restarts"),
	       *yes(a, "guest", "y") ? "attached" : "not attached",
	       number(a, "generation"));
	printf("%-8s %-9s %10s %9s %12s %12s %8s\n", "DISK", "STATE",
	       "GENERATION", "IN-FLIGHT", "READS", "WRITES", "REFUSED");
	json_array_foreach(json_object_get(a, "channels"), i, c)
	{
		counters = json_object_get(c, "counters");
		printf("%-8s %-9s %10" JSON_INTEGER_FORMAT
		       " %9" JSON_INTEGER_FORMAT " %12" JSON_INTEGER_FORMAT
		       " %12" JSON_INTEGER_FORMAT " %8" JSON_INTEGER_FORMAT "\n",
		       text(c, "name"), text(c, "state"), number(c, "generation"),
		       number(c, "in_flight"), number(counters, "reads"),
		       number(counters, "writes"), refused(counters));
	}
}

static void print_disks(const json_t *a)
{
	json_t *d;
	size_t i;

	printf("%-8s %-7s %16s %5s  %-22s %s\n", "DISK", "BACKEND", "BYTES",
	       "BLOCK", "STATE", "PATH");
	json_array_foreach(a, i, d)
	{
		char state[64];

		snprintf(state, sizeof(state), "%s%s%s%s%s",
			 yes(d, "read_only", "ro "), yes(d, "strict", "strict "),
			 yes(d, "lost", "lost "), yes(d, "waiting", "waiting "),
			 yes(d, "sync_failed", "sync-failed"));
		printf("%-8s %-7s %16" JSON_INTEGER_FORMAT
		       " %5" JSON_INTEGER_FORMAT "  %-22s %s\n",
		       text(d, "name"), text(d, "backend"), number(d, "size"),
		       number(d, "block"), *state ? state : "-", text(d, "path"));
	}
}

static void print_caps(const json_t *a)
{
	json_t *c;
	size_t i;

	printf("%-8s %4s %8s  %s\n", "DISK", "SLOT", "EPOCH", "CAPABILITY");
	json_array_foreach(a, i, c)
	{
		printf("%-8s %4" JSON_INTEGER_FORMAT " %8" JSON_INTEGER_FORMAT
		       "  %s\n",
		       text(c, "name"), number(c, "slot"), number(c, "epoch"),
		       text(c, "cap"));
	}
}

static void print_cap(const json_t *a)
{
	json_int_t left = number(a, "in_flight");

	printf("disk %" JSON_INTEGER_FORMAT " has %s", number(a, "disk"),
	       text(a, "cap"));
	if (!*yes(a, "drained", "y"))
		printf("; %" JSON_INTEGER_FORMAT
		       " requests from before may still be under way",
		       left);
	putchar('\n');
}

static void print_size(const json_t *a)
{
	printf("disk %" JSON_INTEGER_FORMAT " has %" JSON_INTEGER_FORMAT
	       " bytes, before %" JSON_INTEGER_FORMAT "\n",
	       number(a, "disk"), number(a, "size"), number(a, "before"));
}

static const struct verb verbs[] = {
	{ "status", 0, 0, { NULL }, "no arguments", print_status },
	{ "disks", 0, 0, { NULL }, "no arguments", print_disks },
	{ "caps", 0, 0, { NULL }, "no arguments", print_caps },
	{ "grant", 2, 2, { "disk", "cap" }, "DISK CAP", print_cap },
	{ "narrow", 2, 2, { "disk", "cap" }, "DISK CAP", print_cap },
	{ "revoke", 1, 1, { "disk", NULL }, "DISK", print_cap },
	{ "resize", 2, 2, { "disk", "size" }, "DISK SIZE", print_size },
	{ "reopen", 0, 1, { "disk", NULL }, "at most one DISK", print_disks },
};

static const struct verb *find_verb(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	rumpk_error("%s: there is no such command, see --help", name);
	return NULL;
}

/* With what was given instead. */
static int wrong_number(const struct verb *verb, char **words, int n)
{
	char given[256] = "";
	size_t at = 0;
	int i;

	for (i = 0; i < n && at < sizeof(given); i++)
		at += (size_t)snprintf(given + at, sizeof(given) - at, " %s",
				       words[i]);
	rumpk_error("%s%s: must be followed by %s, see --help", verb->name,
		    given, verb->form);
	return -EINVAL;
}

static int usage(const char *what, const char *why)
{
	rumpk_error("%s: %s", what, why);
	return -EINVAL;
}

/* The words of the command line become the arguments of the command. */
static int read_words(struct ctl *ctl, const struct verb *verb, char **words,
		      int n)
{
	json_t *value;
	int i;

	if (n < verb->least || n > verb->most)
		return wrong_number(verb, words, n);
	if (ctl->shrink && strcmp(verb->name, "resize") != 0)
		return usage("--shrink", "is for resize");
	if (ctl->no_drain && verb->print != print_cap)
		return usage("--no-drain", "is for grant, narrow and revoke");
	for (i = 0; i < n; i++) {
		value = json_string(words[i]);
		if (!value)
			return usage(verb->names[i], "must be UTF-8");
		json_object_set_new(ctl->arguments, verb->names[i], value);
	}
	if (ctl->shrink)
		json_object_set_new(ctl->arguments, "shrink", json_true());
	if (ctl->no_drain)
		json_object_set_new(ctl->arguments, "drain", json_false());
	return 0;
}

/* One line; up to ANSWER_MAX bytes. NULL with errno EAGAIN: not in time. */
static json_t *receive(const struct ctl *ctl, FILE *from)
{
	static char line[ANSWER_MAX];
	uint64_t now = now_ms();
	uint64_t left = now < ctl->until_ms ? ctl->until_ms - now : 1;
	const struct timeval most = {
		.tv_sec = (time_t)(left / 1000),
		.tv_usec = (suseconds_t)(left % 1000 * 1000),
	};

	setsockopt(fileno(from), SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most));
	errno = 0;
	if (!fgets(line, sizeof(line), from))
		return NULL;
	return json_loads(line, JSON_REJECT_DUPLICATES, NULL);
}

static bool is_greeting(const json_t *greeting)
{
	const json_t *rumpk = json_object_get(greeting, "rumpk");

	return number(rumpk, "protocol") == CONTROL_PROTOCOL;
}

static void send_command(int fd, const struct ctl *ctl)
{
	json_t *message = json_pack("{s:s, s:O}", "execute", ctl->command,
				    "arguments", ctl->arguments);

	if (!json_dumpfd(message, fd, JSON_COMPACT))
		dprintf(fd, "\n");
	json_decref(message);
}

/* Nothing came: not in time, or never. */
static void say_missing(const struct ctl *ctl, const char *what,
			const char *besides)
{
	if (errno == EAGAIN)
		rumpk_error("%s: no %s within %u s (--timeout)%s", ctl->socket,
			    what, ctl->timeout_s, besides);
	else
		rumpk_error("%s: no %s came%s", ctl->socket, what, besides);
}

static int print_answer(const struct ctl *ctl, const struct verb *verb,
			const json_t *answer)
{
	const json_t *error = json_object_get(answer, "error");
	const json_t *result = json_object_get(answer, "return");

	if (!error && !result) {
		say_missing(ctl, "answer",
			    "; what was asked for may be in force all the same");
		return EXIT_FAILED;
	}
	if (ctl->json) {
		json_dumpf(error ? error : result, stdout,
			   JSON_COMPACT | JSON_ENCODE_ANY);
		putchar('\n');
	} else if (error) {
		rumpk_error("%s: %s (%s)", ctl->command, text(error, "desc"),
			    text(error, "class"));
	} else {
		verb->print(result);
	}
	return error ? EXIT_FAILED : 0;
}

static int converse(int fd, const struct ctl *ctl, const struct verb *verb)
{
	FILE *from = fdopen(fd, "r");
	json_t *greeting = from ? receive(ctl, from) : NULL;
	json_t *answer = NULL;
	int status;

	if (!is_greeting(greeting)) {
		if (greeting)
			rumpk_error("%s: no rumpk of this version serves there",
				    ctl->socket);
		else
			say_missing(ctl, "greeting", "");
		status = EXIT_USAGE;
	} else {
		/* What is refused before all of it is read is answered too. */
		send_command(fd, ctl);
		answer = receive(ctl, from);
		status = print_answer(ctl, verb, answer);
	}
	json_decref(greeting);
	json_decref(answer);
	if (from)
		fclose(from);
	return fflush(stdout) ? EXIT_FAILED : status;
}

/* Where too many wait already a place is waited for. */
static int connect_in_time(const struct ctl *ctl)
{
	int fd;

	while ((fd = unix_connect(ctl->socket, SOCK_STREAM | SOCK_NONBLOCK)) ==
		       -EAGAIN &&
	       now_ms() < ctl->until_ms)
		usleep(CONNECT_TRY_US);
	if (fd >= 0 && fcntl(fd, F_SETFL, 0) == 0)
		return fd;
	if (fd == -EAGAIN)
		rumpk_error("%s: no place among its clients within %u s (--timeout)",
			    ctl->socket, ctl->timeout_s);
	else
		rumpk_error("%s: %s", ctl->socket,
			    strerror(fd < 0 ? -fd : errno));
	return -1;
}

static int run(struct ctl *ctl, int n, char **words)
{
	const struct verb *verb = find_verb(words[0]);
	int fd;

	if (!verb || read_words(ctl, verb, words + 1, n - 1))
		return EXIT_USAGE;
	ctl->command = verb->name;
	if (!ctl->socket || !*ctl->socket) {
		rumpk_error(
			"--socket PATH is missing, and RUMPK_CONTROL is not set");
		return EXIT_USAGE;
	}
	ctl->until_ms = now_ms() + 1000ull * ctl->timeout_s;
	fd = connect_in_time(ctl);
	if (fd < 0)
		return EXIT_USAGE;
	return converse(fd, ctl, verb);
}

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, 's' },
	{ "timeout", required_argument, NULL, 't' },
	{ "json", no_argument, NULL, 'j' },
	{ "shrink", no_argument, NULL, 'k' },
	{ "no-drain", no_argument, NULL, 'd' },
	{ "version", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int read_timeout(struct ctl *ctl, const char *word)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(word, &end, 10);
	if (*word < '0' || *word > '9' || *end || errno || !n ||
	    n > TIMEOUT_MOST_S) {
		rumpk_error("--timeout %s: must be a number of seconds from 1 to %u",
			    word, TIMEOUT_MOST_S);
		return -EINVAL;
	}
	ctl->timeout_s = (unsigned int)n;
	return 0;
}

/* A number below 0 is no option; NULL: there is none. */
static const char *negative_word(int argc, char **argv)
{
	int i;

	for (i = 2; i < argc; i++)
		if (argv[i][0] == '-' && argv[i][1] >= '0' &&
		    argv[i][1] <= '9' && argv[i - 1][0] != '-')
			return argv[i];
	return NULL;
}

/* What getopt finds wrong it says itself. Return: 0, or what else was asked for. */
static int read_options(struct ctl *ctl, int argc, char **argv)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (opt) {
		case 's':
			ctl->socket = optarg;
			break;
		case 't':
			if (read_timeout(ctl, optarg))
				return '?';
			break;
		case 'j':
			ctl->json = true;
			break;
		case 'k':
			ctl->shrink = true;
			break;
		case 'd':
			ctl->no_drain = true;
			break;
		default:
			return opt;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct ctl ctl = {
		.socket = getenv("RUMPK_CONTROL"),
		.timeout_s = TIMEOUT_S,
	};
	const char *negative = negative_word(argc, argv);
	int other;
	int status;

	rumpk_log_program("rumpkctl");
	if (negative) {
		rumpk_error("%s: no number is below 0; SIZE must be a number of bytes above 0, or as in 64M",
			    negative);
		return EXIT_USAGE;
	}
	other = read_options(&ctl, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	if (other == 'h') {
		fputs(help, stdout);
		return 0;
	}
	if (other == 'v') {
		printf("rumpkctl %s\n", RUMPK_VERSION);
		return 0;
	}
	if (other)
		return EXIT_USAGE;
	if (optind == argc) {
		rumpk_error("a command is missing, see --help");
		return EXIT_USAGE;
	}
	ctl.arguments = json_object();
	status = run(&ctl, argc - optind, argv + optind);
	json_decref(ctl.arguments);
	return status;
}
