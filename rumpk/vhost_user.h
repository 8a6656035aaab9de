/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The front end's side of the vhost-user protocol, as far as one queue of a
 * block device needs it. It is handed a connected socket and opens nothing.
 *
 * Every reply is judged: which request it answers, its flags, its size, that no
 * descriptor came with it. Every exchange ends at a deadline. The first failure
 * latches the connection, with the reason: what comes after it on the socket
 * can answer anything, so nothing more is sent or believed.
 */
#ifndef RUMPK_VHOST_USER_H
#define RUMPK_VHOST_USER_H

#include <stdbool.h>
#include <stdint.h>

#include <nexus/ion_os.h>

/* A feature bit of the device that is the protocol's own. */
#define VHOST_USER_F_PROTOCOL_FEATURES (1ull << 30)

/* Protocol features. */
#define VHOST_USER_PROTOCOL_F_REPLY_ACK (1ull << 3)
#define VHOST_USER_PROTOCOL_F_BACKEND_REQ (1ull << 5)
#define VHOST_USER_PROTOCOL_F_CONFIG (1ull << 9)

enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_SET_VRING_ERR = 14,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_SET_VRING_ENABLE = 18,
	VHOST_USER_SET_BACKEND_REQ_FD = 21,
	VHOST_USER_GET_CONFIG = 24,
	VHOST_USER_SET_CONFIG = 25,
};

/* What a device may send on its own channel. */
#define VHOST_USER_BACKEND_CONFIG_CHANGE 2u

/* Header flags: the version is 1. */
#define VHOST_USER_VERSION 1u
#define VHOST_USER_VERSION_MASK 3u
#define VHOST_USER_REPLY 4u
#define VHOST_USER_NEED_REPLY 8u

#define VHOST_USER_MAX_REGIONS 8u
#define VHOST_USER_MAX_CONFIG 256u

struct vhost_user_header {
	__u32 request;
	__u32 flags;
	__u32 size;
};
ION_ASSERT_SIZE(struct vhost_user_header, 12);

struct vhost_user_region {
	__u64 guest_addr;
	__u64 size;
	__u64 user_addr;
	__u64 mmap_offset;
};
ION_ASSERT_SIZE(struct vhost_user_region, 32);

struct vhost_user_vring_state {
	__u32 index;
	__u32 num;
};
ION_ASSERT_SIZE(struct vhost_user_vring_state, 8);

struct vhost_user_vring_addr {
	__u32 index;
	__u32 flags;
	__u64 desc;
	__u64 used;
	__u64 avail;
	__u64 log;
};
ION_ASSERT_SIZE(struct vhost_user_vring_addr, 40);

/**
 * struct vhost_user - a connection to a device
 * @sock: to the device
 * @backend: our end of the device's own channel; -1: none
 * @timeout_ms: for each exchange
 * @ack: each request is acknowledged
 * @broken: why it is broken; NULL: it is not
 */
struct vhost_user {
	int sock;
	int backend;
	unsigned int timeout_ms;
	bool ack;
	const char *broken;
};

void vhost_user_open(struct vhost_user *vu, int sock, unsigned int timeout_ms);
void vhost_user_close(struct vhost_user *vu);
int vhost_user_get(struct vhost_user *vu, enum vhost_user_request request,
		   uint64_t *value);
int vhost_user_set(struct vhost_user *vu, enum vhost_user_request request,
		   uint64_t value);
int vhost_user_set_owner(struct vhost_user *vu);
int vhost_user_set_memory(struct vhost_user *vu,
			  const struct vhost_user_region *region,
			  const int *fds, unsigned int count);
int vhost_user_set_vring(struct vhost_user *vu, enum vhost_user_request request,
			 uint32_t index, uint32_t num);
int vhost_user_set_vring_addr(struct vhost_user *vu,
			      const struct vhost_user_vring_addr *addr);
int vhost_user_set_vring_fd(struct vhost_user *vu,
			    enum vhost_user_request request, uint8_t index,
			    int fd);
int vhost_user_set_backend(struct vhost_user *vu);
int vhost_user_get_config(struct vhost_user *vu, void *config, uint32_t size);
int vhost_user_set_config(struct vhost_user *vu, uint32_t offset,
			  const void *data, uint32_t size);
int vhost_user_look(struct vhost_user *vu, bool *changed);

#endif /* RUMPK_VHOST_USER_H */
