/* SPDX-License-Identifier: GPL-2.0-only */
/* What every unit test includes first: cmocka and the headers that it needs. */
#ifndef NEXUS_TESTS_UNIT_H
#define NEXUS_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif /* NEXUS_TESTS_UNIT_H */
