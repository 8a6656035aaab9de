// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bugs, one for each checker of the debug kernels: a checker that stays silent at
 * its own bug proves nothing by its silence elsewhere.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static char *bug;
module_param(bug, charp, 0444);

/* Volatile, lest the compiler see what is wrong. */
static volatile unsigned int debug_bug_zero;
static void *volatile debug_bug_memory;

static void debug_bug_after_free(void)
{
	u8 *memory = kzalloc(100, GFP_KERNEL);

	kfree(memory);
	pr_info("after free: %u\n", memory ? READ_ONCE(memory[7]) : 0);
}

static void debug_bug_undefined(void)
{
	pr_info("shifted: %d\n", 1 << (debug_bug_zero + 35));
}

static void debug_bug_sleep(void)
{
	static DEFINE_SPINLOCK(lock);

	spin_lock(&lock);
	msleep(1);
	spin_unlock(&lock);
}

static void debug_bug_lock_order(void)
{
	static DEFINE_MUTEX(first);
	static DEFINE_MUTEX(second);

	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);
	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

static void debug_bug_leak(void)
{
	debug_bug_memory = kzalloc(1000, GFP_KERNEL);
	debug_bug_memory = NULL;
}

static u32 debug_bug_raced;

static int debug_bug_racer(void *data)
{
	while (!kthread_should_stop()) {
		debug_bug_raced++;
		cond_resched();
	}
	return 0;
}

static void debug_bug_race(void)
{
	struct task_struct *racers[2];
	int i;

	for (i = 0; i < 2; i++)
		racers[i] = kthread_run(debug_bug_racer, NULL, "racer%d", i);
	msleep(5000);
	for (i = 0; i < 2; i++)
		if (!IS_ERR(racers[i]))
			kthread_stop(racers[i]);
}

static const struct {
	const char *name;
	void (*commit)(void);
} debug_bugs[] = {
	{ "after-free", debug_bug_after_free },
	{ "undefined", debug_bug_undefined },
	{ "sleep", debug_bug_sleep },
	{ "lock-order", debug_bug_lock_order },
	{ "leak", debug_bug_leak },
	{ "race", debug_bug_race },
};

static int __init debug_bug_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(debug_bugs); i++) {
		if (bug && !strcmp(bug, debug_bugs[i].name)) {
			debug_bugs[i].commit();
			return 0;
		}
	}
	return -EINVAL;
}

static void __exit debug_bug_exit(void)
{
}

module_init(debug_bug_init);
module_exit(debug_bug_exit);

MODULE_DESCRIPTION("Bugs that the debug kernels must find");
MODULE_LICENSE("GPL");
