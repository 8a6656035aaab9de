// SPDX-License-Identifier: GPL-2.0-only
/*
 * The capability file: the first byte is the number of disks, the rest is the file.
 * What is accepted, and what it grants, is compared with a regular expression for
 * each line and with arithmetic in 128 bits; a refusal is one line that names the
 * first line with a fault. What is granted can be written and read again.
 */
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "rumpk/caps_file.h"
#include "rumpk/cspace.h"

#define MOST_BYTES 4000u
#define MOST_WORD 64u
#define MOST_FIRST 31u

typedef unsigned __int128 u128;

static int said_fd;
static regex_t re_disk, re_cap;
static struct caps caps;

/* What the file grants, as it ought to be. */
static struct right {
	bool named;
	uint32_t rights;
	u128 first;
	u128 last;
} right[OPTIONS_MAX_DISKS];

void fuzz_setup(void)
{
	said_fd = memfd_create("said", MFD_CLOEXEC);
	FUZZ_CHECK(!regcomp(&re_disk, "^(nxblk)?[0-9]+$",
			    REG_EXTENDED | REG_NOSUB));
	FUZZ_CHECK(!regcomp(&re_cap, "^(none|(r|rwd?)m?(:[0-9]+-[0-9]+)?)$",
			    REG_EXTENDED | REG_NOSUB));
}

static u128 number_at(const char *text)
{
	const u128 huge = (u128)1 << 100;
	u128 v = 0;

	for (; *text >= '0' && *text <= '9'; text++)
		v = v > huge ? huge : v * 10 + (unsigned int)(*text - '0');
	return v;
}

/* The words of a line, up to three; one that cannot be is as long as is too long. */
static unsigned int split(const char *at, const char *end,
			  char word[3][MOST_WORD + 1])
{
	const char *comment = memchr(at, '#', (size_t)(end - at));
	unsigned int n = 0;

	end = comment ? comment : end;
	while (n < 3) {
		size_t length = 0;

		while (at < end && (*at == ' ' || *at == '\t'))
			at++;
		if (at == end)
			return n;
		for (; at < end && *at != ' ' && *at != '\t'; at++) {
			if (*at < '!' || *at > '~')
				word[n][0] = 1;
			else if (length < MOST_WORD && word[n][0] != 1)
				word[n][length] = *at;
			length++;
		}
		if (length >= MOST_WORD)
			word[n][0] = 1;
		else
			word[n][length] = '\0';
		n++;
	}
	return n;
}

static bool right_cap(const char *text, struct right *r)
{
	const char *colon = strchr(text, ':');
	const char *dash = colon ? strchr(colon, '-') : NULL;
	size_t letters = colon ? (size_t)(colon - text) : strlen(text);

	if (regexec(&re_cap, text, 0, NULL, 0))
		return false;
	if (strcmp(text, "none") == 0)
		return true;
	r->rights = CSPACE_READ;
	r->rights |= memchr(text, 'w', letters) ? CSPACE_WRITE : 0;
	r->rights |= memchr(text, 'd', letters) ? CSPACE_DISCARD : 0;
	r->rights |= memchr(text, 'm', letters) ? CSPACE_DMA : 0;
	r->first = dash ? number_at(colon + 1) : 0;
	r->last = dash ? number_at(dash + 1) : UINT64_MAX;
	return r->first <= r->last && r->last <= UINT64_MAX &&
	       (!dash || (size_t)(dash - colon - 1) <= MOST_FIRST);
}

static bool right_line(const char *at, const char *end, unsigned int disks)
{
	char word[3][MOST_WORD + 1] = { { 0 } };
	unsigned int n = split(at, end, word);
	u128 disk;

	if (!n)
		return true;
	if (regexec(&re_disk, word[0], 0, NULL, 0))
		return false;
	disk = number_at(word[0] + (word[0][0] == 'n' ? 5 : 0));
	if (disk >= disks || right[disk].named || n != 2)
		return false;
	right[disk].named = true;
	return right_cap(word[1], &right[disk]);
}

/* Number of the first line with a fault; 0: there is none. */
static unsigned int right_file(const char *text, size_t length, unsigned int disks)
{
	const char *end = text + length;
	unsigned int line = 0;

	memset(right, 0, sizeof(right));
	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));

		line++;
		if (!stop || !right_line(text, stop, disks))
			return line;
		text = stop + 1;
	}
	return 0;
}

static void check_said(unsigned int line)
{
	char said[1024] = "";
	char start[64];
	ssize_t n = pread(said_fd, said, sizeof(said) - 1, 0);

	if (!line) {
		FUZZ_CHECK(n == 0);
		return;
	}
	snprintf(start, sizeof(start),
		 "rumpk: error: channel=- --caps F, line %u: ", line);
	FUZZ_CHECK(n > 0 && n < 512 && !strncmp(said, start, strlen(start)));
	FUZZ_CHECK(memchr(said, '\n', (size_t)n) == said + n - 1);
}

static void check_granted(unsigned int n)
{
	const struct disk_options *d = &caps.disk[n];
	char text[PARSE_CAP_BYTES];
	struct disk_options again;

	FUZZ_CHECK(d->rights == right[n].rights);
	FUZZ_CHECK(!caps.line[n] == !right[n].named);
	if (d->rights)
		FUZZ_CHECK(d->first == right[n].first && d->last == right[n].last);
	format_cap(d, text, sizeof(text));
	FUZZ_CHECK(!parse_cap(text, &again) && again.rights == d->rights);
	if (d->rights)
		FUZZ_CHECK(again.first == d->first && again.last == d->last);
}

void fuzz_one(struct fuzz_in *in)
{
	unsigned int disks = 1 + fuzz_u8(in) % OPTIONS_MAX_DISKS;
	char *text;
	size_t n = in->left < MOST_BYTES ? in->left : MOST_BYTES;
	unsigned int line;
	unsigned int i;
	int err;

	/* Of its own length, so that what reads beyond is seen. */
	text = malloc(n ? n : 1);
	FUZZ_CHECK(text);
	fuzz_bytes(in, text, n);
	line = right_file(text, n, disks);
	FUZZ_CHECK(!ftruncate(said_fd, 0) && !lseek(said_fd, 0, SEEK_SET));
	FUZZ_CHECK(dup2(said_fd, STDERR_FILENO) >= 0);
	err = caps_parse("F", text, n, disks, &caps);
	FUZZ_CHECK(dup2(fuzz_report, STDERR_FILENO) >= 0);
	free(text);
	FUZZ_CHECK(!err == !line);
	check_said(line);
	for (i = 0; i < OPTIONS_MAX_DISKS && !err; i++)
		check_granted(i);
}
