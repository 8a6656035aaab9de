/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef RUMPK_VERSION_H
#define RUMPK_VERSION_H

#define RUMPK_VERSION "0.1"

#endif /* RUMPK_VERSION_H */
