// SPDX-License-Identifier: GPL-2.0-only
/*
 * File systems: those every Linux userland expects, a root of the user's own
 * where one was given, and at the end everything written out and let go.
 */
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init.h"

#define ROOTFS_SERIAL "nexus-rootfs"
#define TOOLS_SERIAL "nexus-tools"
#define NEW_ROOT "/newroot"
#define TOOLS "/run/nexus/tools"
#define HELPERS "/run/nexus/bin"
#define MODULES "/lib/modules"

#define MAX_MOUNTS 256

static const struct {
	const char *type, *target;
	unsigned long flags;
	const char *data;
	bool optional;
} standard[] = {
	{ "proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, false },
	{ "sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL, false },
	{ "devtmpfs", "/dev", MS_NOSUID, "mode=0755", false },
	{ "devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC,
	  "mode=0620,ptmxmode=0666", false },
	{ "tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, NULL, false },
	{ "tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755", false },
	{ "tmpfs", "/tmp", MS_NOSUID | MS_NODEV, NULL, false },
	{ "debugfs", "/sys/kernel/debug", MS_NOSUID | MS_NODEV | MS_NOEXEC,
	  NULL, true },
	{ "tracefs", "/sys/kernel/tracing", MS_NOSUID | MS_NODEV | MS_NOEXEC,
	  NULL, true },
	{ "configfs", "/sys/kernel/config", MS_NOSUID | MS_NODEV | MS_NOEXEC,
	  NULL, true },
	{ "cgroup2", "/sys/fs/cgroup", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL,
	  true },
};

static void make_directory(const char *path)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		fatal("cannot make %s: %m", path);
}

static void mount_or_die(const char *source, const char *target,
			 const char *type, unsigned long flags, const char *data)
{
	if (mount(source, target, type, flags, data))
		fatal("cannot mount %s on %s: %m", source, target);
}

void world_mount(void)
{
	for (size_t i = 0; i < sizeof(standard) / sizeof(standard[0]); i++) {
		/* Below sysfs the directory is the kernel's, or is not there. */
		mkdir(standard[i].target, 0755);
		if (mount(standard[i].type, standard[i].target, standard[i].type,
			  standard[i].flags, standard[i].data) &&
		    !standard[i].optional)
			fatal("cannot mount %s: %m", standard[i].target);
	}
	/* What udev would have made. */
	symlink("/proc/self/fd", "/dev/fd");
	symlink("/proc/self/fd/0", "/dev/stdin");
	symlink("/proc/self/fd/1", "/dev/stdout");
	symlink("/proc/self/fd/2", "/dev/stderr");
	sethostname("cell", 4);
}

static int open_directory(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		fatal("cannot open %s: %m", path);
	return fd;
}

/* Bind a directory of the former root, held by fd, into the present one. */
static void bind_directory(int fd, const char *target)
{
	char source[32];

	snprintf(source, sizeof(source), "/proc/self/fd/%d", fd);
	make_directory(target);
	mount_or_die(source, target, NULL, MS_BIND, NULL);
	close(fd);
}

/* A tree without kmod still gets its modules, by busybox. */
static void lend_modprobe(void)
{
	static const char path[] = HELPERS "/modprobe";
	int fd;

	if (!access("/sbin/modprobe", X_OK))
		return;
	fd = open("/proc/sys/kernel/modprobe", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, path, sizeof(path) - 1) < 0)
		fatal("cannot name %s to the kernel: %m", path);
	close(fd);
}

static void extend_path(const char *before, const char *after)
{
	char path[512];

	snprintf(path, sizeof(path), "%s%s%s", before, getenv("PATH"), after);
	setenv("PATH", path, 1);
}

/*
 * Really become the new root: after a mere chroot, tools that look at their
 * own mounts or make user namespaces would behave differently.
 */
void world_enter_rootfs(void)
{
	static const char *const kept[] = { "/proc", "/sys", "/dev", "/run" };
	int modules = open_directory(MODULES);
	int helpers = open_directory("/bin");
	char disk[64];

	disk_path(ROOTFS_SERIAL, disk, sizeof(disk));
	make_directory(NEW_ROOT);
	mount_or_die(disk, NEW_ROOT, "ext4", 0, NULL);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		char target[32];

		snprintf(target, sizeof(target), NEW_ROOT "%s", kept[i]);
		make_directory(target);
		mount_or_die(kept[i], target, NULL, MS_MOVE, NULL);
	}
	if (chdir(NEW_ROOT) || mount(".", "/", NULL, MS_MOVE, NULL) ||
	    chroot("."))
		fatal("cannot enter the root file system: %m");

	make_directory("/run/nexus");
	bind_directory(modules, MODULES);
	bind_directory(helpers, HELPERS);
	lend_modprobe();
	extend_path("", ":" HELPERS);
}

static void link_tools(void)
{
	static const char *const links[] = {
		"/lib64",
		"/lib/x86_64-linux-gnu",
		"/usr/lib/x86_64-linux-gnu",
		"/etc/mke2fs.conf",
	};

	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		char target[64];

		snprintf(target, sizeof(target), TOOLS "%s", links[i]);
		if (symlink(target, links[i]))
			fatal("cannot link %s: %m", links[i]);
	}
	/* Busybox's own shell would run its applets whatever PATH says. */
	if (unlink("/bin/sh") || symlink(TOOLS "/bin/dash", "/bin/sh"))
		fatal("cannot link /bin/sh: %m");
}

/*
 * The tools are Debian's and want Debian's loader and libraries.  Busybox's
 * root has neither, so the image's own are linked in; a userland of the user's
 * has its own, so there the tools run through wrappers that name theirs.
 */
void world_mount_tools(bool in_rootfs)
{
	char disk[64];

	disk_path(TOOLS_SERIAL, disk, sizeof(disk));
	make_directory("/run/nexus");
	make_directory(TOOLS);
	mount_or_die(disk, TOOLS, "ext4", MS_RDONLY, NULL);
	if (in_rootfs) {
		extend_path("", ":" TOOLS "/wrap");
		return;
	}
	link_tools();
	extend_path(TOOLS "/sbin:" TOOLS "/bin:", "");
}

/* What the command left mounted from a disk goes, the last mount first. */
void world_unmount(void)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	char *targets[MAX_MOUNTS];
	struct mntent *entry;
	int count = 0;

	while (mounts && count < MAX_MOUNTS && (entry = getmntent(mounts)))
		if (!strncmp(entry->mnt_fsname, "/dev/", 5) &&
		    strcmp(entry->mnt_dir, "/"))
			targets[count++] = strdup(entry->mnt_dir);
	if (mounts)
		endmntent(mounts);
	while (count--)
		umount2(targets[count], 0);
	sync();
}
