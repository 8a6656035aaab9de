// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory whose size nobody can change. Whoever maps memory that another process may
 * truncate can be ended by it (SIGBUS), and every descriptor that is handed out gives
 * that power, unless the memory is sealed (memfd_create(2)).
 */
#include "sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "util.h"

/**
 * sealed_create - make memory of a fixed size, all zeroes
 * @name: what /proc calls it
 * @bytes: its size
 *
 * Return: a descriptor, or -errno.
 */
int sealed_create(const char *name, uint64_t bytes)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int err;

	if (fd < 0)
		return -errno;
	if (!ftruncate(fd, (off_t)bytes) &&
	    !fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return fd;
	err = -errno;
	close(fd);
	return err;
}
