/* SPDX-License-Identifier: GPL-2.0-only */
#include "qmp_server.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char *const commands[QMP_CMD_COUNT] = {
	[QMP_CMD_HOLD] = "{\"reboot\":\"shutdown\"",
	[QMP_CMD_ALLOW] = "{\"reboot\":\"reset\"",
	[QMP_CMD_RESET] = "\"system_reset\"",
	[QMP_CMD_CONT] = "\"cont\"",
	[QMP_CMD_QUIT] = "\"quit\"",
};

static struct {
	pthread_t thread;
	struct sockaddr_un addr;
	const char *status;
	int listener;
	int client;
	int stop;
	char line[1024];
	size_t fill;
	atomic_uint seen[QMP_CMD_COUNT];
} server;

static void say(const char *text)
{
	ssize_t n = send(server.client, text, strlen(text), MSG_NOSIGNAL);

	(void)n;
}

static void on_command(const char *line)
{
	const char *id = strstr(line, "\"id\":");
	char text[256];
	int i;

	if (strstr(line, "query-status"))
		snprintf(text, sizeof(text),
			 "{\"return\": {\"status\": \"%s\"}, \"id\": %d}\r\n",
			 server.status, id ? atoi(id + 5) : 0);
	else
		snprintf(text, sizeof(text), "{\"return\": {}, \"id\": %d}\r\n",
			 id ? atoi(id + 5) : 0);
	say(text);
	for (i = 0; i < QMP_CMD_COUNT; i++)
		if (strstr(line, commands[i]))
			server.seen[i]++;
}

static void hang_up(void)
{
	if (server.client >= 0)
		close(server.client);
	server.client = -1;
	server.fill = 0;
}

static void on_client(void)
{
	char *end;
	ssize_t n = read(server.client, server.line + server.fill,
			 sizeof(server.line) - 1 - server.fill);

	if (n <= 0) {
		hang_up();
		return;
	}
	server.fill += (size_t)n;
	server.line[server.fill] = '\0';
	while ((end = strchr(server.line, '\n'))) {
		*end = '\0';
		on_command(server.line);
		server.fill -= (size_t)(end + 1 - server.line);
		memmove(server.line, end + 1, server.fill + 1);
	}
}

static void *serve(void *arg)
{
	(void)arg;
	for (;;) {
		struct pollfd p[] = {
			{ server.stop, POLLIN, 0 },
			{ server.client, POLLIN, 0 },
			{ server.listener, POLLIN, 0 },
		};

		if (poll(p, 3, -1) < 0 || p[0].revents)
			return NULL;
		if (p[1].revents)
			on_client();
		/* One at a time, as QEMU does it. */
		if (p[2].revents && server.client < 0) {
			server.client = accept(server.listener, NULL, NULL);
			say("{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n");
		}
	}
}

/**
 * qmp_server_start - listen and serve
 * @path: of the socket
 * @status: that the machine is in, kept
 *
 * Return: 0, or -1.
 */
int qmp_server_start(const char *path, const char *status)
{
	memset(&server, 0, sizeof(server));
	server.client = -1;
	server.status = status;
	server.addr.sun_family = AF_UNIX;
	strncpy(server.addr.sun_path, path, sizeof(server.addr.sun_path) - 1);
	server.stop = eventfd(0, EFD_CLOEXEC);
	server.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(server.listener, (struct sockaddr *)&server.addr,
		 sizeof(server.addr)) < 0 ||
	    listen(server.listener, 4) < 0)
		return -1;
	return pthread_create(&server.thread, NULL, serve, NULL) ? -1 : 0;
}

/**
 * qmp_server_stop - QEMU's monitor is gone
 */
void qmp_server_stop(void)
{
	eventfd_write(server.stop, 1);
	pthread_join(server.thread, NULL);
	hang_up();
	close(server.listener);
	close(server.stop);
	unlink(server.addr.sun_path);
}

/**
 * qmp_server_shutdown_event - the machine has stopped
 * @reason: why
 */
void qmp_server_shutdown_event(const char *reason)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": \"%s\"}}\r\n",
		 reason);
	say(text);
}

/**
 * qmp_server_seen - how often a command was given
 * @command: &enum qmp_command
 *
 * Return: how often.
 */
unsigned int qmp_server_seen(enum qmp_command command)
{
	return server.seen[command];
}

/**
 * qmp_server_wait - wait until a command was given so often
 * @command: &enum qmp_command
 * @count: how often
 * @ms: deadline
 *
 * Return: whether it was.
 */
bool qmp_server_wait(enum qmp_command command, unsigned int count, unsigned int ms)
{
	while (qmp_server_seen(command) < count && ms--)
		usleep(1000);
	return qmp_server_seen(command) >= count;
}
