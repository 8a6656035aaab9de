/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The values of options. Each parser says itself what is wrong with a value and
 * what would be right.
 */
#include "options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nexus/nxblk_abi.h>

#include "cspace.h"
#include "util.h"

#define RECONNECT_MAX 86400u
#define RECONNECT_DEFAULT 60u

/**
 * parse_u64 - read a decimal number
 * @text: digits and nothing else
 * @value: filled on success
 *
 * Return: 0, -EINVAL or -ERANGE.
 */
int parse_u64(const char *text, uint64_t *value)
{
	uint64_t v = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*text - '0'), &v))
			return -ERANGE;
	}
	*value = v;
	return 0;
}

static int suffix_shift(char c)
{
	static const char suffixes[] = "KMGT";
	const char *s = c ? strchr(suffixes, c) : NULL;

	return s ? 10 * (int)(s - suffixes + 1) : 0;
}

/**
 * parse_size - read a number of bytes
 * @text: digits, and K, M, G or T for powers of 1024
 * @size: filled on success
 *
 * Return: 0, -EINVAL or -ERANGE.
 */
int parse_size(const char *text, uint64_t *size)
{
	char digits[32];
	size_t n = strlen(text);
	uint64_t v;
	int shift;
	int err;

	if (!n || n >= sizeof(digits))
		return n ? -ERANGE : -EINVAL;
	memcpy(digits, text, n + 1);
	shift = suffix_shift(digits[n - 1]);
	if (shift)
		digits[n - 1] = '\0';
	err = parse_u64(digits, &v);
	if (err)
		return err;
	if (shift && v >> (64 - shift))
		return -ERANGE;
	*size = v << shift;
	return 0;
}

/* Each letter at most once, in this order. */
static int parse_rights(const char *text, size_t n, uint32_t *rights)
{
	const char *end = text + n;

	if (text == end || *text++ != 'r')
		return -EINVAL;
	*rights = CSPACE_READ;
	if (text < end && *text == 'w') {
		text++;
		*rights |= CSPACE_WRITE;
		if (text < end && *text == 'd') {
			text++;
			*rights |= CSPACE_DISCARD;
		}
	}
	if (text < end && *text == 'm') {
		text++;
		*rights |= CSPACE_DMA;
	}
	return text == end ? 0 : -EINVAL;
}

static int parse_range(const char *text, struct disk_options *d)
{
	char first[32];
	const char *dash = strchr(text, '-');
	size_t n = dash ? (size_t)(dash - text) : 0;

	if (!n || n >= sizeof(first))
		return -EINVAL;
	memcpy(first, text, n);
	first[n] = '\0';
	if (parse_u64(first, &d->first) || parse_u64(dash + 1, &d->last) ||
	    d->first > d->last)
		return -EINVAL;
	return 0;
}

/**
 * parse_cap - read a capability
 * @text: "none" or "r[m]|rw[d][m][:FIRST-LAST]"
 * @d: rights, first and last are filled on success
 *
 * Return: 0 or -EINVAL.
 */
int parse_cap(const char *text, struct disk_options *d)
{
	size_t n = strcspn(text, ":");

	d->first = 0;
	d->last = UINT64_MAX;
	if (strcmp(text, "none") == 0) {
		d->rights = 0;
		return 0;
	}
	if (parse_rights(text, n, &d->rights))
		return -EINVAL;
	return text[n] ? parse_range(text + n + 1, d) : 0;
}

/**
 * format_cap - write a capability as parse_cap() reads it
 * @d: rights, first and last
 * @text: filled
 * @length: of @text, at least PARSE_CAP_BYTES
 */
void format_cap(const struct disk_options *d, char *text, size_t length)
{
	char range[48] = "";

	if (!(d->rights & CSPACE_READ)) {
		snprintf(text, length, "none");
		return;
	}
	if (d->first || d->last != UINT64_MAX)
		snprintf(range, sizeof(range), ":%" PRIu64 "-%" PRIu64,
			 d->first, d->last);
	snprintf(text, length, "r%s%s%s%s", d->rights & CSPACE_WRITE ? "w" : "",
		 d->rights & CSPACE_DISCARD ? "d" : "",
		 d->rights & CSPACE_DMA ? "m" : "", range);
}

/**
 * parse_disk_number - read which disk is meant
 * @text: "N" or "nxblkN"
 * @disks: that there are
 * @n: filled on success
 *
 * Return: 0, or -EINVAL when there is no such disk.
 */
int parse_disk_number(const char *text, unsigned int disks, unsigned int *n)
{
	static const char prefix[] = "nxblk";
	uint64_t v;

	if (strncmp(text, prefix, sizeof(prefix) - 1) == 0)
		text += sizeof(prefix) - 1;
	if (parse_u64(text, &v) || v >= disks)
		return -EINVAL;
	*n = (unsigned int)v;
	return 0;
}

/* Take the text up to the next single comma; two commas stand for one. */
static char *next_item(const char **text)
{
	const char *p = *text;
	char *item = malloc(strlen(p) + 1);
	char *to = item;
	bool more = false;

	if (!item)
		return NULL;
	for (; *p; p++) {
		more = *p == ',' && *++p != ',';
		if (more)
			break;
		*to++ = *p;
	}
	*to = '\0';
	*text = more ? p : NULL;
	return item;
}

/* Which of these a word is, or -EINVAL. */
static int choice(const char *word, const char *const *names, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(word, names[i]) == 0)
			return (int)i;
	return -EINVAL;
}

static int bad(const char *text, const char *what)
{
	rumpk_error("--disk %s: %s", text, what);
	return -EINVAL;
}

static int item_backend(const char *item, struct disk_options *d)
{
	if (strncmp(item, "file=", 5) == 0) {
		if (!item[5])
			return bad(item, "a path must follow");
		d->path = strdup(item + 5);
		return d->path ? 0 : -ENOMEM;
	}
	if (strncmp(item, "vhost=", 6) == 0) {
		if (!item[6])
			return bad(item, "a path must follow");
		d->vhost = true;
		d->path = strdup(item + 6);
		return d->path ? 0 : -ENOMEM;
	}
	if (strncmp(item, "mem=", 4) == 0) {
		if (parse_size(item + 4, &d->size) || !d->size ||
		    d->size > OPTIONS_DISK_MAX)
			return bad(item,
				   "must be a size above 0 and up to 1024T, as in mem=64M");
		return 0;
	}
	return bad(item, "must begin with file=PATH, mem=SIZE or vhost=PATH");
}

static int item_block(const char *value, struct disk_options *d)
{
	if (strcmp(value, "512") == 0)
		d->block = 512;
	else if (strcmp(value, "4096") == 0)
		d->block = 4096;
	else
		return bad(value, "bs must be 512 or 4096");
	return 0;
}

static int item_serial(const char *value, struct disk_options *d)
{
	size_t n = strlen(value);
	size_t i;

	if (!n || n > OPTIONS_SERIAL_BYTES)
		return bad(value, "serial must have 1 to 40 characters");
	for (i = 0; i < n; i++)
		if (value[i] < 0x21 || value[i] > 0x7e)
			return bad(value,
				   "serial must be printable ASCII without spaces");
	memcpy(d->serial, value, n + 1);
	return 0;
}

static int item_cap(const char *value, struct disk_options *d)
{
	d->capped = true;
	return parse_cap(value, d) ? bad(value, "cap " PARSE_CAP_RIGHT) : 0;
}

static int item_data(const char *value, struct disk_options *d)
{
	static const char *const names[] = {
		[DISK_AUTO] = "auto",
		[DISK_BOUNCE] = "bounce",
		[DISK_ZERO_COPY] = "zerocopy",
	};
	int which = choice(value, names, ARRAY_SIZE(names));

	if (which < 0)
		return bad(value, "data must be auto, bounce or zerocopy");
	d->data = (enum disk_data)which;
	return 0;
}

static int item_fence(const char *value, struct disk_options *d)
{
	if (strcmp(value, "lock") != 0)
		return bad(value, "fence must be lock");
	d->fence = true;
	return 0;
}

static int item_reconnect(const char *value, struct disk_options *d)
{
	uint64_t seconds;

	if (parse_u64(value, &seconds) || !seconds || seconds > RECONNECT_MAX)
		return bad(value,
			   "reconnect must be a number of seconds from 1 to 86400");
	d->reconnect = (unsigned int)seconds;
	return 0;
}

/* Which of the items a disk can have this is, one bit each, and its value. */
enum {
	ITEM_RO = 1,
	ITEM_STRICT = 2,
	ITEM_BLOCK = 4,
	ITEM_SERIAL = 8,
	ITEM_CAP = 16,
	ITEM_FENCE = 32,
	ITEM_RECONNECT = 64,
	ITEM_DATA = 128,
};

static unsigned int item_name(const char *item, const char **value)
{
	static const struct {
		const char *name;
		unsigned int bit;
	} known[] = {
		{ "bs=", ITEM_BLOCK },
		{ "serial=", ITEM_SERIAL },
		{ "cap=", ITEM_CAP },
		{ "fence=", ITEM_FENCE },
		{ "reconnect=", ITEM_RECONNECT },
		{ "data=", ITEM_DATA },
	};
	size_t i;

	if (strcmp(item, "ro") == 0)
		return ITEM_RO;
	if (strcmp(item, "strict") == 0)
		return ITEM_STRICT;
	for (i = 0; i < ARRAY_SIZE(known); i++) {
		*value = item + strlen(known[i].name);
		if (strncmp(item, known[i].name, strlen(known[i].name)) == 0)
			return known[i].bit;
	}
	return 0;
}

static int parse_item(const char *item, struct disk_options *d, unsigned int *seen)
{
	const char *value = NULL;
	unsigned int bit = item_name(item, &value);

	if (!bit)
		return bad(item,
			   "must be ro, strict, bs=512|4096, cap=SPEC, data=auto|bounce|zerocopy, serial=TEXT, fence=lock or reconnect=SECONDS (write a comma in a path twice)");
	if (*seen & bit)
		return bad(item, "given twice");
	*seen |= bit;
	switch (bit) {
	case ITEM_RO:
		d->read_only = true;
		return 0;
	case ITEM_STRICT:
		d->strict = true;
		return 0;
	case ITEM_BLOCK:
		return item_block(value, d);
	case ITEM_SERIAL:
		return item_serial(value, d);
	case ITEM_FENCE:
		return item_fence(value, d);
	case ITEM_RECONNECT:
		return item_reconnect(value, d);
	case ITEM_DATA:
		return item_data(value, d);
	default:
		return item_cap(value, d);
	}
}

static int parse_items(const char *text, struct disk_options *d,
		       unsigned int *seen)
{
	bool first = true;
	char *item;
	int err = 0;

	while (text && !err) {
		item = next_item(&text);
		if (!item)
			return -ENOMEM;
		err = first ? item_backend(item, d) : parse_item(item, d, seen);
		first = false;
		free(item);
	}
	return err;
}

/**
 * parse_disk - read the value of --disk
 * @text: "file=PATH|mem=SIZE|vhost=PATH[,ro][,strict][,bs=N][,cap=SPEC]
 *	[,data=WAY][,serial=TEXT][,fence=lock][,reconnect=N]"
 * @d: filled; @d->path is the caller's to free
 *
 * Return: 0, or -errno after a message.
 */
int parse_disk(const char *text, struct disk_options *d)
{
	unsigned int seen = 0;
	int err;

	memset(d, 0, sizeof(*d));
	d->block = 512;
	d->reconnect = RECONNECT_DEFAULT;
	err = parse_items(text, d, &seen);
	if (err)
		return err;
	if (!d->vhost && (seen & ITEM_FENCE))
		return bad(text, "fence is for vhost=PATH");
	if (!d->fence && (seen & ITEM_RECONNECT))
		return bad(text, "reconnect is for vhost=PATH,fence=lock");
	if (!(seen & ITEM_CAP))
		parse_cap(d->read_only ? "rm" : "rwdm", d);
	if (!d->path && d->size % d->block)
		return bad(text, d->block == 4096 ?
					 "size must be a multiple of 4096" :
					 "size must be a multiple of 512");
	return 0;
}

/* "PATH[,ITEM]": which item it is, the first when there is none; or -errno. */
static int path_and_choice(const char *text, char **path,
			   const char *const *names, size_t n)
{
	char *item;
	int which;

	*path = next_item(&text);
	if (!*path)
		return -ENOMEM;
	if (!**path)
		return -EINVAL;
	if (!text)
		return 0;
	item = next_item(&text);
	which = item && !text ? choice(item, names, n) : -EINVAL;
	free(item);
	return which;
}

/**
 * parse_ram - read the value of --ram
 * @text: "PATH[,machine=q35|pc|virt]"
 * @o: filled; @o->ram is the caller's to free
 *
 * Return: 0, or -errno after a message.
 */
int parse_ram(const char *text, struct options *o)
{
	static const char *const names[] = {
		[RAM_Q35] = "machine=q35",
		[RAM_PC] = "machine=pc",
		[RAM_VIRT] = "machine=virt",
	};
	int which = path_and_choice(text, &o->ram, names, ARRAY_SIZE(names));

	if (which < 0) {
		rumpk_error("--ram %s: must be PATH[,machine=q35|pc|virt] (write a comma in PATH twice)",
			    *text ? text : "''");
		return which;
	}
	o->machine = (enum ram_machine)which;
	return 0;
}

/**
 * parse_qmp - read the value of --qmp
 * @text: "PATH[,reset=reset|quit]"
 * @o: filled; @o->qmp is the caller's to free
 *
 * Return: 0, or -errno after a message.
 */
int parse_qmp(const char *text, struct options *o)
{
	static const char *const names[] = { "reset=reset", "reset=quit" };
	int which = path_and_choice(text, &o->qmp, names, ARRAY_SIZE(names));

	if (which < 0) {
		rumpk_error("--qmp %s: must be PATH[,reset=reset|quit] (write a comma in PATH twice)",
			    *text ? text : "''");
		return which;
	}
	o->quit_on_reset = which == 1;
	return 0;
}
