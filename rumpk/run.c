/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From command line to exit status: orders the other files.
 */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "caps_file.h"
#include "hal.h"
#include "pid_file.h"
#include "place.h"
#include "shed.h"
#include "supervisor.h"
#include "util.h"
#include "version.h"
#include "worker.h"

#define EXIT_FAILED 1
#define EXIT_USAGE 2

/**
 * struct service - all that makes up a cell before anybody serves it
 * @o: command line
 * @place: where the cell is found; locked until it is served
 * @fds: what the keeper holds
 * @link: to the keeper
 * @record: mapped
 * @authority: mapped
 * @ledger: mapped
 * @control: socket, or NULL
 * @again: a keeper was there
 * @pid_written: --pid-file is ours
 * @inherited: descriptors that this process was started with
 * @ninherited: of them
 * @broker: what workers may ask for
 */
struct service {
	const struct options *o;
	struct place place;
	struct keeper_fds fds;
	struct keeper_link link;
	struct window_record *record;
	struct authority *authority;
	struct ledger *ledger;
	struct control *control;
	bool again;
	bool pid_written;
	int inherited[WORKER_MAX_INHERITED];
	unsigned int ninherited;
	struct broker broker;
};

static int make_bells(int *fds, unsigned int n, unsigned int *made)
{
	for (*made = 0; *made < n; (*made)++) {
		fds[*made] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (fds[*made] < 0)
			return -errno;
	}
	return 0;
}

static int make_window(struct service *s)
{
	const struct options *o = s->o;
	int err = window_create(o->window, o->window_file, &s->fds.window);

	if (!err)
		return 0;
	if (o->window_file)
		rumpk_error("--window-file %s: %s", o->window_file,
			    err == -EEXIST ? "exists and is no window" :
					     strerror(-err));
	else
		rumpk_error("--window %llu: %s", (unsigned long long)o->window,
			    strerror(-err));
	return err;
}

static int make_private(struct service *s)
{
	struct keeper_fds *f = &s->fds;
	int err = window_create_record(&f->record);

	if (!err)
		err = safety_create(&f->authority, &f->ledger);
	if (!err)
		err = make_bells(f->host, s->o->disks, &f->nhost);
	if (!err)
		err = make_bells(f->guest, s->o->disks + 1, &f->nguest);
	if (err)
		rumpk_error("memory and doorbells: %s", strerror(-err));
	return err;
}

/* They outlive every worker, so none makes them. */
static int make_memory_disk(struct service *s, unsigned int n)
{
	uint64_t size = s->o->disk[n].size;
	uint8_t *uuid = s->record->disk[n].uuid;
	int err = hal_mem_create(size, &s->fds.mem[s->fds.nmem]);

	if (!err)
		s->fds.nmem++;
	if (!err && getrandom(uuid, 16, 0) != 16)
		err = -EIO;
	if (err)
		rumpk_error("disk of %llu bytes in memory: %s",
			    (unsigned long long)size, strerror(-err));
	uuid[6] = (uuid[6] & 0x0f) | 0x40;
	uuid[8] = (uuid[8] & 0x3f) | 0x80;
	return err;
}

static int make_memory_disks(struct service *s)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < s->o->disks && !err; i++)
		if (!s->o->disk[i].path)
			err = make_memory_disk(s, i);
	return err;
}

static int map_state(struct service *s)
{
	s->record = window_map_record(s->fds.record);
	s->authority = safety_map_authority(s->fds.authority);
	s->ledger = safety_map_ledger(s->fds.ledger);
	if (s->record && s->authority && s->ledger)
		return 0;
	rumpk_error("--socket %s: what its keeper holds cannot be used: %s",
		    s->o->socket, strerror(errno));
	return -EIO;
}

static int start_fresh(struct service *s)
{
	const struct options *o = s->o;

	if (make_window(s))
		return EXIT_USAGE;
	if (make_private(s) || map_state(s))
		return EXIT_FAILED;
	if (make_memory_disks(s))
		return EXIT_USAGE;
	s->record->length = o->window;
	s->record->count = o->disks;
	return 0;
}

static int start_again(struct service *s)
{
	const struct options *o = s->o;
	struct stat st;

	s->again = true;
	if (fstat(s->fds.window, &st) < 0 || (uint64_t)st.st_size != o->window) {
		rumpk_error("--window %llu: the guest's window has %llu bytes; end the guest first",
			    (unsigned long long)o->window,
			    (unsigned long long)st.st_size);
		return EXIT_USAGE;
	}
	if (map_state(s))
		return EXIT_FAILED;
	if (s->record->count != o->disks || s->fds.nhost != o->disks) {
		rumpk_error("--disk: given %u times, but the guest's window was laid out for %u; end the guest first",
			    o->disks, s->record->count);
		return EXIT_USAGE;
	}
	return 0;
}

static int attach_or_start(struct service *s)
{
	const struct options *o = s->o;
	pid_t holder = 0;
	int err = keeper_attach(s->place.keeper, &s->link, &s->fds, &holder);

	if (!err)
		return start_again(s);
	if (err == -EBUSY && kill(holder, 0) < 0 && errno == ESRCH) {
		rumpk_error("--socket %s: rumpk (pid %d) is gone, but a resize that it started is still under way (process rumpk-resize-N, N is the disk): wait until the file system of its image answers",
			    o->socket, (int)holder);
		return EXIT_USAGE;
	}
	if (err == -EBUSY) {
		rumpk_error("--socket %s: served by another rumpk (pid %d)",
			    o->socket, (int)holder);
		return EXIT_USAGE;
	}
	if (err == -EPROTO) {
		rumpk_error("--socket %s: its keeper is of another version; end the guest first",
			    o->socket);
		return EXIT_FAILED;
	}
	if (err != -ENOENT && err != -ECONNREFUSED) {
		rumpk_error("--socket %s: its keeper does not answer: %s",
			    o->socket, strerror(-err));
		return EXIT_FAILED;
	}
	return start_fresh(s);
}

/* From here on the keeper answers for sockets and window file. */
static int start_keeper(struct service *s)
{
	struct keeper_spec spec = { .fds = &s->fds };
	int err;

	if (place_listen(&s->place, &spec))
		return EXIT_USAGE;
	err = keeper_spawn(&spec, &s->link);
	place_close(&spec);
	if (!err)
		return 0;
	rumpk_error("cannot start the keeper: %s", strerror(-err));
	unlink(s->place.absolute_socket);
	unlink(s->place.absolute_keeper);
	return EXIT_FAILED;
}

static int write_pid(struct service *s)
{
	const char *path = s->o->pid_file;

	if (!path)
		return 0;
	if (pid_file_write(path))
		return EXIT_USAGE;
	s->pid_written = true;
	return 0;
}

/* Its number is another's from now on. */
static void close_ready_fd(struct service *s)
{
	unsigned int i;

	for (i = 0; i < s->ninherited; i++)
		if (s->inherited[i] == s->o->ready_fd)
			s->inherited[i] = -1;
	close(s->o->ready_fd);
}

static void say_ready(struct service *s)
{
	const struct options *o = s->o;
	ssize_t n;

	rumpk_info("serving %u disks at %s", o->disks, o->socket);
	if (o->ready_fd < 0)
		return;
	n = write(o->ready_fd, "\n", 1);
	(void)n;
	/* Another file under the number of stderr would be sent the log. */
	if (o->ready_fd > STDERR_FILENO)
		close_ready_fd(s);
}

static int find_witness(struct service *s, unsigned int n)
{
	const struct disk_options *d = &s->o->disk[n];
	int fd = keeper_witness(&s->fds, n);

	if (fd >= 0 || !d->path || d->vhost)
		return fd;
	fd = image_witness(d->path);
	if (fd < 0)
		return -1;
	s->fds.witness[n] = fd;
	s->fds.witnesses |= 1u << n;
	return fd;
}

/*
 * The keeper's, when it has one: that has seen more. Whether each is an image at all is
 * for the first worker to find and to say.
 */
static void open_witnesses(struct service *s)
{
	unsigned int i;

	for (i = 0; i < s->o->disks; i++)
		s->broker.image[i].known = find_witness(s, i);
}

/* The images are what the first worker has opened, whatever becomes of their names. */
static void judge_witnesses(struct service *s)
{
	unsigned int i;

	for (i = 0; i < s->o->disks; i++) {
		int fd = keeper_witness(&s->fds, i);

		if (fd < 0 || image_is(fd, s->record->disk[i].uuid))
			continue;
		rumpk_warn("disk %s: was replaced just now, its workers will look for it by its name",
			   s->o->disk[i].path);
		keeper_drop_witness(&s->fds, i);
		s->broker.image[i].known = -1;
	}
}

/* A worker serves, so the disks are good: now guests may come. */
static int served(void *arg)
{
	struct service *s = arg;
	int status;

	judge_witnesses(s);
	status = s->again ? 0 : start_keeper(s);
	if (!status)
		status = write_pid(s);
	place_release(&s->place);
	if (s->again)
		rumpk_info("serving a window that is there already, guest %s",
			   s->link.guest ? "attached" : "not attached");
	if (!status)
		say_ready(s);
	return status;
}

static void let_workers_ask(struct service *s)
{
	unsigned int i;

	for (i = 0; i < s->o->disks; i++) {
		const struct disk_options *d = &s->o->disk[i];

		if (d->vhost) {
			s->broker.path[i] = d->path;
			s->broker.keeps[i] = s->o->ram && !d->fence &&
					     options_lend(d);
		} else {
			s->broker.image[i] = (struct broker_image){
				.path = d->path,
				.known = -1,
				.read_only = d->read_only,
				.block = d->block,
			};
		}
	}
	s->broker.path[BROKER_QMP] = s->o->qmp;
}

/* A file with a fault changes nothing. */
static void reload_caps(void *arg)
{
	static struct caps caps;
	const struct service *s = arg;
	char text[PARSE_CAP_BYTES];
	unsigned int i;

	if (caps_read(s->o->caps, s->o->disks, &caps)) {
		rumpk_error("--caps %s: what was granted before stays",
			    s->o->caps);
		return;
	}
	for (i = 0; i < s->o->disks; i++) {
		if (!safety_regrant(s->authority, i, &caps.disk[i]))
			continue;
		format_cap(&caps.disk[i], text, sizeof(text));
		rumpk_log(RUMPK_INFO, (int)i, "--caps %s: capability now %s",
			  s->o->caps, text);
	}
}

static int open_control(struct service *s)
{
	const struct control_cell cell = {
		.o = s->o,
		.a = s->authority,
		.l = s->ledger,
		.record = s->record,
	};

	if (!s->o->control)
		return 0;
	s->control = control_open(s->o->control, &cell);
	return s->control ? 0 : EXIT_USAGE;
}

static int supervise(struct service *s)
{
	const struct worker_plan work = {
		.options = s->o,
		.fds = &s->fds,
		.inherited = s->inherited,
		.ninherited = s->ninherited,
		.former = s->broker.kept,
		.again = s->again,
	};
	const struct supervisor_plan plan = {
		.work = worker_main,
		.work_arg = &work,
		.served = served,
		.served_arg = s,
		.reload = s->o->caps ? reload_caps : NULL,
		.reload_arg = s,
		.link = &s->link,
		.broker = &s->broker,
		.authority = s->authority,
		.ledger = s->ledger,
		.control = s->control,
		.silent_ms = SUPERVISOR_SILENT_MS,
		.start_ms = SUPERVISOR_START_MS,
	};

	let_workers_ask(s);
	open_witnesses(s);
	safety_grant(s->authority, s->o, s->again);
	return supervisor_run(&plan);
}

static int prepare(struct service *s)
{
	static struct window_plan layout;
	const struct options *o = s->o;

	if (!window_plan(&layout, o->window, o->disks)) {
		rumpk_error("--window %llu: too small for %u disks",
			    (unsigned long long)o->window, o->disks);
		return EXIT_USAGE;
	}
	if (o->pid_file && pid_file_check(o->pid_file))
		return EXIT_USAGE;
	if (place_open(&s->place, o->socket, o->window_file))
		return EXIT_USAGE;
	return attach_or_start(s);
}

static void release(struct service *s)
{
	unsigned int i;

	/* Without a keeper nobody else removes it. */
	if (s->o->window_file && s->fds.window >= 0 && s->link.fd < 0)
		unlink(s->o->window_file);
	place_release(&s->place);
	control_close(s->control);
	safety_unmap(s->authority, sizeof(*s->authority));
	safety_unmap(s->ledger, sizeof(*s->ledger));
	if (s->record)
		munmap(s->record, sizeof(*s->record));
	keeper_leave(&s->link);
	keeper_close_fds(&s->fds);
	for (i = 0; i < WINDOW_MAX_DISKS; i++)
		close_fd(&s->broker.kept[i]);
}

static int serve(const struct options *o)
{
	struct service s = {
		.o = o,
		.place = { .lock = { .fd = -1 } },
		.link = { .fd = -1 },
		.fds = {
			.window = -1,
			.record = -1,
			.authority = -1,
			.ledger = -1,
		},
	};
	unsigned int i;
	int status;

	for (i = 0; i < WINDOW_MAX_DISKS; i++)
		s.broker.kept[i] = -1;
	s.ninherited = open_descriptors(s.inherited, WORKER_MAX_INHERITED);
	status = prepare(&s);

	if (!status)
		status = open_control(&s);
	if (!status)
		status = supervise(&s);
	if (s.pid_written)
		unlink(o->pid_file);
	release(&s);
	return status;
}

/* A descriptor that happens to be 0, 1 or 2 would be written to as such. */
static void hold_standard_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	close_fd(&fd);
}

/* A file that is mapped was truncated by somebody: the end, but not a silent one. */
static void on_sigbus(int sig)
{
	static const char line[] =
		"rumpk: error: channel=- memory is gone: the window's or the RAM's file was truncated\n";
	ssize_t n = write(STDERR_FILENO, line, sizeof(line) - 1);

	(void)n;
	raise(sig);
}

static void watch_memory(void)
{
	const struct sigaction sa = {
		.sa_handler = on_sigbus,
		.sa_flags = SA_RESETHAND | SA_NODEFER,
	};

	sigaction(SIGBUS, &sa, NULL);
}

static int act(const struct options *o)
{
	switch (o->action) {
	case OPTIONS_HELP:
		options_print_help();
		return 0;
	case OPTIONS_VERSION:
		printf("rumpk %s (ION ABI %d.%d)\n", RUMPK_VERSION,
		       ION_ABI_MAJOR, ION_ABI_MINOR);
		return 0;
	case OPTIONS_QEMU_ARGS:
		return options_print_qemu_args(o) ? EXIT_USAGE : 0;
	default:
		return serve(o);
	}
}

/**
 * rumpk_run - be rumpk
 * @argc: as main() has it
 * @argv: as main() has it
 *
 * Return: exit status.
 */
int rumpk_run(int argc, char **argv)
{
	struct options o;
	int status = EXIT_USAGE;

	hold_standard_fds();
	signal(SIGPIPE, SIG_IGN);
	/* A file that may not grow is an error of the write, not a death. */
	signal(SIGXFSZ, SIG_IGN);
	watch_memory();
	if (!options_parse(&o, argc, argv)) {
		rumpk_log_level(o.level);
		status = act(&o);
	}
	options_free(&o);
	return status;
}
