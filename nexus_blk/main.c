// SPDX-License-Identifier: GPL-2.0-only
/*
 * nexus_blk: disks whose blocks are served over ION rings.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>

#include "memvalve.h"
#include "nxblk.h"

int nxblk_major;
struct workqueue_struct *nxblk_wq;
struct workqueue_struct *nxblk_add_wq;

/* transport=auto|ion|loopback */

enum nxblk_transport_choice {
	NXBLK_TRANSPORT_AUTO,
	NXBLK_TRANSPORT_ION,
	NXBLK_TRANSPORT_LOOPBACK,
};

static const char *const nxblk_transports[] = {
	[NXBLK_TRANSPORT_AUTO] = "auto",
	[NXBLK_TRANSPORT_ION] = "ion",
	[NXBLK_TRANSPORT_LOOPBACK] = "loopback",
};

static int nxblk_transport_param = NXBLK_TRANSPORT_AUTO;

static int nxblk_set_transport(const char *val, const struct kernel_param *kp)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(nxblk_transports); i++) {
		if (sysfs_streq(val, nxblk_transports[i])) {
			nxblk_transport_param = i;
			return 0;
		}
	}
	pr_err("transport=%s: must be auto, ion or loopback\n", val);
	return -EINVAL;
}

static int nxblk_get_transport(char *buf, const struct kernel_param *kp)
{
	return sysfs_emit(buf, "%s\n", nxblk_transports[nxblk_transport_param]);
}

static const struct kernel_param_ops nxblk_transport_ops = {
	.set = nxblk_set_transport,
	.get = nxblk_get_transport,
};
module_param_cb(transport, &nxblk_transport_ops, NULL, 0444);
MODULE_PARM_DESC(
	transport,
	"auto (default): windows of a host; an in-memory disk when the machine has none; ion: windows alone; loopback: an in-memory disk always");

/**
 * nxblk_transport - how a device reaches its host, for sysfs
 * @idev: device
 *
 * Return: "loopback" or "ion".
 */
const char *nxblk_transport(struct ion_device *idev)
{
	/* A loopback window belongs to no other device. */
	return idev->dev.parent ? "ion" : "loopback";
}

static struct ion_driver nxblk_driver = {
	.driver = {
		.name = "nexus_blk",
		.owner = THIS_MODULE,
	},
	.kind = ION_KIND_BLK,
	.probe = nxblk_disk_probe,
	.remove = nxblk_disk_remove,
	.shutdown = nxblk_disk_shutdown,
};

/* Decided once: a window that is late or rejected never becomes a RAM disk. */
static bool nxblk_wants_loopback(void)
{
	switch (nxblk_transport_param) {
	case NXBLK_TRANSPORT_AUTO:
		return !ion_have_external_window();
	case NXBLK_TRANSPORT_LOOPBACK:
		return true;
	default:
		return false;
	}
}

static int __init nxblk_workqueues_init(void)
{
	nxblk_wq = alloc_workqueue("nexus_blk", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!nxblk_wq)
		return -ENOMEM;
	/* Apart: adding a disk waits for I/O that the other one may revive. */
	nxblk_add_wq = alloc_workqueue("nexus_blk_add", WQ_UNBOUND, 0);
	if (!nxblk_add_wq) {
		destroy_workqueue(nxblk_wq);
		return -ENOMEM;
	}
	return 0;
}

static void nxblk_workqueues_exit(void)
{
	destroy_workqueue(nxblk_add_wq);
	destroy_workqueue(nxblk_wq);
}

static int __init nxblk_init(void)
{
	int ret;

	ret = nxblk_copy_init();
	if (ret)
		return ret;
	ret = nxblk_workqueues_init();
	if (ret)
		return ret;
	nxblk_major = register_blkdev(0, "nxblk");
	if (nxblk_major < 0) {
		ret = nxblk_major;
		goto workqueues_exit;
	}
	ret = ion_driver_register(&nxblk_driver);
	if (ret)
		goto unregister_blkdev;
	if (nxblk_wants_loopback()) {
		ret = nxblk_memvalve_start();
		if (ret)
			goto unregister_driver;
	}
	return 0;

unregister_driver:
	ion_driver_unregister(&nxblk_driver);
unregister_blkdev:
	unregister_blkdev(nxblk_major, "nxblk");
workqueues_exit:
	nxblk_workqueues_exit();
	return ret;
}

static void __exit nxblk_exit(void)
{
	/* The valve last to stop, first to be told: the disk writes back to it. */
	nxblk_memvalve_stop();
	ion_driver_unregister(&nxblk_driver);
	unregister_blkdev(nxblk_major, "nxblk");
	nxblk_workqueues_exit();
}

module_init(nxblk_init);
module_exit(nxblk_exit);

MODULE_ALIAS("ion:k0700*");
MODULE_DESCRIPTION("Block devices over ION rings to a Block Valve");
MODULE_AUTHOR("Nexus Block developers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1");
