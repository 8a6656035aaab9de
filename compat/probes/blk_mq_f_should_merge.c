/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/blk-mq.h>

/* Merging still has to be asked for. */
unsigned int probe_flags = BLK_MQ_F_SHOULD_MERGE;
