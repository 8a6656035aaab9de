/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Confinement: what a serving rumpk has given up. In a child, since there is no
 * way back.
 */
#include "unit.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rumpk/confine.h"

enum {
	CAN_SET_UP = 1,
	CAN_REGISTER = 2,
	CAN_GAIN = 4,
	NOT_CONFINED = 8
};

static int try_all(void)
{
	int can = 0;

	if (confine())
		return NOT_CONFINED;
	if (syscall(SYS_io_uring_setup, 1, NULL) >= 0 || errno != EPERM)
		can |= CAN_SET_UP;
	if (syscall(SYS_io_uring_register, -1, 0, NULL, 0) >= 0 || errno != EPERM)
		can |= CAN_REGISTER;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		can |= CAN_GAIN;
	return can;
}

static void confine_denies_new_rings(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	/* Unconfined, the kernel complains of the arguments and not of us. */
	assert_int_equal(syscall(SYS_io_uring_setup, 1, NULL), -1);
	assert_int_equal(errno, EFAULT);
	pid = fork();
	if (pid == 0)
		_exit(try_all());
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(confine_denies_new_rings),
	};

	return cmocka_run_group_tests_name("confine", tests, NULL, NULL);
}
