/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The daemon as a function, so that tests can fork it.
 */
#ifndef RUMPK_RUN_H
#define RUMPK_RUN_H

int rumpk_run(int argc, char **argv);

#endif /* RUMPK_RUN_H */
