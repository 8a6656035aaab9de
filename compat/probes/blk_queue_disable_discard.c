/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/blkdev.h>

/* A driver can take DISCARD back without a limits update. */
void probe(struct request_queue *q);
void probe(struct request_queue *q)
{
	blk_queue_disable_discard(q);
}
