// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the host hears from process 1: short lines on a port of their own, so
 * that nothing the command prints can be mistaken for them.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "init.h"

#define REPORT_PORT "/dev/vport0p3"

static int port = -1;

static void write_line(int fd, const char *line)
{
	/* Nobody is left to be told of a failure here. */
	if (fd >= 0 && write(fd, line, strlen(line)) < 0)
		return;
}

void report_open(void)
{
	port = open_node(REPORT_PORT, O_WRONLY);
}

void report(const char *fmt, ...)
{
	char line[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line) - 1, fmt, args);
	va_end(args);
	strcat(line, "\n");
	write_line(port, line);
}

/* Says it twice: the kernel log is all there is before the port is open. */
void fatal(const char *fmt, ...)
{
	char text[400], line[512];
	va_list args;
	int kmsg;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);

	report("failed %s", text);
	kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	snprintf(line, sizeof(line), "<3>cell-init: %s\n", text);
	write_line(kmsg, line);
	power_off();
}

void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
	/* No power button: a panic ends QEMU as well, and is seen. */
	_exit(1);
}
