// SPDX-License-Identifier: GPL-2.0-only
/*
 * nexus_ion: ION rings between this guest and its host, as a Linux bus.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>

#include "window.h"

static unsigned long long ion_base;
module_param(ion_base, ullong, 0444);
MODULE_PARM_DESC(ion_base,
		 "guest-physical address of a carve-out window (not supported yet)");

/**
 * ion_have_external_window - is there a window of another machine, or said to be
 *
 * What decides whether a driver may play with a window of its own: a device that
 * is there but not accepted counts, lest a rejected window turn into a RAM disk.
 *
 * Return: true when there is an ivshmem device or ion_base was given.
 */
bool ion_have_external_window(void)
{
	return ion_base || ion_ivshmem_present();
}
EXPORT_SYMBOL_GPL(ion_have_external_window);

static int __init ion_init(void)
{
	int ret;

	if (ion_base) {
		pr_err("ion_base=%#llx: carve-out windows are not supported yet; use an ivshmem device\n",
		       ion_base);
		return -EOPNOTSUPP;
	}
	ret = ion_bus_init();
	if (ret)
		return ret;
	ret = ion_ivshmem_init();
	if (ret)
		goto bus_exit;
	return 0;

bus_exit:
	ion_bus_exit();
	return ret;
}

static void __exit ion_exit(void)
{
	ion_ivshmem_exit();
	ion_bus_exit();
}

module_init(ion_init);
module_exit(ion_exit);

MODULE_DESCRIPTION("ION transport: shared-memory rings to a Rumpk host");
MODULE_AUTHOR("Nexus Block developers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1");
