/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The driver core as newer kernels have it: const in the callbacks of a bus.
 */
#ifndef NEXUS_COMPAT_BUS_H
#define NEXUS_COMPAT_BUS_H

#include <linux/device.h>

#ifdef HAVE_BUS_MATCH_CONST_DRIVER
#define compat_match_driver const struct device_driver
#else
#define compat_match_driver struct device_driver
#endif

#ifdef HAVE_BUS_UEVENT_CONST_DEVICE
#define compat_uevent_device const struct device
#else
#define compat_uevent_device struct device
#endif

#endif /* NEXUS_COMPAT_BUS_H */
