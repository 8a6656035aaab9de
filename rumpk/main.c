/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * rumpk: the host-side Rumpk emulator.
 */
#include "run.h"

int main(int argc, char **argv)
{
	return rumpk_run(argc, argv);
}
