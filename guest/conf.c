// SPDX-License-Identifier: GPL-2.0-only
/*
 * The order from the host.  Values hold any byte but NUL, which is what file
 * names and arguments need.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "init.h"

#define CONF_FILE "/sys/firmware/qemu_fw_cfg/by_name/opt/nexus-block/cell/raw"
#define CONF_STEP 65536

/* The file does not tell its size, so it is read until it ends. */
static void read_all(int fd, struct conf *conf)
{
	size_t room = 0;
	ssize_t got;

	do {
		if (conf->len == room) {
			room += CONF_STEP;
			conf->text = realloc(conf->text, room);
			if (!conf->text)
				fatal("no memory for the order");
		}
		got = read(fd, conf->text + conf->len, room - conf->len);
		if (got < 0)
			fatal("cannot read the order: %m");
		conf->len += got;
	} while (got);
}

void conf_read(struct conf *conf)
{
	int fd;

	fd = open(CONF_FILE, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fatal("no order from the host: %m");
	memset(conf, 0, sizeof(*conf));
	read_all(fd, conf);
	close(fd);
}

const char *conf_next(const struct conf *conf, const char *key, const char *after)
{
	const char *end = conf->text + conf->len;
	const char *at = after ? after + strlen(after) + 1 : conf->text;
	size_t len = strlen(key);

	for (; at < end; at += strlen(at) + 1)
		if (!strncmp(at, key, len) && at[len] == '=')
			return at + len + 1;
	return NULL;
}

char **conf_argv(const struct conf *conf)
{
	const char *arg = NULL;
	size_t count = 0;
	char **argv;

	while ((arg = conf_next(conf, "arg", arg)))
		count++;
	argv = calloc(count + 1, sizeof(*argv));
	if (!argv || !count)
		fatal("no command in the order");
	count = 0;
	while ((arg = conf_next(conf, "arg", arg)))
		argv[count++] = (char *)arg;
	return argv;
}
