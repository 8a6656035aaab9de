// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/bus/ion/devices/ion<window>-<kind>-<instance>/: what an operator wants to
 * know of the transport.
 */
#include <linux/sysfs.h>

#include "window.h"

static ssize_t kind_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	return sysfs_emit(buf, "0x%04x\n", to_ion_device(dev)->kind);
}
static DEVICE_ATTR_RO(kind);

static ssize_t instance_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%u\n", to_ion_device(dev)->instance);
}
static DEVICE_ATTR_RO(instance);

static ssize_t queues_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf, "%u\n", to_ion_device(dev)->nr_channels);
}
static DEVICE_ATTR_RO(queues);

static ssize_t provider_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%s\n", to_ion_device(dev)->window->provider);
}
static DEVICE_ATTR_RO(provider);

static ssize_t host_alive_show(struct device *dev,
			       struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", ion_device_host_alive(to_ion_device(dev)));
}
static DEVICE_ATTR_RO(host_alive);

static ssize_t modalias_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "ion:k%04Xi%04X\n", to_ion_device(dev)->kind,
			  to_ion_device(dev)->instance);
}
static DEVICE_ATTR_RO(modalias);

static struct attribute *ion_device_attrs[] = {
	&dev_attr_kind.attr,
	&dev_attr_instance.attr,
	&dev_attr_queues.attr,
	&dev_attr_provider.attr,
	&dev_attr_host_alive.attr,
	&dev_attr_modalias.attr,
	NULL,
};

static const struct attribute_group ion_device_group = {
	.attrs = ion_device_attrs,
};

const struct attribute_group *ion_device_groups[] = {
	&ion_device_group,
	NULL,
};
