/* SPDX-License-Identifier: GPL-2.0-only */
/* A block device for a test. Where tests must not be skipped there is one. */
#ifndef NEXUS_TESTS_LOOP_DEVICE_H
#define NEXUS_TESTS_LOOP_DEVICE_H

#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

/*
 * A block device with the contents of @file that nobody else has, for as long as the
 * descriptor is open; -1 where there is none.
 */
static inline int loop_device(const char *file, char *node, size_t length)
{
	struct loop_config config = { .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int backing;
	int tries;
	int fd = -1;
	int n;

	backing = open(file, O_RDWR | O_CLOEXEC);
	config.fd = (unsigned int)backing;
	/* The free one may be another's by now. */
	for (tries = 0; control >= 0 && fd < 0 && tries < 20; tries++) {
		n = ioctl(control, LOOP_CTL_GET_FREE);
		snprintf(node, length, "/dev/loop%d", n);
		fd = open(node, O_RDWR | O_CLOEXEC);
		if (fd >= 0 && ioctl(fd, LOOP_CONFIGURE, &config) < 0) {
			close(fd);
			fd = -1;
		}
	}
	if (control >= 0)
		close(control);
	close(backing);
	if (fd < 0 && getenv("CI"))
		fail_msg("no loop device");
	return fd;
}

#endif /* NEXUS_TESTS_LOOP_DEVICE_H */
