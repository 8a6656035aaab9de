// SPDX-License-Identifier: GPL-2.0-only
/*
 * The command line: an input's lines are its words. Each value is parsed alone
 * as well, and what is accepted is compared with a regular expression and with
 * arithmetic in 128 bits. A refusal is one line, an acceptance none.
 */
#include <fcntl.h>
#include <regex.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "rumpk/cspace.h"
#include "rumpk/options.h"

#define MOST_WORDS 40
#define MOST_BYTES 2000u

static int said_fd;
static regex_t re_number, re_size, re_cap, re_disk;

static void compile(regex_t *re, const char *text)
{
	FUZZ_CHECK(!regcomp(re, text, REG_EXTENDED | REG_NOSUB));
}

void fuzz_setup(void)
{
	said_fd = memfd_create("said", MFD_CLOEXEC);
	compile(&re_number, "^[0-9]+$");
	compile(&re_size, "^[0-9]+[KMGT]?$");
	compile(&re_cap, "^(none|(r|rwd?)m?(:[0-9]+-[0-9]+)?)$");
	compile(&re_disk, "^(file=|vhost=|mem=[0-9]+[KMGT]?).*$");
}

static bool matches(const regex_t *re, const char *text)
{
	return !regexec(re, text, 0, NULL, 0);
}

static void listen_begin(void)
{
	FUZZ_CHECK(!ftruncate(said_fd, 0));
	FUZZ_CHECK(!lseek(said_fd, 0, SEEK_SET));
	FUZZ_CHECK(dup2(said_fd, STDERR_FILENO) >= 0);
}

/* @whole: whatever was parsed; its own newlines may be repeated. */
static void listen_end(bool refused)
{
	char said[8192];
	ssize_t n = pread(said_fd, said, sizeof(said), 0);

	FUZZ_CHECK(dup2(fuzz_report, STDERR_FILENO) >= 0);
	if (!refused) {
		FUZZ_CHECK(n == 0);
		return;
	}
	FUZZ_CHECK(n > 14 && !memcmp(said, "rumpk: error: ", 14));
	FUZZ_CHECK(memchr(said, '\n', (size_t)n) == said + n - 1);
}

/* Digits at @text, up to anything else. */
static unsigned __int128 number_at(const char *text)
{
	const unsigned __int128 huge = (unsigned __int128)1 << 100;
	unsigned __int128 v = 0;

	for (; *text >= '0' && *text <= '9'; text++)
		v = v > huge ? huge : v * 10 + (unsigned int)(*text - '0');
	return v;
}

static unsigned __int128 size_at(const char *text)
{
	static const char suffixes[] = "KMGT";
	unsigned __int128 v = number_at(text);
	const char *s;

	text += strspn(text, "0123456789");
	for (s = suffixes; *text && *s; s++) {
		v = v > UINT64_MAX ? v : v * 1024;
		if (*s == *text)
			break;
	}
	return v;
}

static void check_number(const char *text)
{
	unsigned __int128 right = number_at(text);
	bool good = matches(&re_number, text) && right <= UINT64_MAX;
	uint64_t v;

	FUZZ_CHECK(!parse_u64(text, &v) == good);
	FUZZ_CHECK(!good || v == right);
}

/* Leading zeroes beyond all measure are the one thing that is not taken. */
static void check_size(const char *text)
{
	unsigned __int128 right = size_at(text);
	bool good = matches(&re_size, text) && right <= UINT64_MAX &&
		    strlen(text) < 32;
	uint64_t v;

	FUZZ_CHECK(!parse_size(text, &v) == good);
	FUZZ_CHECK(!good || v == right);
}

static void check_range(const char *text, const struct disk_options *d)
{
	const char *colon = strchr(text, ':');
	const char *dash = colon ? strchr(colon, '-') : NULL;

	FUZZ_CHECK(d->first <= d->last);
	FUZZ_CHECK(d->first == (dash ? number_at(colon + 1) : 0));
	FUZZ_CHECK(d->last == (dash ? number_at(dash + 1) : UINT64_MAX));
}

static void check_cap(const char *text)
{
	struct disk_options d;

	if (parse_cap(text, &d)) {
		FUZZ_CHECK(!matches(&re_cap, text) || strchr(text, ':'));
		return;
	}
	FUZZ_CHECK(matches(&re_cap, text));
	FUZZ_CHECK(!(d.rights & CSPACE_READ) == !strcmp(text, "none"));
	FUZZ_CHECK(!(d.rights & CSPACE_WRITE) ==
		   (text[0] != 'r' || text[1] != 'w'));
	FUZZ_CHECK(!(d.rights & CSPACE_DMA) ==
		   !memchr(text, 'm', strcspn(text, ":")));
	if (d.rights)
		check_range(text, &d);
}

static void check_disk_options(const struct disk_options *d)
{
	FUZZ_CHECK(d->block == 512 || d->block == 4096);
	FUZZ_CHECK(!d->path || *d->path);
	FUZZ_CHECK(d->path || (d->size && d->size <= 1ull << 50 &&
			       d->size % d->block == 0));
	FUZZ_CHECK(!(d->rights & ~(CSPACE_READ | CSPACE_WRITE | CSPACE_DISCARD |
				   CSPACE_DMA)));
	FUZZ_CHECK(!d->fence || d->vhost);
	FUZZ_CHECK(d->reconnect >= 1 && d->reconnect <= 86400);
	FUZZ_CHECK(d->data == DISK_AUTO || d->data == DISK_BOUNCE ||
		   d->data == DISK_ZERO_COPY);
	FUZZ_CHECK(d->first <= d->last);
	FUZZ_CHECK(strnlen(d->serial, sizeof(d->serial)) < sizeof(d->serial));
}

static void check_disk(const char *text)
{
	struct options o = { .disks = 1 };
	int err;

	listen_begin();
	err = parse_disk(text, &o.disk[0]);
	listen_end(err);
	if (!err) {
		FUZZ_CHECK(matches(&re_disk, text));
		check_disk_options(&o.disk[0]);
	}
	options_free(&o);
}

static void check_serve(const struct options *o)
{
	unsigned int i;

	FUZZ_CHECK(o->socket && *o->socket && strlen(o->socket) < 108);
	FUZZ_CHECK(o->disks >= 1 && o->disks <= 16);
	FUZZ_CHECK(__builtin_popcountll(o->window) == 1 &&
		   o->window >= 4u << 20 && o->window <= 1ull << 40);
	FUZZ_CHECK(o->ready_fd == -1 || fcntl(o->ready_fd, F_GETFD) >= 0);
	for (i = 0; i < o->disks; i++)
		check_disk_options(&o->disk[i]);
}

static void check_line(int argc, char **argv)
{
	struct options o;
	int err;

	listen_begin();
	err = options_parse(&o, argc, argv);
	listen_end(err);
	if (!err && o.action == OPTIONS_SERVE)
		check_serve(&o);
	options_free(&o);
}

static void check_value(const char *text)
{
	check_number(text);
	check_size(text);
	check_cap(text);
	check_disk(text);
}

void fuzz_one(struct fuzz_in *in)
{
	static char text[MOST_BYTES + 1];
	char *argv[MOST_WORDS + 2] = { "rumpk" };
	size_t n = in->left < MOST_BYTES ? in->left : MOST_BYTES;
	char *at = text;
	int argc = 1;

	fuzz_bytes(in, text, n);
	text[n] = '\0';
	while (at && argc <= MOST_WORDS)
		argv[argc++] = strsep(&at, "\n");
	argv[argc] = NULL;
	check_value(argv[1]);
	check_line(argc, argv);
}
