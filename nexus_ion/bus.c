// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bus "ion": a device is all queues of one kind and instance, a driver
 * serves one kind.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>

#include "nexus_compat_bus.h"
#include "window.h"

static int ion_match(struct device *dev, compat_match_driver *drv)
{
	return to_ion_device(dev)->kind ==
	       container_of(drv, const struct ion_driver, driver)->kind;
}

static int ion_uevent(compat_uevent_device *dev, struct kobj_uevent_env *env)
{
	const struct ion_device *idev =
		container_of(dev, const struct ion_device, dev);

	return add_uevent_var(env, "MODALIAS=ion:k%04Xi%04X", idev->kind,
			      idev->instance);
}

static struct ion_driver *to_ion_driver(struct device *dev)
{
	return container_of(dev->driver, struct ion_driver, driver);
}

static int ion_probe(struct device *dev)
{
	return to_ion_driver(dev)->probe(to_ion_device(dev));
}

static void ion_remove(struct device *dev)
{
	to_ion_driver(dev)->remove(to_ion_device(dev));
}

static void ion_shutdown(struct device *dev)
{
	if (dev->driver && to_ion_driver(dev)->shutdown)
		to_ion_driver(dev)->shutdown(to_ion_device(dev));
}

static struct bus_type ion_bus = {
	.name = "ion",
	.dev_groups = ion_device_groups,
	.match = ion_match,
	.uevent = ion_uevent,
	.probe = ion_probe,
	.remove = ion_remove,
	.shutdown = ion_shutdown,
};

/**
 * ion_driver_register - offer a driver for a channel kind
 * @drv: driver with name, owner, kind, probe and remove
 *
 * Context: process.
 * Return: 0 or an errno of the driver core.
 */
int ion_driver_register(struct ion_driver *drv)
{
	drv->driver.bus = &ion_bus;
	return driver_register(&drv->driver);
}
EXPORT_SYMBOL_GPL(ion_driver_register);

/**
 * ion_driver_unregister - take a driver back; its devices are unbound
 * @drv: registered driver
 *
 * Context: process.
 */
void ion_driver_unregister(struct ion_driver *drv)
{
	driver_unregister(&drv->driver);
}
EXPORT_SYMBOL_GPL(ion_driver_unregister);

/**
 * ion_device_host_alive - does the host of this device give signs of life
 * @idev: device
 *
 * Return: false when its heartbeat has stood still for three seconds.
 */
bool ion_device_host_alive(struct ion_device *idev)
{
	return ion_window_host_alive(idev->window);
}
EXPORT_SYMBOL_GPL(ion_device_host_alive);

static void ion_device_release(struct device *dev)
{
	kfree(to_ion_device(dev));
}

/**
 * ion_device_alloc - make the device of an instance
 * @w: window
 * @entries: validated private copies, queue 0 first
 * @count: queues
 *
 * Return: device with one reference, or NULL.
 */
struct ion_device *ion_device_alloc(struct ion_window *w,
				    const struct ion_dir_entry *entries,
				    unsigned int count)
{
	struct ion_device *idev;
	unsigned int q;

	idev = kzalloc(struct_size(idev, channels, count), GFP_KERNEL);
	if (!idev)
		return NULL;
	idev->window = w;
	idev->kind = entries[0].kind;
	idev->instance = entries[0].instance;
	idev->nr_channels = count;
	for (q = 0; q < count; q++)
		ion_channel_init(&idev->channels[q], idev, q, &entries[q]);

	device_initialize(&idev->dev);
	idev->dev.bus = &ion_bus;
	idev->dev.parent = w->parent;
	idev->dev.release = ion_device_release;
	if (dev_set_name(&idev->dev, "ion%d-%04x-%u", w->id, idev->kind,
			 idev->instance)) {
		put_device(&idev->dev);
		return NULL;
	}
	return idev;
}

/**
 * ion_device_add - make a device known; its driver is probed
 * @idev: from ion_device_alloc(); the reference is given up on failure
 *
 * Return: 0 or an errno of the driver core.
 */
int ion_device_add(struct ion_device *idev)
{
	int ret = device_add(&idev->dev);

	if (ret)
		put_device(&idev->dev);
	return ret;
}

int ion_bus_init(void)
{
	return bus_register(&ion_bus);
}

void ion_bus_exit(void)
{
	bus_unregister(&ion_bus);
}
