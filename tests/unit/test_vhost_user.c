/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The front end's side of vhost-user against a device in a thread of its own
 * that plays one short script: what it expects is compared byte by byte with
 * the protocol, what it answers is right, or wrong in one way.
 */
#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rumpk/unix.h"
#include "rumpk/util.h"
#include "rumpk/vhost_user.h"

#define TIMEOUT_MS 200
#define MOST 512

/**
 * struct script - what the device does with one request
 * @reply: bytes that it sends
 * @length: of them
 * @with_fd: a descriptor goes with them
 * @hang_up: closes after it
 * @heard: what it was sent
 * @nheard: bytes of it
 * @fds: that came with it
 * @nfds: of them
 */
struct script {
	uint8_t reply[MOST];
	size_t length;
	bool with_fd;
	bool hang_up;
	uint8_t heard[MOST];
	size_t nheard;
	int fds[UNIX_MAX_FDS];
	unsigned int nfds;
};

static struct vhost_user vu;
static struct script script;
static int device;
static pthread_t thread;

static int setup(void **state)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	memset(&script, 0, sizeof(script));
	device = pair[1];
	vhost_user_open(&vu, pair[0], TIMEOUT_MS);
	return 0;
}

static int teardown(void **state)
{
	vhost_user_close(&vu);
	close_fd(&device);
	while (script.nfds)
		close(script.fds[--script.nfds]);
	return 0;
}

static void *play(void *arg)
{
	ssize_t n =
		unix_recv(device, script.heard, MOST, script.fds, &script.nfds);

	script.nheard = n > 0 ? (size_t)n : 0;
	if (script.length)
		unix_send(device, script.reply, script.length, &device,
			  script.with_fd ? 1 : 0);
	if (script.hang_up)
		close_fd(&device);
	return NULL;
}

static void begin(void)
{
	assert_int_equal(pthread_create(&thread, NULL, play, NULL), 0);
}

static void end(void)
{
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void reply(uint32_t request, uint32_t flags, uint32_t size,
		  const void *payload, size_t length)
{
	const uint32_t header[3] = { request, flags, size };

	memcpy(script.reply, header, sizeof(header));
	memcpy(script.reply + 12, payload, length);
	script.length = 12 + length;
}

/* The request as it went over the socket. */
static void heard(uint32_t request, uint32_t flags, const void *payload,
		  uint32_t size, unsigned int nfds)
{
	const uint32_t header[3] = { request, flags, size };

	assert_int_equal(script.nheard, 12 + size);
	assert_memory_equal(script.heard, header, 12);
	if (size)
		assert_memory_equal(script.heard + 12, payload, size);
	assert_int_equal(script.nfds, nfds);
}

static void latched(const char *why)
{
	uint64_t value;
	bool changed;

	assert_string_equal(vu.broken, why);
	assert_int_equal(vhost_user_set_owner(&vu), -EIO);
	assert_int_equal(vhost_user_get(&vu, VHOST_USER_GET_FEATURES, &value),
			 -EIO);
	assert_int_equal(vhost_user_look(&vu, &changed), -EIO);
}

static void asks_for_features(void **state)
{
	const uint64_t sent = 0x123456789abcdef0;
	uint64_t value = 0;

	reply(1, 5, 8, &sent, 8);
	begin();
	assert_int_equal(vhost_user_get(&vu, VHOST_USER_GET_FEATURES, &value), 0);
	end();
	heard(1, 1, NULL, 0, 0);
	assert_true(value == sent);
	assert_null(vu.broken);
}

static void tells_without_acknowledgement(void **state)
{
	const uint64_t sent = 0x40000000;

	begin();
	assert_int_equal(vhost_user_set(&vu, VHOST_USER_SET_FEATURES, sent), 0);
	end();
	heard(2, 1, &sent, 8, 0);
	begin();
	assert_int_equal(vhost_user_set_owner(&vu), 0);
	end();
	heard(3, 1, NULL, 0, 0);
}

/* From SET_PROTOCOL_FEATURES on, and not for it. */
static void acknowledgement_begins(void **state)
{
	const uint64_t features = VHOST_USER_PROTOCOL_F_REPLY_ACK;
	const uint64_t zero = 0;

	begin();
	assert_int_equal(vhost_user_set(&vu, VHOST_USER_SET_PROTOCOL_FEATURES,
					features),
			 0);
	end();
	heard(16, 1, &features, 8, 0);
	reply(3, 5, 8, &zero, 8);
	begin();
	assert_int_equal(vhost_user_set_owner(&vu), 0);
	end();
	heard(3, 9, NULL, 0, 0);
}

static void shares_memory(void **state)
{
	const struct vhost_user_region region[2] = {
		{ 0x10000, 0x1000, 0x20000, 0 },
		{ 0x100000000, 0x1000000, 0x200000000, 0x3000 },
	};
	struct {
		uint32_t count;
		uint32_t padding;
		uint64_t words[8];
	} expected = { 2,
		       0,
		       { 0x10000, 0x1000, 0x20000, 0, 0x100000000, 0x1000000,
			 0x200000000, 0x3000 } };
	int fds[2];
	char c = 0;

	fds[0] = memfd_create("a", MFD_CLOEXEC);
	fds[1] = memfd_create("b", MFD_CLOEXEC);
	assert_int_equal(pwrite(fds[1], "b", 1, 0), 1);
	assert_int_equal(vhost_user_set_memory(&vu, region, fds, 0), -EINVAL);
	assert_int_equal(vhost_user_set_memory(&vu, region, fds, 9), -EINVAL);
	begin();
	assert_int_equal(vhost_user_set_memory(&vu, region, fds, 2), 0);
	end();
	heard(5, 1, &expected, sizeof(expected), 2);
	assert_int_equal(pread(script.fds[1], &c, 1, 0), 1);
	assert_int_equal(c, 'b');
	close(fds[0]);
	close(fds[1]);
}

static void sets_up_a_queue(void **state)
{
	const struct vhost_user_vring_addr addr = { 0, 0, 1, 2, 3, 0 };
	const uint32_t words[10] = { 0, 0, 1, 0, 2, 0, 3, 0, 0, 0 };
	const uint32_t num[2] = { 0, 128 };
	const uint64_t index = 0;

	begin();
	assert_int_equal(vhost_user_set_vring(&vu, VHOST_USER_SET_VRING_NUM, 0,
					      128),
			 0);
	end();
	heard(8, 1, num, 8, 0);
	begin();
	assert_int_equal(vhost_user_set_vring_addr(&vu, &addr), 0);
	end();
	heard(9, 1, words, 40, 0);
	begin();
	assert_int_equal(vhost_user_set_vring_fd(&vu, VHOST_USER_SET_VRING_KICK,
						 0, device),
			 0);
	end();
	heard(12, 1, &index, 8, 1);
}

static void reads_configuration(void **state)
{
	const uint32_t asked[3] = { 0, 60, 0 };
	uint8_t answer[72] = { 0 };
	uint8_t config[60];
	int i;

	memcpy(answer, asked, 12);
	for (i = 0; i < 60; i++)
		answer[12 + i] = (uint8_t)i;
	reply(24, 5, 72, answer, 72);
	begin();
	assert_int_equal(vhost_user_get_config(&vu, config, 60), 0);
	end();
	assert_int_equal(script.nheard, 12 + 72);
	assert_memory_equal(script.heard + 12, asked, 12);
	assert_memory_equal(config, answer + 12, 60);
	assert_int_equal(vhost_user_get_config(&vu, config, 0), -EINVAL);
	assert_int_equal(vhost_user_get_config(&vu, config, 257), -EINVAL);
}

static void writes_configuration(void **state)
{
	struct {
		uint32_t words[3];
		uint8_t data[2];
	} __attribute__((packed)) expected = { { 32, 2, 0 }, { 7, 8 } };
	const uint8_t data[2] = { 7, 8 };

	begin();
	assert_int_equal(vhost_user_set_config(&vu, 32, data, 2), 0);
	end();
	heard(25, 1, &expected, sizeof(expected), 0);
	assert_int_equal(vhost_user_set_config(&vu, 0, data, 0), -EINVAL);
	assert_int_equal(vhost_user_set_config(&vu, 0, data, 257), -EINVAL);
	assert_int_equal(vhost_user_set_config(&vu, 255, data, 2), -EINVAL);
	assert_int_equal(vhost_user_set_config(&vu, UINT32_MAX, data, 2),
			 -EINVAL);
}

static void wrong_configurations(void **state)
{
	static const uint32_t bad[][3] = {
		{ 4, 60, 0 }, { 0, 59, 0 }, { 0, 61, 0 }, { 0, 0, 0 }
	};
	uint8_t answer[72] = { 0 };
	uint8_t config[60];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		if (i) {
			teardown(NULL);
			setup(NULL);
		}
		memcpy(answer, bad[i], 12);
		reply(24, 5, 72, answer, 72);
		begin();
		assert_int_equal(vhost_user_get_config(&vu, config, 60), -EPROTO);
		end();
		latched("its configuration is another piece");
	}
}

static void wrong_replies(void **state)
{
	static const struct {
		uint32_t header[3];
		const char *why;
	} bad[] = {
		{ { 2, 5, 8 }, "a reply is to another request" },
		{ { 0xffffffff, 5, 8 }, "a reply is to another request" },
		{ { 1, 1, 8 }, "a reply has impossible flags" },
		{ { 1, 4, 8 }, "a reply has impossible flags" },
		{ { 1, 6, 8 }, "a reply has impossible flags" },
		{ { 1, 5, 0 }, "a reply has an impossible size" },
		{ { 1, 5, 7 }, "a reply has an impossible size" },
		{ { 1, 5, 9 }, "a reply has an impossible size" },
		{ { 1, 5, 0xffffffff }, "a reply has an impossible size" },
	};
	const uint64_t payload = 0;
	uint64_t value = 7;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		if (i) {
			teardown(NULL);
			setup(NULL);
		}
		reply(bad[i].header[0], bad[i].header[1], bad[i].header[2],
		      &payload, 8);
		begin();
		assert_int_equal(vhost_user_get(&vu, VHOST_USER_GET_FEATURES,
						&value),
				 -EPROTO);
		end();
		latched(bad[i].why);
		assert_int_equal(value, 7);
	}
}

static void reply_with_descriptors(void **state)
{
	const uint64_t payload = 0;
	uint64_t value;

	reply(1, 5, 8, &payload, 8);
	script.with_fd = true;
	begin();
	assert_int_equal(vhost_user_get(&vu, VHOST_USER_GET_FEATURES, &value),
			 -EPROTO);
	end();
	latched("a reply brings descriptors");
}

static void refusal(void **state)
{
	const uint64_t one = 1;

	vu.ack = true;
	reply(3, 5, 8, &one, 8);
	begin();
	assert_int_equal(vhost_user_set_owner(&vu), -EPROTO);
	end();
	latched("it refuses a request");
}

/* What was promised and does not come, and a device that says nothing. */
static void silence(void **state)
{
	static const size_t lengths[] = { 0, 1, 11, 12, 19 };
	const uint64_t payload = 0;
	uint64_t value;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		uint64_t start;

		if (i) {
			teardown(NULL);
			setup(NULL);
		}
		reply(1, 5, 8, &payload, 8);
		script.length = lengths[i];
		begin();
		start = now_ms();
		assert_int_equal(vhost_user_get(&vu, VHOST_USER_GET_FEATURES,
						&value),
				 -ETIMEDOUT);
		assert_in_range(now_ms() - start, TIMEOUT_MS, TIMEOUT_MS * 10);
		end();
		latched("it does not answer");
	}
}

static void disconnection(void **state)
{
	static const size_t lengths[] = { 0, 1, 12, 19 };
	const uint64_t payload = 0;
	uint64_t value;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		if (i) {
			teardown(NULL);
			setup(NULL);
		}
		reply(1, 5, 8, &payload, 8);
		script.length = lengths[i];
		script.hang_up = true;
		begin();
		assert_int_equal(vhost_user_get(&vu, VHOST_USER_GET_FEATURES,
						&value),
				 -ECONNRESET);
		end();
		latched("it closed the connection");
	}
}

/* A device that does not read: the send ends at the deadline as well. */
static void full_socket(void **state)
{
	uint64_t start = now_ms();
	int err;

	do {
		err = vhost_user_set_owner(&vu);
	} while (!err && now_ms() - start < 20000);
	assert_int_equal(err, -ETIMEDOUT);
	latched("it does not answer");
}

/* The device's end of the channel that it was given. */
static int backend_channel(void)
{
	begin();
	assert_int_equal(vhost_user_set_backend(&vu), 0);
	end();
	heard(21, 1, NULL, 0, 1);
	return script.fds[0];
}

static void configuration_changes(void **state)
{
	const uint32_t plain[3] = { 2, 1, 0 };
	const uint32_t asking[3] = { 2, 9, 0 };
	const uint32_t answer[5] = { 2, 5, 8, 0, 0 };
	uint32_t got[5];
	bool changed = false;
	int fd = backend_channel();

	assert_int_equal(vhost_user_look(&vu, &changed), 0);
	assert_false(changed);
	assert_int_equal(send(fd, plain, 12, 0), 12);
	assert_int_equal(vhost_user_look(&vu, &changed), 0);
	assert_true(changed);
	changed = false;
	assert_int_equal(send(fd, asking, 12, 0), 12);
	assert_int_equal(vhost_user_look(&vu, &changed), 0);
	assert_true(changed);
	assert_int_equal(recv(fd, got, sizeof(got), MSG_DONTWAIT), 20);
	assert_memory_equal(got, answer, 20);
}

static void impossible_messages(void **state)
{
	static const uint32_t bad[][3] = { { 1, 1, 0 },	 { 3, 1, 0 },
					   { 2, 0, 0 },	 { 2, 5, 0 },
					   { 2, 2, 0 },	 { 2, 1, 1 },
					   { 2, 17, 0 }, { 0, 0, 0 },
					   { 2, 1, ~0u } };
	bool changed = false;
	size_t i;

	for (i = 0; i <= ARRAY_SIZE(bad); i++) {
		bool cut = i == ARRAY_SIZE(bad);
		const uint32_t good[3] = { 2, 1, 0 };
		size_t length = cut ? 11 : 12;
		int fd;

		if (i) {
			teardown(NULL);
			setup(NULL);
		}
		fd = backend_channel();
		assert_int_equal(send(fd, cut ? good : bad[i], length, 0),
				 length);
		assert_int_equal(vhost_user_look(&vu, &changed), -EPROTO);
		assert_false(changed);
		latched("it sends an impossible message");
	}
}

static void speaks_unasked(void **state)
{
	bool changed;

	assert_int_equal(vhost_user_look(&vu, &changed), 0);
	assert_int_equal(send(device, "x", 1, 0), 1);
	assert_int_equal(vhost_user_look(&vu, &changed), -EPROTO);
	latched("it speaks without being asked");
}

static void goes_away(void **state)
{
	bool changed;

	close_fd(&device);
	assert_int_equal(vhost_user_look(&vu, &changed), -ECONNRESET);
	latched("it closed the connection");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(asks_for_features),
		TEST(tells_without_acknowledgement),
		TEST(acknowledgement_begins),
		TEST(shares_memory),
		TEST(sets_up_a_queue),
		TEST(reads_configuration),
		TEST(writes_configuration),
		TEST(wrong_configurations),
		TEST(wrong_replies),
		TEST(reply_with_descriptors),
		TEST(refusal),
		TEST(silence),
		TEST(disconnection),
		TEST(full_socket),
		TEST(configuration_changes),
		TEST(impossible_messages),
		TEST(speaks_unasked),
		TEST(goes_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
