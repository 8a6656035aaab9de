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
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cell.h"
#include "confine.h"
#include "place.h"
#include "unix.h"
#include "util.h"
#include "version.h"

#define EXIT_FAILED 1
#define EXIT_USAGE 2

static int make_bells(int *fds, unsigned int n, unsigned int *made)
{
	for (*made = 0; *made < n; (*made)++) {
		fds[*made] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (fds[*made] < 0)
			return -errno;
	}
	return 0;
}

static int make_window(struct cell *c, const struct options *o)
{
	int err = window_create(o->window, o->window_file, &c->fds.window);

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

static int make_private(struct cell *c, const struct options *o)
{
	int err = window_create_record(&c->fds.record);

	if (!err)
		err = make_bells(c->fds.host, o->disks, &c->fds.nhost);
	if (!err)
		err = make_bells(c->fds.guest, o->disks + 1, &c->fds.nguest);
	if (err)
		rumpk_error("doorbells: %s", strerror(-err));
	return err;
}

static int map_window(struct cell *c, const struct options *o)
{
	int err = window_map(&c->window, c->fds.window, c->fds.record, o->window);

	if (err)
		rumpk_error("window cannot be mapped: %s", strerror(-err));
	return err;
}

/* From here on the keeper answers for sockets and window file. */
static int start_keeper(struct cell *c, struct place *place)
{
	struct keeper_spec spec = { .fds = &c->fds };
	int err;

	if (place_listen(place, &spec))
		return EXIT_USAGE;
	err = keeper_spawn(&spec, &c->link);
	place_close(&spec);
	if (!err)
		return 0;
	rumpk_error("cannot start the keeper: %s", strerror(-err));
	unlink(place->absolute_socket);
	unlink(place->absolute_keeper);
	return EXIT_FAILED;
}

static int prepare_fresh(struct cell *c, const struct options *o,
			 struct place *place)
{
	if (make_private(c, o) || map_window(c, o))
		return EXIT_FAILED;
	if (cell_open_disks(c, o, false))
		return EXIT_USAGE;
	c->window.record->length = o->window;
	c->window.record->count = o->disks;
	return start_keeper(c, place);
}

static int start_fresh(struct cell *c, const struct options *o,
		       struct place *place)
{
	int status;

	if (make_window(c, o))
		return EXIT_USAGE;
	status = prepare_fresh(c, o, place);
	if (status && o->window_file)
		unlink(o->window_file);
	if (status)
		return status;
	return cell_start(c, false) ? EXIT_FAILED : 0;
}

static int start_again(struct cell *c, const struct options *o)
{
	struct window_record *rec;
	struct stat st;

	if (fstat(c->fds.window, &st) < 0 || (uint64_t)st.st_size != o->window) {
		rumpk_error("--window %llu: the guest's window has %llu bytes; end the guest first",
			    (unsigned long long)o->window,
			    (unsigned long long)st.st_size);
		return EXIT_USAGE;
	}
	if (map_window(c, o))
		return EXIT_FAILED;
	rec = c->window.record;
	if (rec->count != o->disks || c->fds.nhost != o->disks) {
		rumpk_error("--disk: given %u times, but the guest's window was laid out for %u; end the guest first",
			    o->disks, rec->count);
		return EXIT_USAGE;
	}
	if (cell_open_disks(c, o, true))
		return EXIT_USAGE;
	c->guest = c->link.guest;
	rumpk_info("serving a window that is there already, guest %s",
		   c->guest ? "attached" : "not attached");
	return cell_start(c, true) ? EXIT_FAILED : 0;
}

static int attach_or_start(struct cell *c, const struct options *o,
			   struct place *place)
{
	pid_t holder = 0;
	int err = keeper_attach(place->keeper, &c->link, &c->fds, &holder);

	if (!err)
		return start_again(c, o);
	if (err == -EBUSY) {
		rumpk_error("--socket %s: served by another rumpk (pid %d)",
			    o->socket, (int)holder);
		return EXIT_USAGE;
	}
	if (err != -ENOENT && err != -ECONNREFUSED) {
		rumpk_error("--socket %s: its keeper does not answer: %s",
			    o->socket, strerror(-err));
		return EXIT_FAILED;
	}
	return start_fresh(c, o, place);
}

static int write_pid(const char *path)
{
	FILE *f = path ? fopen(path, "we") : NULL;

	if (!path)
		return 0;
	if (!f || fprintf(f, "%d\n", (int)getpid()) < 0 || fclose(f)) {
		rumpk_error("--pid-file %s: %s", path, strerror(errno));
		return EXIT_USAGE;
	}
	return 0;
}

static void say_ready(const struct options *o)
{
	ssize_t n;

	rumpk_info("serving %u disks at %s", o->disks, o->socket);
	if (o->ready_fd < 0)
		return;
	n = write(o->ready_fd, "\n", 1);
	(void)n;
	close(o->ready_fd);
}

static int start(struct cell *c, const struct options *o)
{
	struct place place = { .lock = -1 };
	int status = EXIT_USAGE;

	if (!cell_configure(c, o) &&
	    !place_open(&place, o->socket, o->window_file))
		status = attach_or_start(c, o, &place);
	place_release(&place);
	return status;
}

static int confine_all(void)
{
	int err = confine();

	if (!err)
		return 0;
	rumpk_error("cannot be confined by seccomp: %s", strerror(-err));
	return EXIT_FAILED;
}

static int serve(const struct options *o)
{
	static struct cell cell;
	struct cell *c = &cell;
	int status = start(c, o);

	if (!status && cell_loop_init(c))
		status = EXIT_FAILED;
	if (!status)
		status = confine_all();
	if (!status)
		status = write_pid(o->pid_file);
	if (!status) {
		say_ready(o);
		if (cell_loop(c))
			status = EXIT_FAILED;
		if (cell_finish(c))
			status = EXIT_FAILED;
		cell_loop_exit(c);
		if (o->pid_file)
			unlink(o->pid_file);
	}
	cell_release(c);
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
		options_print_qemu_args(o);
		return 0;
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
	if (!options_parse(&o, argc, argv)) {
		rumpk_log_level(o.level);
		status = act(&o);
	}
	options_free(&o);
	return status;
}
