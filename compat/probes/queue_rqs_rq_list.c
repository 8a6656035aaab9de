/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/blk-mq.h>

/* blk_mq_ops.queue_rqs takes a struct rq_list. */
static void queue_rqs(struct rq_list *rqlist)
{
}

const struct blk_mq_ops probe_ops = { .queue_rqs = queue_rqs };
