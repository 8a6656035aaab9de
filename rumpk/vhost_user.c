/* SPDX-License-Identifier: GPL-2.0-only */
#include "vhost_user.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unix.h"
#include "util.h"

/* Messages of a device's own that are taken at one look. */
#define MOST_AT_A_LOOK 16

struct memory_payload {
	__u32 count;
	__u32 padding;
	struct vhost_user_region region[VHOST_USER_MAX_REGIONS];
};
ION_ASSERT_OFFSET(struct memory_payload, region, 8);

struct config_payload {
	__u32 offset;
	__u32 size;
	__u32 flags;
	__u8 data[VHOST_USER_MAX_CONFIG];
};
ION_ASSERT_OFFSET(struct config_payload, data, 12);

/**
 * struct message - what goes over the socket at once
 * @header: header
 * @u64: payload of most requests
 * @state: payload
 * @addr: payload
 * @memory: payload
 * @config: payload
 */
struct message {
	struct vhost_user_header header;
	union {
		__u64 u64;
		struct vhost_user_vring_state state;
		struct vhost_user_vring_addr addr;
		struct memory_payload memory;
		struct config_payload config;
	} __attribute__((packed));
} __attribute__((packed));

static int vu_break(struct vhost_user *vu, const char *why, int err)
{
	if (!vu->broken)
		vu->broken = why;
	return err;
}

static int vu_gone(struct vhost_user *vu)
{
	return vu_break(vu, "it closed the connection", -ECONNRESET);
}

/* Wait for @events, or the deadline. A hang-up is found by what follows. */
static int vu_wait(struct vhost_user *vu, short events, uint64_t deadline)
{
	struct pollfd p = { .fd = vu->sock, .events = events };
	uint64_t now = now_ms();
	int n;

	if (now >= deadline)
		return vu_break(vu, "it does not answer", -ETIMEDOUT);
	n = poll(&p, 1, (int)(deadline - now));
	return n < 0 && errno != EINTR ? vu_break(vu, "poll", -errno) : 0;
}

static bool again(ssize_t n)
{
	return n == -EAGAIN || n == -EWOULDBLOCK || n == -EINTR;
}

/* Descriptors go with the first byte. */
static int vu_send(struct vhost_user *vu, const struct message *m,
		   const int *fds, unsigned int nfds, uint64_t deadline)
{
	size_t length = sizeof(m->header) + m->header.size;
	size_t at = 0;

	while (at < length) {
		ssize_t n = unix_send(vu->sock, (const uint8_t *)m + at,
				      length - at, fds, at ? 0 : nfds);

		if (n > 0)
			at += (size_t)n;
		else if (!again(n))
			return vu_gone(vu);
		else if (vu_wait(vu, POLLOUT, deadline))
			return -ETIMEDOUT;
	}
	return 0;
}

/* No message that is taken here may bring descriptors. */
static ssize_t receive(int sock, void *data, size_t length, bool *fds_came)
{
	int fds[UNIX_MAX_FDS];
	unsigned int nfds;
	ssize_t n = unix_recv_now(sock, data, length, fds, &nfds);

	*fds_came = nfds > 0;
	while (nfds)
		close(fds[--nfds]);
	return n;
}

static int vu_receive(struct vhost_user *vu, void *data, size_t length,
		      uint64_t deadline)
{
	size_t at = 0;

	while (at < length) {
		bool fds_came;
		ssize_t n = receive(vu->sock, (uint8_t *)data + at, length - at,
				    &fds_came);

		if (fds_came)
			return vu_break(vu, "a reply brings descriptors",
					-EPROTO);
		if (n > 0)
			at += (size_t)n;
		else if (!again(n))
			return vu_gone(vu);
		else if (vu_wait(vu, POLLIN, deadline))
			return -ETIMEDOUT;
	}
	return 0;
}

/* The header decides whether the payload is read at all. */
static int vu_reply(struct vhost_user *vu, const struct message *m,
		    void *payload, uint32_t size, uint64_t deadline)
{
	struct vhost_user_header h;
	int err = vu_receive(vu, &h, sizeof(h), deadline);

	if (err)
		return err;
	if (h.request != m->header.request)
		return vu_break(vu, "a reply is to another request", -EPROTO);
	if ((h.flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION ||
	    !(h.flags & VHOST_USER_REPLY))
		return vu_break(vu, "a reply has impossible flags", -EPROTO);
	if (h.size != size)
		return vu_break(vu, "a reply has an impossible size", -EPROTO);
	return vu_receive(vu, payload, size, deadline);
}

/* A request that has a reply of its own. */
static int vu_ask(struct vhost_user *vu, struct message *m, void *payload,
		  uint32_t size)
{
	uint64_t deadline = now_ms() + vu->timeout_ms;
	int err;

	if (vu->broken)
		return -EIO;
	m->header.flags = VHOST_USER_VERSION;
	err = vu_send(vu, m, NULL, 0, deadline);
	return err ? err : vu_reply(vu, m, payload, size, deadline);
}

/* A request that has none, but is acknowledged where that was agreed upon. */
static int vu_tell(struct vhost_user *vu, struct message *m, const int *fds,
		   unsigned int nfds)
{
	uint64_t deadline = now_ms() + vu->timeout_ms;
	__u64 result = 0;
	int err;

	if (vu->broken)
		return -EIO;
	m->header.flags = VHOST_USER_VERSION |
			  (vu->ack ? VHOST_USER_NEED_REPLY : 0);
	err = vu_send(vu, m, fds, nfds, deadline);
	if (!err && vu->ack)
		err = vu_reply(vu, m, &result, sizeof(result), deadline);
	if (!err && result)
		return vu_break(vu, "it refuses a request", -EPROTO);
	return err;
}

/**
 * vhost_user_open - begin to talk to a device
 * @vu: filled
 * @sock: connected; owned by @vu afterwards
 * @timeout_ms: for each exchange
 */
void vhost_user_open(struct vhost_user *vu, int sock, unsigned int timeout_ms)
{
	memset(vu, 0, sizeof(*vu));
	vu->sock = sock;
	vu->backend = -1;
	vu->timeout_ms = timeout_ms;
}

/**
 * vhost_user_close - end the connection
 * @vu: connection
 *
 * The supervisor may hold a copy: to close this one alone would not do. Its other half
 * stays open, by which the device's end of it is seen.
 */
void vhost_user_close(struct vhost_user *vu)
{
	shutdown(vu->sock, SHUT_WR);
	close_fd(&vu->backend);
	close_fd(&vu->sock);
}

/**
 * vhost_user_get - ask for a number
 * @vu: connection
 * @request: GET_FEATURES or GET_PROTOCOL_FEATURES
 * @value: filled on success
 *
 * Return: 0 or -errno.
 */
int vhost_user_get(struct vhost_user *vu, enum vhost_user_request request,
		   uint64_t *value)
{
	struct message m = { .header.request = request };
	__u64 v = 0;
	int err = vu_ask(vu, &m, &v, sizeof(v));

	if (!err)
		*value = v;
	return err;
}

/**
 * vhost_user_set - set a number
 * @vu: connection
 * @request: SET_FEATURES or SET_PROTOCOL_FEATURES
 * @value: number
 *
 * Acknowledgements begin after the protocol features in which they are.
 *
 * Return: 0 or -errno.
 */
int vhost_user_set(struct vhost_user *vu, enum vhost_user_request request,
		   uint64_t value)
{
	struct message m = {
		.header = { .request = request, .size = sizeof(m.u64) },
		.u64 = value,
	};
	int err = vu_tell(vu, &m, NULL, 0);

	if (!err && request == VHOST_USER_SET_PROTOCOL_FEATURES)
		vu->ack = value & VHOST_USER_PROTOCOL_F_REPLY_ACK;
	return err;
}

/**
 * vhost_user_set_owner - the device is ours
 * @vu: connection
 *
 * Return: 0 or -errno.
 */
int vhost_user_set_owner(struct vhost_user *vu)
{
	struct message m = { .header.request = VHOST_USER_SET_OWNER };

	return vu_tell(vu, &m, NULL, 0);
}

/**
 * vhost_user_set_memory - what the device may read and write
 * @vu: connection
 * @region: regions
 * @fds: descriptor of each; the caller keeps them
 * @count: of them, at most VHOST_USER_MAX_REGIONS
 *
 * Return: 0 or -errno.
 */
int vhost_user_set_memory(struct vhost_user *vu,
			  const struct vhost_user_region *region,
			  const int *fds, unsigned int count)
{
	struct message m = { .header.request = VHOST_USER_SET_MEM_TABLE };

	if (!count || count > VHOST_USER_MAX_REGIONS)
		return -EINVAL;
	m.memory.count = count;
	memcpy(m.memory.region, region, count * sizeof(*region));
	m.header.size = (uint32_t)(offsetof(struct memory_payload, region) +
				   count * sizeof(*region));
	return vu_tell(vu, &m, fds, count);
}

/**
 * vhost_user_set_vring - set a number of a queue
 * @vu: connection
 * @request: SET_VRING_NUM, SET_VRING_BASE or SET_VRING_ENABLE
 * @index: queue
 * @num: number
 *
 * Return: 0 or -errno.
 */
int vhost_user_set_vring(struct vhost_user *vu, enum vhost_user_request request,
			 uint32_t index, uint32_t num)
{
	struct message m = {
		.header = { .request = request, .size = sizeof(m.state) },
		.state = { .index = index, .num = num },
	};

	return vu_tell(vu, &m, NULL, 0);
}

/**
 * vhost_user_set_vring_addr - say where a queue lies
 * @vu: connection
 * @addr: addresses, as in the memory table
 *
 * Return: 0 or -errno.
 */
int vhost_user_set_vring_addr(struct vhost_user *vu,
			      const struct vhost_user_vring_addr *addr)
{
	struct message m = {
		.header = { .request = VHOST_USER_SET_VRING_ADDR,
			    .size = sizeof(m.addr) },
		.addr = *addr,
	};

	return vu_tell(vu, &m, NULL, 0);
}

/**
 * vhost_user_set_vring_fd - give a queue an eventfd
 * @vu: connection
 * @request: SET_VRING_KICK, SET_VRING_CALL or SET_VRING_ERR
 * @index: queue
 * @fd: eventfd; the caller keeps it
 *
 * Return: 0 or -errno.
 */
int vhost_user_set_vring_fd(struct vhost_user *vu,
			    enum vhost_user_request request, uint8_t index,
			    int fd)
{
	struct message m = {
		.header = { .request = request, .size = sizeof(m.u64) },
		.u64 = index,
	};

	return vu_tell(vu, &m, &fd, 1);
}

/**
 * vhost_user_set_backend - give the device a channel of its own
 * @vu: connection
 *
 * Return: 0 or -errno.
 */
int vhost_user_set_backend(struct vhost_user *vu)
{
	struct message m = { .header.request = VHOST_USER_SET_BACKEND_REQ_FD };
	int type = SOCK_STREAM | SOCK_CLOEXEC;
	int pair[2];
	int err;

	if (socketpair(AF_UNIX, type, 0, pair) < 0)
		return -errno;
	vu->backend = pair[0];
	err = vu_tell(vu, &m, &pair[1], 1);
	close(pair[1]);
	return err;
}

/**
 * vhost_user_get_config - read the device's configuration space
 * @vu: connection
 * @config: filled on success
 * @size: bytes from its start, at most VHOST_USER_MAX_CONFIG
 *
 * Return: 0 or -errno.
 */
int vhost_user_get_config(struct vhost_user *vu, void *config, uint32_t size)
{
	const uint32_t whole = (uint32_t)offsetof(struct config_payload, data) +
			       size;
	struct message m = {
		.header = { .request = VHOST_USER_GET_CONFIG, .size = whole },
		.config.size = size,
	};
	struct config_payload reply;
	int err;

	if (!size || size > VHOST_USER_MAX_CONFIG)
		return -EINVAL;
	err = vu_ask(vu, &m, &reply, whole);
	if (err)
		return err;
	if (reply.offset || reply.size != size)
		return vu_break(vu, "its configuration is another piece",
				-EPROTO);
	memcpy(config, reply.data, size);
	return 0;
}

/**
 * vhost_user_set_config - write to the device's configuration space
 * @vu: connection
 * @offset: where
 * @data: what
 * @size: bytes, with @offset at most VHOST_USER_MAX_CONFIG
 *
 * Return: 0 or -errno.
 */
int vhost_user_set_config(struct vhost_user *vu, uint32_t offset,
			  const void *data, uint32_t size)
{
	struct message m = {
		.header.request = VHOST_USER_SET_CONFIG,
		.config = { .offset = offset, .size = size },
	};

	if (!size || size > VHOST_USER_MAX_CONFIG ||
	    offset > VHOST_USER_MAX_CONFIG - size)
		return -EINVAL;
	memcpy(m.config.data, data, size);
	m.header.size = (uint32_t)offsetof(struct config_payload, data) + size;
	return vu_tell(vu, &m, NULL, 0);
}

static int backend_answer(struct vhost_user *vu, uint32_t request)
{
	const struct message m = {
		.header = { .request = request,
			    .flags = VHOST_USER_VERSION | VHOST_USER_REPLY,
			    .size = sizeof(m.u64) },
	};
	ssize_t length = sizeof(m.header) + sizeof(m.u64);

	/* A device that asks for answers and reads none is not waited for. */
	if (unix_send(vu->backend, &m, (size_t)length, NULL, 0) != length)
		return vu_break(vu, "it does not read its own channel", -EPROTO);
	return 0;
}

/*
 * One message of the device's own; 1 when there was one. The only one known is
 * twelve bytes long and sent at once, so a part of one is not waited for.
 */
static int backend_message(struct vhost_user *vu, bool *changed)
{
	struct vhost_user_header h = { 0 };
	bool fds_came;
	ssize_t n = receive(vu->backend, &h, sizeof(h), &fds_came);

	if (again(n))
		return 0;
	if (n <= 0)
		return vu_break(vu, "it closed its own channel", -ECONNRESET);
	if (fds_came || n != sizeof(h) || h.size ||
	    h.request != VHOST_USER_BACKEND_CONFIG_CHANGE ||
	    (h.flags & ~VHOST_USER_NEED_REPLY) != VHOST_USER_VERSION)
		return vu_break(vu, "it sends an impossible message", -EPROTO);
	*changed = true;
	if (h.flags & VHOST_USER_NEED_REPLY && backend_answer(vu, h.request))
		return -EPROTO;
	return 1;
}

/* Between exchanges a device says nothing on the socket that it answers on. */
static int vu_silent(struct vhost_user *vu)
{
	bool fds_came;
	uint8_t byte;
	ssize_t n = receive(vu->sock, &byte, sizeof(byte), &fds_came);

	if (again(n))
		return 0;
	if (n <= 0)
		return vu_gone(vu);
	return vu_break(vu, "it speaks without being asked", -EPROTO);
}

/**
 * vhost_user_look - see what the device has to say
 * @vu: connection
 * @changed: set when its configuration has changed, left alone otherwise
 *
 * Does not wait.
 *
 * Return: 0, or -errno when the device is gone or broken.
 */
int vhost_user_look(struct vhost_user *vu, bool *changed)
{
	int left = MOST_AT_A_LOOK;
	int err;

	if (vu->broken)
		return -EIO;
	err = vu_silent(vu);
	if (err || vu->backend < 0)
		return err;
	do {
		err = backend_message(vu, changed);
	} while (err > 0 && --left);
	return err < 0 ? err : 0;
}
