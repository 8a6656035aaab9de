/* SPDX-License-Identifier: GPL-2.0-only */
/* The process that serves, below the one that a test has started. */
#ifndef NEXUS_TESTS_WORKER_OF_H
#define NEXUS_TESTS_WORKER_OF_H

#include <stdio.h>
#include <string.h>
#include <sys/types.h>

/* 0: there is none at the moment. */
static inline pid_t worker_of(pid_t supervisor)
{
	char path[64];
	char comm[32];
	pid_t found = 0;
	FILE *children;
	int pid;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children",
		 (int)supervisor, (int)supervisor);
	children = fopen(path, "r");
	while (children && !found && fscanf(children, "%d", &pid) == 1) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/comm", pid);
		f = fopen(path, "r");
		if (f && fgets(comm, sizeof(comm), f) &&
		    strcmp(comm, "rumpk-worker\n") == 0)
			found = pid;
		if (f)
			fclose(f);
	}
	if (children)
		fclose(children);
	return found;
}

#endif /* NEXUS_TESTS_WORKER_OF_H */
