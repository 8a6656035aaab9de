// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel modules.  What a cell needs to reach its host is listed in the
 * initramfs in the order of its dependencies; everything else comes by
 * modprobe when it is asked for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "init.h"

#define BOOT_LIST "/lib/modules/boot.list"

static void load_file(const char *path, const char *args)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fatal("cannot open %s: %m", path);
	if (syscall(SYS_finit_module, fd, args, 0) && errno != EEXIST)
		fatal("cannot load %s: %m", path);
	close(fd);
}

void modules_load_boot(void)
{
	FILE *list = fopen(BOOT_LIST, "re");
	char path[256];

	if (!list)
		fatal("no %s in the initramfs", BOOT_LIST);
	while (fgets(path, sizeof(path), list)) {
		path[strcspn(path, "\n")] = '\0';
		load_file(path, "");
	}
	fclose(list);
}

/* An order reads "NAME ARGUMENTS", as one would type it after insmod. */
void modules_load(const char *order)
{
	size_t len = strcspn(order, " ");
	const char *args = order + len;
	char path[256];

	snprintf(path, sizeof(path), "/lib/modules/%.*s.ko", (int)len, order);
	load_file(path, *args ? args + 1 : args);
}
