/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small guest in user space: attaches to a window, shakes hands, issues block
 * requests and takes the answers. It is honest; rogue_guest.c bends it.
 */
#ifndef NEXUS_TESTS_GUEST_H
#define NEXUS_TESTS_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <nexus/ion_guest.h>
#include <nexus/nxblk_abi.h>

#include "ivshmem_client.h"

#define CHUNK (64u << 10)

/**
 * struct channel - one queue pair of the window
 * @iv: the connection
 * @dir: private copy of the directory entry
 * @end: the guest's half
 * @offer: last taken
 * @terms: last acknowledged
 * @config: answer to the last INFO
 * @cookie: of the last request
 * @requests: put into the ring so far
 */
struct channel {
	struct ivshmem *iv;
	struct ion_dir_entry dir;
	struct ion_guest_end end;
	struct ion_offer offer;
	struct ion_terms terms;
	struct nxblk_config config;
	uint64_t cookie;
	uint64_t requests;
};

/**
 * struct guest - the window as this guest sees it
 * @iv: the connection
 * @hdr: private copy of the validated header
 * @count: channels
 * @ch: the channels, in the order of the directory
 */
struct guest {
	struct ivshmem iv;
	struct ion_host_header hdr;
	unsigned int count;
	struct channel ch[16];
};

uint64_t now_us(void);
void fail(const char *format, ...)
	__attribute__((format(printf, 1, 2), noreturn));

void guest_open(struct guest *g, const char *path);
void guest_close(struct guest *g);

void channel_reset(struct channel *c);
void channel_ack(struct channel *c, const struct ion_terms *terms);
void channel_attach(struct channel *c);
uint32_t channel_wait_state(struct channel *c, uint32_t state);
void channel_expect_latch(struct channel *c, uint32_t reason);

struct nxblk_req channel_request(struct channel *c, uint8_t op, uint16_t tag);
struct nxblk_req channel_rw(struct channel *c, uint8_t op, uint16_t tag,
			    uint64_t lba, uint32_t count);
uint8_t *channel_data(struct channel *c, uint16_t tag);
void channel_put(struct channel *c, const struct nxblk_req *req);
void channel_publish(struct channel *c);
void channel_submit(struct channel *c, const struct nxblk_req *req);
bool channel_poll(struct channel *c, struct nxblk_resp *rsp, unsigned int ms);
uint8_t channel_status(struct channel *c, const struct nxblk_req *req);
void channel_info(struct channel *c);
void channel_verify(struct channel *c, unsigned int requests);

#endif /* NEXUS_TESTS_GUEST_H */
