// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control socket: the first two bytes say how the rest is sent, which is what a
 * client says. Each line is answered once, in order, with its id, and by a return or
 * an error of a class that there is; what is refused changes nothing of the
 * authority, and what is done is what was asked for. Another client is served
 * throughout.
 */
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "rumpk/control.h"
#include "rumpk/cspace.h"
#include "rumpk/unix.h"
#include "rumpk/util.h"

#define DISKS 3u
#define MOST_TURNS 400u
#define MOST_BYTES 4000u

static char dir[] = "/tmp/fuzz-control-XXXXXX";
static char path[64];
static struct options options;
static struct authority authority;
static struct authority before;
static struct ledger ledger;
static struct window_record record;
static struct control *control;
static unsigned int lazy, turns;

/* No image is changed here: whoever tries is told that there is no memory. */
pid_t __wrap_fork(void);
pid_t __wrap_fork(void)
{
	errno = ENOMEM;
	return -1;
}

static void remove_path(void)
{
	unlink(path);
	rmdir(dir);
}

void fuzz_setup(void)
{
	const struct control_cell cell = {
		.o = &options,
		.a = &authority,
		.l = &ledger,
		.record = &record,
	};

	FUZZ_CHECK(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/c", dir);
	options.disks = DISKS;
	options.disk[0].path = "/image\xff";
	options.disk[0].block = 4096;
	options.disk[1].block = 512;
	options.disk[2].path = "/device";
	options.disk[2].vhost = true;
	options.disk[2].block = 512;
	control = control_open(path, &cell);
	FUZZ_CHECK(control);
	atexit(remove_path);
}

/* The worker takes notice of changes every so many turns. */
static void turn(void)
{
	const struct control_now now = { .worker = 7, .started = 3 };
	control_turn(control, &now);
	if (++turns % (lazy + 1) == 0)
		ledger.seen = authority.changes;
}

/* One line of @fd without its newline; NULL: the end. Good until the next one. */
static char *answer_of(int fd)
{
	static char text[1u << 17];
	unsigned int i;

	for (i = 0; i < MOST_TURNS; i++) {
		ssize_t n = recv(fd, text, sizeof(text), MSG_DONTWAIT | MSG_PEEK);
		char *end = n > 0 ? memchr(text, '\n', (size_t)n) : NULL;

		if (n == 0)
			return NULL;
		if (end) {
			n = end + 1 - text;
			FUZZ_CHECK(recv(fd, text, (size_t)n, 0) == n);
			*end = '\0';
			return text;
		}
		turn();
	}
	FUZZ_CHECK(!"an answer in time");
	return NULL;
}

static int come(void)
{
	int fd = unix_connect(path, SOCK_STREAM);
	char *greeting;

	FUZZ_CHECK(fd >= 0);
	greeting = answer_of(fd);
	FUZZ_CHECK(greeting && strstr(greeting, "\"protocol\":1"));
	return fd;
}

static bool known_class(const char *class)
{
	static const char *const known[] = {
		"Syntax",  "UnknownCommand", "BadArgument",
		"Denied",  "NotFound",	     "Unsupported",
		"Timeout", "Failed",	     "Busy",
	};
	size_t i;

	for (i = 0; class && i < ARRAY_SIZE(known); i++)
		if (!strcmp(class, known[i]))
			return true;
	return false;
}

static json_t *check_form(const char *line)
{
	json_t *answer = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	json_t *error = json_object_get(answer, "error");

	FUZZ_CHECK(json_is_object(answer));
	FUZZ_CHECK(!error != !json_object_get(answer, "return"));
	if (!error)
		return answer;
	FUZZ_CHECK(
		known_class(json_string_value(json_object_get(error, "class"))));
	FUZZ_CHECK(json_is_string(json_object_get(error, "desc")));
	return answer;
}

/* What the valve would find; of a slot that is not valid nothing counts. */
static bool same_caps(const struct authority *a, const struct authority *b)
{
	struct disk_options x, y;
	unsigned int i;

	for (i = 0; i < DISKS; i++) {
		safety_held(a, i, &x);
		safety_held(b, i, &y);
		if (x.rights != y.rights ||
		    (x.rights && (x.first != y.first || x.last != y.last)))
			return false;
	}
	return true;
}

static bool within(const struct disk_options *x, const struct disk_options *y)
{
	return !(x->rights & ~y->rights) &&
	       (!x->rights || (x->first >= y->first && x->last <= y->last));
}

/* The command was done: is that what it says? */
static void check_effect(const char *command, const json_t *args,
			 const json_t *result)
{
	const char *cap = json_string_value(json_object_get(args, "cap"));
	unsigned int n = (unsigned int)json_integer_value(
		json_object_get(result, "disk"));
	struct disk_options asked, was, now;

	if (strcmp(command, "grant") && strcmp(command, "narrow") &&
	    strcmp(command, "revoke")) {
		FUZZ_CHECK(same_caps(&authority, &before));
		return;
	}
	FUZZ_CHECK(n < DISKS);
	safety_held(&before, n, &was);
	safety_held(&authority, n, &now);
	if (cap)
		FUZZ_CHECK(!parse_cap(cap, &asked) && now.rights == asked.rights);
	if (!strcmp(command, "revoke"))
		FUZZ_CHECK(!now.rights);
	if (!strcmp(command, "narrow"))
		FUZZ_CHECK(now.rights && within(&now, &was));
	if (cap && strchr(cap, ':'))
		FUZZ_CHECK(now.first == asked.first && now.last == asked.last);
	/* And no other disk's. */
	if (now.rights) {
		const struct cspace_cap set = { ION_KIND_BLK, (uint16_t)n,
						now.rights, now.first, now.last };

		cspace_set(&before.cspace, n, &set);
	} else {
		cspace_revoke(&before.cspace, n);
	}
	FUZZ_CHECK(same_caps(&authority, &before));
}

static void check_answer(const char *line, size_t length, const char *text)
{
	json_t *message = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
	json_t *answer = check_form(text);
	json_t *error = json_object_get(answer, "error");
	json_t *id = json_object_get(answer, "id");
	const char *command =
		json_string_value(json_object_get(message, "execute"));

	if (id)
		FUZZ_CHECK(json_equal(id, json_object_get(message, "id")));
	if (!error) {
		FUZZ_CHECK(command);
		FUZZ_CHECK(!id == !json_object_get(message, "id"));
		check_effect(command, json_object_get(message, "arguments"),
			     json_object_get(answer, "return"));
	} else {
		FUZZ_CHECK(same_caps(&authority, &before));
		FUZZ_CHECK(!memcmp(authority.reopened, before.reopened,
				   sizeof(before.reopened)));
	}
	json_decref(message);
	json_decref(answer);
}

/* Line by line: what each one does is seen. */
static void one_by_one(int fd, const char *at, const char *end)
{
	const char *stop;

	while ((stop = memchr(at, '\n', (size_t)(end - at)))) {
		char *answer;

		memcpy(&before, &authority, sizeof(before));
		FUZZ_CHECK(send(fd, at, (size_t)(stop + 1 - at), MSG_NOSIGNAL) ==
			   stop + 1 - at);
		answer = answer_of(fd);
		FUZZ_CHECK(answer);
		check_answer(at, (size_t)(stop - at), answer);
		at = stop + 1;
	}
}

/* All at once, or in pieces, and the end: as many answers as there are lines. */
static void in_pieces(int fd, const char *at, const char *end, size_t piece)
{
	const char *line = at;
	unsigned int lines = 0;
	char *answer;

	while ((line = memchr(line, '\n', (size_t)(end - line)))) {
		line++;
		lines++;
	}
	while (at < end) {
		size_t n = min_u64(piece, (uint64_t)(end - at));

		FUZZ_CHECK(send(fd, at, n, MSG_NOSIGNAL) == (ssize_t)n);
		at += n;
		turn();
	}
	shutdown(fd, SHUT_WR);
	while ((answer = answer_of(fd))) {
		json_decref(check_form(answer));
		FUZZ_CHECK(lines--);
	}
	FUZZ_CHECK(!lines);
}

/* Every disk can do all, the device has some requests, and one disk is lost. */
static void begin(struct fuzz_in *in)
{
	const struct disk_options all = { .rights = CSPACE_ALL,
					  .last = UINT64_MAX };
	uint8_t how = fuzz_u8(in);
	unsigned int i;

	memset(&authority, 0, sizeof(authority));
	memset(&ledger, 0, sizeof(ledger));
	for (i = 0; i < DISKS; i++)
		safety_regrant(&authority, i, &all);
	for (i = 0; i < DISKS; i++)
		ledger.channel[i].state = ION_HOST_READY;
	ledger.channel[0].capacity = 4096;
	ledger.channel[2].sync_failed = how & 1;
	ledger.seen = authority.changes;
	lazy = how >> 6;
	turns = 0;
}

void fuzz_one(struct fuzz_in *in)
{
	static const char ask[] = "{\"execute\":\"caps\",\"id\":\"other\"}\n";
	static char text[MOST_BYTES];
	unsigned int piece;
	char *answer;
	int other;
	size_t n;
	int fd;

	begin(in);
	piece = fuzz_u8(in);
	n = in->left < MOST_BYTES ? in->left : MOST_BYTES;
	fuzz_bytes(in, text, n);
	other = come();
	fd = come();
	if (piece & 1)
		in_pieces(fd, text, text + n, 1 + (piece >> 1) * 32u);
	else
		one_by_one(fd, text, text + n);
	close(fd);
	FUZZ_CHECK(send(other, ask, sizeof(ask) - 1, MSG_NOSIGNAL) ==
		   sizeof(ask) - 1);
	answer = answer_of(other);
	FUZZ_CHECK(answer && strstr(answer, "\"id\":\"other\""));
	close(other);
	for (n = 0; n < 8; n++)
		turn();
}
