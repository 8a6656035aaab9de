/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory whose size nobody can change.
 */
#ifndef RUMPK_SEALED_H
#define RUMPK_SEALED_H

#include <stdint.h>

int sealed_create(const char *name, uint64_t bytes);

#endif /* RUMPK_SEALED_H */
