/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/blkdev.h>

/* A driver can take WRITE_ZEROES back without a limits update. */
void probe(struct request_queue *q);
void probe(struct request_queue *q)
{
	blk_queue_disable_write_zeroes(q);
}
