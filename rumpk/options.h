/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The command line.
 */
#ifndef RUMPK_OPTIONS_H
#define RUMPK_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "log.h"

#define OPTIONS_MAX_DISKS 16u
#define OPTIONS_SERIAL_BYTES 40u

/**
 * struct disk_options - one --disk
 * @path: of the image, or of a device's socket; NULL: in memory
 * @vhost: @path is of a vhost-user-blk device's socket
 * @fence: "fence=lock": whoever serves @path holds a lock on the medium
 * @reconnect: "reconnect=": seconds to wait for its successor
 * @size: bytes of a disk in memory
 * @block: logical block
 * @read_only: "ro"
 * @strict: "strict"
 * @serial: "serial=", or empty
 * @rights: CSPACE_*; 0: no capability
 * @first: first sector of the capability
 * @last: last sector
 */
struct disk_options {
	char *path;
	bool vhost;
	bool fence;
	unsigned int reconnect;
	uint64_t size;
	uint32_t block;
	bool read_only;
	bool strict;
	char serial[OPTIONS_SERIAL_BYTES + 1];
	uint32_t rights;
	uint64_t first;
	uint64_t last;
};

/**
 * enum options_action - what the command line asks for
 * @OPTIONS_SERVE: serve the disks
 * @OPTIONS_HELP: print the help
 * @OPTIONS_VERSION: print the version
 * @OPTIONS_QEMU_ARGS: print what to append to a QEMU line
 */
enum options_action {
	OPTIONS_SERVE,
	OPTIONS_HELP,
	OPTIONS_VERSION,
	OPTIONS_QEMU_ARGS,
};

/**
 * struct options - the command line
 * @action: what to do
 * @socket: --socket
 * @window: --window
 * @window_file: --window-file, or NULL
 * @pid_file: --pid-file, or NULL
 * @op_log: --op-log, or NULL
 * @ready_fd: --ready-fd, or -1
 * @level: --log-level
 * @disk: each --disk, in order
 * @disks: number of them
 */
struct options {
	enum options_action action;
	const char *socket;
	uint64_t window;
	const char *window_file;
	const char *pid_file;
	const char *op_log;
	int ready_fd;
	enum rumpk_level level;
	struct disk_options disk[OPTIONS_MAX_DISKS];
	unsigned int disks;
};

int options_parse(struct options *o, int argc, char **argv);
void options_free(struct options *o);
void options_print_help(void);
void options_print_qemu_args(const struct options *o);

int parse_size(const char *text, uint64_t *size);
int parse_u64(const char *text, uint64_t *value);
int parse_cap(const char *text, struct disk_options *d);
int parse_disk(const char *text, struct disk_options *d);

#endif /* RUMPK_OPTIONS_H */
