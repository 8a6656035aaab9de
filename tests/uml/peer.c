// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rogue host of tests/hostile inside the kernel, behind a loopback window: the
 * same misdeeds, told to the same code that another machine would tell them to,
 * where KASAN and lockdep watch it.
 *
 * insmod rogue_peer.ko misdeeds=NAME,NAME...: a disk for each, and a last one that
 * is honest, as rogue_host's. A window that is refused does not fail the insmod:
 * that is what is looked at. What it prints goes to the kernel's log.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/timekeeping.h>
#include <linux/vmalloc.h>
#include <linux/wait.h>

#include "../hostile/rogue_host.h"

/**
 * struct rogue_peer - the one rogue host
 * @server: window and doorbells, as the misdeeds know them
 * @thread: serves
 * @restless: thread of @unrest, or NULL
 * @unrest: what is done all the time
 * @wait: where @thread sleeps
 * @rung: a doorbell came
 * @started: the guest's side took the window
 */
static struct rogue_peer {
	struct server server;
	struct task_struct *thread;
	struct task_struct *restless;
	const struct unrest *unrest;
	wait_queue_head_t wait;
	bool rung;
	bool started;
} peer;

static char *chosen_names[MAX_DISKS - 1] = { "none" };
static unsigned int nr_chosen = 1;
module_param_array_named(misdeeds, chosen_names, charp, &nr_chosen, 0444);
MODULE_PARM_DESC(misdeeds, "what the disks do wrong: tests/hostile/misdeed.c");

static bool stopped;
module_param(stopped, bool, 0644);
MODULE_PARM_DESC(stopped,
		 "the host does nothing at all, as if stopped by a signal");

static bool told;
module_param(told, bool, 0644);
MODULE_PARM_DESC(told,
		 "answer what is kept, or end the unrest and repair the window");

static unsigned int seed;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "from where the noise goes on");

static unsigned int rounds;
module_param(rounds, uint, 0444);
MODULE_PARM_DESC(rounds, "of the unrest so far");

static unsigned int most;
module_param(most, uint, 0444);
MODULE_PARM_DESC(most, "rounds of unrest, and then no more; 0: no end");

/* What the rogue host needs of its system */

static void *peer_memory[MAX_DISKS];
static unsigned int nr_memory;

void *rogue_memory(size_t size)
{
	void *memory = nr_memory < MAX_DISKS ? vzalloc(size) : NULL;

	if (memory)
		peer_memory[nr_memory++] = memory;
	return memory;
}

int64_t rogue_clock(void)
{
	return ktime_get_ns();
}

void server_ring(const struct server *s, unsigned int vector)
{
	ion_loopback_ring(s->lb, vector);
}

static int peer_restless(void *data)
{
	const struct unrest *what = peer.unrest;

	rounds = 0;
	while (!kthread_should_stop()) {
		if (!most || rounds < most)
			what->round(&peer.server, (u64)seed + rounds++);
		if (what->pause_us)
			usleep_range(what->pause_us, what->pause_us + 100);
		cond_resched();
	}
	pr_info("%s of %u %s\n", what->name, rounds, what->unit);
	return 0;
}

void unrest_begin(struct server *s, const struct unrest *what)
{
	struct task_struct *thread;

	peer.unrest = what;
	thread = kthread_run(peer_restless, NULL, "rogue_unrest");
	if (IS_ERR(thread))
		pr_err("no thread for the unrest: %ld\n", PTR_ERR(thread));
	else
		peer.restless = thread;
}

void unrest_stop(void)
{
	if (peer.restless)
		kthread_stop(peer.restless);
	peer.restless = NULL;
}

/* Serving */

static void peer_rung(void *ctx, u16 vector)
{
	WRITE_ONCE(peer.rung, true);
	wake_up(&peer.wait);
}

static const struct ion_loopback_ops peer_ops = {
	.ring = peer_rung,
};

/* A doorbell wakes it at once; for all else it looks a hundred times a second. */
static int peer_thread(void *data)
{
	while (!kthread_should_stop()) {
		WRITE_ONCE(peer.rung, false);
		if (!READ_ONCE(stopped))
			rogue_step(&peer.server, xchg(&told, false));
		wait_event_timeout(peer.wait,
				   (READ_ONCE(peer.rung) && !READ_ONCE(stopped)) ||
					   kthread_should_stop(),
				   msecs_to_jiffies(10));
		cond_resched();
	}
	return 0;
}

/* Life */

static void peer_free(void)
{
	while (nr_memory)
		vfree(peer_memory[--nr_memory]);
	ion_loopback_destroy(peer.server.lb);
}

static int peer_open(const struct misdeed *const *chosen)
{
	struct server *s = &peer.server;

	s->size = chosen[0]->bytes ? chosen[0]->bytes : WINDOW_BYTES;
	s->lb = ion_loopback_create(s->size, SERVER_VECTORS, &peer_ops, NULL);
	if (!s->lb)
		return -ENOMEM;
	s->mem = ion_loopback_base(s->lb);
	if (chosen[0]->foreign) {
		rogue_foreign(s);
	} else if (!rogue_open(s, chosen, nr_chosen)) {
		unrest_stop();
		peer_free();
		return -ENOMEM;
	}
	return 0;
}

/* The window stays where it is, and is looked at when the module goes. */
static void peer_offer(void)
{
	int ret = ion_loopback_start(peer.server.lb);

	peer.started = !ret;
	if (ret)
		pr_info("the window was refused (%d)\n", ret);
}

static int __init rogue_peer_init(void)
{
	const struct misdeed *chosen[MAX_DISKS];
	unsigned int i;
	int ret;

	for (i = 0; i < nr_chosen; i++) {
		chosen[i] = misdeed_find(chosen_names[i]);
		if (!chosen[i]) {
			pr_err("misdeeds=%s: no such misdeed\n", chosen_names[i]);
			return -EINVAL;
		}
	}
	init_waitqueue_head(&peer.wait);
	ret = peer_open(chosen);
	if (ret)
		return ret;
	peer.thread = kthread_run(peer_thread, NULL, "rogue_peer");
	if (IS_ERR(peer.thread)) {
		unrest_stop();
		peer_free();
		return PTR_ERR(peer.thread);
	}
	peer_offer();
	return 0;
}

static void __exit rogue_peer_exit(void)
{
	if (peer.started)
		ion_loopback_stop(peer.server.lb);
	kthread_stop(peer.thread);
	rogue_close(&peer.server);
	peer_free();
}

module_init(rogue_peer_init);
module_exit(rogue_peer_exit);

MODULE_DESCRIPTION("Hostile host of a loopback window, for tests");
MODULE_AUTHOR("Nexus Block developers");
MODULE_LICENSE("GPL");
