/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The whole daemon, forked, with its keeper, and a guest in user space:
 *
 *   sim_guest --- window, doorbells --- rumpk_run() --- image
 *        \------- socket ------------- keeper
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rumpk/run.h"
#include "sim_guest.h"
#include "worker_of.h"

#define DISK_BYTES (8u << 20)
#define DISK_SECTORS (DISK_BYTES / 512)
#define ALL (~0ull)
#define DEPTH 64
#define MOST_ARGS 24

struct daemon {
	char dir[64];
	char socket[80];
	char image[80];
	char log[80];
	char window[80];
	bool use_file;
	const char *disks[4];
	unsigned int count;
	pid_t pid;
	struct sim_guest g;
};

static int wait_ready(int fd)
{
	char c;
	ssize_t n = read(fd, &c, 1);

	close(fd);
	return n == 1 && c == '\n' ? 0 : -1;
}

static void daemon_child(struct daemon *d, int ready)
{
	char *argv[MOST_ARGS] = { "rumpk",	 "--socket", d->socket,
				  "--log-level", "debug",    "--ready-fd" };
	char number[16];
	int argc = 6;
	unsigned int i;
	int log = open(d->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(number, sizeof(number), "%d", ready);
	argv[argc++] = number;
	for (i = 0; i < d->count; i++) {
		argv[argc++] = "--disk";
		argv[argc++] = (char *)d->disks[i];
	}
	if (d->use_file) {
		argv[argc++] = "--window-file";
		argv[argc++] = d->window;
	}
	dup2(log, 2);
	_exit(rumpk_run(argc, argv));
}

static int daemon_start(struct daemon *d)
{
	int p[2];

	assert_int_equal(pipe(p), 0);
	d->pid = fork();
	assert_true(d->pid >= 0);
	if (d->pid == 0) {
		close(p[0]);
		daemon_child(d, p[1]);
	}
	close(p[1]);
	return wait_ready(p[0]);
}

static int daemon_wait(struct daemon *d)
{
	int status = -1;

	assert_int_equal(waitpid(d->pid, &status, 0), d->pid);
	d->pid = 0;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256;
}

static int daemon_stop(struct daemon *d, int signal)
{
	assert_int_equal(kill(d->pid, signal), 0);
	return daemon_wait(d);
}

static void guest_start(struct daemon *d)
{
	assert_int_equal(sim_connect(&d->g, d->socket, d->count, d->count + 1),
			 0);
	assert_int_equal(sim_bind(&d->g, 0), 0);
	assert_int_equal(sim_attach(&d->g, ALL, DEPTH), 0);
}

static int setup(void **state)
{
	struct daemon *d = calloc(1, sizeof(*d));
	static char spec[96];
	int fd;

	strcpy(d->dir, "/dev/shm/rumpk-unit-XXXXXX");
	assert_non_null(mkdtemp(d->dir));
	snprintf(d->socket, sizeof(d->socket), "%s/s", d->dir);
	snprintf(d->image, sizeof(d->image), "%s/image", d->dir);
	snprintf(d->log, sizeof(d->log), "%s/log", d->dir);
	snprintf(d->window, sizeof(d->window), "%s/window", d->dir);
	fd = open(d->image, O_RDWR | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, DISK_BYTES), 0);
	close(fd);
	snprintf(spec, sizeof(spec), "file=%s", d->image);
	d->disks[0] = spec;
	d->count = 1;
	*state = d;
	return 0;
}

/* Whatever a test did, nothing is left of the cell. */
static int teardown(void **state)
{
	struct daemon *d = *state;
	char keeper[96];
	int i;

	snprintf(keeper, sizeof(keeper), "%s.keeper", d->socket);
	if (d->g.base)
		sim_disconnect(&d->g);
	if (d->pid && daemon_stop(d, SIGTERM))
		return -1;
	for (i = 0; i < 500 && access(keeper, F_OK) == 0; i++)
		usleep(10000);
	unlink(d->log);
	unlink(d->image);
	if (rmdir(d->dir) < 0) {
		print_error("%s is not empty\n", d->dir);
		return -1;
	}
	free(d);
	return 0;
}

static char *log_text(struct daemon *d)
{
	static char text[1 << 20];
	int fd = open(d->log, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* A counter in the last line of statistics of a channel. */
static uint64_t counter(struct daemon *d, int channel, const char *name)
{
	char key[64];
	char *line = NULL;
	char *next = log_text(d);

	snprintf(key, sizeof(key), "channel=%d stats ", channel);
	while ((next = strstr(next, key)))
		line = next++;
	assert_non_null(line);
	snprintf(key, sizeof(key), " %s=", name);
	line = strstr(line, key);
	assert_non_null(line);
	return strtoull(line + strlen(key), NULL, 10);
}

static void image_read(struct daemon *d, void *to, uint64_t lba, uint32_t count)
{
	int fd = open(d->image, O_RDONLY);

	assert_int_equal(pread(fd, to, count * 512, (off_t)(lba * 512)),
			 count * 512);
	close(fd);
}

static void cell_exchanges_blocks(void **state)
{
	struct daemon *d = *state;
	struct nxblk_config config;
	static uint8_t block[4096];
	int i;

	assert_int_equal(daemon_start(d), 0);
	guest_start(d);
	assert_int_equal(sim_info(&d->g, &config), NXBLK_S_OK);
	assert_int_equal(config.capacity, DISK_SECTORS);
	assert_int_equal(config.max_sectors, 2048);
	for (i = 0; i < 64; i++) {
		memset(sim_data(&d->g), i + 1, 4096);
		assert_int_equal(sim_rw(&d->g, NXBLK_OP_WRITE, (uint64_t)i * 100,
					8, i % 3 ? 0 : NXBLK_REQ_FUA),
				 NXBLK_S_OK);
		image_read(d, block, (uint64_t)i * 100, 8);
		assert_memory_equal(block, sim_data(&d->g), 4096);
	}
	assert_int_equal(sim_rw(&d->g, NXBLK_OP_READ, 100, 8, 0), NXBLK_S_OK);
	assert_int_equal(sim_data(&d->g)[4095], 2);
	assert_int_equal(sim_simple(&d->g, NXBLK_OP_FLUSH, 0, 0, 0), NXBLK_S_OK);
	assert_int_equal(sim_simple(&d->g, NXBLK_OP_WRITE_ZEROES, 100, 8, 0),
			 NXBLK_S_OK);
	image_read(d, block, 100, 8);
	for (i = 0; i < 4096; i++)
		assert_int_equal(block[i], 0);
	assert_int_equal(sim_rw(&d->g, NXBLK_OP_READ, DISK_SECTORS - 1, 2, 0),
			 NXBLK_S_RANGE);
	assert_int_equal(daemon_stop(d, SIGTERM), 0);
	assert_int_equal(counter(d, 0, "writes"), 64);
	assert_int_equal(counter(d, 0, "fua"), 22);
	assert_int_equal(counter(d, 0, "flushes"), 1);
	assert_int_equal(counter(d, 0, "range"), 1);
	assert_int_equal(counter(d, 0, "infos"), 1);
	assert_int_equal(counter(d, 0, "written_bytes"), 64 * 4096);
}

/* Requests that no doorbell announced are served within the safety period. */
static void cell_serves_without_doorbells(void **state)
{
	struct daemon *d = *state;
	struct nxblk_resp rsp;
	struct nxblk_req req;
	int i;

	assert_int_equal(daemon_start(d), 0);
	guest_start(d);
	for (i = 0; i < 5; i++) {
		usleep(150000);
		sim_prepare(&d->g, &req, NXBLK_OP_FLUSH, 0);
		sim_put(&d->g, &req);
		ion_prod_publish(&d->g.end.req);
		assert_int_equal(sim_answer(&d->g, &rsp, 300), 0);
		assert_int_equal(rsp.status, NXBLK_S_OK);
	}
}

/* A guest that takes no answers gets no more served than has a place. */
static void cell_holds_back(void **state)
{
	struct daemon *d = *state;
	struct nxblk_resp rsp;
	struct nxblk_req req;
	uint32_t entries;
	uint32_t i;

	assert_int_equal(daemon_start(d), 0);
	guest_start(d);
	entries = d->g.end.req.mask + 1;
	for (i = 0; i < 2 * entries; i++) {
		sim_prepare(&d->g, &req, NXBLK_OP_FLUSH, (uint16_t)(i % DEPTH));
		sim_send(&d->g, &req);
	}
	usleep(300000);
	assert_int_equal(ion_cons_avail(&d->g.end.rsp), entries);
	assert_int_equal(ion_prod_free(&d->g.end.req), 0);
	for (i = 0; i < 2 * entries; i++) {
		assert_int_equal(sim_answer(&d->g, &rsp, 2000), 0);
		assert_int_equal(rsp.cookie, i + 1);
	}
	assert_int_equal(sim_rw(&d->g, NXBLK_OP_READ, 0, 8, 0), NXBLK_S_OK);
}

static void expect_latch(struct daemon *d, uint32_t reason)
{
	assert_true(sim_wait_state(&d->g, ION_HOST_LATCHED, 1000));
	assert_int_equal(d->g.end.theirs->reason, reason);
	assert_int_equal(sim_attach(&d->g, ALL, DEPTH), 0);
	assert_int_equal(sim_rw(&d->g, NXBLK_OP_READ, 0, 8, 0), NXBLK_S_OK);
}

static void cell_latches_broken_indices(void **state)
{
	static const uint32_t jumps[] = { 257, 0x80000000u, 0xfffffffeu };
	struct daemon *d = *state;
	struct ion_guest_channel *mine;
	size_t i;

	assert_int_equal(daemon_start(d), 0);
	guest_start(d);
	mine = d->g.end.mine;
	for (i = 0; i < ARRAY_SIZE(jumps); i++) {
		ion_write(&mine->req_prod, mine->req_prod + jumps[i]);
		sim_ring(&d->g);
		expect_latch(d, ION_REASON_REQ_PROD);
		ion_write(&mine->rsp_cons, mine->rsp_cons + jumps[i]);
		expect_latch(d, ION_REASON_RSP_CONS);
	}
	ion_write(&mine->state, 77);
	expect_latch(d, ION_REASON_GUEST_STATE);
	assert_int_equal(daemon_stop(d, SIGTERM), 0);
	assert_int_equal(counter(d, 0, "latches"), 7);
	assert_int_equal(counter(d, 0, "requests"), 7);
}

static void cell_refuses_bad_terms(void **state)
{
	struct daemon *d = *state;

	assert_int_equal(daemon_start(d), 0);
	guest_start(d);
	assert_int_equal(sim_reset(&d->g, 5), 0);
	sim_ack(&d->g, 0, 1);
	expect_latch(d, ION_REASON_DEPTH);
	assert_int_equal(sim_reset(&d->g, 6), 0);
	sim_ack(&d->g, 0, 129);
	expect_latch(d, ION_REASON_DEPTH);
	assert_int_equal(sim_reset(&d->g, 7), 0);
	sim_ack(&d->g, NXBLK_F_ZERO_COPY, 2);
	expect_latch(d, ION_REASON_FEATURES);
}

/* Dirt in the whole window must not keep the next guest out. */
static void cell_survives_a_wiped_window(void **state)
{
	struct daemon *d = *state;
	uint64_t i;
	int round;

	assert_int_equal(daemon_start(d), 0);
	guest_start(d);
	srand(3);
	for (round = 0; round < 10; round++) {
		for (i = 0; i < d->g.hdr.data.offset; i++)
			d->g.base[i] = (uint8_t)rand();
		sim_ring(&d->g);
		usleep(20000);
		sim_disconnect(&d->g);
		usleep(150000);
		guest_start(d);
		assert_int_equal(sim_rw(&d->g, NXBLK_OP_READ, 0, 8, 0),
				 NXBLK_S_OK);
	}
}

/* Random requests, random table entries, at full speed. */
static void cell_survives_noise(void **state)
{
	struct daemon *d = *state;
	struct nxblk_resp rsp;
	struct nxblk_req req;
	unsigned int sent = 0;
	unsigned int answered = 0;
	unsigned int i;
	uint8_t *table;

	assert_int_equal(daemon_start(d), 0);
	guest_start(d);
	table = d->g.base + d->g.dir.indirect.offset;
	srand(11);
	for (i = 0; i < 50000; i++) {
		uint8_t *bytes = (uint8_t *)&req;

		sim_prepare(&d->g, &req, (uint8_t)(rand() % 8),
			    (uint16_t)(rand() % (DEPTH + 4)));
		req.lba = (uint64_t)rand() % DISK_SECTORS;
		req.count = (uint32_t)rand() % 16;
		req.nseg = (uint16_t)(rand() % 3);
		req.seg[0].addr = d->g.dir.data.offset;
		req.seg[0].len = req.count * 512;
		if (rand() % 4 == 0)
			bytes[(size_t)rand() % 20] = (uint8_t)rand();
		table[rand() % 4096] = (uint8_t)rand();
		sim_send(&d->g, &req);
		sent++;
		while (ion_cons_avail(&d->g.end.rsp)) {
			ion_cons_get(&d->g.end.rsp, &rsp);
			ion_cons_release(&d->g.end.rsp);
			answered++;
		}
	}
	usleep(200000);
	answered += ion_cons_avail(&d->g.end.rsp);
	assert_int_equal(daemon_stop(d, SIGTERM), 0);
	assert_int_equal(counter(d, 0, "requests"), sent);
	assert_int_equal(counter(d, 0, "stale"), sent - answered);
	assert_int_equal(counter(d, 0, "latches"), 0);
}

static void cell_resizes(void **state)
{
	struct daemon *d = *state;
	const struct nxblk_config *page;
	struct nxblk_config config;
	uint32_t sequence;
	int i;

	assert_int_equal(daemon_start(d), 0);
	guest_start(d);
	page = (void *)(d->g.base + d->g.dir.config.offset);
	sequence = ion_read(&page->sequence);
	assert_int_equal(sequence % 2, 0);
	assert_int_equal(truncate(d->image, 2 * DISK_BYTES), 0);
	assert_int_equal(kill(d->pid, SIGHUP), 0);
	for (i = 0; i < 200 && ion_read(&page->sequence) != sequence + 2; i++)
		usleep(10000);
	assert_int_equal(page->capacity, 2 * DISK_SECTORS);
	assert_int_equal(sim_info(&d->g, &config), NXBLK_S_OK);
	assert_int_equal(config.capacity, 2 * DISK_SECTORS);
	assert_int_equal(config.sequence, sequence + 2);
	assert_int_equal(sim_rw(&d->g, NXBLK_OP_WRITE, 2 * DISK_SECTORS - 8, 8, 0),
			 NXBLK_S_OK);
	assert_int_equal(truncate(d->image, DISK_BYTES / 2), 0);
	assert_int_equal(sim_rw(&d->g, NXBLK_OP_READ, DISK_SECTORS, 8, 0),
			 NXBLK_S_IOERR);
	assert_int_equal(kill(d->pid, SIGHUP), 0);
	for (i = 0; i < 200 && ion_read(&page->sequence) != sequence + 4; i++)
		usleep(10000);
	assert_int_equal(sim_rw(&d->g, NXBLK_OP_WRITE, DISK_SECTORS, 8, 0),
			 NXBLK_S_RANGE);
}

/* Killed and started again: the same guest goes on, without a new handshake of
 * its own making, and what was acknowledged is there.
 */
static void cell_comes_back(int signal, struct daemon *d)
{
	static char mem[] = "mem=4M";
	struct ion_host_channel *record;
	uint64_t generation;
	int i;

	d->disks[1] = mem;
	d->count = 2;
	assert_int_equal(daemon_start(d), 0);
	guest_start(d);
	for (i = 0; i < 5; i++) {
		memset(sim_data(&d->g), 0x40 + i, 4096);
		assert_int_equal(sim_rw(&d->g, NXBLK_OP_WRITE, (uint64_t)i * 8,
					8, 0),
				 NXBLK_S_OK);
		generation = d->g.end.generation;
		daemon_stop(d, signal);
		/* What stands in the window is not what counts. */
		record = (void *)(d->g.base + d->g.dir.host_channel);
		ion_write(&record->generation, 99);
		assert_int_equal(daemon_start(d), 0);
		assert_true(ion_guest_lost(&d->g.end));
		assert_int_equal(sim_wait_offer(&d->g, 2000), 0);
		assert_int_equal(d->g.offer.generation, generation + 1);
		sim_ack(&d->g, NXBLK_F_FLUSH, DEPTH);
		assert_true(sim_wait_state(&d->g, ION_HOST_LIVE, 2000));
		assert_int_equal(sim_rw(&d->g, NXBLK_OP_READ, (uint64_t)i * 8,
					8, 0),
				 NXBLK_S_OK);
		assert_int_equal(sim_data(&d->g)[0], 0x40 + i);
	}
}

static void cell_comes_back_after_kill(void **state)
{
	cell_comes_back(SIGKILL, *state);
}

static void cell_comes_back_after_term(void **state)
{
	cell_comes_back(SIGTERM, *state);
}

static void cell_keeps_memory_disks(void **state)
{
	struct daemon *d = *state;

	d->disks[0] = "mem=4M";
	assert_int_equal(daemon_start(d), 0);
	guest_start(d);
	memset(sim_data(&d->g), 0x77, 4096);
	assert_int_equal(sim_rw(&d->g, NXBLK_OP_WRITE, 80, 8, 0), NXBLK_S_OK);
	daemon_stop(d, SIGKILL);
	assert_int_equal(daemon_start(d), 0);
	assert_int_equal(sim_attach(&d->g, ALL, DEPTH), 0);
	memset(sim_data(&d->g), 0, 4096);
	assert_int_equal(sim_rw(&d->g, NXBLK_OP_READ, 80, 8, 0), NXBLK_S_OK);
	assert_int_equal(sim_data(&d->g)[4095], 0x77);
}

static void cell_refuses_other_disks(void **state)
{
	struct daemon *d = *state;
	const char *first = d->disks[0];
	char other[128];

	assert_int_equal(daemon_start(d), 0);
	guest_start(d);
	daemon_stop(d, SIGKILL);
	d->disks[1] = "mem=1M";
	d->count = 2;
	assert_int_not_equal(daemon_start(d), 0);
	assert_int_equal(daemon_wait(d), 2);
	d->count = 1;
	snprintf(other, sizeof(other), "%s,strict", first);
	d->disks[0] = other;
	assert_int_not_equal(daemon_start(d), 0);
	assert_int_equal(daemon_wait(d), 2);
	d->disks[0] = "mem=8M";
	assert_int_not_equal(daemon_start(d), 0);
	assert_int_equal(daemon_wait(d), 2);
	d->disks[0] = first;
	assert_int_equal(daemon_start(d), 0);
	assert_int_equal(sim_attach(&d->g, ALL, DEPTH), 0);
}

static void cell_obeys_capabilities(void **state)
{
	struct daemon *d = *state;
	static char spec[4][128];
	struct nxblk_config config;

	snprintf(spec[0], sizeof(spec[0]), "file=%s,ro", d->image);
	d->disks[0] = spec[0];
	d->disks[1] = "mem=4M,cap=none";
	d->disks[2] = "mem=4M,cap=rw:100-199";
	d->disks[3] = "mem=4M,strict,bs=4096";
	d->count = 4;
	assert_int_equal(daemon_start(d), 0);
	guest_start(d);
	assert_int_equal(sim_info(&d->g, &config), NXBLK_S_OK);
	assert_int_equal(config.flags, NXBLK_CFG_READ_ONLY);
	assert_int_equal(sim_rw(&d->g, NXBLK_OP_WRITE, 0, 8, 0), NXBLK_S_PERM);
	assert_int_equal(sim_bind(&d->g, 1), 0);
	assert_int_equal(sim_attach(&d->g, ALL, DEPTH), 0);
	assert_int_equal(sim_info(&d->g, &config), NXBLK_S_PERM);
	assert_int_equal(sim_rw(&d->g, NXBLK_OP_READ, 0, 8, 0), NXBLK_S_PERM);
	d->g.dir.cap_slot = 2;
	assert_int_equal(sim_rw(&d->g, NXBLK_OP_READ, 100, 8, 0), NXBLK_S_PERM);
	assert_int_equal(sim_bind(&d->g, 2), 0);
	assert_int_equal(sim_attach(&d->g, ALL, DEPTH), 0);
	assert_int_equal(sim_rw(&d->g, NXBLK_OP_WRITE, 100, 100, 0), NXBLK_S_OK);
	assert_int_equal(sim_rw(&d->g, NXBLK_OP_WRITE, 196, 8, 0), NXBLK_S_PERM);
	assert_int_equal(sim_simple(&d->g, NXBLK_OP_DISCARD, 100, 8, 0),
			 NXBLK_S_PERM);
	assert_int_equal(sim_bind(&d->g, 3), 0);
	assert_int_equal(sim_attach(&d->g, ALL, DEPTH), 0);
	assert_int_equal(d->g.offer.features, NXBLK_F_INDIRECT);
	assert_int_equal(sim_simple(&d->g, NXBLK_OP_FLUSH, 0, 0, 0),
			 NXBLK_S_UNSUPP);
	assert_int_equal(sim_rw(&d->g, NXBLK_OP_WRITE, 8, 4, 0), NXBLK_S_INVAL);
	assert_int_equal(sim_rw(&d->g, NXBLK_OP_WRITE, 8, 8, 0), NXBLK_S_OK);
}

/* A window in a file: private, gone with the cell, never somebody's file. */
static void cell_lives_in_a_file(void **state)
{
	struct daemon *d = *state;
	struct stat st;
	int fd;

	d->use_file = true;
	fd = open(d->window, O_RDWR | O_CREAT, 0644);
	assert_int_equal(write(fd, "precious", 8), 8);
	assert_int_not_equal(daemon_start(d), 0);
	assert_int_equal(daemon_wait(d), 2);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 8);
	/* An empty one is somebody's too. */
	assert_int_equal(ftruncate(fd, 0), 0);
	close(fd);
	assert_int_not_equal(daemon_start(d), 0);
	assert_int_equal(daemon_wait(d), 2);
	assert_int_equal(unlink(d->window), 0);
	assert_int_equal(daemon_start(d), 0);
	guest_start(d);
	assert_int_equal(stat(d->window, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(sim_rw(&d->g, NXBLK_OP_READ, 0, 8, 0), NXBLK_S_OK);
	daemon_stop(d, SIGKILL);
	assert_int_equal(daemon_start(d), 0);
	assert_int_equal(sim_attach(&d->g, ALL, DEPTH), 0);
	/* teardown finds the directory empty. */
}

/* A start that fails leaves nothing either. */
static void cell_fails_without_a_trace(void **state)
{
	struct daemon *d = *state;

	d->use_file = true;
	d->disks[1] = "file=/nonexistent";
	d->count = 2;
	assert_int_not_equal(daemon_start(d), 0);
	assert_int_equal(daemon_wait(d), 2);
	assert_int_not_equal(access(d->window, F_OK), 0);
	assert_int_not_equal(access(d->socket, F_OK), 0);
}

/* Sockets of a cell that died as a whole are replaced. */
static void cell_replaces_stale_sockets(void **state)
{
	struct daemon *d = *state;
	char keeper[96];
	int i;

	snprintf(keeper, sizeof(keeper), "%s.keeper", d->socket);
	for (i = 0; i < 2; i++) {
		struct sockaddr_un addr = { .sun_family = AF_UNIX };
		int fd = socket(AF_UNIX, i ? SOCK_SEQPACKET : SOCK_STREAM, 0);

		strcpy(addr.sun_path, i ? keeper : d->socket);
		assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)),
				 0);
		close(fd);
	}
	assert_int_equal(daemon_start(d), 0);
	guest_start(d);
}

/* Who only reads the directory, as everybody may, holds up nobody. */
static void cell_does_not_wait_for_its_directory(void **state)
{
	struct daemon *d = *state;
	int fd = open(d->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct timespec begun;
	struct timespec now;

	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	clock_gettime(CLOCK_MONOTONIC, &begun);
	assert_int_equal(daemon_start(d), 0);
	clock_gettime(CLOCK_MONOTONIC, &now);
	assert_in_range(now.tv_sec - begun.tv_sec, 0, 9);
	close(fd);
	guest_start(d);
}

/* A lock that is anybody else's is refused at once, and stays. */
static void cell_refuses_a_strangers_lock(void **state)
{
	struct daemon *d = *state;
	char lock[96];
	int fd;

	if (geteuid())
		skip();
	snprintf(lock, sizeof(lock), "%s.lock", d->socket);
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	assert_int_equal(fchown(fd, 65534, 65534), 0);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	assert_int_not_equal(daemon_start(d), 0);
	assert_int_equal(daemon_wait(d), 2);
	assert_non_null(
		strstr(log_text(d),
		       "is a lock of uid 65534, and must be one of uid 0"));
	assert_int_equal(unlink(lock), 0);
	assert_int_equal(symlink(d->image, lock), 0);
	assert_int_not_equal(daemon_start(d), 0);
	assert_int_equal(daemon_wait(d), 2);
	assert_int_equal(unlink(lock), 0);
	close(fd);
}

/* Who had the lock has removed it: it is no longer the one that counts. */
static void cell_waits_for_a_lock_that_goes(void **state)
{
	struct daemon *d = *state;
	char lock[96];
	pid_t holder;
	int status;
	int fd;

	snprintf(lock, sizeof(lock), "%s.lock", d->socket);
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	holder = fork();
	if (!holder) {
		usleep(300000);
		_exit(access(d->socket, F_OK) == 0 || unlink(lock));
	}
	close(fd);
	assert_int_equal(daemon_start(d), 0);
	assert_int_equal(waitpid(holder, &status, 0), holder);
	assert_int_equal(status, 0);
	assert_int_not_equal(access(lock, F_OK), 0);
	guest_start(d);
}

/* What listens there and is no keeper stays. */
static void cell_leaves_other_sockets_alone(void **state)
{
	struct daemon *d = *state;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(addr.sun_path, d->socket);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_not_equal(daemon_start(d), 0);
	assert_int_equal(daemon_wait(d), 2);
	assert_int_equal(access(d->socket, F_OK), 0);
	close(fd);
	unlink(d->socket);
}

static void cell_beats(void **state)
{
	struct daemon *d = *state;
	const struct ion_host_header *h;
	uint64_t before;

	assert_int_equal(daemon_start(d), 0);
	guest_start(d);
	h = (void *)d->g.base;
	before = ion_read(&h->heartbeat);
	usleep(1000000);
	assert_true(ion_read(&h->heartbeat) - before >= 10);
}

static void cell_says_gone(void **state)
{
	struct daemon *d = *state;
	const struct ion_host_header *h;

	assert_int_equal(daemon_start(d), 0);
	guest_start(d);
	h = (void *)d->g.base;
	assert_int_equal(ion_read(&h->state), ION_HOST_READY);
	assert_int_equal(daemon_stop(d, SIGINT), 0);
	assert_int_equal(ion_read(&h->state), ION_HOST_GONE);
	assert_int_equal(ion_read(&d->g.end.theirs->state), ION_HOST_GONE);
}

/* Idle, latched, or under a storm of doorbells: the daemon's CPU time. */
static uint64_t cpu_ms(pid_t pid)
{
	char path[64];
	char text[512];
	unsigned long user;
	unsigned long system;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	sscanf(strrchr(text, ')') + 2,
	       "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
	       &system);
	return (user + system) * 1000 / (unsigned long)sysconf(_SC_CLK_TCK);
}

static void cell_rests(void **state)
{
	struct daemon *d = *state;
	uint64_t before;

	assert_int_equal(daemon_start(d), 0);
	guest_start(d);
	before = cpu_ms(worker_of(d->pid));
	usleep(1000000);
	assert_true(cpu_ms(worker_of(d->pid)) - before < 100);
	ion_write(&d->g.end.mine->req_prod, d->g.end.mine->req_prod + 1000);
	sim_ring(&d->g);
	assert_true(sim_wait_state(&d->g, ION_HOST_LATCHED, 1000));
	before = cpu_ms(worker_of(d->pid));
	usleep(1000000);
	assert_true(cpu_ms(worker_of(d->pid)) - before < 100);
	assert_int_equal(sim_attach(&d->g, ALL, DEPTH), 0);
}

static unsigned long sleeps(pid_t pid)
{
	char path[64];
	char line[128];
	unsigned long n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	while (fgets(line, sizeof(line), f))
		sscanf(line, "voluntary_ctxt_switches: %lu", &n);
	fclose(f);
	return n;
}

/* Who rings for nothing, again and again, is not listened to each time. */
static void cell_ignores_a_storm(void **state)
{
	struct daemon *d = *state;
	unsigned long before;
	int i;

	assert_int_equal(daemon_start(d), 0);
	guest_start(d);
	before = sleeps(worker_of(d->pid));
	for (i = 0; i < 4000; i++) {
		sim_ring(&d->g);
		usleep(150);
	}
	assert_true(sleeps(worker_of(d->pid)) - before < 2000);
	assert_int_equal(sim_rw(&d->g, NXBLK_OP_READ, 0, 8, 0), NXBLK_S_OK);
	assert_int_equal(daemon_stop(d, SIGTERM), 0);
	assert_true(counter(d, 0, "doorbells_in") >= 4000);
}

#define cell_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cell_test(cell_exchanges_blocks),
		cell_test(cell_serves_without_doorbells),
		cell_test(cell_holds_back),
		cell_test(cell_latches_broken_indices),
		cell_test(cell_refuses_bad_terms),
		cell_test(cell_survives_a_wiped_window),
		cell_test(cell_survives_noise),
		cell_test(cell_resizes),
		cell_test(cell_comes_back_after_kill),
		cell_test(cell_comes_back_after_term),
		cell_test(cell_keeps_memory_disks),
		cell_test(cell_refuses_other_disks),
		cell_test(cell_obeys_capabilities),
		cell_test(cell_lives_in_a_file),
		cell_test(cell_fails_without_a_trace),
		cell_test(cell_replaces_stale_sockets),
		cell_test(cell_does_not_wait_for_its_directory),
		cell_test(cell_refuses_a_strangers_lock),
		cell_test(cell_waits_for_a_lock_that_goes),
		cell_test(cell_leaves_other_sockets_alone),
		cell_test(cell_beats),
		cell_test(cell_says_gone),
		cell_test(cell_rests),
		cell_test(cell_ignores_a_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
