/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RUMPK_CONFINE_H
#define RUMPK_CONFINE_H

int confine(void);

#endif /* RUMPK_CONFINE_H */
