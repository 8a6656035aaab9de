// SPDX-License-Identifier: GPL-2.0-only
/*
 * Provider: loopback. A window in the kernel's own memory with an in-kernel peer
 * as its host, so that drivers are tested on the very path that they take to
 * another machine.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "window.h"

/**
 * struct ion_loopback - one loopback window
 * @window: the guest's side of it
 * @base: its memory
 * @ops: the host's
 * @ctx: for @ops
 * @started: the guest's side is in service
 */
struct ion_loopback {
	struct ion_window window;
	void *base;
	const struct ion_loopback_ops *ops;
	void *ctx;
	bool started;
};

static void ion_loopback_ring_host(struct ion_window *w, u16 peer, u16 vector)
{
	struct ion_loopback *lb = container_of(w, struct ion_loopback, window);

	lb->ops->ring(lb->ctx, vector);
}

static const struct ion_window_ops ion_loopback_window_ops = {
	.ring = ion_loopback_ring_host,
};

/**
 * ion_loopback_create - make the memory of a loopback window
 * @length: bytes, at least ION_WINDOW_MIN
 * @vectors: of the guest, 1 .. ION_MAX_VECTORS
 * @ops: called once the window is started
 * @ctx: for @ops
 *
 * The caller, as the host, lays the window out and publishes it
 * (ion_layout.h) before ion_loopback_start().
 *
 * Context: process.
 * Return: the loopback, or NULL when there is no memory.
 */
struct ion_loopback *ion_loopback_create(size_t length, unsigned int vectors,
					 const struct ion_loopback_ops *ops,
					 void *ctx)
{
	struct ion_loopback *lb = kzalloc(sizeof(*lb), GFP_KERNEL);

	if (!lb)
		return NULL;
	lb->base = vzalloc(length);
	if (!lb->base) {
		kfree(lb);
		return NULL;
	}
	lb->ops = ops;
	lb->ctx = ctx;
	lb->window.provider = "loopback";
	lb->window.ops = &ion_loopback_window_ops;
	lb->window.base = lb->base;
	lb->window.mapped = length;
	lb->window.nr_vectors = clamp(vectors, 1u, (unsigned int)ION_MAX_VECTORS);
	return lb;
}
EXPORT_SYMBOL_GPL(ion_loopback_create);

/**
 * ion_loopback_base - where the window is
 * @lb: loopback
 *
 * Return: its first byte.
 */
void *ion_loopback_base(struct ion_loopback *lb)
{
	return lb->base;
}
EXPORT_SYMBOL_GPL(ion_loopback_base);

/**
 * ion_loopback_start - let the guest's side find the window
 * @lb: loopback that has been laid out and published
 *
 * Context: process.
 * Return: 0 or an errno; the window is not in service then.
 */
int ion_loopback_start(struct ion_loopback *lb)
{
	int ret = ion_window_check(&lb->window);

	if (ret)
		return ret;
	ret = ion_window_init(&lb->window);
	if (ret)
		return ret;
	WRITE_ONCE(lb->started, true);
	/* If this fails, the host may be ringing: ion_loopback_destroy() does the rest. */
	return ion_window_add(&lb->window);
}
EXPORT_SYMBOL_GPL(ion_loopback_start);

/**
 * ion_loopback_ring - the host rings a vector of the guest
 * @lb: loopback; not once ion_loopback_destroy() has been called
 * @vector: checked, since the host took it from the guest's record
 *
 * Context: any.
 */
void ion_loopback_ring(struct ion_loopback *lb, u16 vector)
{
	if (READ_ONCE(lb->started) && vector < lb->window.nr_vectors)
		ion_window_interrupt(&lb->window, vector);
}
EXPORT_SYMBOL_GPL(ion_loopback_ring);

/**
 * ion_loopback_stop - take the guest's side out of service
 * @lb: started loopback
 *
 * The host must go on serving until it returns: drivers write back dirty data
 * and have their channels drained.
 *
 * Context: process.
 */
void ion_loopback_stop(struct ion_loopback *lb)
{
	ion_window_remove(&lb->window);
}
EXPORT_SYMBOL_GPL(ion_loopback_stop);

/**
 * ion_loopback_destroy - free a loopback
 * @lb: stopped, or never started; nobody rings it any more
 */
void ion_loopback_destroy(struct ion_loopback *lb)
{
	if (lb->started)
		ion_window_exit(&lb->window);
	vfree(lb->base);
	kfree(lb);
}
EXPORT_SYMBOL_GPL(ion_loopback_destroy);
