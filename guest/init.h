/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The cell's first process: what its parts offer each other.
 *
 * init.c orders the stages, and each other file is one of them.  All of it
 * runs as process 1: a stage that cannot do its work calls fatal(), which
 * tells the host why and switches the guest off.
 */
#ifndef NEXUS_GUEST_INIT_H
#define NEXUS_GUEST_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Seconds that devices and disks get to appear before the cell gives up. */
#define APPEAR_SECONDS 20

/*
 * conf.c: the order from the host, a blob of NUL-terminated "key=value"
 * strings in QEMU's firmware configuration.
 */
struct conf {
	char *text;
	size_t len;
};

void conf_read(struct conf *conf);
/* The first value of key after `after`, or NULL; start with after == NULL. */
const char *conf_next(const struct conf *conf, const char *key,
		      const char *after);
/* All values of "arg=", as a vector for exec. */
char **conf_argv(const struct conf *conf);

/* report.c: the line to the host, and the end. */
void report_open(void);
void report(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
void power_off(void) __attribute__((noreturn));

/* world.c: file systems. */
void world_mount(void);
void world_enter_rootfs(void);
void world_mount_tools(bool in_rootfs);
void world_unmount(void);

/* modules.c: kernel modules. */
void modules_load_boot(void);
void modules_load(const char *order);

/* device.c: device nodes that are still to appear, and finding disks by their serial. */
void wait_for_node(const char *path);
int open_node(const char *path, int flags);
int open_disk(const char *serial, int flags);
void disk_path(const char *serial, char *path, size_t size);

/* command.c: the one command that the cell exists for. */
int command_run(char **argv, bool interactive);

/* transfer.c: files to and from the host. */
void transfer_in(const struct conf *conf);
void transfer_out(const struct conf *conf);

/* helper.c: busybox's applets, reachable whatever the root is. */
void helper_open(void);
/* Run an applet to its end; its standard streams are in and out. */
int helper_run(int in, int out, char *const argv[]);

#endif
