/* SPDX-License-Identifier: GPL-2.0-only */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cell.h"
#include "confine.h"
#include "shed.h"
#include "util.h"

#define EXIT_FAILED 1
#define EXIT_USAGE 2
/* A predecessor that is not gone by then never goes. */
#define FENCE_MS 10000u

static int failed(const char *what, int err)
{
	rumpk_error("worker: %s: %s", what, strerror(-err));
	return EXIT_FAILED;
}

/* No worker outlives its supervisor: nobody would fence it. */
static int bind_to_parent(const struct worker_seat *seat)
{
	prctl(PR_SET_NAME, "rumpk-worker");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	return getppid() == seat->supervisor ? 0 : -ESRCH;
}

static void shed(const struct worker_seat *seat, const struct worker_plan *plan)
{
	const struct keeper_fds *f = plan->fds;
	int keep[6 + 2 * IVSHMEM_MAX_VECTORS + KEEPER_MAX_DISKS +
		 2 * WINDOW_MAX_DISKS + WORKER_MAX_INHERITED] = {
		seat->link, seat->broker, f->window,
		f->record,  f->authority, f->ledger,
	};
	unsigned int n = 6;
	unsigned int i;

	memcpy(keep + n, f->host, f->nhost * sizeof(int));
	n += f->nhost;
	memcpy(keep + n, f->guest, f->nguest * sizeof(int));
	n += f->nguest;
	memcpy(keep + n, f->mem, f->nmem * sizeof(int));
	n += f->nmem;
	for (i = 0; i < KEEPER_MAX_DISKS; i++)
		keep[n++] = keeper_witness(f, i);
	memcpy(keep + n, plan->former, WINDOW_MAX_DISKS * sizeof(int));
	n += WINDOW_MAX_DISKS;
	memcpy(keep + n, plan->inherited, plan->ninherited * sizeof(int));
	close_all_but(keep, n + plan->ninherited);
}

/* From here on this worker is alone with window, ledger and disks in memory. */
static int take_seat(struct cell *c, const struct worker_plan *plan,
		     const struct worker_seat *seat)
{
	const struct ledger_stamps stamps = { .running = now_ns() };
	int err;

	c->fds = *plan->fds;
	c->link.fd = seat->link;
	broker_link_init(&c->broker, seat->broker);
	c->guest = seat->guest;
	c->successor = seat->number > 0;
	memcpy(c->former, plan->former, sizeof(c->former));
	err = safety_fence(c->fds.ledger, FENCE_MS);
	if (err < 0)
		return failed("its predecessor is still there", err);
	c->authority = safety_map_authority_read_only(c->fds.authority);
	c->ledger = safety_map_ledger(c->fds.ledger);
	if (!c->authority || !c->ledger)
		return failed("safety state", -errno);
	c->ledger->stamps = stamps;
	err = window_map(&c->window, c->fds.window, c->fds.record,
			 plan->options->window);
	if (err == -ENODATA) {
		rumpk_error("worker: the window's file was truncated, and must have %llu bytes again",
			    (unsigned long long)plan->options->window);
		return EXIT_FAILED;
	}
	return err ? failed("window cannot be mapped", err) : 0;
}

static int open_disks(struct cell *c, const struct worker_plan *plan, bool again)
{
	struct ledger_stamps *stamps = &c->ledger->stamps;

	if (cell_open_ram(c, plan->options))
		return EXIT_USAGE;
	stamps->locking = now_ns();
	if (cell_open_disks(c, plan->options, again))
		return EXIT_USAGE;
	stamps->fenced = now_ns();
	return 0;
}

/* What a guest that takes this process over should not find in it. */
static void forget_setup(struct cell *c)
{
	munmap(c->window.record, sizeof(*c->window.record));
	c->window.record = NULL;
	close_fd(&c->fds.record);
	close_fd(&c->fds.authority);
	close_fd(&c->fds.ledger);
	while (c->fds.nmem)
		close_fd(&c->fds.mem[--c->fds.nmem]);
}

/* Whoever started rumpk may have files there: a worker has nothing to read or to print. */
static void forget_stdio(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	close_fd(&null);
}

/* A path that names one of them has been opened by now. */
static void close_inherited(const struct worker_plan *plan)
{
	unsigned int i;

	for (i = 0; i < plan->ninherited; i++)
		close(plan->inherited[i]);
}

static int prepare_confined(struct cell *c, const struct worker_plan *plan,
			    const struct worker_seat *seat)
{
	bool no_landlock;
	int err;

	forget_stdio();
	close_inherited(plan);
	err = confine_files(&no_landlock);
	if (err)
		return failed("cannot give up the file system", err);
	if (no_landlock && !seat->number)
		rumpk_warn(
			"the kernel has no Landlock: system calls are all that keeps files away");
	if (cell_prepare(c) || cell_loop_init(c))
		return EXIT_FAILED;
	err = confine_calls();
	return err ? failed("cannot be confined by seccomp", err) : 0;
}

static int start(struct cell *c, const struct worker_plan *plan,
		 const struct worker_seat *seat)
{
	const uint32_t word = WORKER_SERVES;
	bool again = plan->again || seat->number;
	int status;

	if (cell_configure(c, plan->options))
		return EXIT_USAGE;
	status = take_seat(c, plan, seat);
	if (!status)
		status = open_disks(c, plan, again);
	if (!status)
		status = prepare_confined(c, plan, seat);
	c->qmp.broker = &c->broker;
	if (!status && again && c->guest && guard_again(c))
		status = EXIT_FAILED;
	if (!status && cell_start(c, again))
		status = EXIT_FAILED;
	if (status)
		return status;
	forget_setup(c);
	c->ledger->stamps.serving = now_ns();
	__atomic_store_n(&c->ledger->phase, LEDGER_SERVING, __ATOMIC_RELEASE);
	return send(c->link.fd, &word, sizeof(word), MSG_NOSIGNAL) < 0 ?
		       EXIT_FAILED :
		       0;
}

/**
 * worker_main - be a worker
 * @arg: &struct worker_plan
 * @seat: what this one finds
 *
 * Return: exit status.
 */
int worker_main(const void *arg, const struct worker_seat *seat)
{
	const struct worker_plan *plan = arg;
	static struct cell cell;
	struct cell *c = &cell;
	int status;
	int err = bind_to_parent(seat);

	rumpk_log_forked();
	if (err)
		return failed("its supervisor is gone", err);
	shed(seat, plan);
	status = start(c, plan, seat);
	if (!status) {
		if (cell_loop(c))
			status = EXIT_FAILED;
		__atomic_store_n(&c->ledger->phase, LEDGER_FINISHING,
				 __ATOMIC_RELEASE);
		if (cell_finish(c))
			status = EXIT_FAILED;
	}
	cell_loop_exit(c);
	/* The keeper is the supervisor's to leave. */
	close_fd(&c->link.fd);
	cell_release(c);
	return status;
}
