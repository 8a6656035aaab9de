/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The loop: one thread serves all channels. While there is work it looks at all
 * of them in turn; for a moment after (poller.h) it keeps looking; then it asks
 * for doorbells and sleeps, at most SAFETY_MS, so that a guest is served that
 * rings none.
 */
#include "cell.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "util.h"

#define SAFETY_MS 100
#define EVENTS 32
/* How long to sleep while a device works that is only polled. */
#define NAP_NS 50000
/* While there is always work, signals and the keeper are looked at this often. */
#define BUSY_LOOK_NS 5000000u
/* So many doorbells for nothing, and the doorbell is left alone for a while. */
#define IDLE_BELLS 64u

/* Events of channel n and of disk n. */
enum {
	TAG_SIGNAL,
	TAG_KEEPER,
	TAG_QMP,
	TAG_BROKER,
	TAG_CHANNEL,
	TAG_DISK = TAG_CHANNEL + WINDOW_MAX_DISKS,
};

static int loop_add(struct cell *c, int fd, uint32_t tag)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = tag };

	return epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static int loop_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int loop_add_all(struct cell *c)
{
	unsigned int i;
	int err = loop_add(c, c->signals, TAG_SIGNAL);

	if (!err && c->link.fd >= 0)
		err = loop_add(c, c->link.fd, TAG_KEEPER);
	if (!err && c->qmp.event_fd >= 0)
		err = loop_add(c, c->qmp.event_fd, TAG_QMP);
	if (!err && c->broker.sock >= 0)
		err = loop_add(c, c->broker.sock, TAG_BROKER);
	for (i = 0; i < c->count && !err; i++) {
		int fd = c->disk[i].hal->event_fd;

		err = loop_add(c, c->channel[i].bell, TAG_CHANNEL + i);
		if (!err && fd >= 0)
			err = loop_add(c, fd, TAG_DISK + i);
	}
	return err;
}

/**
 * cell_loop_init - prepare the loop of a started cell
 * @c: cell
 *
 * Return: 0, or -errno after a message.
 */
int cell_loop_init(struct cell *c)
{
	int err;

	c->signals = loop_signals();
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	err = c->signals < 0 || c->epoll < 0 ? -errno : loop_add_all(c);
	if (err) {
		rumpk_error("cannot wait for events: %s", strerror(-err));
		cell_loop_exit(c);
	}
	return err;
}

/**
 * cell_loop_exit - undo cell_loop_init()
 * @c: cell
 */
void cell_loop_exit(struct cell *c)
{
	close_fd(&c->epoll);
	close_fd(&c->signals);
}

static void on_signals(struct cell *c)
{
	struct signalfd_siginfo info;

	while (read(c->signals, &info, sizeof(info)) == sizeof(info)) {
		if (signal_of_terminal(&info))
			continue;
		if (info.ssi_signo == SIGHUP)
			cell_reload(c);
		else if (info.ssi_signo == SIGUSR1)
			cell_print_stats(c);
		else
			c->stop = true;
	}
}

static void check_window(struct cell *c)
{
	if (window_repair(&c->window))
		rumpk_log_limited(&c->lines, RUMPK_WARN, RUMPK_NO_CHANNEL,
				  "window header or directory was overwritten, put right");
}

static void on_guest_came(struct cell *c)
{
	rumpk_info("guest attached");
	c->guest = true;
	check_window(c);
	guard_guest_came(c);
}

static void on_guest_left(struct cell *c)
{
	unsigned int i;

	rumpk_info("guest left");
	c->guest = false;
	check_window(c);
	for (i = 0; i < c->count; i++) {
		channel_guest_left(&c->channel[i]);
		c->ledger->channel[i].told = 0;
	}
	guard_guest_left(c);
}

static void on_keeper(struct cell *c)
{
	unsigned int events;

	if (keeper_events(&c->link, &events)) {
		/* Why, the supervisor has said, unless it was killed itself. */
		rumpk_debug("no more news from the supervisor");
		c->failed = true;
		c->stop = true;
		return;
	}
	if (events & KEEPER_GUEST_LEFT)
		on_guest_left(c);
	if (events & KEEPER_GUEST_CAME)
		on_guest_came(c);
	if (events & KEEPER_GUEST_REFUSED)
		rumpk_warn("second guest refused: one is attached");
}

static void bell_listen(struct cell *c, unsigned int i, bool listen)
{
	struct epoll_event ev = {
		.events = listen ? EPOLLIN : 0,
		.data.u32 = TAG_CHANNEL + i,
	};

	c->channel[i].muted = !listen;
	epoll_ctl(c->epoll, EPOLL_CTL_MOD, c->channel[i].bell, &ev);
}

/* A storm of doorbells must cost the guest more than us. */
static void on_bell(struct cell *c, unsigned int i)
{
	channel_take_bell(&c->channel[i]);
	if (c->channel[i].idle_bells >= IDLE_BELLS)
		bell_listen(c, i, false);
}

/* Who has asked asks again in this round. */
static void on_broker(struct cell *c)
{
	broker_look(&c->broker);
	c->qmp_looked = 0;
}

static void loop_event(struct cell *c, uint32_t tag)
{
	if (tag == TAG_SIGNAL)
		on_signals(c);
	else if (tag == TAG_KEEPER)
		on_keeper(c);
	else if (tag == TAG_QMP)
		c->qmp_looked = 0;
	else if (tag == TAG_BROKER)
		on_broker(c);
	else if (tag >= TAG_CHANNEL && tag < TAG_DISK)
		on_bell(c, tag - TAG_CHANNEL);
}

static void unmute_all(struct cell *c)
{
	unsigned int i;

	for (i = 0; i < c->count; i++) {
		if (!c->channel[i].muted)
			continue;
		c->channel[i].idle_bells = 0;
		channel_take_bell(&c->channel[i]);
		bell_listen(c, i, true);
	}
}

static void loop_wait(struct cell *c, int timeout_ms)
{
	struct epoll_event ev[EVENTS];
	int n = epoll_wait(c->epoll, ev, EVENTS, timeout_ms);
	int i;

	if (n == 0 && timeout_ms) {
		unmute_all(c);
		check_window(c);
	}
	for (i = 0; i < n; i++)
		loop_event(c, ev[i].data.u32);
}

/**
 * cell_round - look at all channels and disks once
 * @c: started cell
 *
 * Return: whether there was anything to do.
 */
bool cell_round(struct cell *c)
{
	bool progress = false;
	unsigned int i;

	for (i = 0; i < c->count; i++) {
		progress |= channel_step(&c->channel[i]);
		hal_kick(c->disk[i].hal);
		progress |= hal_poll(c->disk[i].hal) > 0;
		progress |= channel_publish(&c->channel[i]);
		if (c->disk[i].hal->changed)
			cell_disk_changed(c, i);
	}
	return progress;
}

static bool cell_polls(const struct cell *c)
{
	unsigned int i;

	for (i = 0; i < c->count; i++)
		if (c->disk[i].hal->polled)
			return true;
	return false;
}

/* epoll_wait() knows milliseconds only. */
static void loop_nap(struct cell *c)
{
	const struct timespec nap = { .tv_nsec = NAP_NS };
	struct pollfd p = { .fd = c->epoll, .events = POLLIN };

	if (ppoll(&p, 1, &nap, NULL) > 0)
		loop_wait(c, 0);
}

static bool cell_arm(struct cell *c)
{
	bool work = false;
	unsigned int i;

	for (i = 0; i < c->count; i++)
		work |= channel_arm(&c->channel[i]);
	return work;
}

/**
 * cell_loop - serve until asked to end
 * @c: cell with its loop prepared
 *
 * Return: 0, or -EIO when it cannot go on.
 */
int cell_loop(struct cell *c)
{
	uint64_t looked = 0;
	uint64_t now;

	while (!c->stop) {
		bool progress;

		cell_look(c);
		progress = cell_round(c);
		beat_turn(&c->beat);
		now = now_ns();
		guard_look(c, now / 1000000u);
		if (progress)
			poller_busy(&c->poller);
		if (progress && now - looked > BUSY_LOOK_NS) {
			loop_wait(c, 0);
			looked = now;
		}
		if (progress)
			continue;
		if (poller_look_on(&c->poller, now)) {
			sched_yield();
			continue;
		}
		if (cell_arm(c))
			continue;
		if (cell_polls(c))
			loop_nap(c);
		else
			loop_wait(c, SAFETY_MS);
		looked = now_ns();
		poller_slept(&c->poller, looked);
	}
	return c->failed ? -EIO : 0;
}
