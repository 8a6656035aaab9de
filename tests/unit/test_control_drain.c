/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A revocation while a device has 32 requests, and does not answer:
 *
 *   client --- revoke ---> supervisor
 *   sim_guest --- 32 ---> worker --- 32 ---> device (holds them)
 *
 * What was judged before ends as it would have, and what comes after is refused;
 * the answer to the revocation comes when nothing of before is left.
 */
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rumpk/unix.h"
#include "rumpk/util.h"
#include "control_client.h"
#define DAEMON_EXEC
#include "daemon.h"
#include "sim_guest.h"
#include "virtio_device.h"

#define ALL (~0ull)
#define DEPTH 64
#define HELD 32u

static char dir[64];
static char device_path[80];
static char socket_path[80];
static char control_path[80];
static char spec[128];
static int listener;
static pid_t pid;
static struct sim_guest g;
static int ctl;

static void start(void)
{
	const char *args[] = { "--socket",   socket_path, "--control",
			       control_path, "--disk",	  spec,
			       NULL };
	int ready;

	pid = daemon_fork(args, NULL, &ready);
	device_accept(listener);
	daemon_ready(ready);
	ctl = client_connect(control_path);
	assert_int_equal(sim_connect(&g, socket_path, 1, 2), 0);
	assert_int_equal(sim_bind(&g, 0), 0);
	assert_int_equal(sim_attach(&g, ALL, DEPTH), 0);
}

static int setup(void **state)
{
	strcpy(dir, "/dev/shm/rumpk-unit-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(device_path, sizeof(device_path), "%s/device", dir);
	snprintf(socket_path, sizeof(socket_path), "%s/s", dir);
	snprintf(control_path, sizeof(control_path), "%s/c", dir);
	snprintf(spec, sizeof(spec), "vhost=%s", device_path);
	listener = unix_listen(device_path, SOCK_STREAM);
	assert_true(listener >= 0);
	device_reset();
	memset(&g, 0, sizeof(g));
	return 0;
}

static int teardown(void **state)
{
	if (g.base)
		sim_disconnect(&g);
	close(ctl);
	daemon_end(&pid, SIGTERM);
	device_end();
	close(listener);
	unlink(device_path);
	daemon_wait_keeper(socket_path);
	return rmdir(dir);
}

static void send_writes(unsigned int first, unsigned int n)
{
	struct nxblk_req req;
	unsigned int i;

	for (i = 0; i < n; i++) {
		sim_prepare(&g, &req, NXBLK_OP_WRITE, (uint16_t)(first + i));
		req.lba = (first + i) * 8;
		req.count = 8;
		req.nseg = 1;
		req.seg[0].addr = g.dir.data.offset + (first + i) * 4096;
		req.seg[0].len = 4096;
		memset(sim_data(&g) + (first + i) * 4096, 0xe5, 4096);
		sim_send(&g, &req);
	}
}

/* Answers with @status to so many, of tags from @first on, in any order. */
static void take_answers(unsigned int first, unsigned int n, uint8_t status)
{
	struct nxblk_resp rsp;
	uint64_t seen = 0;

	while (n--) {
		assert_int_equal(sim_answer(&g, &rsp, 10000), 0);
		assert_int_equal(rsp.status, status);
		assert_true(rsp.tag >= first);
		assert_false(seen & 1ull << rsp.tag);
		seen |= 1ull << rsp.tag;
	}
}

static unsigned int in_flight(void)
{
	json_t *answer = client_ask(ctl, "{\"execute\":\"status\"}");
	json_t *channels =
		json_object_get(json_object_get(answer, "return"), "channels");
	unsigned int n = (unsigned int)json_integer_value(
		json_object_get(json_array_get(channels, 0), "in_flight"));

	json_decref(answer);
	return n;
}

static void hold_some(void)
{
	uint64_t until = now_ms() + 10000;

	start();
	dev.misdeed = SILENT;
	send_writes(0, HELD);
	while (in_flight() < HELD)
		assert_true(now_ms() < until);
}

#define COMMAND(name, more)                                                    \
	"{\"execute\":\"" name "\",\"arguments\":{\"disk\":0" more "}}"

static bool answered(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

static bool is_revoked(int fd)
{
	json_t *answer = client_ask(fd, "{\"execute\":\"caps\"}");
	json_t *cap = json_array_get(json_object_get(answer, "return"), 0);
	bool revoked =
		!strcmp(json_string_value(json_object_get(cap, "cap")), "none");

	json_decref(answer);
	return revoked;
}

/* It holds before it is answered; other clients are served meanwhile. */
static int begin_to_revoke(void)
{
	uint64_t until = now_ms() + 10000;
	int other = client_connect(control_path);

	client_say(ctl, COMMAND("revoke", ""));
	while (!is_revoked(other))
		assert_true(now_ms() < until);
	return other;
}

static void revoked_with_requests_in_flight(void **state)
{
	unsigned int before;
	json_t *answer;
	int other;

	hold_some();
	before = dev.ntypes;
	other = begin_to_revoke();
	send_writes(HELD, HELD);
	take_answers(HELD, HELD, NXBLK_S_PERM);
	assert_false(answered(ctl, 200));
	assert_int_equal(dev.ntypes, before);
	dev.misdeed = NONE;
	take_answers(0, HELD, NXBLK_S_OK);
	answer = json_loads(client_line(ctl), 0, NULL);
	assert_true(json_is_true(
		json_object_get(json_object_get(answer, "return"), "drained")));
	json_decref(answer);
	assert_int_equal(dev.ntypes, before + HELD);
	assert_int_equal(dev.disk[HELD * 4096 - 1], 0xe5);
	assert_int_equal(dev.disk[HELD * 4096], 0);
	close(other);
}

static void drain_is_not_waited_for(void **state)
{
	hold_some();
	assert_int_equal(client_number(ctl,
				       COMMAND("narrow",
					       ",\"cap\":\"r\",\"drain\":false"),
				       "in_flight"),
			 HELD);
	send_writes(HELD, 1);
	take_answers(HELD, 1, NXBLK_S_PERM);
	/* What gives and takes nothing waits for nothing, and says how things are. */
	assert_int_equal(client_number(ctl, COMMAND("grant", ",\"cap\":\"rw\""),
				       "in_flight"),
			 HELD);
	dev.misdeed = NONE;
	take_answers(0, HELD, NXBLK_S_OK);
	assert_int_equal(client_number(ctl, COMMAND("revoke", ""), "drained"), 1);
}

/* What is not over is not so for being said again. */
static void said_twice(void **state)
{
	json_t *answer;
	int other;

	hold_some();
	other = begin_to_revoke();
	assert_int_equal(client_number(other,
				       COMMAND("revoke", ",\"drain\":false"),
				       "drained"),
			 0);
	client_say(other, COMMAND("revoke", ""));
	assert_false(answered(other, 200));
	dev.misdeed = NONE;
	take_answers(0, HELD, NXBLK_S_OK);
	answer = json_loads(client_line(other), 0, NULL);
	assert_true(json_is_true(
		json_object_get(json_object_get(answer, "return"), "drained")));
	json_decref(answer);
	assert_non_null(client_line(ctl));
	/* And then it is over, whoever asks, and whatever is under way by now. */
	assert_int_equal(client_number(other, COMMAND("grant", ",\"cap\":\"rw\""),
				       "drained"),
			 1);
	close(other);
}

/* Who asked is gone: what was asked for holds all the same. */
static void client_leaves(void **state)
{
	int other;

	hold_some();
	other = begin_to_revoke();
	close(ctl);
	ctl = other;
	send_writes(HELD, 1);
	take_answers(HELD, 1, NXBLK_S_PERM);
	assert_true(is_revoked(ctl));
	dev.misdeed = NONE;
	take_answers(0, HELD, NXBLK_S_OK);
}

static void device_is_resized_by_its_server(void **state)
{
	start();
	assert_string_equal(client_class(ctl, COMMAND("resize", ",\"size\":4096")),
			    "Unsupported");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(revoked_with_requests_in_flight),
		TEST(drain_is_not_waited_for),
		TEST(said_twice),
		TEST(client_leaves),
		TEST(device_is_resized_by_its_server),
	};

	if (argc > 1)
		_exit(rumpk_run(argc, argv));
	return cmocka_run_group_tests_name("control_drain", tests, NULL, NULL);
}
