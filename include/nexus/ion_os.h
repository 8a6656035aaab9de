/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * What the ABI headers need of the system that compiles them: fixed-width
 * types, static asserts, and the accessors for memory that another machine's
 * CPU reads and writes at the same time.
 *
 * A field in the window is only ever touched through these accessors, and each
 * field is read once per decision: ion_read() into a private copy, judge the
 * copy, use the copy.
 *
 * The kernel side uses virt_*() and not smp_*(): on a kernel that runs on one
 * CPU the smp_*() forms are mere compiler barriers, yet the peer runs on
 * another CPU of the host all the same.
 */
#ifndef NEXUS_ION_OS_H
#define NEXUS_ION_OS_H

#ifdef __KERNEL__

#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/types.h>
#include <asm/barrier.h>
#include <asm/byteorder.h>

#ifndef __LITTLE_ENDIAN
#error "the ION window is little-endian; a big-endian build is not supported"
#endif

#define ion_read(p) READ_ONCE(*(p))
#define ion_write(p, v) WRITE_ONCE(*(p), (v))
#define ion_load_acquire(p) virt_load_acquire(p)
#define ion_store_release(p, v) virt_store_release((p), (v))
#define ion_mb() virt_mb()
#define ion_rmb() virt_rmb()
#define ion_wmb() virt_wmb()
#define ION_STATIC_ASSERT(cond, msg) static_assert(cond, msg)

#else /* !__KERNEL__ */

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <linux/types.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the ION window is little-endian; a big-endian build is not supported"
#endif

#define ion_read(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define ion_write(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define ion_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define ion_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define ion_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define ion_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define ion_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)
#define ION_STATIC_ASSERT(cond, msg) static_assert(cond, msg)

#endif /* __KERNEL__ */

#define ION_ASSERT_SIZE(type, size)                                            \
	ION_STATIC_ASSERT(sizeof(type) == (size), "sizeof(" #type ")")
#define ION_ASSERT_OFFSET(type, field, off)                                    \
	ION_STATIC_ASSERT(offsetof(type, field) == (off),                      \
			  "offsetof(" #type ", " #field ")")

#endif /* NEXUS_ION_OS_H */
