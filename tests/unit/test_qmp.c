/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The reset guard against a monitor that is played here, line by line: what it
 * is told and in which order, and what becomes of one that lies or is silent.
 */
#include "unit.h"

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rumpk/log.h"
#include "rumpk/qmp.h"
#include "rumpk/unix.h"
#include "rumpk/util.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}"
#define PATIENCE_MS 10000

static char path[64];
static int listener;
static int peer;
static struct qmp q;
/* Added to the clock that the guard sees. */
static uint64_t later;

static void listen_again(void)
{
	listener = unix_listen(path, SOCK_STREAM);
	assert_true(listener >= 0);
}

static int setup(void **state)
{
	rumpk_log_level(RUMPK_ERROR);
	snprintf(path, sizeof(path), "/tmp/rumpk-unit-qmp-%d", (int)getpid());
	unlink(path);
	listen_again();
	peer = -1;
	later = 0;
	memset(&q, 0, sizeof(q));
	assert_int_equal(qmp_init(&q, path, false), 0);
	return 0;
}

static int teardown(void **state)
{
	qmp_exit(&q);
	close_fd(&peer);
	close_fd(&listener);
	unlink(path);
	return 0;
}

static void look(bool waited_for)
{
	qmp_look(&q, now_ms() + later, waited_for);
}

/* The guard's event shows that it has something to do. */
static void look_at_event(void)
{
	struct pollfd p = { .fd = q.event_fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	look(false);
}

static void say(const char *text)
{
	assert_int_equal(send(peer, text, strlen(text), 0), strlen(text));
}

static void take_connection(void)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };

	look(false);
	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	close_fd(&peer);
	peer = accept(listener, NULL, NULL);
	assert_true(peer >= 0);
}

/* The next line that the guard sends has this in it; its id. */
static unsigned int is_told(const char *what)
{
	struct pollfd p = { .fd = peer, .events = POLLIN };
	char line[512];
	size_t n = 0;
	char *id;

	do {
		assert_true(n < sizeof(line));
		assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
		assert_int_equal(read(peer, line + n, 1), 1);
	} while (line[n++] != '\n');
	line[n - 1] = '\0';
	if (!strstr(line, what))
		fail_msg("told %s, not %s", line, what);
	id = strstr(line, "\"id\":");
	assert_non_null(id);
	return (unsigned int)atoi(id + 5);
}

static void is_told_nothing(void)
{
	char c;

	assert_int_equal(recv(peer, &c, 1, MSG_DONTWAIT), -1);
}

static void answer(unsigned int id, const char *result)
{
	char text[256];

	snprintf(text, sizeof(text), "{\"return\": %s, \"id\": %u}\r\n", result,
		 id);
	say(text);
	look_at_event();
}

static void greet(void)
{
	say(GREETING "\r\n");
	look_at_event();
}

/* Up to the last answer of the script that arms. */
static void arm(const char *status)
{
	char result[128];

	take_connection();
	greet();
	answer(is_told("\"qmp_capabilities\""), "{}");
	answer(is_told("\"set-action\",\"arguments\":{\"reboot\":\"shutdown\","
		       "\"shutdown\":\"pause\"}"),
	       "{}");
	snprintf(result, sizeof(result), "{\"status\": \"%s\"}", status);
	answer(is_told("\"query-status\""), result);
}

static void is_armed(void)
{
	qmp_guest_came(&q);
	assert_int_equal(q.verdict, QMP_PENDING);
	assert_true(qmp_holds(&q));
	arm("running");
	assert_int_equal(q.verdict, QMP_ARMED);
	assert_false(qmp_holds(&q));
}

static void stops(const char *reason)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, "
		 "\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, "
		 "\"reason\": \"%s\"}}\r\n",
		 reason);
	say(text);
	look_at_event();
}

/* Reset, next reset held again, and only then the machine runs. */
static void resets(void)
{
	assert_true(q.drain);
	assert_true(qmp_holds(&q));
	is_told_nothing();
	qmp_drained(&q);
	assert_false(q.drain);
	answer(is_told("\"set-action\",\"arguments\":{\"reboot\":\"reset\"}"),
	       "{}");
	answer(is_told("\"system_reset\""), "{}");
	answer(is_told("\"set-action\",\"arguments\":{\"reboot\":\"shutdown\"}"),
	       "{}");
	assert_true(qmp_holds(&q));
	answer(is_told("\"cont\""), "{}");
	assert_false(qmp_holds(&q));
	assert_int_equal(q.phase, QMP_WATCHING);
}

static void quits(void)
{
	assert_true(q.drain);
	is_told_nothing();
	qmp_drained(&q);
	answer(is_told("\"quit\""), "{}");
	assert_true(qmp_holds(&q));
	assert_int_equal(q.phase, QMP_QUITTING);
}

static void arms(void **state)
{
	assert_true(qmp_holds(&q));
	look(true);
	assert_int_equal(q.phase, QMP_OFF);
	is_armed();
	is_told_nothing();
	qmp_guest_left(&q);
	assert_int_equal(q.verdict, QMP_NO_GUEST);
	is_armed();
}

static void no_guard(void **state)
{
	struct qmp none = { 0 };

	assert_int_equal(qmp_init(&none, NULL, false), 0);
	qmp_guest_came(&none);
	qmp_look(&none, now_ms(), true);
	assert_int_equal(none.verdict, QMP_NO_GUEST);
	assert_false(qmp_holds(&none));
	qmp_exit(&none);
}

static void resets_when_drained(void **state)
{
	int i;

	is_armed();
	for (i = 0; i < 3; i++) {
		stops(i == 2 ? "host-qmp-system-reset" : "guest-reset");
		/* Nothing happens before it is drained, whatever the time. */
		later += 100000;
		look(false);
		resets();
	}
	assert_int_equal(q.verdict, QMP_ARMED);
}

static void quits_instead(void **state)
{
	q.quit_on_reset = true;
	is_armed();
	stops("guest-reset");
	quits();
}

static void ends(void **state)
{
	static const char *const reasons[] = { "guest-shutdown", "guest-panic",
					       "host-signal", "unheard-of" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(reasons); i++) {
		is_armed();
		stops(reasons[i]);
		/* What comes first counts. */
		stops("guest-reset");
		quits();
		/* It says so itself, and is gone. */
		stops("host-qmp-quit");
		assert_false(q.drain);
		close_fd(&peer);
		qmp_guest_left(&q);
	}
}

/* It was said twice; but after the last command it is another one. */
static void resets_again(void **state)
{
	unsigned int id;

	is_armed();
	stops("guest-reset");
	qmp_drained(&q);
	id = is_told("\"reset\"");
	stops("guest-reset");
	assert_false(q.drain);
	answer(id, "{}");
	answer(is_told("\"system_reset\""), "{}");
	answer(is_told("\"set-action\""), "{}");
	id = is_told("\"cont\"");
	stops("guest-reset");
	answer(id, "{}");
	resets();
}

static void stopped_before(void **state)
{
	qmp_guest_came(&q);
	arm("shutdown");
	assert_int_equal(q.verdict, QMP_ARMED);
	resets();
}

static void stops_while_arming(void **state)
{
	unsigned int id;

	qmp_guest_came(&q);
	take_connection();
	greet();
	id = is_told("\"qmp_capabilities\"");
	stops("guest-shutdown");
	assert_true(q.drain);
	qmp_drained(&q);
	answer(id, "{}");
	answer(is_told("\"set-action\""), "{}");
	answer(is_told("\"query-status\""), "{\"status\": \"shutdown\"}");
	quits();
}

/* Cut short in the midst of a script, which is begun again. */
static void lost_while_resetting(void **state)
{
	is_armed();
	stops("guest-reset");
	qmp_drained(&q);
	answer(is_told("\"reset\""), "{}");
	is_told("\"system_reset\"");
	close_fd(&peer);
	look_at_event();
	assert_int_equal(q.phase, QMP_OFF);
	assert_true(qmp_holds(&q));
	later += 2000;
	arm("prelaunch");
	assert_int_equal(q.verdict, QMP_ARMED);
	resets();
}

/* What was offered stays offered; it is tried each second to connect. */
static void lost_and_found(void **state)
{
	is_armed();
	close_fd(&peer);
	close_fd(&listener);
	unlink(path);
	look_at_event();
	assert_int_equal(q.verdict, QMP_ARMED);
	assert_false(qmp_holds(&q));
	later += 1000;
	look(false);
	assert_true(q.told);
	listen_again();
	look(false);
	assert_int_equal(q.phase, QMP_OFF);
	later += 1000;
	arm("running");
	assert_false(q.told);
	stops("guest-reset");
	resets();
}

static void fails_in_time(void **state)
{
	close_fd(&listener);
	unlink(path);
	qmp_guest_came(&q);
	look(false);
	later += 60000;
	/* Nobody waits: QEMU may still be starting. */
	look(false);
	assert_int_equal(q.verdict, QMP_PENDING);
	look(true);
	later += 4900;
	look(true);
	assert_int_equal(q.verdict, QMP_PENDING);
	later += 200;
	look(true);
	assert_int_equal(q.verdict, QMP_FAILED);
	assert_false(qmp_holds(&q));
	/* Too late for zero copy, but not for a reset. */
	listen_again();
	later += 1000;
	arm("running");
	assert_int_equal(q.verdict, QMP_FAILED);
	stops("guest-reset");
	resets();
}

static void silent(void **state)
{
	qmp_guest_came(&q);
	take_connection();
	look(true);
	later += 5001;
	look(true);
	assert_int_equal(q.verdict, QMP_FAILED);
	assert_int_equal(q.phase, QMP_OFF);
}

/* Said where a greeting, or an answer, is due. */
static void breaks(const char *text, bool greeted)
{
	setup(NULL);
	qmp_guest_came(&q);
	take_connection();
	if (greeted) {
		greet();
		is_told("qmp_capabilities");
	}
	say(text);
	look_at_event();
	if (q.phase != QMP_OFF || q.sock >= 0 || q.verdict != QMP_PENDING)
		fail_msg("believed: %s", text);
	assert_true(q.told);
	later += 2000;
	arm("running");
	assert_int_equal(q.verdict, QMP_ARMED);
	teardown(NULL);
}

static void garbage(void **state)
{
	static const char *const lines[] = {
		"\n",
		"HTTP/1.1 400 Bad Request\r\n",
		"{\n",
		"[]\n",
		"7\n",
		"{}\n",
		"{\"a\": 1, \"a\": 2}\n",
		"\xff\xfe\n",
		"{\"return\": {}, \"id\": 2}\n",
		"{\"return\": {}, \"id\": \"1\"}\n",
		"{\"return\": {}}\n",
		"{\"error\": {\"class\": \"CommandNotFound\"}, \"id\": 1}\n",
		"{\"event\": \"SHUTDOWN\"}\n",
		"{\"event\": \"SHUTDOWN\", \"data\": {\"reason\": 7}}\n",
		"{\"event\": 7}\n",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		breaks(lines[i], false);
		breaks(lines[i], true);
	}
	breaks(GREETING "\n", true);
	breaks("{\"QMP\": 1}\n", false);
	breaks("{\"event\": \"RESUME\"}\n", false);
	setup(NULL);
}

static void bad_status(void **state)
{
	static const char *const results[] = { "{}", "7", "{\"status\": 7}" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(results); i++) {
		qmp_guest_came(&q);
		take_connection();
		greet();
		answer(is_told("qmp_capabilities"), "{}");
		answer(is_told("set-action"), "{}");
		answer(is_told("query-status"), results[i]);
		assert_int_equal(q.verdict, QMP_PENDING);
		assert_int_equal(q.phase, QMP_OFF);
		qmp_guest_left(&q);
	}
}

static void unasked_answer(void **state)
{
	is_armed();
	say("{\"return\": {}, \"id\": 3}\n");
	look_at_event();
	assert_int_equal(q.phase, QMP_OFF);
}

static void long_line(void **state)
{
	static char text[QMP_LINE_BYTES];

	memset(text, ' ', sizeof(text));
	is_armed();
	/* As long as it may be, with its end. */
	text[QMP_LINE_BYTES - 1] = '\n';
	memcpy(text, "{\"event\":\"X\"}", 13);
	assert_int_equal(send(peer, text, sizeof(text), 0), sizeof(text));
	look_at_event();
	assert_int_equal(q.phase, QMP_WATCHING);
	text[QMP_LINE_BYTES - 1] = ' ';
	assert_int_equal(send(peer, text, sizeof(text), 0), sizeof(text));
	look_at_event();
	assert_int_equal(q.phase, QMP_OFF);
	assert_int_equal(q.verdict, QMP_ARMED);
}

/* Lines come in pieces, and several at once. */
static void lines_in_pieces(void **state)
{
	const char *c;

	is_armed();
	for (c = "{\"event\": \"STOP\"}\r\n{\"event\": \"SHUT"; *c; c++) {
		assert_int_equal(send(peer, c, 1, 0), 1);
		look_at_event();
	}
	assert_false(q.drain);
	say("DOWN\", \"data\": {\"reason\": \"guest-reset\"}}\r\n"
	    "{\"event\": \"STOP\"}\r\n{\"event\"");
	look_at_event();
	assert_true(q.drain);
	say(": \"X\"}\r\n");
	look_at_event();
	resets();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(arms),
		TEST(no_guard),
		TEST(resets_when_drained),
		TEST(quits_instead),
		TEST(ends),
		TEST(resets_again),
		TEST(stopped_before),
		TEST(stops_while_arming),
		TEST(lost_while_resetting),
		TEST(lost_and_found),
		TEST(fails_in_time),
		TEST(silent),
		cmocka_unit_test_teardown(garbage, teardown),
		TEST(bad_status),
		TEST(unasked_answer),
		TEST(long_line),
		TEST(lines_in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
