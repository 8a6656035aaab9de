/* SPDX-License-Identifier: GPL-2.0-only */
#include "control.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "log.h"
#include "place.h"
#include "unix.h"
#include "util.h"
#include "version.h"

/* While a command waits for a worker, it is looked after so often. */
#define WAIT_TICK_MS 5
#define TAG_LISTEN CONTROL_CLIENTS
/* Time enough to send a command and have its answer. */
#define YOUNG_MS 1000u

/**
 * struct client - who is connected
 * @fd: socket; -1: nobody
 * @peer: who it is
 * @came_ms: when it came
 * @heard_ms: likewise, or when its last command was begun
 * @line: what it has sent and was not taken yet
 * @fill: of @line
 * @out: what it is to be sent; NULL: nothing
 * @left: of @out
 * @at: next byte of @out
 * @ended: what is in @out is the last that it gets
 * @call: its command
 * @busy: @call is under way
 */
struct client {
	int fd;
	struct ucred peer;
	uint64_t came_ms;
	uint64_t heard_ms;
	char line[CONTROL_LINE];
	size_t fill;
	char *out;
	size_t left;
	size_t at;
	bool ended;
	struct command_call call;
	bool busy;
};

/**
 * struct control - the socket and its clients
 * @cell: what commands are about
 * @path: of the socket, to be removed when it is still this one's
 * @made: what it was when it was made
 * @sock: listens
 * @epoll: readable when there is something to do
 * @full: newcomers stay in the backlog, and @epoll says nothing of them
 * @client: clients
 * @next: whose turn it is
 * @refusals: limits the lines about peers that are refused
 * @board: what commands share
 */
struct control {
	struct control_cell cell;
	const char *path;
	struct stat made;
	int sock;
	int epoll;
	bool full;
	struct client client[CONTROL_CLIENTS];
	unsigned int next;
	struct rumpk_ratelimit refusals;
	struct command_board board;
};

static bool client_has_line(const struct client *c)
{
	return c->fill && memchr(c->line, '\n', c->fill);
}

/* Its answer is sent before its next command is looked at. */
static bool client_may_run(const struct client *c)
{
	return c->fd >= 0 && !c->busy && !c->out && client_has_line(c);
}

static bool client_hears(const struct client *c)
{
	return !c->busy && !c->out && !c->ended && !client_has_line(c);
}

static void client_watch(struct control *ctl, struct client *c)
{
	struct epoll_event ev = {
		.events = (client_hears(c) ? EPOLLIN : 0u) |
			  (c->out ? EPOLLOUT : 0u),
		.data.u32 = (uint32_t)(c - ctl->client),
	};

	epoll_ctl(ctl->epoll, EPOLL_CTL_MOD, c->fd, &ev);
}

static void client_close(struct control *ctl, struct client *c)
{
	if (c->busy)
		command_abandon(&ctl->board, &c->call);
	/* No descriptor of a child's keeps it in there. */
	epoll_ctl(ctl->epoll, EPOLL_CTL_DEL, c->fd, NULL);
	close_fd(&c->fd);
	free(c->out);
	c->out = NULL;
	c->busy = false;
}

static void client_write(struct control *ctl, struct client *c)
{
	ssize_t n = send(c->fd, c->out + c->at, c->left,
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_close(ctl, c);
		return;
	}
	c->at += (size_t)n;
	c->left -= (size_t)n;
	if (c->left)
		return;
	free(c->out);
	c->out = NULL;
	if (c->ended)
		client_close(ctl, c);
}

/* @message: the callee's */
static void client_send(struct control *ctl, struct client *c, json_t *message)
{
	char *text = json_dumps(message, JSON_COMPACT);

	json_decref(message);
	if (!text) {
		client_close(ctl, c);
		return;
	}
	c->left = strlen(text);
	/* The end of the string is in memory too: a newline takes its place. */
	text[c->left++] = '\n';
	c->at = 0;
	c->out = text;
	client_write(ctl, c);
	if (c->fd >= 0)
		client_watch(ctl, c);
}

static void client_greet(struct control *ctl, struct client *c)
{
	client_send(ctl, c,
		    json_pack("{s:{s:s, s:i}}", "rumpk", "version",
			      RUMPK_VERSION, "protocol", CONTROL_PROTOCOL));
}

static struct command_call client_call(struct control *ctl,
				       const struct client *c,
				       const struct control_now *now)
{
	return (struct command_call){
		.cell = &ctl->cell,
		.now = now,
		.board = &ctl->board,
		.peer = c->peer,
	};
}

_Static_assert(CONTROL_LINE == 4096, "what clients are told is another limit");

/* A line that no newline ends is too long, whatever follows: the last word. */
static void client_overflow(struct control *ctl, struct client *c)
{
	c->fill = 0;
	c->ended = true;
	c->call = client_call(ctl, c, NULL);
	client_send(ctl, c,
		    command_refuse_line(&c->call,
					"a line has at most 4095 bytes"));
}

static void client_read(struct control *ctl, struct client *c)
{
	ssize_t n = recv(c->fd, c->line + c->fill, sizeof(c->line) - c->fill,
			 MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* Nothing is asked for any more: what was is answered by now. */
	if (n <= 0) {
		client_close(ctl, c);
		return;
	}
	c->fill += (size_t)n;
	if (c->fill == sizeof(c->line) && !client_has_line(c))
		client_overflow(ctl, c);
	else
		client_watch(ctl, c);
}

/* For how long nobody may take the place of @c, whatever it does. */
static unsigned int client_young(const struct client *c, uint64_t now)
{
	uint64_t age = now - c->came_ms;

	return c->fd >= 0 && age < YOUNG_MS ? (unsigned int)(YOUNG_MS - age) : 0;
}

/* Who asks for nothing goes before who does, and who was heard first. */
static bool goes_before(const struct client *a, const struct client *b)
{
	if (client_hears(a) != client_hears(b))
		return client_hears(a);
	return a->heard_ms < b->heard_ms;
}

/*
 * No crowd keeps an operator out, whatever its commands wait for, nor takes the place
 * of one that has just come: each place is free again YOUNG_MS after it was taken,
 * and newcomers have theirs in the order of the backlog. What was asked for stays
 * in force.
 */
static struct client *client_place(struct control *ctl)
{
	struct client *first = NULL;
	uint64_t now = now_ms();
	unsigned int i;

	for (i = 0; i < CONTROL_CLIENTS; i++) {
		struct client *c = &ctl->client[i];

		if (c->fd < 0)
			return c;
		if (!client_young(c, now) && (!first || goes_before(c, first)))
			first = c;
	}
	if (first)
		client_close(ctl, first);
	return first;
}

/* Milliseconds until there is a place for a newcomer. */
static int place_due(const struct control *ctl)
{
	unsigned int least = YOUNG_MS;
	uint64_t now = now_ms();
	unsigned int i;

	for (i = 0; i < CONTROL_CLIENTS; i++) {
		unsigned int left = client_young(&ctl->client[i], now);

		least = left < least ? left : least;
	}
	return (int)least;
}

static void control_watch_listener(struct control *ctl)
{
	bool full = place_due(ctl) > 0;
	struct epoll_event ev = {
		.events = full ? 0u : EPOLLIN,
		.data.u32 = TAG_LISTEN,
	};

	if (full == ctl->full)
		return;
	ctl->full = full;
	epoll_ctl(ctl->epoll, EPOLL_CTL_MOD, ctl->sock, &ev);
}

static bool control_trusts(struct control *ctl, int fd, struct ucred *peer)
{
	if (!unix_peer(fd, peer) && (peer->uid == geteuid() || peer->uid == 0))
		return true;
	rumpk_log_limited(&ctl->refusals, RUMPK_WARN, RUMPK_NO_CHANNEL,
			  "control: refused uid=%u pid=%d", peer->uid,
			  (int)peer->pid);
	return false;
}

static void control_accept(struct control *ctl)
{
	int fd = accept4(ctl->sock, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct epoll_event ev = { .events = EPOLLIN };
	struct client *c = NULL;
	struct ucred peer;

	if (fd < 0)
		return;
	if (control_trusts(ctl, fd, &peer))
		c = client_place(ctl);
	if (c)
		ev.data.u32 = (uint32_t)(c - ctl->client);
	if (!c || epoll_ctl(ctl->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
		close(fd);
		return;
	}
	c->fd = fd;
	c->peer = peer;
	c->came_ms = now_ms();
	c->heard_ms = c->came_ms;
	c->fill = 0;
	c->ended = false;
	client_greet(ctl, c);
}

static void client_event(struct control *ctl, struct client *c, uint32_t events)
{
	if (c->fd < 0)
		return;
	if (events & EPOLLOUT && c->out)
		client_write(ctl, c);
	else if (events & EPOLLIN && client_hears(c))
		client_read(ctl, c);
	else if (events & (EPOLLHUP | EPOLLERR) && !client_may_run(c))
		client_close(ctl, c);
	if (c->fd >= 0)
		client_watch(ctl, c);
}

/* An answer, or @c->call waits for one. */
static void client_answer(struct control *ctl, struct client *c, json_t *answer)
{
	c->busy = !answer;
	if (answer)
		client_send(ctl, c, answer);
	else
		client_watch(ctl, c);
}

static void client_run(struct control *ctl, struct client *c,
		       const struct control_now *now)
{
	const char *end = memchr(c->line, '\n', c->fill);
	size_t n = (size_t)(end - c->line);
	json_t *answer;

	c->heard_ms = now_ms();
	c->call = client_call(ctl, c, now);
	answer = command_begin(&c->call, c->line, n);
	c->fill -= n + 1;
	memmove(c->line, end + 1, c->fill);
	client_answer(ctl, c, answer);
}

static void control_run_one(struct control *ctl, const struct control_now *now)
{
	unsigned int i;

	for (i = 0; i < CONTROL_CLIENTS; i++) {
		struct client *c =
			&ctl->client[(ctl->next + i) % CONTROL_CLIENTS];

		if (!client_may_run(c))
			continue;
		ctl->next = (ctl->next + i + 1) % CONTROL_CLIENTS;
		client_run(ctl, c, now);
		return;
	}
}

static void control_go_on(struct control *ctl, const struct control_now *now)
{
	unsigned int i;

	command_go_on(&ctl->board, &ctl->cell);
	for (i = 0; i < CONTROL_CLIENTS; i++) {
		struct client *c = &ctl->client[i];

		if (c->fd < 0 || !c->busy)
			continue;
		c->call.now = now;
		client_answer(ctl, c, command_poll(&c->call));
	}
}

/**
 * control_turn - do some of what there is to do
 * @ctl: control socket
 * @now: how things stand
 */
void control_turn(struct control *ctl, const struct control_now *now)
{
	struct epoll_event ev;

	control_watch_listener(ctl);
	if (epoll_wait(ctl->epoll, &ev, 1, 0) == 1) {
		if (ev.data.u32 == TAG_LISTEN)
			control_accept(ctl);
		else
			client_event(ctl, &ctl->client[ev.data.u32], ev.events);
	}
	if (!now->due)
		control_run_one(ctl, now);
	control_go_on(ctl, now);
}

/**
 * control_timeout - when is a turn due that no event announces
 * @ctl: control socket
 *
 * Return: milliseconds from now; -1: never.
 */
int control_timeout(const struct control *ctl)
{
	int timeout = command_busy(&ctl->board) ? WAIT_TICK_MS : -1;
	int due = ctl->full ? place_due(ctl) : -1;
	unsigned int i;

	for (i = 0; i < CONTROL_CLIENTS; i++) {
		if (client_may_run(&ctl->client[i]))
			return 0;
		if (ctl->client[i].fd >= 0 && ctl->client[i].busy)
			timeout = WAIT_TICK_MS;
	}
	return due >= 0 && (timeout < 0 || due < timeout) ? due : timeout;
}

/**
 * control_fd - what is readable when a turn is due
 * @ctl: control socket
 *
 * Return: descriptor for epoll.
 */
int control_fd(const struct control *ctl)
{
	return ctl->epoll;
}

static int control_listen(struct control *ctl, const char *path)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u32 = TAG_LISTEN };
	int err = place_clear(path);

	ctl->sock = err ? err : unix_listen(path, SOCK_STREAM);
	if (ctl->sock < 0)
		return ctl->sock;
	if (lstat(path, &ctl->made) < 0)
		return -errno;
	ctl->path = path;
	ctl->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (ctl->epoll < 0 ||
	    epoll_ctl(ctl->epoll, EPOLL_CTL_ADD, ctl->sock, &ev) < 0)
		return -errno;
	return 0;
}

/* Two that find the same stale socket would both replace it, one of them the other's. */
static int control_listen_alone(struct control *ctl, const char *path)
{
	struct place_lock lock;
	int err = place_lock(&lock, "--control", path);

	if (!err) {
		err = control_listen(ctl, path);
		if (err)
			rumpk_error("--control %s: %s", path,
				    err == -EEXIST ? "exists and is no socket" :
						     strerror(-err));
	}
	place_unlock(&lock);
	return err;
}

/**
 * control_open - listen
 * @path: of the socket, which is made with mode 0600; kept
 * @cell: what commands are about; copied
 *
 * Return: the control socket, or NULL after a message.
 */
struct control *control_open(const char *path, const struct control_cell *cell)
{
	struct control *ctl = calloc(1, sizeof(*ctl));
	unsigned int i;

	if (!ctl) {
		rumpk_error("--control %s: %s", path, strerror(ENOMEM));
		return NULL;
	}
	ctl->cell = *cell;
	ctl->epoll = -1;
	ctl->sock = -1;
	for (i = 0; i < CONTROL_CLIENTS; i++)
		ctl->client[i].fd = -1;
	if (!control_listen_alone(ctl, path))
		return ctl;
	control_close(ctl);
	return NULL;
}

/* Somebody may have taken the path meanwhile: another's socket is left alone. */
static void control_remove(const struct control *ctl)
{
	struct stat st;

	if (lstat(ctl->path, &st) == 0 && st.st_dev == ctl->made.st_dev &&
	    st.st_ino == ctl->made.st_ino)
		unlink(ctl->path);
}

/**
 * control_close - no further command
 * @ctl: control socket, or NULL
 */
void control_close(struct control *ctl)
{
	unsigned int i;

	if (!ctl)
		return;
	for (i = 0; i < CONTROL_CLIENTS; i++)
		if (ctl->client[i].fd >= 0)
			client_close(ctl, &ctl->client[i]);
	command_close(&ctl->board);
	if (ctl->path)
		control_remove(ctl);
	close_fd(&ctl->sock);
	close_fd(&ctl->epoll);
	free(ctl);
}
