/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A well-behaved guest in user space: connects to an ivshmem server as QEMU
 * does, attaches to a window as the kernel module does, and does block I/O one
 * request or many at a time. Tests break rules by writing to what it exposes.
 */
#ifndef TESTS_SIM_GUEST_H
#define TESTS_SIM_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <nexus/ion_guest.h>
#include <nexus/ion_validate.h>
#include <nexus/nxblk_abi.h>

#define SIM_VECTORS 64

/**
 * struct sim_guest - one guest with one channel
 * @sock: connection to the server
 * @window_fd: shared memory
 * @base: mapping
 * @length: of it
 * @id: own peer number
 * @host_bells: eventfds that ring the host
 * @nhost: of them
 * @bells: eventfds that the host rings
 * @nbells: of them
 * @hdr: validated header
 * @dir: validated entry of the channel
 * @end: rings
 * @offer: acknowledged
 * @cookie: of the last request
 */
struct sim_guest {
	int sock;
	int window_fd;
	uint8_t *base;
	uint64_t length;
	int64_t id;
	int host_bells[SIM_VECTORS];
	unsigned int nhost;
	int bells[SIM_VECTORS];
	unsigned int nbells;
	struct ion_host_header hdr;
	struct ion_dir_entry dir;
	struct ion_guest_end end;
	struct ion_offer offer;
	uint64_t cookie;
};

int sim_connect(struct sim_guest *g, const char *path, unsigned int nhost,
		unsigned int nguest);
void sim_disconnect(struct sim_guest *g);
int sim_bind(struct sim_guest *g, unsigned int channel);
int sim_reset(struct sim_guest *g, uint64_t id);
int sim_wait_offer(struct sim_guest *g, unsigned int ms);
void sim_ack(struct sim_guest *g, uint64_t features, uint32_t depth);
int sim_attach(struct sim_guest *g, uint64_t features, uint32_t depth);
void sim_ring(struct sim_guest *g);
void sim_prepare(struct sim_guest *g, struct nxblk_req *req, uint8_t op,
		 uint16_t tag);
void sim_put(struct sim_guest *g, const struct nxblk_req *req);
void sim_send(struct sim_guest *g, const struct nxblk_req *req);
int sim_answer(struct sim_guest *g, struct nxblk_resp *rsp, unsigned int ms);
int sim_do(struct sim_guest *g, const struct nxblk_req *req,
	   struct nxblk_resp *rsp);
uint8_t *sim_data(struct sim_guest *g);
int sim_rw(struct sim_guest *g, uint8_t op, uint64_t lba, uint32_t count,
	   uint16_t flags);
int sim_simple(struct sim_guest *g, uint8_t op, uint64_t lba, uint32_t count,
	       uint16_t flags);
int sim_info(struct sim_guest *g, struct nxblk_config *config);
bool sim_wait_state(struct sim_guest *g, uint32_t state, unsigned int ms);

#endif /* TESTS_SIM_GUEST_H */
