/* SPDX-License-Identifier: GPL-2.0-only */
#include "qmp.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "broker.h"
#include "log.h"
#include "unix.h"
#include "util.h"

/* How long a guest waits for the guard, and a command for its answer. */
#define ARM_MS 5000u
#define ANSWER_MS 5000u
/* While a guest waits it is tried more often to connect. */
#define RETRY_SOON_MS 100u
#define RETRY_MS 1000u
/* Of what QEMU says, at most so much before others are served. */
#define BITE_BYTES 65536u

static const char *const arm_script[] = {
	"\"execute\":\"qmp_capabilities\"",
	"\"execute\":\"set-action\",\"arguments\":{\"reboot\":\"shutdown\",\"shutdown\":\"pause\"}",
	"\"execute\":\"query-status\"",
	NULL,
};

/*
 * Without the first, system_reset is turned into a shutdown itself; it looks at
 * the action at once, so the next reset is held again before the machine runs.
 */
static const char *const reset_script[] = {
	"\"execute\":\"set-action\",\"arguments\":{\"reboot\":\"reset\"}",
	"\"execute\":\"system_reset\"",
	"\"execute\":\"set-action\",\"arguments\":{\"reboot\":\"shutdown\"}",
	"\"execute\":\"cont\"",
	NULL,
};

static const char *const quit_script[] = { "\"execute\":\"quit\"", NULL };

static void qmp_disconnect(struct qmp *q)
{
	/* A script that was cut short is begun again. */
	if (q->phase == QMP_RESETTING || q->phase == QMP_QUITTING)
		q->drain = true;
	close_fd(&q->sock);
	q->phase = QMP_OFF;
	q->script = NULL;
	q->fill = 0;
}

/* A QEMU that ends closes its monitor a little before its window. */
static void qmp_lost(struct qmp *q)
{
	qmp_disconnect(q);
	q->next = q->now + RETRY_MS;
}

static void qmp_break(struct qmp *q, const char *why)
{
	if (!q->told)
		rumpk_error("--qmp %s: %s; trying again", q->path, why);
	q->told = true;
	qmp_lost(q);
}

static void qmp_send(struct qmp *q)
{
	char text[256];
	int n = snprintf(text, sizeof(text), "{%s,\"id\":%u}\n", *q->script,
			 ++q->id);

	q->next = q->now + ANSWER_MS;
	/* It never comes near filling the socket; a QEMU that makes it is none. */
	if (send(q->sock, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) != n)
		qmp_lost(q);
}

static void qmp_run(struct qmp *q, enum qmp_phase phase, const char *const *script)
{
	q->phase = phase;
	q->script = script;
	qmp_send(q);
}

static void qmp_script_done(struct qmp *q)
{
	if (q->phase == QMP_ARMING && q->verdict == QMP_PENDING) {
		q->verdict = QMP_ARMED;
		rumpk_info("a reset of the guest will wait for what is in flight");
	}
	if (q->phase == QMP_RESETTING)
		rumpk_info("the guest's machine was reset");
	if (q->told)
		rumpk_info("--qmp %s: connected again", q->path);
	q->told = false;
	q->script = NULL;
	q->phase = QMP_WATCHING;
}

/*
 * What the machine stopped for first is what follows. A guest that resets says so
 * more than once, in all the ways it knows: before the last command of the
 * script it does not run again, so that is the same reset.
 */
static void qmp_stopped(struct qmp *q, bool reset, const char *why)
{
	if (q->drain || q->phase == QMP_QUITTING ||
	    (reset && q->phase == QMP_RESETTING && q->script[1]))
		return;
	q->drain = true;
	q->quit = !reset || q->quit_on_reset;
	rumpk_info("the guest's machine has stopped (%s), %s when nothing is in flight",
		   why, q->quit ? "it ends" : "it is reset");
}

static const char *string_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* Words of the protocol and no others, so they can be printed. */
static void on_shutdown(struct qmp *q, const json_t *data)
{
	static const char *const resets[] = { "guest-reset",
					      "host-qmp-system-reset" };
	const char *reason = string_of(data, "reason");
	size_t i;

	if (!reason) {
		qmp_break(q, "a SHUTDOWN without a reason");
		return;
	}
	for (i = 0; i < ARRAY_SIZE(resets); i++) {
		if (strcmp(reason, resets[i]) == 0) {
			qmp_stopped(q, true, resets[i]);
			return;
		}
	}
	qmp_stopped(q, false, "shutdown");
}

static void on_event(struct qmp *q, const json_t *message, const char *event)
{
	if (strcmp(event, "SHUTDOWN") == 0)
		on_shutdown(q, json_object_get(message, "data"));
}

/* A machine that stopped while nobody listened; for a reset, most likely. */
static bool status_is_known(struct qmp *q, const json_t *result)
{
	const char *status = string_of(result, "status");

	if (!status)
		return false;
	if (strcmp(status, "shutdown") == 0)
		qmp_stopped(q, true, "found so");
	return true;
}

static void on_return(struct qmp *q, const json_t *result)
{
	bool last = !q->script[1];

	if (q->phase == QMP_QUITTING)
		return;
	if (q->phase == QMP_ARMING && last && !status_is_known(q, result)) {
		qmp_break(q, "a status that is none");
	} else if (last) {
		qmp_script_done(q);
	} else {
		q->script++;
		qmp_send(q);
	}
}

static void on_answer(struct qmp *q, const json_t *message)
{
	const json_t *result = json_object_get(message, "return");
	const json_t *id = json_object_get(message, "id");

	if (!q->script || !json_is_integer(id) ||
	    json_integer_value(id) != (json_int_t)q->id)
		qmp_break(q, "an answer that nobody asked for");
	else if (result)
		on_return(q, result);
	else
		qmp_break(q, "a command was refused");
}

static void on_message(struct qmp *q, const json_t *message)
{
	const char *event = string_of(message, "event");

	if (q->phase == QMP_GREETING) {
		if (json_is_object(json_object_get(message, "QMP")))
			qmp_run(q, QMP_ARMING, arm_script);
		else
			qmp_break(q, "no greeting of QMP");
	} else if (event) {
		on_event(q, message, event);
	} else if (json_object_get(message, "return") ||
		   json_object_get(message, "error")) {
		on_answer(q, message);
	} else {
		qmp_break(q, "a message that is none of QMP");
	}
}

static void on_line(struct qmp *q, const char *line, size_t n)
{
	json_t *message = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(message))
		on_message(q, message);
	else
		qmp_break(q, "a line that is no JSON object");
	json_decref(message);
}

/* All lines that are whole; a message may end the connection. */
static void qmp_lines(struct qmp *q)
{
	size_t at = 0;
	const char *end;

	while (q->sock >= 0 && (end = memchr(q->line + at, '\n', q->fill - at))) {
		size_t n = (size_t)(end - (q->line + at));

		on_line(q, q->line + at, n);
		at += n + 1;
	}
	if (q->sock < 0)
		return;
	q->fill -= at;
	memmove(q->line, q->line + at, q->fill);
	if (q->fill == sizeof(q->line))
		qmp_break(q, "a line that is too long");
}

static void qmp_read(struct qmp *q)
{
	size_t left = BITE_BYTES;

	while (q->sock >= 0 && left) {
		size_t room = min_u64(sizeof(q->line) - q->fill, left);
		ssize_t n = recv(q->sock, q->line + q->fill, room, MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			qmp_lost(q);
			return;
		}
		q->fill += (size_t)n;
		left -= (size_t)n;
		qmp_lines(q);
	}
}

static void qmp_connect(struct qmp *q)
{
	bool soon = q->verdict == QMP_PENDING;
	struct epoll_event ev = { .events = EPOLLIN };

	if (q->broker)
		q->sock = broker_ask(q->broker, BROKER_QMP, BROKER_CONNECT, NULL);
	else
		q->sock = unix_connect(q->path, SOCK_STREAM | SOCK_NONBLOCK);
	if (q->sock == -EINPROGRESS) {
		q->sock = -1;
		return;
	}
	if (q->sock >= 0 &&
	    epoll_ctl(q->event_fd, EPOLL_CTL_ADD, q->sock, &ev) < 0)
		close_fd(&q->sock);
	if (q->sock >= 0) {
		q->phase = QMP_GREETING;
		q->next = q->now + ANSWER_MS;
		return;
	}
	q->sock = -1;
	q->next = q->now + (soon ? RETRY_SOON_MS : RETRY_MS);
	if (q->told || soon)
		return;
	q->told = true;
	rumpk_error("--qmp %s: lost while the guest is there; if it resets or ends it stays paused until the connection is back",
		    q->path);
}

/* QEMU greets when its machine is ready: that alone has no deadline. */
static bool answer_is_due(const struct qmp *q)
{
	return q->script || (q->phase == QMP_GREETING && q->deadline);
}

/**
 * qmp_look - go on as far as possible
 * @q: guard
 * @now: monotonic milliseconds
 * @waited_for: a guest waits for the verdict
 */
void qmp_look(struct qmp *q, uint64_t now, bool waited_for)
{
	q->now = now;
	if (q->verdict == QMP_NO_GUEST)
		return;
	if (waited_for && !q->deadline)
		q->deadline = now + ARM_MS;
	if (q->sock >= 0)
		qmp_read(q);
	else if (now >= q->next)
		qmp_connect(q);
	if (q->sock >= 0 && now >= q->next && answer_is_due(q))
		qmp_break(q, "it does not answer");
	if (q->verdict != QMP_PENDING || !q->deadline || now < q->deadline)
		return;
	q->verdict = QMP_FAILED;
	q->told = true;
	rumpk_warn("--qmp %s: no answer: a reset of the guest cannot be held, so there is no zero copy",
		   q->path);
}

/**
 * qmp_drained - nothing is in flight: what the guest stopped for may happen
 * @q: guard with ->drain set
 */
void qmp_drained(struct qmp *q)
{
	if (q->phase != QMP_WATCHING)
		return;
	q->drain = false;
	if (q->quit)
		qmp_run(q, QMP_QUITTING, quit_script);
	else
		qmp_run(q, QMP_RESETTING, reset_script);
}

/**
 * qmp_guest_came - a QEMU has attached to the window
 * @q: guard
 */
void qmp_guest_came(struct qmp *q)
{
	if (q->path)
		q->verdict = QMP_PENDING;
}

/**
 * qmp_guest_left - it is gone
 * @q: guard
 */
void qmp_guest_left(struct qmp *q)
{
	qmp_disconnect(q);
	q->verdict = QMP_NO_GUEST;
	q->drain = false;
	q->told = false;
	q->deadline = 0;
	q->next = 0;
}

/**
 * qmp_init - prepare a guard
 * @q: zeroed
 * @path: of the monitor's socket, kept; NULL: there is no guard
 * @quit_on_reset: a reset of the guest ends QEMU
 *
 * Return: 0 or -errno.
 */
int qmp_init(struct qmp *q, const char *path, bool quit_on_reset)
{
	q->sock = -1;
	q->event_fd = -1;
	if (!path)
		return 0;
	q->event_fd = epoll_create1(EPOLL_CLOEXEC);
	if (q->event_fd < 0)
		return -errno;
	/* It wants a file, which may be out of reach later. */
	json_object_seed(0);
	q->path = path;
	q->quit_on_reset = quit_on_reset;
	return 0;
}

/**
 * qmp_exit - undo qmp_init()
 * @q: guard
 */
void qmp_exit(struct qmp *q)
{
	close_fd(&q->sock);
	close_fd(&q->event_fd);
	q->path = NULL;
}
