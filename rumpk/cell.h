/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A cell: one guest, its window, its disks, and the loop that serves them.
 */
#ifndef RUMPK_CELL_H
#define RUMPK_CELL_H

#include <stdbool.h>

#include "beat.h"
#include "broker.h"
#include "channel.h"
#include "keeper.h"
#include "options.h"
#include "poller.h"
#include "qmp.h"
#include "ram.h"
#include "safety.h"
#include "valve.h"
#include "window.h"

/**
 * struct cell_device - what a disk is asked for by
 * @broker: who connects, or opens; without a socket: this process itself
 * @number: of the disk, for the broker
 * @path: of its socket or image
 */
struct cell_device {
	struct broker_link *broker;
	unsigned int number;
	const char *path;
};

/**
 * struct cell_notice - what a disk goes by of what the authority says
 * @rights: CSPACE_*; 0: no capability
 * @reopened: as in &struct authority
 * @sized: as in &struct authority
 * @limit: as in &struct authority
 */
struct cell_notice {
	uint32_t rights;
	uint32_t reopened;
	uint32_t sized;
	uint64_t limit;
};

/**
 * struct cell - a cell
 * @window: shared with the guest
 * @fds: what the keeper holds as well
 * @link: to the keeper, by way of the supervisor
 * @ram: the guest's, or none
 * @qmp: keeps a reset of the guest waiting
 * @qmp_looked: when, in milliseconds
 * @stopped: when the guest's machine stopped to reset or to end, in milliseconds;
 *	0: it has not
 * @broker: to the supervisor
 * @authority: what the guest may do
 * @seen: of @authority->changes: what was taken notice of
 * @notice: of each disk, what was
 * @ledger: what outlives this process
 * @successor: a worker of this supervisor has served before
 * @former: of each disk: connection that an earlier worker had to its device; -1: none
 * @device: of each disk
 * @disk: the disks
 * @channel: one a disk
 * @count: of them
 * @beat: heartbeat, and watch over the loop
 * @poller: how long to look before sleeping
 * @lines: limits the lines about the window
 * @epoll: what the loop sleeps on
 * @signals: signalfd; -1: none
 * @guest: a QEMU is attached
 * @stop: asked to end
 * @failed: cannot go on
 */
struct cell {
	struct window window;
	struct keeper_fds fds;
	struct keeper_link link;
	struct ram ram;
	struct qmp qmp;
	uint64_t qmp_looked;
	uint64_t stopped;
	struct broker_link broker;
	const struct authority *authority;
	uint64_t seen;
	struct cell_notice notice[WINDOW_MAX_DISKS];
	struct ledger *ledger;
	bool successor;
	int former[WINDOW_MAX_DISKS];
	struct cell_device device[WINDOW_MAX_DISKS];
	struct valve_disk disk[WINDOW_MAX_DISKS];
	struct cell_channel channel[WINDOW_MAX_DISKS];
	unsigned int count;
	struct beat beat;
	struct poller poller;
	struct rumpk_ratelimit lines;
	int epoll;
	int signals;
	bool guest;
	bool stop;
	bool failed;
};

int cell_configure(struct cell *c, const struct options *o);
int cell_prepare(struct cell *c);
int cell_start(struct cell *c, bool again);
int cell_loop(struct cell *c);
int cell_finish(struct cell *c);
void cell_release(struct cell *c);
void cell_disk_changed(struct cell *c, unsigned int i);
void cell_reload(struct cell *c);
void cell_resize_disk(struct cell *c, unsigned int i);
void cell_print_stats(const struct cell *c);
int cell_open_ram(struct cell *c, const struct options *o);
uint32_t cell_in_flight(const struct cell *c);

int cell_open_disks(struct cell *c, const struct options *o, bool again);
void disk_judge_witness(struct cell *c, unsigned int i);
void disk_forget_witness(struct cell *c, unsigned int i);

void cell_take_notice(struct cell *c);
uint64_t cell_capacity(const struct cell *c, unsigned int i);
void cell_show_disk(struct cell *c, unsigned int i);
void cell_look(struct cell *c);

int guard_again(struct cell *c);
void guard_guest_came(struct cell *c);
void guard_guest_left(struct cell *c);
void guard_apply(struct cell *c);
void guard_look(struct cell *c, uint64_t now);

int cell_loop_init(struct cell *c);
void cell_loop_exit(struct cell *c);
bool cell_round(struct cell *c);

#endif /* RUMPK_CELL_H */
