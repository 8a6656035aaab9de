/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small host whose disks are in memory: one for each misdeed that it is started
 * with, and a last one that is honest. It runs as a process (rogue_main.c) and inside
 * a kernel (tests/uml/peer.c).
 */
#ifndef NEXUS_TESTS_ROGUE_HOST_H
#define NEXUS_TESTS_ROGUE_HOST_H

#include <nexus/ion_host.h>
#include <nexus/ion_layout.h>
#include <nexus/nxblk_check.h>

#include "rogue_os.h"

#define MAX_DISKS 32u
#define DISK_BYTES (1ull << 20)
#define WINDOW_BYTES (32ull << 20)
/* A READ of this sector is answered with the misdeed. */
#define TRIGGER_LBA 1024u

struct misdeed;

/**
 * struct unrest - what goes on beside the serving, in a thread of its own
 * @name: for the log
 * @unit: what there is one of in each round, for the log
 * @round: called again and again, with how often before; never sleeps
 * @pause_us: between two rounds
 */
struct unrest {
	const char *name;
	const char *unit;
	void (*round)(struct server *s, uint64_t n);
	unsigned int pause_us;
};

/**
 * struct disk - a channel and what it serves
 * @number: instance
 * @server: for doorbells
 * @end: the host's half
 * @dir: directory entry
 * @config: answer to INFO
 * @data: contents
 * @size: bytes of @data
 * @misdeed: NULL: honest
 * @fired: how often the misdeed was done
 * @kept: a request that is kept for later
 * @keeping: whether there is one
 * @denying: INFO is denied
 * @restless: a misdeed that goes on by itself has begun
 * @ticks_left: of the misdeed
 * @erases: the guest's record is overwritten at each look
 * @deaf: the host does not look at it
 * @infos: how often INFO was asked
 * @guest_state: of the guest, as last printed
 */
struct disk {
	unsigned int number;
	struct server *server;
	struct ion_host_end end;
	struct ion_dir_entry *dir;
	struct nxblk_config config;
	uint8_t *data;
	size_t size;
	const struct misdeed *misdeed;
	unsigned int fired;
	struct nxblk_req kept;
	bool keeping;
	bool denying;
	bool restless;
	unsigned int ticks_left;
	bool erases;
	bool deaf;
	unsigned int infos;
	uint32_t guest_state;
};

/**
 * struct misdeed - what the host does wrong; all but @name may be missing
 * @name: on the command line
 * @times: that @answer is called at most; 0: always
 * @header: spoils header and directory before they are published
 * @config: spoils the geometry of the disk
 * @end: spoils what the channel offers
 * @answer: answers a READ of TRIGGER_LBA; what it leaves unanswered stays so
 * @request: sees every other request of the disk before it is served
 * @mute: no doorbell of the channel is ever rung
 * @denies: once a request is kept, the guest is made to
 *	ask INFO, and that is denied
 * @deaf: the host never looks at the channel
 * @joins: it is no disk of its own, but a queue of the one before it
 * @slow: the first WRITE of TRIGGER_LBA is kept, as one on the guest's own pages
 * @op: &enum nxblk_op that is not done,
 * @refusal: but answered with this &enum nxblk_status
 * @tick: called a hundred times a second, from the first READ of TRIGGER_LBA on
 * @ticks: how often; @tick gets how often it will be called yet
 * @unrest: begins what goes on by itself, at the first READ of TRIGGER_LBA
 * @size: of the disk in bytes, where it is not DISK_BYTES
 * @flips: the directory goes wrong and right again all the time, each time in a
 *	new generation of the window, and the guest is told
 * @foreign: this is no ION window at all, and nothing may be stored into it
 * @bytes: of shared memory, where it is not WINDOW_BYTES
 */
struct misdeed {
	const char *name;
	unsigned int times;
	void (*header)(struct ion_host_header *hdr, struct ion_dir_entry *dir);
	void (*config)(struct nxblk_config *config);
	void (*end)(struct ion_host_end *end);
	void (*answer)(struct disk *d, const struct nxblk_req *req,
		       const struct nxblk_resp *rsp);
	void (*request)(struct disk *d, const struct nxblk_req *req);
	uint8_t op;
	uint8_t refusal;
	void (*tick)(struct disk *d, unsigned int left);
	unsigned int ticks;
	const struct unrest *unrest;
	size_t size;
	bool mute;
	bool denies;
	bool deaf;
	bool joins;
	bool slow;
	bool flips;
	bool foreign;
	size_t bytes;
};

/* All there are, up to one without a name. */
extern const struct misdeed misdeeds[];
const struct misdeed *misdeed_find(const char *name);

/* rogue_host.c */
bool rogue_open(struct server *s, const struct misdeed *const *chosen,
		unsigned int nr);
void rogue_foreign(struct server *s);
void rogue_step(struct server *s, bool told);
bool rogue_close(struct server *s);
void disk_answer(struct disk *d, const struct nxblk_resp *rsp);
void disk_hint(struct disk *d);
void disk_erase(struct disk *d);

/* unrest.c */
extern const struct unrest unrest_flips;
extern const struct unrest unrest_storm;
extern const struct unrest unrest_noise;

/* Whoever compiles the rogue host has the thread; stop waits until it has ended. */
void unrest_begin(struct server *s, const struct unrest *what);
void unrest_stop(void);

#endif /* NEXUS_TESTS_ROGUE_HOST_H */
