// SPDX-License-Identifier: GPL-2.0-only
/*
 * monitor SOCKET: QEMU's monitor for a guest without a QEMU, until it is killed.
 */
#include "../unit/qmp_server.h"

#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	if (argc != 2 || qmp_server_start(argv[1], "running")) {
		fprintf(stderr, "usage: monitor SOCKET\n");
		return 2;
	}
	pause();
	return 0;
}
