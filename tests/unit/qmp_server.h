/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's monitor as far as rumpk uses it, in a thread of its own: it greets,
 * says yes to every command and counts them.
 */
#ifndef NEXUS_TESTS_QMP_SERVER_H
#define NEXUS_TESTS_QMP_SERVER_H

#include <stdbool.h>

/* What is counted. */
enum qmp_command {
	QMP_CMD_HOLD,
	QMP_CMD_ALLOW,
	QMP_CMD_RESET,
	QMP_CMD_CONT,
	QMP_CMD_QUIT,
	QMP_CMD_COUNT
};

int qmp_server_start(const char *path, const char *status);
void qmp_server_stop(void);
void qmp_server_shutdown_event(const char *reason);
unsigned int qmp_server_seen(enum qmp_command command);
bool qmp_server_wait(enum qmp_command command, unsigned int count,
		     unsigned int ms);

#endif /* NEXUS_TESTS_QMP_SERVER_H */
