// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults that each of the kernel's checkers is there to see: insmod plant.ko
 * fault=NAME. A checker that does not see its own is not on duty, and a test that
 * relies on it holds nothing.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/vmalloc.h>

static char *fault = "none";
module_param(fault, charp, 0444);
MODULE_PARM_DESC(fault, "which");

static volatile unsigned int plant_zero;
static DEFINE_MUTEX(plant_one);
static DEFINE_MUTEX(plant_other);

static void plant_use_after_free(void)
{
	volatile u8 *memory = kmalloc(64, GFP_KERNEL);

	if (!memory)
		return;
	kfree((void *)memory);
	memory[8 + plant_zero] = 1;
}

/* As at the end of a window. */
static void plant_beyond_vmalloc(void)
{
	volatile u8 *memory = vmalloc(PAGE_SIZE - 8);

	if (!memory)
		return;
	memory[PAGE_SIZE - 8 + plant_zero] = 1;
	vfree((void *)memory);
}

static void plant_inversion(void)
{
	mutex_lock(&plant_one);
	mutex_lock(&plant_other);
	mutex_unlock(&plant_other);
	mutex_unlock(&plant_one);
	mutex_lock(&plant_other);
	mutex_lock(&plant_one);
	mutex_unlock(&plant_one);
	mutex_unlock(&plant_other);
}

static void plant_sleep(void)
{
	static DEFINE_SPINLOCK(lock);

	spin_lock(&lock);
	msleep(1);
	spin_unlock(&lock);
}

static void plant_bounds(void)
{
	static u32 table[4] = { 1, 2, 3, 4 };

	pr_info("%u\n", table[4 + plant_zero]);
}

static void plant_shift(void)
{
	pr_info("%u\n", 1u << (plant_zero + 32));
}

static struct timer_list plant_timer;

static void plant_tick(struct timer_list *t)
{
}

/* Initialised twice while it runs: an object in use. */
static void plant_object(void)
{
	timer_setup(&plant_timer, plant_tick, 0);
	mod_timer(&plant_timer, jiffies + HZ);
	timer_setup(&plant_timer, plant_tick, 0);
	del_timer_sync(&plant_timer);
}

static void plant_leak(void)
{
	unsigned int i;

	/* One of several may seem to be in use. */
	for (i = 0; i < 16; i++)
		pr_info("%px\n", kmalloc(192 + i, GFP_KERNEL));
}

static u32 plant_raced;

static int plant_racer(void *data)
{
	while (!kthread_should_stop()) {
		plant_raced++;
		cond_resched();
	}
	return 0;
}

static void plant_race(void)
{
	struct task_struct *racers[2];
	int i;

	for (i = 0; i < 2; i++)
		racers[i] = kthread_run(plant_racer, NULL, "racer%d", i);
	msleep(5000);
	for (i = 0; i < 2; i++)
		if (!IS_ERR(racers[i]))
			kthread_stop(racers[i]);
}

static const struct {
	const char *name;
	void (*plant)(void);
} plants[] = {
	{ "use-after-free", plant_use_after_free },
	{ "beyond-vmalloc", plant_beyond_vmalloc },
	{ "inversion", plant_inversion },
	{ "sleep", plant_sleep },
	{ "bounds", plant_bounds },
	{ "shift", plant_shift },
	{ "object", plant_object },
	{ "leak", plant_leak },
	{ "race", plant_race },
};

static int __init plant_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(plants); i++) {
		if (!strcmp(plants[i].name, fault)) {
			plants[i].plant();
			return 0;
		}
	}
	pr_err("fault=%s: no such fault\n", fault);
	return -EINVAL;
}

static void __exit plant_exit(void)
{
}

module_init(plant_init);
module_exit(plant_exit);

MODULE_DESCRIPTION("Faults for the kernel's checkers to see, for tests");
MODULE_AUTHOR("Nexus Block developers");
MODULE_LICENSE("GPL");
