/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a forked process lets go of: an image held by mistake would outlive its
 * lock, and a pipe that somebody reads until its end would never end.
 */
#ifndef RUMPK_SHED_H
#define RUMPK_SHED_H

unsigned int open_descriptors(int *fds, unsigned int most);
void close_all_but(int *keep, unsigned int n);

#endif /* RUMPK_SHED_H */
