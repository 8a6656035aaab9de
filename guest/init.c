// SPDX-License-Identifier: GPL-2.0-only
/*
 * Process 1 of a cell: make the guest ready, run one command, report how it
 * ended, switch off.
 *
 * The standard streams of the command go to the host through ports of one
 * virtio-serial device (command.c); what the host wants done is read from
 * QEMU's firmware configuration (conf.c); files travel on two raw disks
 * (transfer.c).
 */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "init.h"

static void prepare_environment(const struct conf *conf)
{
	const char *env = NULL;

	setenv("HOME", "/root", 1);
	setenv("USER", "root", 1);
	setenv("TERM", "dumb", 1);
	setenv("PATH",
	       "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	while ((env = conf_next(conf, "env", env)))
		putenv((char *)env);
}

static void load_ordered_modules(const struct conf *conf)
{
	const char *order = NULL;
	const char *node = NULL;

	while ((order = conf_next(conf, "module", order)))
		modules_load(order);
	while ((node = conf_next(conf, "wait", node)))
		wait_for_node(node);
}

int main(void)
{
	struct conf conf;
	bool rootfs;
	int status;

	/* Ctrl-Alt-Del and a closed port must not end process 1. */
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);

	world_mount();
	helper_open();
	modules_load_boot();
	report_open();
	report("up");
	conf_read(&conf);
	prepare_environment(&conf);

	rootfs = conf_next(&conf, "rootfs", NULL);
	if (rootfs)
		world_enter_rootfs();
	if (conf_next(&conf, "tools", NULL))
		world_mount_tools(rootfs);
	load_ordered_modules(&conf);
	transfer_in(&conf);

	report("ready");
	status = command_run(conf_argv(&conf),
			     conf_next(&conf, "interactive", NULL));
	report("exit %d", status);

	transfer_out(&conf);
	world_unmount();
	report("done");
	power_off();
}
