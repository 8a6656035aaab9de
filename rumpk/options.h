/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The command line.
 */
#ifndef RUMPK_OPTIONS_H
#define RUMPK_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cspace.h"
#include "log.h"
#include "ram.h"

#define OPTIONS_MAX_DISKS 16u
#define OPTIONS_DISK_MAX (1ull << 50)
#define OPTIONS_SERIAL_BYTES 40u

/**
 * enum disk_data - which way the data of a disk goes
 * @DISK_AUTO: the guest chooses
 * @DISK_BOUNCE: through the window, always
 * @DISK_ZERO_COPY: to and from the guest's own pages, as far as it can
 */
enum disk_data {
	DISK_AUTO,
	DISK_BOUNCE,
	DISK_ZERO_COPY,
};

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
 * @data: "data="
 * @serial: "serial=", or empty
 * @capped: "cap=" was given
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
	enum disk_data data;
	char serial[OPTIONS_SERIAL_BYTES + 1];
	bool capped;
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
 * @caps: --caps, or NULL
 * @control: --control, or NULL
 * @ram: --ram, or NULL
 * @machine: of --ram
 * @qmp: --qmp, or NULL
 * @quit_on_reset: --qmp with reset=quit
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
	const char *caps;
	const char *control;
	char *ram;
	enum ram_machine machine;
	char *qmp;
	bool quit_on_reset;
	int ready_fd;
	enum rumpk_level level;
	struct disk_options disk[OPTIONS_MAX_DISKS];
	unsigned int disks;
};

/**
 * options_lend - may the guest's RAM be lent for a disk, where there is any to be had
 * @d: disk
 *
 * Return: whether it may.
 */
static inline bool options_lend(const struct disk_options *d)
{
	return d->data != DISK_BOUNCE && (d->rights & CSPACE_DMA);
}

int options_parse(struct options *o, int argc, char **argv);
void options_free(struct options *o);
void options_print_help(void);
int options_print_qemu_args(const struct options *o);

/* What would be right where parse_cap() finds a fault. */
#define PARSE_CAP_RIGHT                                                        \
	"must be none or r[m]|rw[d][m][:FIRST-LAST], as in rw:0-2047"
#define PARSE_CAP_BYTES 56u

int parse_size(const char *text, uint64_t *size);
int parse_u64(const char *text, uint64_t *value);
int parse_cap(const char *text, struct disk_options *d);
void format_cap(const struct disk_options *d, char *text, size_t length);
int parse_disk_number(const char *text, unsigned int disks, unsigned int *n);
int parse_disk(const char *text, struct disk_options *d);
int parse_ram(const char *text, struct options *o);
int parse_qmp(const char *text, struct options *o);

#endif /* RUMPK_OPTIONS_H */
