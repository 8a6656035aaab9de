// SPDX-License-Identifier: GPL-2.0-only
/*
 * Busybox, for what is not worth writing again.  It is held open from the
 * start: under a userland of the user's own there is no path to it.
 */
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init.h"

static int busybox = -1;

void helper_open(void)
{
	busybox = open("/bin/busybox", O_RDONLY | O_CLOEXEC);
	if (busybox < 0)
		fatal("cannot open /bin/busybox: %m");
}

int helper_run(int in, int out, char *const argv[])
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -1;
	if (!pid) {
		dup2(in, STDIN_FILENO);
		dup2(out, STDOUT_FILENO);
		fexecve(busybox, argv, environ);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}
