/* SPDX-License-Identifier: GPL-2.0-only */
/* A client of the control socket, whose every wait has an end. */
#ifndef NEXUS_TESTS_CONTROL_CLIENT_H
#define NEXUS_TESTS_CONTROL_CLIENT_H

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rumpk/unix.h"

#define CLIENT_MS 30000

/* One line without its newline; NULL: the other side has ended. */
static inline char *client_line(int fd)
{
	static char line[1 << 20];
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t n = 0;

	while (n < sizeof(line)) {
		assert_int_equal(poll(&p, 1, CLIENT_MS), 1);
		if (recv(fd, line + n, 1, 0) != 1)
			return NULL;
		if (line[n] == '\n') {
			line[n] = '\0';
			return line;
		}
		n++;
	}
	return NULL;
}

static inline int client_connect(const char *path)
{
	struct timeval most = { .tv_sec = CLIENT_MS / 1000 };
	int fd = unix_connect(path, SOCK_STREAM);
	char *greeting;

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof(most));
	greeting = client_line(fd);
	assert_non_null(greeting);
	assert_non_null(strstr(greeting, "{\"rumpk\":{\"version\":\""));
	assert_non_null(strstr(greeting, "\"protocol\":1}}"));
	return fd;
}

static inline void client_say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL),
			 strlen(text));
	assert_int_equal(send(fd, "\n", 1, MSG_NOSIGNAL), 1);
}

/* The answer to a line, the caller's. */
static inline json_t *client_ask(int fd, const char *text)
{
	json_t *answer;
	char *line;

	client_say(fd, text);
	line = client_line(fd);
	assert_non_null(line);
	answer = json_loads(line, 0, NULL);
	assert_non_null(answer);
	return answer;
}

/* The class of the error that a line is answered with; "": there is none. */
static inline const char *client_class(int fd, const char *text)
{
	static char class[32];
	json_t *answer = client_ask(fd, text);
	json_t *error = json_object_get(answer, "error");

	snprintf(class, sizeof(class), "%s",
		 error ? json_string_value(json_object_get(error, "class")) : "");
	if (error)
		assert_non_null(json_string_value(json_object_get(error, "desc")));
	else
		assert_non_null(json_object_get(answer, "return"));
	json_decref(answer);
	return class;
}

/* An integer or a boolean of what a line returns. */
static inline long long client_number(int fd, const char *text, const char *key)
{
	json_t *answer = client_ask(fd, text);
	json_t *value = json_object_get(json_object_get(answer, "return"), key);
	long long n = json_is_boolean(value) ? json_is_true(value) :
					       json_integer_value(value);

	if (!value)
		fail_msg("%s: no %s in the answer", text, key);
	json_decref(answer);
	return n;
}

#endif /* NEXUS_TESTS_CONTROL_CLIENT_H */
