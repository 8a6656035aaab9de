/* SPDX-License-Identifier: GPL-2.0-only */
#include "options.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nexus/ion_abi.h>

#include "caps_file.h"
#include "cspace.h"
#include "keeper.h"
#include "unix.h"
#include "util.h"
#include "window.h"

#define WINDOW_DEFAULT (16ull << 20)

enum {
	OPT_SOCKET = 1,
	OPT_WINDOW,
	OPT_WINDOW_FILE,
	OPT_DISK,
	OPT_LOG_LEVEL,
	OPT_READY_FD,
	OPT_PID_FILE,
	OPT_OP_LOG,
	OPT_CAPS,
	OPT_CONTROL,
	OPT_RAM,
	OPT_QMP,
	OPT_PRINT_QEMU_ARGS,
	OPT_VERSION,
	OPT_HELP,
	OPT_COUNT
};

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "window", required_argument, NULL, OPT_WINDOW },
	{ "window-file", required_argument, NULL, OPT_WINDOW_FILE },
	{ "disk", required_argument, NULL, OPT_DISK },
	{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
	{ "ready-fd", required_argument, NULL, OPT_READY_FD },
	{ "pid-file", required_argument, NULL, OPT_PID_FILE },
	{ "op-log", required_argument, NULL, OPT_OP_LOG },
	{ "caps", required_argument, NULL, OPT_CAPS },
	{ "control", required_argument, NULL, OPT_CONTROL },
	{ "ram", required_argument, NULL, OPT_RAM },
	{ "qmp", required_argument, NULL, OPT_QMP },
	{ "print-qemu-args", no_argument, NULL, OPT_PRINT_QEMU_ARGS },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static const char help[] =
	"Usage: rumpk --socket PATH --disk SPEC [--disk SPEC]... [OPTION]...\n"
	"Serve disks to a Linux guest over ION rings in memory shared with QEMU.\n"
	"\n"
	"  --socket PATH       unix socket to which QEMU's ivshmem-doorbell connects\n"
	"  --disk SPEC         file=PATH, mem=SIZE or vhost=PATH (socket of a\n"
	"                      vhost-user-blk device), followed by any of\n"
	"                        ,ro            read-only\n"
	"                        ,strict        no extensions, every write durable\n"
	"                        ,bs=512|4096   logical block size\n"
	"                        ,cap=CAP       what the guest may do: none, or\n"
	"                                       r[m]|rw[d][m][:FIRST-LAST] (sectors;\n"
	"                                       m: its own pages, zero copy);\n"
	"                                       default rwdm, with ro rm\n"
	"                        ,data=WAY      auto: the guest chooses; bounce: always\n"
	"                                       through the window; zerocopy: to and\n"
	"                                       from its own pages (auto)\n"
	"                        ,serial=TEXT   up to 40 characters\n"
	"                      and, for vhost=PATH, by\n"
	"                        ,fence=lock    whoever serves PATH holds an exclusive\n"
	"                                       lock on the image: when it dies, wait\n"
	"                                       for its successor and go on\n"
	"                        ,reconnect=SECONDS  how long, 1 to 86400 (60)\n"
	"                      a comma in PATH is written twice; disk n is nxblk<n>\n"
	"  --caps FILE         what the guest may do, instead of cap=: lines of the number\n"
	"                      of a disk and a CAP; a disk that FILE does not name gets\n"
	"                      nothing; # begins a comment. SIGHUP reads it again\n"
	"  --control PATH      unix socket for rumpkctl\n"
	"  --window SIZE       shared memory, a power of two from 4M to 1T (16M)\n"
	"  --window-file PATH  put the window into this file and not into a memfd\n"
	"  --ram PATH[,machine=q35|pc|virt]\n"
	"                      file that is the RAM of QEMU's machine (q35): disks are\n"
	"                      read into the guest's own pages; a memfd that is sealed\n"
	"                      against shrinking is safest. Needs --qmp\n"
	"  --qmp PATH[,reset=reset|quit]\n"
	"                      QEMU's QMP socket: when the guest resets, requests end\n"
	"                      first, then QEMU resets or quits (reset)\n"
	"  --log-level LEVEL   error, warn, info or debug (info)\n"
	"  --ready-fd N        write a newline to descriptor N when listening, and close\n"
	"                      it; 0, 1 and 2 stay open\n"
	"  --pid-file PATH     write the process number there; a file that holds anything\n"
	"                      else is left alone and rumpk ends\n"
	"  --op-log FILE       append what the disks are written, and in which order\n"
	"  --print-qemu-args   print what to append to a QEMU command line\n"
	"  --version           print the version\n"
	"  --help              print this\n"
	"\n"
	"SIZE is in bytes or with K, M, G, T. SIGHUP reads FILE and the images' sizes again\n"
	"and reopens disks whose device is gone or broken: it is your word that the former\n"
	"one has ended. SIGUSR1 prints counters, SIGTERM ends in order. Stopped and started again with\n"
	"the same arguments it goes on serving the guest that is still there.\n"
	"Exit status: 0 in order, 1 failure at run time, 2 wrong usage or unusable image.\n";

/**
 * options_print_help - print the help
 */
void options_print_help(void)
{
	fputs(help, stdout);
}

static bool shell_needs_quotes(const char *text)
{
	return text[strspn(text, "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789_-+.,:/@%=")] != '\0';
}

/* A comma is doubled for QEMU, a quote ended, escaped and begun for the shell. */
static void print_path(const char *path)
{
	for (; *path; path++) {
		if (*path == ',')
			fputs(",,", stdout);
		else if (*path == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*path);
	}
}

static void print_value(const char *before, const char *path, const char *after)
{
	const char *quote = shell_needs_quotes(path) ? "'" : "";

	printf("%s%s", quote, before);
	print_path(path);
	printf("%s%s", after, quote);
}

static int print_ram_args(const struct options *o)
{
	struct ram ram = { .fd = -1 };
	char after[64];

	if (ram_open(&ram, o->ram, o->machine))
		return -EINVAL;
	snprintf(after, sizeof(after), ",size=%llu,share=on",
		 (unsigned long long)ram.length);
	ram_close(&ram);
	printf("-object ");
	print_value("memory-backend-file,id=ion-ram,mem-path=", o->ram, after);
	printf(" -machine memory-backend=ion-ram -chardev ");
	print_value("socket,id=ion-qmp,path=", o->qmp, ",server=on,wait=off");
	printf(" -mon chardev=ion-qmp,mode=control"
	       " -action reboot=shutdown,shutdown=pause ");
	return 0;
}

/**
 * options_print_qemu_args - print what to append to a QEMU command line
 * @o: options; without disks there are interrupts enough for any number
 *
 * Return: 0, or -EINVAL after a message.
 */
int options_print_qemu_args(const struct options *o)
{
	if (o->ram && print_ram_args(o))
		return -EINVAL;
	printf("-chardev ");
	print_value("socket,id=ion,path=", o->socket, "");
	printf(" -device ivshmem-doorbell,chardev=ion,vectors=%u\n",
	       (o->disks ? o->disks : WINDOW_MAX_DISKS) + 1);
	return 0;
}

static int wrong(const char *option, const char *value, const char *right)
{
	rumpk_error("--%s %s: %s", option, value, right);
	return -EINVAL;
}

static int set_socket(struct options *o, const char *value)
{
	if (!*value)
		return wrong("socket", "''", "must be a path");
	if (unix_path_ok(value, KEEPER_SUFFIX)) {
		rumpk_error("--socket %s: path too long, must have at most %d bytes",
			    value, unix_path_ok(value, KEEPER_SUFFIX));
		return -EINVAL;
	}
	o->socket = value;
	return 0;
}

static int set_qmp(struct options *o, const char *value)
{
	int err = parse_qmp(value, o);
	int most = err ? 0 : unix_path_ok(o->qmp, "");

	if (!most)
		return err;
	rumpk_error("--qmp %s: path too long, must have at most %d bytes",
		    value, most);
	return -EINVAL;
}

static int set_control(struct options *o, const char *value)
{
	int most = unix_path_ok(value, "");

	if (!*value)
		return wrong("control", "''", "must be a path");
	o->control = value;
	if (!most)
		return 0;
	rumpk_error("--control %s: path too long, must have at most %d bytes",
		    value, most);
	return -EINVAL;
}

static int set_window(struct options *o, const char *value)
{
	if (parse_size(value, &o->window) || o->window < ION_WINDOW_MIN ||
	    o->window > ION_WINDOW_MAX || (o->window & (o->window - 1)))
		return wrong("window", value,
			     "must be a power of two from 4M to 1T, as in 16M");
	return 0;
}

static int set_path(const char **where, const char *option, const char *value)
{
	if (!*value)
		return wrong(option, "''", "must be a path");
	*where = value;
	return 0;
}

static int set_ready_fd(struct options *o, const char *value)
{
	uint64_t fd;

	if (parse_u64(value, &fd) || fd > 0x7fffffff ||
	    fcntl((int)fd, F_GETFD) < 0)
		return wrong("ready-fd", value,
			     "must be the number of an open descriptor");
	o->ready_fd = (int)fd;
	return 0;
}

static int set_level(struct options *o, const char *value)
{
	if (rumpk_log_parse(value, &o->level))
		return wrong("log-level", value,
			     "must be error, warn, info or debug");
	return 0;
}

static int add_disk(struct options *o, const char *value)
{
	if (o->disks == OPTIONS_MAX_DISKS)
		return wrong("disk", value, "at most 16 disks can be served");
	return parse_disk(value, &o->disk[o->disks++]);
}

static int set_option(struct options *o, int opt, const char *value)
{
	switch (opt) {
	case OPT_SOCKET:
		return set_socket(o, value);
	case OPT_WINDOW:
		return set_window(o, value);
	case OPT_WINDOW_FILE:
		return set_path(&o->window_file, "window-file", value);
	case OPT_PID_FILE:
		return set_path(&o->pid_file, "pid-file", value);
	case OPT_OP_LOG:
		return set_path(&o->op_log, "op-log", value);
	case OPT_CAPS:
		return set_path(&o->caps, "caps", value);
	case OPT_CONTROL:
		return set_control(o, value);
	case OPT_DISK:
		return add_disk(o, value);
	case OPT_LOG_LEVEL:
		return set_level(o, value);
	case OPT_RAM:
		return parse_ram(value, o);
	case OPT_QMP:
		return set_qmp(o, value);
	case OPT_READY_FD:
		return set_ready_fd(o, value);
	case OPT_PRINT_QEMU_ARGS:
		o->action = OPTIONS_QEMU_ARGS;
		return 0;
	case OPT_VERSION:
		o->action = OPTIONS_VERSION;
		return 0;
	default:
		o->action = OPTIONS_HELP;
		return 0;
	}
}

/* getopt takes abbreviations; an option must be written out here. */
static int option_unknown(int opt, const char *arg)
{
	if (opt == ':')
		rumpk_error("%s: a value must follow", arg);
	else
		rumpk_error("%s: unknown option, see --help", arg);
	return -EINVAL;
}

static const char *option_name(int opt)
{
	return long_options[opt - 1].name;
}

static bool option_abbreviated(int opt, const char *arg)
{
	size_t n = strcspn(arg + 2, "=");

	return strlen(option_name(opt)) != n;
}

static int parse_one(struct options *o, int opt, const char *arg, bool *seen)
{
	if (opt <= 0 || opt >= OPT_COUNT)
		return option_unknown(opt, arg);
	if (seen[opt] && opt != OPT_DISK) {
		rumpk_error("--%s: given twice", option_name(opt));
		return -EINVAL;
	}
	seen[opt] = true;
	return set_option(o, opt, optarg);
}

/* What belongs together to go zero copy. */
static int zero_copy_complete(const struct options *o)
{
	unsigned int i;

	if (o->ram && !o->qmp) {
		rumpk_error("--ram %s: needs --qmp PATH: only there a reset of the guest can be held until nothing moves into its RAM",
			    o->ram);
		return -EINVAL;
	}
	if (o->qmp && !o->ram) {
		rumpk_error("--qmp %s: is of no use without --ram PATH", o->qmp);
		return -EINVAL;
	}
	for (i = 0; i < o->disks; i++) {
		const struct disk_options *d = &o->disk[i];

		if (d->data != DISK_ZERO_COPY ||
		    (o->ram && (d->rights & CSPACE_DMA)))
			continue;
		rumpk_error("--disk number %u with data=zerocopy: needs %s",
			    i + 1,
			    o->ram ? "the right m, as in cap=rwdm" :
				     "--ram PATH");
		return -EINVAL;
	}
	return 0;
}

/* With a file there is no other word on what the guest may do. */
static int read_caps(struct options *o)
{
	static struct caps caps;
	unsigned int i;

	for (i = 0; i < o->disks; i++) {
		if (!o->disk[i].capped)
			continue;
		rumpk_error("--disk number %u with cap=: with --caps FILE a line there says it",
			    i + 1);
		return -EINVAL;
	}
	if (caps_read(o->caps, o->disks, &caps))
		return -EINVAL;
	for (i = 0; i < o->disks; i++) {
		o->disk[i].rights = caps.disk[i].rights;
		o->disk[i].first = caps.disk[i].first;
		o->disk[i].last = caps.disk[i].last;
	}
	return 0;
}

static int options_complete(struct options *o, int argc, char **argv)
{
	if (optind < argc) {
		rumpk_error("%s: no such argument, see --help", argv[optind]);
		return -EINVAL;
	}
	if (o->action == OPTIONS_HELP || o->action == OPTIONS_VERSION)
		return 0;
	if (!o->socket) {
		rumpk_error("--socket PATH is missing");
		return -EINVAL;
	}
	if (o->control && strcmp(o->control, o->socket) == 0) {
		rumpk_error("--control %s: must be another path than --socket",
			    o->control);
		return -EINVAL;
	}
	if (!o->disks && o->action != OPTIONS_QEMU_ARGS) {
		rumpk_error("--disk file=PATH, mem=SIZE or vhost=PATH is missing");
		return -EINVAL;
	}
	if (o->caps && o->action == OPTIONS_SERVE && read_caps(o))
		return -EINVAL;
	return zero_copy_complete(o);
}

/**
 * options_parse - read the command line
 * @o: filled; options_free() is due also after a failure
 * @argc: as main() has it
 * @argv: as main() has it
 *
 * Return: 0, or -errno after one message.
 */
int options_parse(struct options *o, int argc, char **argv)
{
	bool seen[OPT_COUNT] = { false };
	const char *arg;
	int err = 0;
	int opt;

	memset(o, 0, sizeof(*o));
	o->window = WINDOW_DEFAULT;
	o->ready_fd = -1;
	o->level = RUMPK_INFO;
	opterr = 0;
	optind = 0;
	while (!err) {
		arg = argv[optind ? optind : 1];
		opt = getopt_long(argc, argv, "+:", long_options, NULL);
		if (opt == -1)
			break;
		if (opt > 0 && opt < OPT_COUNT && option_abbreviated(opt, arg))
			opt = '?';
		err = parse_one(o, opt, arg, seen);
	}
	return err ? err : options_complete(o, argc, argv);
}

/**
 * options_free - release what options_parse() allocated
 * @o: options
 */
void options_free(struct options *o)
{
	unsigned int i;

	for (i = 0; i < o->disks; i++)
		free(o->disk[i].path);
	o->disks = 0;
	free(o->ram);
	free(o->qmp);
	o->ram = NULL;
	o->qmp = NULL;
}
