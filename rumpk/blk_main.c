/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * rumpk-blk: look into a vhost-user block device from a shell.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blk_sync.h"
#include "log.h"
#include "options.h"
#include "util.h"
#include "version.h"

#define EXIT_FAILED 1
#define EXIT_USAGE 2
#define TIMEOUT_DEFAULT 10u
#define TIMEOUT_MAX 86400u
#define CHUNK_SECTORS 2048u
#define CHUNK_BYTES (CHUNK_SECTORS * BLK_SYNC_SECTOR)

enum {
	OPT_SOCKET = 1,
	OPT_TIMEOUT,
	OPT_LBA,
	OPT_COUNT_OF,
	OPT_OUTPUT,
	OPT_VERSION,
	OPT_HELP,
	OPT_COUNT
};

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "lba", required_argument, NULL, OPT_LBA },
	{ "count", required_argument, NULL, OPT_COUNT_OF },
	{ "output", required_argument, NULL, OPT_OUTPUT },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
	"Usage: rumpk-blk --socket PATH [--timeout SECONDS] COMMAND [OPTION]...\n"
	"Look into the vhost-user block device that listens at PATH.\n"
	"\n"
	"  info                        print capacity, block size, features, limits\n"
	"  read --lba N --count N      read sectors of 512 bytes to standard output\n"
	"       [--output FILE]        or into FILE\n"
	"  write --lba N               write standard input, and flush\n"
	"  check                       read all of it, and say what cannot be read\n"
	"\n"
	"  --timeout SECONDS           for each request, 1 to 86400 (10)\n"
	"  --version                   print the version\n"
	"  --help                      print this\n"
	"\n"
	"Exit status: 0 in order, 1 failure at run time, 2 wrong usage.\n";

/**
 * struct line - the command line
 * @command: what to do
 * @socket: --socket
 * @output: --output
 * @timeout: --timeout
 * @lba: --lba
 * @count: --count
 * @seen: by number of the option
 */
struct line {
	const char *command;
	const char *socket;
	const char *output;
	uint64_t timeout;
	uint64_t lba;
	uint64_t count;
	bool seen[OPT_COUNT];
};

static int wrong(const char *name, const char *value, const char *right)
{
	rumpk_error("--%s %s: %s", name, *value ? value : "''", right);
	return -EINVAL;
}

static int set_number(uint64_t *to, const char *name, const char *value,
		      uint64_t least, uint64_t most, const char *right)
{
	if (parse_u64(value, to) || *to < least || *to > most)
		return wrong(name, value, right);
	return 0;
}

static int set_option(struct line *l, int opt, const char *value)
{
	switch (opt) {
	case OPT_SOCKET:
		l->socket = value;
		return *value ? 0 : wrong("socket", value, "must be a path");
	case OPT_OUTPUT:
		l->output = value;
		return *value ? 0 : wrong("output", value, "must be a path");
	case OPT_TIMEOUT:
		return set_number(&l->timeout, "timeout", value, 1, TIMEOUT_MAX,
				  "must be a number of seconds from 1 to 86400");
	case OPT_LBA:
		return set_number(&l->lba, "lba", value, 0, UINT64_MAX,
				  "must be the number of a sector");
	case OPT_COUNT_OF:
		return set_number(&l->count, "count", value, 1, UINT64_MAX,
				  "must be a number of sectors above 0");
	default:
		return 0;
	}
}

static int parse_one(struct line *l, int opt, const char *arg)
{
	if (opt == ':') {
		rumpk_error("%s: a value must follow", arg);
		return -EINVAL;
	}
	/* getopt takes abbreviations; an option must be written out here. */
	if (opt == '?' ||
	    strlen(long_options[opt - 1].name) != strcspn(arg + 2, "=")) {
		rumpk_error("%s: unknown option, see --help", arg);
		return -EINVAL;
	}
	if (l->seen[opt]) {
		rumpk_error("--%s: given twice", long_options[opt - 1].name);
		return -EINVAL;
	}
	l->seen[opt] = true;
	return set_option(l, opt, optarg);
}

/* What each command needs, and what it may have. */
static const struct command {
	const char *name;
	unsigned int needs;
	unsigned int allows;
} commands[] = {
	{ "info", 0, 0 },
	{ "read", 1u << OPT_LBA | 1u << OPT_COUNT_OF, 1u << OPT_OUTPUT },
	{ "write", 1u << OPT_LBA, 0 },
	{ "check", 0, 0 },
};

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int check_command(const struct line *l)
{
	const struct command *c = find_command(l->command);
	int opt;

	if (!c) {
		rumpk_error("%s: no such command, must be info, read, write or check",
			    l->command);
		return -EINVAL;
	}
	for (opt = OPT_LBA; opt <= OPT_OUTPUT; opt++) {
		const char *name = long_options[opt - 1].name;

		if (!l->seen[opt] && c->needs & 1u << opt)
			rumpk_error("%s: --%s is missing", c->name, name);
		else if (l->seen[opt] && !((c->needs | c->allows) & 1u << opt))
			rumpk_error("--%s: not for %s", name, c->name);
		else
			continue;
		return -EINVAL;
	}
	return 0;
}

static int line_complete(struct line *l, int argc, char **argv)
{
	if (l->seen[OPT_HELP] || l->seen[OPT_VERSION])
		return 0;
	if (!l->socket) {
		rumpk_error("--socket PATH is missing");
		return -EINVAL;
	}
	if (optind == argc) {
		rumpk_error("a command is missing: info, read, write or check");
		return -EINVAL;
	}
	l->command = argv[optind];
	if (optind + 1 < argc) {
		rumpk_error("%s: no such argument, see --help", argv[optind + 1]);
		return -EINVAL;
	}
	return check_command(l);
}

/* Options may stand before and after the command. */
static int parse_line(struct line *l, int argc, char **argv)
{
	int err = 0;
	int opt;

	opterr = 0;
	l->timeout = TIMEOUT_DEFAULT;
	while (!err) {
		opt = getopt_long(argc, argv, ":", long_options, NULL);
		if (opt == -1)
			break;
		err = parse_one(l, opt,
				argv[optind -
				     (optarg && optarg == argv[optind - 1] ? 2 : 1)]);
	}
	return err ? err : line_complete(l, argc, argv);
}

static int failed(const char *what, uint64_t lba, int err)
{
	rumpk_error("%s at sector %llu: %s", what, (unsigned long long)lba,
		    strerror(-err));
	return EXIT_FAILED;
}

static const char *yes(bool b)
{
	return b ? "yes" : "no";
}

static void print_id(const char *id)
{
	printf("id: ");
	for (; *id; id++)
		putchar(*id >= 0x20 && *id < 0x7f ? *id : '?');
	putchar('\n');
}

static int do_info(struct blk_sync *b)
{
	struct blk_sync_info info;
	const struct virtio_blk_limits *l = &info.limits;

	blk_sync_info(b, &info);
	printf("capacity: %llu sectors, %llu bytes\n",
	       (unsigned long long)info.sectors,
	       (unsigned long long)info.sectors * BLK_SYNC_SECTOR);
	printf("block size: %u\n", info.block);
	printf("read-only: %s\n", yes(info.read_only));
	printf("volatile cache: %s%s\n", yes(l->flush),
	       l->flush && l->wce ? ", can be switched off" : "");
	printf("features: 0x%llx\n", (unsigned long long)l->features);
	printf("segments: %u of %u bytes\n", l->segs, l->seg_bytes);
	printf("discard: %llu bytes\n", (unsigned long long)l->discard);
	printf("write zeroes: %llu bytes%s\n", (unsigned long long)l->zero,
	       l->may_unmap ? ", may deallocate" : "");
	print_id(info.id);
	return 0;
}

static int check_on_disk(struct blk_sync *b, const struct line *l, uint64_t count)
{
	struct blk_sync_info info;

	blk_sync_info(b, &info);
	if (l->lba % (info.block / BLK_SYNC_SECTOR) ||
	    count % (info.block / BLK_SYNC_SECTOR)) {
		rumpk_error("sector %llu, %llu sectors: must be whole blocks of %u bytes",
			    (unsigned long long)l->lba,
			    (unsigned long long)count, info.block);
		return EXIT_FAILED;
	}
	if (count <= info.sectors && l->lba <= info.sectors - count)
		return 0;
	rumpk_error("sector %llu, %llu sectors: the disk has %llu",
		    (unsigned long long)l->lba, (unsigned long long)count,
		    (unsigned long long)info.sectors);
	return EXIT_FAILED;
}

static FILE *open_output(const char *path)
{
	FILE *f = path ? fopen(path, "we") : stdout;

	if (!f)
		rumpk_error("--output %s: %s", path, strerror(errno));
	return f;
}

static int read_to(struct blk_sync *b, const struct line *l, FILE *to,
		   uint8_t *chunk)
{
	uint64_t lba = l->lba;
	uint64_t left = l->count;

	while (left) {
		uint64_t n = min_u64(left, CHUNK_SECTORS);
		int err = blk_sync_read(b, lba, n, chunk);

		if (err)
			return failed("read", lba, err);
		if (fwrite(chunk, BLK_SYNC_SECTOR, n, to) != n)
			break;
		lba += n;
		left -= n;
	}
	if (!fflush(to) && !left)
		return 0;
	rumpk_error("output: %s", strerror(errno));
	return EXIT_FAILED;
}

static int do_read(struct blk_sync *b, const struct line *l, uint8_t *chunk)
{
	int status = check_on_disk(b, l, l->count);
	FILE *to;

	if (status)
		return status;
	to = open_output(l->output);
	if (!to)
		return EXIT_FAILED;
	status = read_to(b, l, to, chunk);
	if (l->output && fclose(to) && !status)
		status = EXIT_FAILED;
	return status;
}

/*
 * All of standard input, so that nothing is written when it does not fit; of
 * what is more than @most, enough to see that it is.
 */
static int take_input(uint64_t most, uint8_t **data, uint64_t *length)
{
	uint8_t chunk[65536];
	size_t size = 0;
	size_t n = 0;
	FILE *f = open_memstream((char **)data, &size);

	if (!f)
		return -errno;
	*length = 0;
	while (*length <= most && (n = fread(chunk, 1, sizeof(chunk), stdin))) {
		if (fwrite(chunk, 1, n, f) != n)
			break;
		*length += n;
	}
	if (!fclose(f) && !ferror(stdin) && size == *length)
		return 0;
	rumpk_error("input: %s", strerror(errno));
	return -EIO;
}

static int write_all(struct blk_sync *b, const struct line *l,
		     const uint8_t *data, uint64_t count)
{
	uint64_t at = 0;
	int err = 0;

	while (!err && at < count) {
		uint64_t n = min_u64(count - at, CHUNK_SECTORS);

		err = blk_sync_write(b, l->lba + at, n,
				     data + at * BLK_SYNC_SECTOR);
		if (err)
			return failed("write", l->lba + at, err);
		at += n;
	}
	err = blk_sync_flush(b);
	return err ? failed("flush", l->lba, err) : 0;
}

static int do_write(struct blk_sync *b, const struct line *l)
{
	struct blk_sync_info info;
	uint8_t *data = NULL;
	uint64_t length = 0;
	int status;

	blk_sync_info(b, &info);
	if (info.read_only) {
		rumpk_error("%s: is read-only", l->socket);
		return EXIT_FAILED;
	}
	status = take_input(info.sectors * BLK_SYNC_SECTOR, &data, &length) ?
			 EXIT_FAILED :
			 0;
	if (!status && (!length || length % info.block)) {
		rumpk_error("input of %llu bytes: must be whole blocks of %u",
			    (unsigned long long)length, info.block);
		status = EXIT_FAILED;
	}
	if (!status)
		status = check_on_disk(b, l, length / BLK_SYNC_SECTOR);
	if (!status)
		status = write_all(b, l, data, length / BLK_SYNC_SECTOR);
	free(data);
	return status;
}

static bool is_over(int err)
{
	return err == -ESHUTDOWN || err == -ETIMEDOUT;
}

/*
 * How many sectors of a part cannot be read. It is looked at block by block when
 * it cannot be read at once; negative when the device is there no more.
 */
static int64_t count_bad(struct blk_sync *b, uint64_t lba, uint64_t count,
			 uint32_t step, uint8_t *chunk)
{
	int err = blk_sync_read(b, lba, count, chunk);
	int64_t bad = 0;
	uint64_t at;

	for (at = lba; err && at < lba + count; at += step) {
		int e = is_over(err) ? err : blk_sync_read(b, at, step, chunk);

		if (e && !bad)
			failed("read", at, e);
		if (is_over(e))
			return e;
		bad += e ? step : 0;
	}
	return bad;
}

static int do_check(struct blk_sync *b, uint8_t *chunk)
{
	struct blk_sync_info info;
	uint64_t bad = 0;
	uint64_t at;

	blk_sync_info(b, &info);
	for (at = 0; at < info.sectors; at += CHUNK_SECTORS) {
		int64_t n = count_bad(b, at,
				      min_u64(info.sectors - at, CHUNK_SECTORS),
				      info.block / BLK_SYNC_SECTOR, chunk);

		/* The rest of it cannot be read either. */
		bad += n < 0 ? info.sectors - at : (uint64_t)n;
		if (n < 0)
			break;
	}
	printf("%llu bytes read, %llu bytes cannot be read\n",
	       (unsigned long long)(info.sectors - bad) * BLK_SYNC_SECTOR,
	       (unsigned long long)bad * BLK_SYNC_SECTOR);
	return bad ? EXIT_FAILED : 0;
}

static int act(struct blk_sync *b, const struct line *l)
{
	uint8_t *chunk = malloc(CHUNK_BYTES);
	int status;

	if (!chunk)
		return EXIT_FAILED;
	switch (*l->command) {
	case 'i':
		status = do_info(b);
		break;
	case 'r':
		status = do_read(b, l, chunk);
		break;
	case 'w':
		status = do_write(b, l);
		break;
	default:
		status = do_check(b, chunk);
		break;
	}
	free(chunk);
	return status;
}

int main(int argc, char **argv)
{
	struct line l = { 0 };
	struct blk_sync *b;
	int status;

	rumpk_log_program("rumpk-blk");
	signal(SIGPIPE, SIG_IGN);
	if (parse_line(&l, argc, argv))
		return EXIT_USAGE;
	if (l.seen[OPT_HELP] || l.seen[OPT_VERSION]) {
		fputs(l.seen[OPT_HELP] ? help : "rumpk-blk " RUMPK_VERSION "\n",
		      stdout);
		return 0;
	}
	b = blk_sync_open(l.socket, (unsigned int)(1000 * l.timeout));
	if (!b)
		return EXIT_FAILED;
	status = act(b, &l);
	blk_sync_close(b);
	if (fflush(stdout) && !status)
		status = EXIT_FAILED;
	return status;
}
