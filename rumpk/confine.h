/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a worker gives up before it reads the first byte that a guest wrote. In
 * this order: confine_files() when all disks are open and before a thread is
 * started, confine_calls() when the rings are made and all threads run.
 */
#ifndef RUMPK_CONFINE_H
#define RUMPK_CONFINE_H

#include <stdbool.h>

int confine_files(bool *no_landlock);
int confine_calls(void);

#endif /* RUMPK_CONFINE_H */
