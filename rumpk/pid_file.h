/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The file of --pid-file.
 */
#ifndef RUMPK_PID_FILE_H
#define RUMPK_PID_FILE_H

int pid_file_check(const char *path);
int pid_file_write(const char *path);

#endif /* RUMPK_PID_FILE_H */
