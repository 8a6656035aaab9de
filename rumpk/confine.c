/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the process gives up before it serves a guest. seccomp does not see what
 * an io_uring does, so the rings are restricted when they are made (uring.c),
 * and no other may be made, or changed, afterwards.
 */
#include "confine.h"

#include <errno.h>
#include <seccomp.h>

#include "util.h"

static const int denied[] = {
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(io_uring_register),
};

/**
 * confine - give up privileges that serving does not need
 *
 * For this thread and those that it starts, for good: no new privileges, no new
 * io_uring. Call it when the disks have been started.
 *
 * Return: 0 or -errno.
 */
int confine(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	unsigned int i;
	int err = 0;

	if (!ctx)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(denied) && !err; i++)
		err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), denied[i], 0);
	if (!err)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err;
}
