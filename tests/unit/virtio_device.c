/* SPDX-License-Identifier: GPL-2.0-only */
#include "virtio_device.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rumpk/unix.h"
#include "rumpk/util.h"
#include "rumpk/virtqueue.h"

struct device dev;

static pthread_t thread;

static void *at(uint64_t addr, uint64_t length)
{
	unsigned int i;

	for (i = 0; i < dev.regions; i++) {
		const struct vhost_user_region *r = &dev.region[i].r;

		if (addr >= r->guest_addr && length <= r->size &&
		    addr - r->guest_addr <= r->size - length)
			return dev.region[i].base + (addr - r->guest_addr);
	}
	abort();
}

static void dev_memory(const uint8_t *payload, const int *fds, unsigned int nfds)
{
	unsigned int i;

	memcpy(&dev.regions, payload, 4);
	if (dev.regions != nfds)
		abort();
	for (i = 0; i < nfds; i++) {
		struct region *r = &dev.region[i];

		memcpy(&r->r, payload + 8 + 32 * i, 32);
		r->base = mmap(NULL, r->r.size, PROT_READ | PROT_WRITE,
			       MAP_SHARED, fds[i], (off_t)r->r.mmap_offset);
		if (r->base == MAP_FAILED)
			abort();
		/* Of the driver's own memory, which it is to have sealed. */
		if (!i && ftruncate(fds[i], 0) == 0)
			dev.shrunk = true;
		close(fds[i]);
	}
}

static void dev_reply(uint32_t request, const void *payload, uint32_t size)
{
	uint8_t buffer[512];
	const uint32_t header[3] = { request, 5, size };

	memcpy(buffer, header, 12);
	memcpy(buffer + 12, payload, size);
	unix_send(dev.sock, buffer, 12 + size, NULL, 0);
}

/* A request that is acknowledged. */
static void dev_set(uint32_t request, const uint8_t *p, const int *fds,
		    unsigned int nfds)
{
	uint32_t words[2];

	memcpy(words, p, sizeof(words));
	switch (request) {
	case VHOST_USER_SET_FEATURES:
		memcpy(&dev.accepted, p, 8);
		break;
	case VHOST_USER_SET_MEM_TABLE:
		dev_memory(p, fds, nfds);
		break;
	case VHOST_USER_SET_VRING_NUM:
		dev.size = words[1];
		break;
	case VHOST_USER_SET_VRING_ADDR:
		memcpy(&dev.addr, p, sizeof(dev.addr));
		break;
	case VHOST_USER_SET_VRING_KICK:
		dev.kick = fds[0];
		break;
	case VHOST_USER_SET_VRING_ERR:
		dev.err = fds[0];
		break;
	case VHOST_USER_SET_BACKEND_REQ_FD:
		dev.backend = fds[0];
		break;
	case VHOST_USER_SET_CONFIG:
		if (dev.misdeed != STUBBORN)
			memcpy((uint8_t *)&dev.config + words[0], p + 12,
			       words[1]);
		break;
	case VHOST_USER_SET_VRING_ENABLE:
		dev.enabled = words[1];
		break;
	default:
		if (nfds)
			close(fds[0]);
		break;
	}
}

static bool dev_message(void)
{
	uint8_t payload[512] = { 0 };
	int fds[UNIX_MAX_FDS];
	const uint64_t zero = 0;
	unsigned int more;
	unsigned int nfds;
	uint32_t h[3];

	if (unix_recv(dev.sock, h, 12, fds, &nfds) != 12)
		return false;
	if (dev.messages && !--dev.messages)
		return false;
	if (h[2] && unix_recv(dev.sock, payload, h[2], fds + nfds, &more) < 0)
		return false;
	if (dev.misdeed == MUTE && !nfds)
		return true;
	if (h[0] == VHOST_USER_GET_FEATURES) {
		dev_reply(h[0], &dev.features, 8);
	} else if (h[0] == VHOST_USER_GET_PROTOCOL_FEATURES) {
		dev_reply(h[0], &dev.protocol, 8);
	} else if (h[0] == VHOST_USER_GET_CONFIG) {
		memcpy(payload + 12, &dev.config, h[2] - 12);
		dev_reply(h[0], payload, h[2]);
	} else {
		dev_set(h[0], payload, fds, nfds);
		if (dev.misdeed != MUTE && h[1] & VHOST_USER_NEED_REPLY)
			dev_reply(h[0], &zero, 8);
	}
	return true;
}

/* One request: header first, status last. How many bytes it wrote. */
static uint32_t dev_execute(struct virtq_desc *d, unsigned int n)
{
	struct virtio_blk_discard_write_zeroes range;
	struct virtio_blk_outhdr h;
	uint8_t status = VIRTIO_BLK_S_OK;
	uint32_t written = 1;
	uint8_t *place;
	unsigned int i;

	memcpy(&h, at(d[0].addr, sizeof(h)), sizeof(h));
	if (dev.ntypes < MOST_TYPES)
		dev.sectors[dev.ntypes] = h.sector;
	if (dev.ntypes < MOST_TYPES)
		dev.types[dev.ntypes++] = h.type;
	if (n - 2 > dev.most_segs)
		dev.most_segs = n - 2;
	place = dev.disk + h.sector * 512;
	for (i = 1; i < n - 1; i++) {
		uint8_t *data = at(d[i].addr, d[i].len);

		switch (h.type) {
		case VIRTIO_BLK_T_IN:
			memcpy(data, place, d[i].len);
			break;
		case VIRTIO_BLK_T_OUT:
			memcpy(place, data, d[i].len);
			break;
		case VIRTIO_BLK_T_GET_ID:
			memcpy(data, dev.id, sizeof(dev.id));
			break;
		default:
			memcpy(&range, data, sizeof(range));
			if (dev.nranges < ARRAY_SIZE(dev.ranges))
				dev.ranges[dev.nranges++] = range.sector;
			memset(dev.disk + range.sector * 512, 0,
			       range.num_sectors * 512);
			break;
		}
		place += d[i].len;
		if (d[i].flags & VIRTQ_DESC_F_WRITE)
			written += d[i].len;
	}
	if (dev.misdeed == IO_ERROR)
		status = VIRTIO_BLK_S_IOERR;
	if (dev.misdeed == UNSUPPORTED)
		status = VIRTIO_BLK_S_UNSUPP;
	if (dev.misdeed == BAD_STATUS)
		status = 3;
	if (dev.misdeed != NO_STATUS)
		*(uint8_t *)at(d[n - 1].addr, 1) = status;
	return written;
}

static void dev_answer(uint32_t id, uint32_t written)
{
	struct virtq_used *used = at(dev.addr.used, 6 + 8 * dev.size);
	uint16_t idx = used->idx;

	if (dev.misdeed == SHORT_LENGTH)
		written--;
	if (dev.misdeed == LONG_LENGTH)
		written++;
	used->ring[idx % dev.size].id = dev.misdeed == BAD_ID ? ~0u : id;
	used->ring[idx % dev.size].len = written;
	ion_store_release(&used->idx, idx + (dev.misdeed == JUMP ? 300 : 1));
}

static unsigned int dev_chain(uint16_t head, struct virtq_desc *d)
{
	struct virtq_desc *table = at(dev.addr.desc, 16 * dev.size);
	unsigned int n = 0;

	if (table[head].flags & VIRTQ_DESC_F_INDIRECT) {
		n = table[head].len / 16;
		memcpy(d, at(table[head].addr, table[head].len), table[head].len);
		return n;
	}
	do {
		d[n] = table[head];
		head = table[head].next;
	} while (d[n++].flags & VIRTQ_DESC_F_NEXT);
	return n;
}

static bool is_name(const struct virtq_desc *d)
{
	struct virtio_blk_outhdr h;

	memcpy(&h, at(d[0].addr, sizeof(h)), sizeof(h));
	return h.type == VIRTIO_BLK_T_GET_ID;
}

static bool serves(void)
{
	return dev.misdeed != SILENT && dev.misdeed != MUTE &&
	       dev.misdeed != COMPLAIN;
}

static void dev_serve(void)
{
	struct virtq_avail *avail = at(dev.addr.avail, 6 + 2 * dev.size);
	struct virtq_desc d[512];

	/* In this order: a request that follows a misdeed meets with it. */
	while (dev.seen != ion_load_acquire(&avail->idx) && serves()) {
		uint16_t head = avail->ring[dev.seen++ % dev.size];
		unsigned int n = dev_chain(head, d);

		if (dev.misdeed == SLOW)
			usleep(5000);
		n = dev_execute(d, n);
		if (dev.misdeed != UNANSWERED || is_name(d))
			dev_answer(head, n);
	}
}

static void dev_misbehave(void)
{
	if (dev.misdeed == HANG_UP) {
		shutdown(dev.backend, SHUT_RDWR);
		shutdown(dev.sock, SHUT_RDWR);
	}
	if (dev.misdeed == COMPLAIN)
		eventfd_write(dev.err, 1);
}

static void *dev_main(void *arg)
{
	while (!dev.stop) {
		struct pollfd p = { .fd = dev.sock, .events = POLLIN };

		if (poll(&p, 1, dev.enabled ? 0 : 1) > 0 && !dev_message())
			break;
		if (dev.enabled)
			dev_serve();
		dev_misbehave();
	}
	while (dev.lingers && !dev.stop)
		usleep(1000);
	shutdown(dev.sock, SHUT_RDWR);
	return NULL;
}

/* A good device, not yet started. */
void device_reset(void)
{
	/* It may complain to a driver that is gone. */
	signal(SIGPIPE, SIG_IGN);
	memset(&dev, 0, sizeof(dev));
	dev.sock = -1;
	dev.backend = -1;
	dev.kick = -1;
	dev.err = -1;
	dev.features = 1ull << 32 | 1ull << 30 | 1ull << 29 | 1ull << 28 |
		       1 << 2 | 1 << 6 | 1 << 9 | 1 << 13 | 1 << 14;
	dev.protocol = 1 << 3 | 1 << 5 | 1 << 9;
	memcpy(dev.id, "the fake", 9);
	dev.config.capacity = BYTES / 512;
	dev.config.seg_max = 4;
	dev.config.blk_size = 512;
	dev.config.max_discard_sectors = 16;
	dev.config.max_discard_seg = 1;
	dev.config.max_write_zeroes_sectors = 16;
	dev.config.max_write_zeroes_seg = 1;
}

/* @sock is the device's from now on. */
void device_start(int sock)
{
	dev.sock = sock;
	dev.started = true;
	if (pthread_create(&thread, NULL, dev_main, NULL))
		abort();
}

/* A driver may have come and died before anybody looked. */
static bool has_gone(int sock)
{
	struct pollfd p = { .fd = sock, .events = POLLRDHUP };

	return poll(&p, 1, 0) == 1;
}

/* Started when a driver comes, which it has to. */
void device_accept(int listener)
{
	struct pollfd p = { .fd = listener, .events = POLLIN };
	int sock = -1;

	do {
		close_fd(&sock);
		if (poll(&p, 1, 20000) == 1)
			sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (sock < 0)
			abort();
	} while (has_gone(sock));
	device_start(sock);
}

/*
 * It dies, if it was started; what it is like, and its contents, are its
 * successor's.
 */
void device_end(void)
{
	unsigned int i;

	if (!dev.started)
		return;
	dev.started = false;
	dev.stop = true;
	pthread_join(thread, NULL);
	for (i = 0; i < dev.regions; i++)
		munmap(dev.region[i].base, dev.region[i].r.size);
	close_fd(&dev.sock);
	close_fd(&dev.backend);
	close_fd(&dev.kick);
	close_fd(&dev.err);
	dev.regions = 0;
	dev.enabled = false;
	dev.seen = 0;
	dev.ntypes = 0;
	dev.nranges = 0;
	dev.messages = 0;
	dev.misdeed = NONE;
	dev.lingers = false;
	dev.stop = false;
}

/* A connection: @sock is the driver's end, the other one a device's that starts. */
void device_pair(int *sock)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		abort();
	*sock = pair[0];
	device_start(pair[1]);
}
