/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Layers, each of which would do alone against what it is for:
 *
 * - no capabilities, and no way to gain any;
 * - few descriptors, open or on their way between sockets;
 * - no file system: a Landlock domain without a single rule;
 * - a list of the system calls that serving needs. All others fail with EPERM:
 *   a worker that meets a path in a library that nobody thought of gets an error
 *   there and goes on serving, where a signal would end service for every disk,
 *   as often as a guest cared to take that path.
 *
 * seccomp does not see what an io_uring does: the rings are restricted when they
 * are made (uring.c), and none can be made or changed afterwards.
 */
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/sched.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util.h"

/* Rights over files that each version of Landlock's ABI knows. */
#define LANDLOCK_ABI1 0x1fffull
#define LANDLOCK_ABI2 (1ull << 13)
#define LANDLOCK_ABI3 (1ull << 14)
#define LANDLOCK_ABI5 (1ull << 15)

/* Sixteen disks and what they wait for have 400 at most. */
#define MAX_DESCRIPTORS 512u

/*
 * What is on its way is counted for all of a user's processes together, and each
 * process may add to it up to a limit of its own. Whoever fills it up to this one
 * leaves the others room up to theirs.
 */
static int limit_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	if (limit.rlim_max > MAX_DESCRIPTORS)
		limit.rlim_max = MAX_DESCRIPTORS;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

	memset(none, 0, sizeof(none));
	return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

static uint64_t landlock_rights(long abi)
{
	return LANDLOCK_ABI1 | (abi >= 2 ? LANDLOCK_ABI2 : 0) |
	       (abi >= 3 ? LANDLOCK_ABI3 : 0) | (abi >= 5 ? LANDLOCK_ABI5 : 0);
}

static int no_files(bool *no_landlock)
{
	struct landlock_ruleset_attr attr = { 0 };
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
			   LANDLOCK_CREATE_RULESET_VERSION);
	long fd;
	int err;

	*no_landlock = abi < 1;
	if (*no_landlock)
		return 0;
	attr.handled_access_fs = landlock_rights(abi);
	fd = syscall(SYS_landlock_create_ruleset, &attr,
		     sizeof(attr.handled_access_fs), 0);
	if (fd < 0)
		return -errno;
	err = syscall(SYS_landlock_restrict_self, (int)fd, 0) < 0 ? -errno : 0;
	close((int)fd);
	return err;
}

/**
 * confine_files - give up capabilities, most descriptors and the file system
 * @no_landlock: filled: the kernel has no Landlock, nothing keeps files away but
 *	confine_calls()
 *
 * For this thread and those that it starts afterwards, for good.
 *
 * Return: 0 or -errno.
 */
int confine_files(bool *no_landlock)
{
	int err = limit_descriptors();

	if (!err)
		err = drop_capabilities();
	if (!err && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		err = -errno;
	return err ? err : no_files(no_landlock);
}

static const int allowed[] = {
	/* Moving data. */
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(preadv),
	SCMP_SYS(pwritev),
	SCMP_SYS(preadv2),
	SCMP_SYS(pwritev2),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(sync_file_range),
	SCMP_SYS(fallocate),
	SCMP_SYS(ftruncate),
	SCMP_SYS(lseek),
	SCMP_SYS(fstat),
	SCMP_SYS(io_uring_enter),
	/* Sockets and doorbells that are there already, or come from the broker. */
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvmsg),
	SCMP_SYS(recvfrom),
	SCMP_SYS(shutdown),
	SCMP_SYS(eventfd2),
	SCMP_SYS(pipe2),
	SCMP_SYS(close),
	/* Waiting. */
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(sched_yield),
	SCMP_SYS(futex),
	SCMP_SYS(restart_syscall),
	/* Memory. */
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(memfd_create),
	/* Its threads, signals to itself, and its end. */
	SCMP_SYS(set_robust_list),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(rseq),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(signalfd4),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(getrandom),
};

/*
 * Without locks: a worker that let go of one would open the fence. Without F_SETFL: a
 * description may be shared, a doorbell's with QEMU.
 */
static const int allowed_fcntls[] = {
	F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC, F_ADD_SEALS, F_GET_SEALS,
};

static int allow_all(scmp_filter_ctx ctx)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(allowed) && !err; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	for (i = 0; i < ARRAY_SIZE(allowed_fcntls) && !err; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
				       SCMP_A1(SCMP_CMP_EQ,
					       (uint64_t)allowed_fcntls[i], 0));
	return err;
}

/*
 * A device is set up by a thread of its own (vio_life.c). What clone3() is asked
 * for a filter cannot see; told that there is none, a C library uses clone().
 */
static int allow_threads(scmp_filter_ctx ctx)
{
	const uint64_t thread = CLONE_THREAD | CLONE_VM | CLONE_SIGHAND;
	int err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS),
				   SCMP_SYS(clone3), 0);

	if (!err)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				       SCMP_A0(SCMP_CMP_MASKED_EQ, thread,
					       thread));
	return err;
}

/* Those that would be too much with any argument. */
static int allow_some(scmp_filter_ctx ctx)
{
	const uint64_t type = 0xffffffffu & ~(SOCK_CLOEXEC | SOCK_NONBLOCK);
	const uint32_t a = SCMP_ACT_ALLOW;
	int err;

	/* No new code. */
	err = seccomp_rule_add(ctx, a, SCMP_SYS(mmap), 1,
			       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!err)
		err = seccomp_rule_add(ctx, a, SCMP_SYS(mprotect), 1,
				       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	/* The size of a block device. */
	if (!err)
		err = seccomp_rule_add(ctx, a, SCMP_SYS(ioctl), 1,
				       SCMP_A1(SCMP_CMP_EQ, BLKGETSIZE64, 0));
	/*
	 * A pair of streams leads nowhere but to whom one of its ends is given. One of
	 * datagrams would: each send may name another receiver, by a path or an
	 * abstract name, and Landlock has no right for that.
	 */
	if (!err)
		err = seccomp_rule_add(ctx, a, SCMP_SYS(socketpair), 2,
				       SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0),
				       SCMP_A1(SCMP_CMP_MASKED_EQ, type,
					       SOCK_STREAM));
	/* Without a name, whatever the socket is; sendmsg()'s cannot be seen. */
	if (!err)
		err = seccomp_rule_add(ctx, a, SCMP_SYS(sendto), 1,
				       SCMP_A4(SCMP_CMP_EQ, 0, 0));
	/* The heartbeat gets the serving thread out of a wait; abort(). */
	if (!err)
		err = seccomp_rule_add(ctx, a, SCMP_SYS(tgkill), 1,
				       SCMP_A0(SCMP_CMP_EQ, (uint64_t)getpid(),
					       0));
	return err;
}

/**
 * confine_calls - give up all system calls that serving does not need
 *
 * For all threads of the process, for good.
 *
 * Return: 0 or -errno.
 */
int confine_calls(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int err;

	if (!ctx)
		return -ENOMEM;
	err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	/* A tree instead of a list: read and write must not cost 60 compares. */
	if (!err)
		err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!err)
		err = allow_all(ctx);
	if (!err)
		err = allow_some(ctx);
	if (!err)
		err = allow_threads(ctx);
	if (!err)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err;
}
