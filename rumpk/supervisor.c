/* SPDX-License-Identifier: GPL-2.0-only */
#include "supervisor.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "relay.h"
#include "util.h"

#define EXIT_FAILED 1
#define TICK_MS 250u
/*
 * Who lived shorter died quickly; so many of those in a row are nothing yet. A
 * guest that can crash its worker gets ten of them a second at most, and one a
 * second when it does so at once.
 */
#define QUICK_MS 100u
#define QUICK_FREE 5u
#define BACKOFF_FIRST_MS 10u
#define BACKOFF_MOST_MS 1000u
/* A worker's questions may take this part of the time, with what each costs besides. */
#define BROKER_SHARE 4u
#define ANSWER_NS 20000u

enum {
	TAG_SIGNAL,
	TAG_KEEPER,
	TAG_WORKER,
	TAG_BROKER,
	TAG_RELAY,
	TAG_CONTROL,
};

/**
 * struct supervisor - the process
 * @plan: what to do
 * @epoll: what it sleeps on
 * @signals: signalfd
 * @worker: process number; 0: there is none
 * @link: to the worker
 * @broker: to the worker
 * @relay: from the worker's stderr
 * @started: workers so far
 * @born_ms: when the worker was started
 * @due_ms: when the next one is to be started, while there is none
 * @died_ns: when the end of the one before was seen
 * @left: what the one before had under way
 * @quick: quick deaths in a row
 * @missed: bits of signals for the next worker that serves
 * @told: of the authority's changes
 * @news: KEEPER_GUEST_* and WORKER_LOOK that the worker has not been sent yet
 * @ticks_ms: when the last tick was
 * @seen: progress at the last tick
 * @still: ticks without progress
 * @killed: the worker has been killed
 * @asked_ns: time that the worker's questions and lines have taken since the last tick
 * @deaf: neither are listened to until the next one
 * @served: a worker has served
 * @guest: a QEMU is attached
 * @stopping: no further worker
 * @done: end, with @status
 * @status: exit status
 */
struct supervisor {
	const struct supervisor_plan *plan;
	int epoll;
	int signals;
	pid_t worker;
	int link;
	int broker;
	struct relay relay;
	unsigned int started;
	uint64_t born_ms;
	uint64_t due_ms;
	uint64_t died_ns;
	struct safety_load left;
	unsigned int quick;
	uint32_t missed;
	uint64_t told;
	uint32_t news;
	uint64_t ticks_ms;
	uint64_t seen;
	unsigned int still;
	bool killed;
	uint64_t asked_ns;
	bool deaf;
	bool served;
	bool guest;
	bool stopping;
	bool done;
	int status;
};

/**
 * supervisor_backoff_ms - how long to wait before the next worker
 * @quick_deaths: in a row
 *
 * Return: milliseconds; 0 for the first ones, and never more than a second.
 */
unsigned int supervisor_backoff_ms(unsigned int quick_deaths)
{
	unsigned int ms = BACKOFF_FIRST_MS;

	if (quick_deaths <= QUICK_FREE)
		return 0;
	while (--quick_deaths > QUICK_FREE && ms < BACKOFF_MOST_MS)
		ms *= 2;
	return ms < BACKOFF_MOST_MS ? ms : BACKOFF_MOST_MS;
}

static int watch(struct supervisor *s, int fd, uint32_t tag)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = tag };

	return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static void end(struct supervisor *s, int status)
{
	s->done = true;
	s->status = status;
}

/* A new worker, in the child; the descriptors of the seat are its own. */
static void __attribute__((noreturn))
be_worker(struct supervisor *s, int link, int broker, int log, pid_t parent)
{
	const struct worker_seat seat = {
		.number = s->started,
		.guest = s->guest,
		.link = link,
		.broker = broker,
		.supervisor = parent,
	};

	dup2(log, STDERR_FILENO);
	close(log);
	_exit(s->plan->work(s->plan->work_arg, &seat));
}

static int make_pairs(int link[2], int broker[2])
{
	const int type = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK;
	int err;

	if (socketpair(AF_UNIX, type, 0, link) < 0)
		return -errno;
	if (socketpair(AF_UNIX, type, 0, broker) == 0)
		return 0;
	err = -errno;
	close(link[0]);
	close(link[1]);
	return err;
}

static int fork_worker(struct supervisor *s)
{
	pid_t parent = getpid();
	int broker[2];
	int link[2];
	int err = make_pairs(link, broker);
	int log;

	if (err)
		return err;
	s->link = link[0];
	s->broker = broker[0];
	/* Before it can say anything: its word comes before its end. */
	err = watch(s, s->link, TAG_WORKER);
	if (!err)
		err = watch(s, s->broker, TAG_BROKER);
	log = err ? err : relay_open(&s->relay);
	err = log < 0 ? log : watch(s, s->relay.fd, TAG_RELAY);
	if (!err) {
		s->worker = fork();
		err = s->worker < 0 ? -errno : 0;
	}
	if (!err && s->worker == 0) {
		close(link[0]);
		close(broker[0]);
		close(s->relay.fd);
		be_worker(s, link[1], broker[1], log, parent);
	}
	close(link[1]);
	close(broker[1]);
	if (log >= 0)
		close(log);
	return err;
}

static void lose_worker(struct supervisor *s)
{
	close_fd(&s->link);
	close_fd(&s->broker);
	relay_finish(&s->relay);
	s->worker = 0;
}

static void start_worker(struct supervisor *s)
{
	int err;

	safety_clear_worker(s->plan->ledger);
	s->born_ms = now_ms();
	s->ticks_ms = s->born_ms;
	s->seen = 0;
	s->still = 0;
	s->killed = false;
	s->asked_ns = 0;
	s->deaf = false;
	/* It looks at everything as it is, and asks for a new generation anyway. */
	s->news = 0;
	err = fork_worker(s);
	if (err) {
		rumpk_error("cannot start a worker: %s", strerror(-err));
		if (s->worker > 0)
			kill(s->worker, SIGKILL);
		else
			lose_worker(s);
		s->due_ms = now_ms() + BACKOFF_MOST_MS;
		if (!s->served && !s->worker)
			end(s, EXIT_FAILED);
		return;
	}
	s->started++;
}

static void describe_end(int status, char *text, size_t length)
{
	if (WIFSIGNALED(status))
		snprintf(text, length, "killed by signal %d (%s)",
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(text, length, "exited with status %d",
			 WEXITSTATUS(status));
}

/* The next one at once, unless they die as soon as they are born. */
static void schedule_next(struct supervisor *s, int status)
{
	uint64_t lived = now_ms() - s->born_ms;
	unsigned int wait;
	char how[64];

	s->quick = lived < QUICK_MS ? s->quick + 1 : 0;
	wait = supervisor_backoff_ms(s->quick);
	s->due_ms = now_ms() + wait;
	describe_end(status, how, sizeof(how));
	rumpk_warn("worker (pid %d) %s after %" PRIu64
		   ".%03u s with %u requests, %" PRIu64
		   " bytes in flight; the next one in %u ms",
		   (int)s->worker, how, lived / 1000,
		   (unsigned int)(lived % 1000), s->left.requests,
		   s->left.bytes, wait);
}

/* Followed by none: told to end, or the first one could not start. */
static void end_with(struct supervisor *s, int status)
{
	char how[64];

	if (WIFEXITED(status)) {
		end(s, WEXITSTATUS(status));
		return;
	}
	describe_end(status, how, sizeof(how));
	rumpk_error("worker (pid %d) %s", (int)s->worker, how);
	end(s, EXIT_FAILED);
}

static void reap(struct supervisor *s)
{
	int status;

	if (s->worker <= 0 || waitpid(s->worker, &status, WNOHANG) != s->worker)
		return;
	s->died_ns = now_ns();
	/* Its last words come before its end. */
	relay_finish(&s->relay);
	s->left = safety_load(s->plan->ledger);
	safety_keep_latches(s->plan->authority, s->plan->ledger);
	broker_worker_died(s->plan->broker);
	if (s->done)
		;
	else if (s->stopping || !s->served)
		end_with(s, status);
	else
		schedule_next(s, status);
	lose_worker(s);
}

static void on_stop(struct supervisor *s)
{
	s->stopping = true;
	if (s->worker > 0) {
		kill(s->worker, SIGTERM);
		return;
	}
	rumpk_error("told to end while no worker serves: nothing was synced");
	end(s, EXIT_FAILED);
}

/* One that serves hears it; one that does not yet may never. */
static void pass_on(struct supervisor *s, int signal)
{
	uint32_t phase =
		__atomic_load_n(&s->plan->ledger->phase, __ATOMIC_RELAXED);

	if (s->worker > 0 && phase != LEDGER_STARTING)
		kill(s->worker, signal);
	else
		s->missed |= 1u << signal;
}

static void pass_on_missed(struct supervisor *s)
{
	int n;

	for (n = 1; n < 32; n++)
		if (s->missed & (1u << n))
			kill(s->worker, n);
	s->missed = 0;
}

static void on_reload(struct supervisor *s)
{
	if (s->plan->reload)
		s->plan->reload(s->plan->reload_arg);
	pass_on(s, SIGHUP);
}

static bool worker_has_unread(const struct supervisor *s)
{
	int bytes;

	return s->link >= 0 && ioctl(s->link, SIOCOUTQ, &bytes) == 0 && bytes;
}

/* What finds no room is sent with a later turn; there is one each tick at least. */
static void tell_worker(struct supervisor *s)
{
	if (s->told != s->plan->authority->changes) {
		s->told = s->plan->authority->changes;
		/* Whatever word it reads next, it looks afterwards. */
		if (!worker_has_unread(s))
			s->news |= WORKER_LOOK;
	}
	if (s->news && s->link >= 0 &&
	    send(s->link, &s->news, sizeof(s->news),
		 MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(s->news))
		s->news = 0;
}

/* An end that was asked for is known before the worker's is looked at. */
static void on_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;
	bool child = false;

	while (read(s->signals, &info, sizeof(info)) == sizeof(info)) {
		if (signal_of_terminal(&info))
			continue;
		if (info.ssi_signo == SIGCHLD)
			child = true;
		else if (info.ssi_signo == SIGHUP)
			on_reload(s);
		else if (info.ssi_signo == SIGUSR1)
			pass_on(s, SIGUSR1);
		else
			on_stop(s);
	}
	if (child)
		reap(s);
}

static void on_keeper(struct supervisor *s)
{
	unsigned int events;

	if (keeper_events(s->plan->link, &events)) {
		rumpk_error(
			"the keeper is gone, and with it the guest's connection");
		/* The worker finds that its news have ended. */
		epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->plan->link->fd, NULL);
		s->stopping = true;
		if (s->worker > 0)
			close_fd(&s->link);
		else
			end(s, EXIT_FAILED);
		return;
	}
	if (events & KEEPER_GUEST_LEFT) {
		s->guest = false;
		/* In a word the one that came is later than the one that left. */
		s->news &= ~KEEPER_GUEST_CAME;
	}
	if (events & KEEPER_GUEST_CAME)
		s->guest = true;
	s->news |= events;
}

static unsigned int since_us(uint64_t from, uint64_t to)
{
	return to > from ? (unsigned int)((to - from) / 1000) : 0;
}

static void tell_restart(const struct supervisor *s)
{
	const struct ledger_stamps *t = &s->plan->ledger->stamps;

	rumpk_info("worker (pid %d) serves in place of its predecessor: running after %u us, fence %u us with %u requests, %" PRIu64
		   " bytes in flight, serving after %u us",
		   (int)s->worker, since_us(s->died_ns, t->running),
		   since_us(t->locking, t->fenced), s->left.requests,
		   s->left.bytes, since_us(s->died_ns, t->serving));
	rumpk_debug("worker (pid %d) running=%" PRIu64 " locking=%" PRIu64
		    " fenced=%" PRIu64 " serving=%" PRIu64,
		    (int)s->worker, t->running, t->locking, t->fenced,
		    t->serving);
}

static void on_first(struct supervisor *s)
{
	int status = s->plan->served(s->plan->served_arg);

	s->served = true;
	if (!status && s->plan->link->fd >= 0 &&
	    watch(s, s->plan->link->fd, TAG_KEEPER))
		status = EXIT_FAILED;
	if (status)
		end(s, status);
}

static void on_worker(struct supervisor *s)
{
	uint32_t word;
	ssize_t n = recv(s->link, &word, sizeof(word), MSG_DONTWAIT);

	/* It has one word to say. Its end is seen by SIGCHLD. */
	epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->link, NULL);
	if (n != sizeof(word) || word != WORKER_SERVES)
		return;
	if (!s->served)
		on_first(s);
	else
		tell_restart(s);
	pass_on_missed(s);
}

/*
 * A worker in good order asks now and then, and says little. One that was taken over may
 * do so on and on: it is answered for a share of the time alone, and heard again at the
 * next tick.
 */
static void charge(struct supervisor *s, uint64_t begun)
{
	s->asked_ns += now_ns() - begun + ANSWER_NS;
	if (s->asked_ns < TICK_MS * 1000000ull / BROKER_SHARE)
		return;
	s->deaf = true;
	epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->broker, NULL);
	if (s->relay.fd >= 0)
		epoll_ctl(s->epoll, EPOLL_CTL_DEL, s->relay.fd, NULL);
}

static void on_broker(struct supervisor *s)
{
	uint64_t begun = now_ns();

	broker_answer(s->plan->broker, s->broker);
	charge(s, begun);
}

/* Also before what else it has done: what it says comes in order. */
static void on_relay(struct supervisor *s)
{
	uint64_t begun = now_ns();

	if (!s->deaf && relay_turn(&s->relay))
		charge(s, begun);
}

static void hear_again(struct supervisor *s)
{
	s->asked_ns = 0;
	if (!s->deaf)
		return;
	s->deaf = watch(s, s->broker, TAG_BROKER) != 0;
	if (s->relay.fd >= 0)
		watch(s, s->relay.fd, TAG_RELAY);
}

/* What moves while a worker does what it is about. */
static uint64_t progress(const struct ledger *l, uint32_t phase)
{
	const uint64_t *word = phase == LEDGER_FINISHING ? &l->beat.beats :
							   &l->beat.turns;

	return __atomic_load_n(word, __ATOMIC_RELAXED) + phase;
}

static void say_silent(const struct supervisor *s, uint32_t phase)
{
	const struct ledger *l = s->plan->ledger;
	uint64_t turns = __atomic_load_n(&l->beat.turns, __ATOMIC_RELAXED);
	struct safety_load load = safety_load(l);

	if (phase == LEDGER_STARTING && turns && !l->stamps.fenced)
		rumpk_log(RUMPK_ERROR, (int)turns - 1,
			  "worker (pid %d) silent for %u ms while it opens disk %d: killed",
			  (int)s->worker, s->still * TICK_MS, (int)turns - 1);
	else
		rumpk_error("worker (pid %d) silent for %u ms, %u requests in flight, the oldest for %u ms: killed",
			    (int)s->worker, s->still * TICK_MS, load.requests,
			    load.oldest_ms);
}

/*
 * Ticks are counted, not time: a supervisor that was stopped itself, beside its
 * worker, gives it a new chance.
 */
static void tick(struct supervisor *s)
{
	const struct ledger *l = s->plan->ledger;
	uint32_t phase = __atomic_load_n(&l->phase, __ATOMIC_RELAXED);
	uint64_t seen = progress(l, phase);
	unsigned int limit = phase == LEDGER_STARTING ? s->plan->start_ms :
							s->plan->silent_ms;

	safety_keep_latches(s->plan->authority, l);
	s->still = seen == s->seen ? s->still + 1 : 0;
	s->seen = seen;
	if (s->killed || s->still * TICK_MS < limit)
		return;
	say_silent(s, phase);
	s->killed = true;
	kill(s->worker, SIGKILL);
}

static void on_time(struct supervisor *s)
{
	uint64_t now = now_ms();

	if (!s->worker && !s->done && now >= s->due_ms)
		start_worker(s);
	if (s->worker > 0 && now - s->ticks_ms >= TICK_MS) {
		s->ticks_ms = now;
		hear_again(s);
		tick(s);
	}
}

static int time_left(const struct supervisor *s)
{
	uint64_t now = now_ms();
	uint64_t due = s->worker ? s->ticks_ms + TICK_MS : s->due_ms;

	return due > now ? (int)(due - now) : 0;
}

/* The control socket has a turn, however little, after each event of another. */
static void control(struct supervisor *s)
{
	const struct control_now now = {
		.worker = s->worker,
		.due = !s->worker && !s->done && now_ms() >= s->due_ms,
		.started = s->started,
		.guest = s->guest,
	};

	if (s->plan->control)
		control_turn(s->plan->control, &now);
	tell_worker(s);
}

static int time_to_sleep(const struct supervisor *s)
{
	int left = time_left(s);
	int other = s->plan->control ? control_timeout(s->plan->control) : -1;

	return other >= 0 && other < left ? other : left;
}

static void event(struct supervisor *s, uint32_t tag)
{
	on_relay(s);
	if (tag == TAG_SIGNAL)
		on_signals(s);
	else if (tag == TAG_KEEPER)
		on_keeper(s);
	else if (tag == TAG_WORKER && s->link >= 0)
		on_worker(s);
	else if (tag == TAG_BROKER && s->broker >= 0)
		on_broker(s);
}

static int block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/*
 * Also for the keeper, which is forked later. Descriptors that they hand out are refused
 * when more than this are on their way, whosever of the same user they are; a worker
 * has a limit of its own (confine.c).
 */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Nothing is waited for longer than a killed process's end takes. */
static void kill_worker(struct supervisor *s)
{
	if (s->worker <= 0)
		return;
	kill(s->worker, SIGKILL);
	waitpid(s->worker, NULL, 0);
	lose_worker(s);
}

/**
 * supervisor_run - supervise until the end
 * @plan: what to do
 *
 * Return: exit status, after a message where it is not 0.
 */
int supervisor_run(const struct supervisor_plan *plan)
{
	struct supervisor s = {
		.plan = plan,
		.link = -1,
		.broker = -1,
		.relay = { .fd = -1 },
		.guest = plan->link->guest,
		.told = plan->authority->changes,
	};
	struct epoll_event ev;

	raise_descriptor_limit();
	s.signals = block_signals();
	s.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s.signals < 0 || s.epoll < 0 || watch(&s, s.signals, TAG_SIGNAL) ||
	    (plan->control && watch(&s, control_fd(plan->control), TAG_CONTROL))) {
		rumpk_error("cannot wait for events: %s", strerror(errno));
		end(&s, EXIT_FAILED);
	}
	safety_keep_latches(plan->authority, plan->ledger);
	while (!s.done) {
		on_time(&s);
		/* One at a time: what one does away with has no other event. */
		if (!s.done && epoll_wait(s.epoll, &ev, 1, time_to_sleep(&s)) == 1)
			event(&s, ev.data.u32);
		control(&s);
	}
	kill_worker(&s);
	close_fd(&s.epoll);
	close_fd(&s.signals);
	return s.status;
}
