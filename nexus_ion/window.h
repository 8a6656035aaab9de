/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Inside nexus_ion: windows, and what their providers owe them.
 */
#ifndef NEXUS_ION_WINDOW_H
#define NEXUS_ION_WINDOW_H

#include <linux/list.h>
#include <linux/wait.h>

#include "ion.h"

#define ION_MAX_VECTORS 64
/* How often the monitor looks while something is pending, and while not. */
#define ION_MONITOR_BUSY_MS 100
#define ION_MONITOR_IDLE_MS 1000
/* A host whose heartbeat stands still for this long is silent. */
#define ION_HOST_SILENT_MS 3000

/**
 * struct ion_window_ops - what a provider does for its window
 * @ring: ring @vector of @peer; any context, must not sleep
 */
struct ion_window_ops {
	void (*ring)(struct ion_window *w, u16 peer, u16 vector);
};

/**
 * struct ion_window - one window
 *
 * Filled by the provider before ion_window_init():
 *
 * @parent: device that the window belongs to, or NULL
 * @provider: name, for logs and sysfs
 * @ops: provider's operations
 * @base: mapping
 * @mapped: bytes mapped
 * @nr_vectors: of this guest, 1 .. ION_MAX_VECTORS
 *
 * The core's own:
 *
 * @id: number, for names
 * @hdr: validated private copy of the header
 * @generation: of the directory that @devices was made from; valid if @scanned
 * @scanned: the directory has been read
 * @refused: generation whose directory was refused, so that it is said once
 * @have_refused: @refused is valid
 * @stopping: no new devices
 * @lock: protects @devices and the fields above; taken before a channel's lock
 * @devices: &struct ion_device.node
 * @vectors: open channels by vector, RCU lists, written under @irq_lock
 * @irq_lock: see @vectors
 * @changed: woken when the host rings the control vector
 * @wq: of @monitor
 * @monitor: looks at the host's states; see window.c
 * @busy: @monitor runs at its fast pace
 * @heartbeat: the host's as last seen
 * @heartbeat_at: jiffies when it last moved
 * @own_heartbeat: this guest's
 */
struct ion_window {
	struct device *parent;
	const char *provider;
	const struct ion_window_ops *ops;
	void *base;
	size_t mapped;
	unsigned int nr_vectors;

	int id;
	struct ion_host_header hdr;
	u64 generation;
	bool scanned;
	u64 refused;
	bool have_refused;
	bool stopping;
	struct mutex lock;
	struct list_head devices;
	struct list_head vectors[ION_MAX_VECTORS];
	spinlock_t irq_lock;
	wait_queue_head_t changed;
	struct workqueue_struct *wq;
	struct delayed_work monitor;
	bool busy;
	u64 heartbeat;
	unsigned long heartbeat_at;
	u64 own_heartbeat;
};

int ion_window_check(struct ion_window *w);
int ion_window_init(struct ion_window *w);
void ion_window_exit(struct ion_window *w);
int ion_window_add(struct ion_window *w);
void ion_window_remove(struct ion_window *w);
void ion_window_interrupt(struct ion_window *w, unsigned int vector);
void ion_window_look(struct ion_window *w);
void ion_window_busy(struct ion_window *w);
bool ion_window_host_alive(struct ion_window *w);

/* bus.c */
int ion_bus_init(void);
void ion_bus_exit(void);
struct ion_device *ion_device_alloc(struct ion_window *w,
				    const struct ion_dir_entry *entries,
				    unsigned int count);
int ion_device_add(struct ion_device *idev);
extern const struct attribute_group *ion_device_groups[];

/* channel.c */
void ion_channel_init(struct ion_channel *ch, struct ion_device *idev,
		      unsigned int index, const struct ion_dir_entry *entry);
bool ion_channel_step(struct ion_channel *ch);
void ion_channel_interrupt(struct ion_channel *ch);

/* ivshmem.c */
int ion_ivshmem_init(void);
void ion_ivshmem_exit(void);
bool ion_ivshmem_present(void);

#endif /* NEXUS_ION_WINDOW_H */
