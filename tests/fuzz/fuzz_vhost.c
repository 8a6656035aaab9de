// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VirtIO block driver and its vhost-user front end against a device that the
 * input plays. Driver and device are one thread: whenever the driver waits (its
 * poll(), usleep() and clock_gettime() are ours) the device has its turn and time
 * passes, so that nothing ever hangs and every run is the same.
 *
 * An input of zeroes is a device in order, and as long as it is one, everything
 * succeeds and every byte is compared. Whatever it does instead, each operation
 * ends exactly once, and nothing is left open.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"
#include "rumpk/hal_virtio.h"
#include "rumpk/unix.h"
#include "rumpk/util.h"
#include "rumpk/vhost_user.h"
#include "rumpk/virtio_blk.h"
#include "rumpk/virtqueue.h"

#define WINDOW_BYTES 262144u
#define DISK_BYTES 65536u
#define MOST_OPS 48
#define MOST_IO 8u
#define MOST_PIECES 6u
#define TURN_MS 100u
#define MISBEHAVES 0xe0u

struct region {
	struct vhost_user_region r;
	uint8_t *base;
};

/**
 * struct device - the device
 * @in: what it does
 * @sock: to the driver; -1: it has hung up
 * @backend: its own channel
 * @kick: eventfd
 * @err: eventfd
 * @region: memory that it was given
 * @regions: number of them
 * @addr: where the queue lies
 * @size: of the queue
 * @seen: requests so far
 * @enabled: it may look at the queue
 * @honest: it has done nothing wrong so far
 * @refused: it has sent a reply that must not be taken
 * @disk: contents
 */
static struct device {
	struct fuzz_in *in;
	int sock, backend, kick, err;
	struct region region[8];
	unsigned int regions;
	struct vhost_user_vring_addr addr;
	uint32_t size;
	uint16_t seen;
	bool enabled;
	bool honest;
	bool refused;
	uint8_t disk[DISK_BYTES];
} dev;

/**
 * struct op - an operation of the driver's owner
 * @io: operation
 * @iov: its pieces
 * @offset: of it
 * @length: of it
 * @at: where its data begins in the window
 * @busy: has not ended
 * @shown: the device may know of it, or need not
 * @alone: no other was there at the same time, which may have touched its bytes
 */
struct op {
	struct hal_io io;
	struct iovec iov[MOST_PIECES];
	uint64_t offset, length;
	uint8_t *at;
	bool busy;
	bool shown;
	bool alone;
};

static struct op ops[MOST_IO];
static uint64_t time_ms;
static uint8_t *window;
static int window_fd;

int __real_poll(struct pollfd *p, nfds_t n, int timeout);
int __wrap_poll(struct pollfd *p, nfds_t n, int timeout);
int __wrap_usleep(useconds_t us);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);

static void *dev_at(uint64_t addr, uint64_t length)
{
	unsigned int i;

	for (i = 0; i < dev.regions; i++) {
		const struct vhost_user_region *r = &dev.region[i].r;

		if (addr >= r->guest_addr && length <= r->size &&
		    addr - r->guest_addr <= r->size - length)
			return dev.region[i].base + (addr - r->guest_addr);
	}
	return NULL;
}

static void dev_hang_up(void)
{
	dev.honest = false;
	close_fd(&dev.sock);
	close_fd(&dev.backend);
}

static void dev_memory(const uint8_t *payload, const int *fds, unsigned int nfds)
{
	unsigned int i;

	FUZZ_CHECK(nfds == 2);
	for (i = 0; i < nfds; i++) {
		struct region *r = &dev.region[i];

		memcpy(&r->r, payload + 8 + 32 * i, 32);
		r->base = mmap(NULL, r->r.size, PROT_READ | PROT_WRITE,
			       MAP_SHARED, fds[i], (off_t)r->r.mmap_offset);
		FUZZ_CHECK(r->base != MAP_FAILED);
		close(fds[i]);
	}
	dev.regions = nfds;
}

static void dev_set(uint32_t request, const uint8_t *p, const int *fds,
		    unsigned int nfds)
{
	switch (request) {
	case VHOST_USER_SET_MEM_TABLE:
		dev_memory(p, fds, nfds);
		return;
	case VHOST_USER_SET_VRING_NUM:
		memcpy(&dev.size, p + 4, 4);
		return;
	case VHOST_USER_SET_VRING_ADDR:
		memcpy(&dev.addr, p, sizeof(dev.addr));
		return;
	case VHOST_USER_SET_VRING_KICK:
		dev.kick = fds[0];
		return;
	case VHOST_USER_SET_VRING_ERR:
		dev.err = fds[0];
		return;
	case VHOST_USER_SET_BACKEND_REQ_FD:
		dev.backend = fds[0];
		return;
	case VHOST_USER_SET_VRING_ENABLE:
		dev.enabled = true;
		return;
	default:
		while (nfds)
			close(fds[--nfds]);
	}
}

static void dev_features(uint8_t *payload)
{
	uint64_t features = 1ull << 32 | 1ull << 30 | 1ull << 29 | 1ull << 28 |
			    1 << 2 | 1 << 6 | 1 << 9 | 1 << 13 | 1 << 14;

	memcpy(payload, &features, 8);
}

static void dev_config(uint8_t *payload)
{
	const struct virtio_blk_config config = {
		.capacity = DISK_BYTES / 512,
		.seg_max = 4,
		.blk_size = 512,
		.max_discard_sectors = 16,
		.max_discard_seg = 1,
		.max_write_zeroes_sectors = 16,
		.max_write_zeroes_seg = 1,
	};

	memcpy(payload + 12, &config, VIRTIO_BLK_CONFIG_BYTES);
}

/* The reply in order to a request; the bytes of its payload. */
static uint32_t dev_answer(const uint32_t *h, uint8_t *payload, const int *fds,
			   unsigned int nfds)
{
	const uint64_t protocol = 1 << 3 | 1 << 5 | 1 << 9;

	switch (h[0]) {
	case VHOST_USER_GET_FEATURES:
		dev_features(payload);
		return 8;
	case VHOST_USER_GET_PROTOCOL_FEATURES:
		memcpy(payload, &protocol, 8);
		return 8;
	case VHOST_USER_GET_CONFIG:
		dev_config(payload);
		return h[2];
	default:
		dev_set(h[0], payload, fds, nfds);
		memset(payload, 0, 8);
		return h[1] & VHOST_USER_NEED_REPLY ? 8 : 0;
	}
}

/* Bits of a reply turned over, a piece of it alone, descriptors, or silence. */
static void dev_send(uint8_t *reply, size_t length, uint8_t how)
{
	const size_t whole = length;
	unsigned int words = how & 3;
	uint8_t right[12];
	unsigned int nfds = how & 4 ? 1 : 0;

	memcpy(right, reply, sizeof(right));
	while (words--) {
		uint16_t where = fuzz_u16(dev.in);

		reply[where % length] ^= fuzz_u8(dev.in);
	}
	if (how & 8)
		length = fuzz_u16(dev.in) % (length + 1);
	if (how & 16)
		dev_hang_up();
	/* Another request's, or of another size; of the flags not all count. */
	if (nfds || length < whole || memcmp(right, reply, 4) ||
	    memcmp(right + 8, reply + 8, 4))
		dev.refused = true;
	if (length && dev.sock >= 0)
		unix_send(dev.sock, reply, length, &window_fd, nfds);
}

static void dev_message(void)
{
	uint8_t reply[12 + 512] = { 0 };
	int fds[UNIX_MAX_FDS];
	unsigned int nfds, more = 0;
	uint32_t size, h[3];
	uint8_t how;

	if (unix_recv(dev.sock, h, 12, fds, &nfds) != 12)
		return;
	FUZZ_CHECK(h[2] <= 512);
	if (h[2] && unix_recv(dev.sock, reply + 12, h[2], fds + nfds, &more) < 0)
		return;
	size = dev_answer(h, reply + 12, fds, nfds + more);
	if (!size)
		return;
	h[1] = VHOST_USER_VERSION | VHOST_USER_REPLY;
	h[2] = size;
	memcpy(reply, h, 12);
	how = fuzz_u8(dev.in);
	if (how < MISBEHAVES) {
		unix_send(dev.sock, reply, 12 + size, NULL, 0);
		return;
	}
	dev.honest = false;
	dev_send(reply, 12 + size, how);
}

static uint8_t dev_data(uint32_t type, uint64_t at, uint8_t *data, uint32_t len)
{
	struct virtio_blk_discard_write_zeroes range;

	if (type == VIRTIO_BLK_T_GET_ID) {
		memcpy(data, "fuzz", min_u64(len, 5));
		return VIRTIO_BLK_S_OK;
	}
	if (type != VIRTIO_BLK_T_IN && type != VIRTIO_BLK_T_OUT) {
		memcpy(&range, data, min_u64(len, sizeof(range)));
		at = range.sector * 512;
		len = range.num_sectors * 512;
		data = NULL;
	}
	if (at > DISK_BYTES || len > DISK_BYTES - at)
		return VIRTIO_BLK_S_IOERR;
	if (!data)
		memset(dev.disk + at, 0, len);
	else if (type == VIRTIO_BLK_T_IN)
		memcpy(data, dev.disk + at, len);
	else
		memcpy(dev.disk + at, data, len);
	return VIRTIO_BLK_S_OK;
}

/* A chain, header first, status last. How many bytes it wrote. */
static uint32_t dev_execute(const struct virtq_desc *d, unsigned int n)
{
	const void *header = dev_at(d[0].addr, sizeof(struct virtio_blk_outhdr));
	uint8_t *status = dev_at(d[n - 1].addr, 1);
	struct virtio_blk_outhdr h;
	uint32_t written = 1;
	unsigned int i;
	uint64_t at;

	if (!header || !status || n < 2)
		return 0;
	memcpy(&h, header, sizeof(h));
	at = h.sector * 512;
	*status = VIRTIO_BLK_S_OK;
	for (i = 1; i < n - 1; i++) {
		uint8_t *data = dev_at(d[i].addr, d[i].len);

		if (!data)
			return 0;
		*status |= dev_data(h.type, at, data, d[i].len);
		written += d[i].flags & VIRTQ_DESC_F_WRITE ? d[i].len : 0;
		at += d[i].len;
	}
	return written;
}

static unsigned int dev_chain(uint16_t head, struct virtq_desc *d)
{
	const struct virtq_desc *table = dev_at(dev.addr.desc, 16ull * dev.size);
	unsigned int n = 0;

	head %= dev.size;
	if (table[head].flags & VIRTQ_DESC_F_INDIRECT) {
		const void *p = dev_at(table[head].addr, table[head].len);

		n = (unsigned int)min_u64(table[head].len / 16, 256);
		memcpy(d, p ? p : table, n * sizeof(*d));
		return n;
	}
	do {
		d[n] = table[head];
		head = table[head].next % (uint16_t)dev.size;
	} while (d[n++].flags & VIRTQ_DESC_F_NEXT && n < 256);
	return n;
}

static void dev_used(uint32_t id, uint32_t len, uint16_t step)
{
	struct virtq_used *used = dev_at(dev.addr.used, 6 + 8ull * dev.size);

	used->ring[used->idx % dev.size].id = id;
	used->ring[used->idx % dev.size].len = len;
	ion_store_release(&used->idx, (uint16_t)(used->idx + step));
}

/* The requests that the driver has shown, @most of them. */
static void dev_serve(unsigned int most)
{
	const struct virtq_avail *avail =
		dev_at(dev.addr.avail, 6 + 2ull * dev.size);
	struct virtq_desc d[256];

	while (most-- && dev.seen != ion_load_acquire(&avail->idx)) {
		uint16_t head = avail->ring[dev.seen++ % dev.size];
		unsigned int n = dev_chain(head, d);

		dev_used(head, n ? dev_execute(d, n) : 0, 1);
	}
}

/* The device can write to all that it was given. */
static void dev_store(void)
{
	const struct region *r = &dev.region[fuzz_u8(dev.in) % dev.regions];
	uint8_t where = fuzz_u8(dev.in);
	uint64_t at = where & 1 ? dev.addr.used - dev.region[0].r.guest_addr :
		      where & 2 ? dev.addr.avail - dev.region[0].r.guest_addr :
		      where & 4 ? dev.addr.desc - dev.region[0].r.guest_addr :
				  0;

	at = (at + fuzz_u16(dev.in)) % (r->r.size - 8);
	fuzz_bytes(dev.in, r->base + at, (size_t)1 << (where >> 6));
}

static void dev_speak(int sock)
{
	uint8_t message[24] = { VHOST_USER_BACKEND_CONFIG_CHANGE, 0, 0, 0,
				VHOST_USER_VERSION };
	uint8_t where = fuzz_u8(dev.in);
	size_t length = where >> 7 ? fuzz_u8(dev.in) % 25 : 12;

	message[where % sizeof(message)] ^= fuzz_u8(dev.in);
	unix_send(sock, message, length, &window_fd, where & 32 ? 1 : 0);
}

static void dev_misbehave(uint8_t how)
{
	dev.honest = false;
	switch (how % 8) {
	case 0:
		break;
	case 1:
	case 2:
		dev_store();
		break;
	case 3:
		dev_used(fuzz_u8(dev.in), fuzz_u16(dev.in), fuzz_u8(dev.in));
		break;
	case 4:
		dev_used(fuzz_u32(dev.in), fuzz_u32(dev.in), 1);
		break;
	case 5:
		dev_speak(dev.backend);
		break;
	case 6:
		dev_speak(dev.sock);
		break;
	default:
		if (how & 8)
			dev_hang_up();
		else
			eventfd_write(dev.err, 1);
		break;
	}
}

static void dev_turn(void)
{
	uint8_t how;

	time_ms += TURN_MS;
	if (dev.sock >= 0)
		dev_message();
	if (!dev.enabled || dev.sock < 0)
		return;
	how = fuzz_u8(dev.in);
	if (how >= MISBEHAVES)
		dev_misbehave(how);
	else
		dev_serve(1 + how % 16);
}

int __wrap_poll(struct pollfd *p, nfds_t n, int timeout)
{
	dev_turn();
	return __real_poll(p, n, timeout ? 0 : timeout);
}

int __wrap_usleep(useconds_t us)
{
	(void)us;
	dev_turn();
	return 0;
}

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	(void)id;
	ts->tv_sec = (time_t)(time_ms / 1000);
	ts->tv_nsec = (long)(time_ms % 1000) * 1000000;
	return 0;
}

void fuzz_setup(void)
{
	/* The device may complain to a driver that is gone. */
	signal(SIGPIPE, SIG_IGN);
	window_fd = memfd_create("window", MFD_CLOEXEC);
	FUZZ_CHECK(!ftruncate(window_fd, WINDOW_BYTES));
	window = fuzz_map(window_fd, WINDOW_BYTES);
}

/* The driver's end of the one connection that there is. */
static int hand_over(void *arg)
{
	int *sock = arg;
	int fd = *sock;

	*sock = -1;
	return fd >= 0 ? fd : -ECONNREFUSED;
}

static struct hal *open_disk(struct fuzz_in *in)
{
	int pair[2];
	const struct hal_virtio_options opt = {
		.connect = hand_over,
		.arg = &pair[0],
		.name = "fuzz",
		.block = fuzz_u8(in) & 1 ? 4096 : 512,
		.timeout_ms = 2000,
		.region[0] = { .fd = window_fd,
			       .base = window,
			       .length = WINDOW_BYTES },
		.regions = 1,
	};

	FUZZ_CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			       0, pair));
	memset(&dev, 0, sizeof(dev));
	dev.in = in;
	dev.sock = pair[1];
	dev.backend = -1;
	dev.kick = -1;
	dev.err = -1;
	dev.honest = true;
	return hal_virtio_open(&opt);
}

static void check_data(const struct op *op)
{
	const uint8_t *on_disk = dev.disk + op->offset;
	uint64_t i;

	if (op->io.op == HAL_READ || op->io.op == HAL_WRITE)
		FUZZ_CHECK(!memcmp(op->at, on_disk, op->length));
	if (op->io.op == HAL_ZERO)
		for (i = 0; i < op->length; i++)
			FUZZ_CHECK(!on_disk[i]);
}

static void op_done(struct hal_io *io)
{
	struct op *op = container_of(io, struct op, io);

	FUZZ_CHECK(op->busy && io->error >= 0);
	FUZZ_CHECK(op->shown || io->error);
	FUZZ_CHECK(!dev.honest || !io->error);
	if (dev.honest && op->alone)
		check_data(op);
	op->busy = false;
}

/*
 * Pieces that may, but need not, follow each other in the window; no more than the
 * driver says that the device takes.
 */
static void op_pieces(struct fuzz_in *in, const struct hal *hal, struct op *op)
{
	unsigned int most =
		(unsigned int)min_u64(MOST_PIECES, hal->info.max_segs);
	unsigned int n = 1 + fuzz_u8(in) % most;
	uint64_t each = op->length / n & ~511ull;
	uint64_t left = op->length;
	uint8_t *at = op->at;

	op->io.niov = 0;
	while (left) {
		struct iovec *p = &op->iov[op->io.niov++];

		p->iov_base = at;
		p->iov_len = each && (unsigned int)op->io.niov < n ? each : left;
		at += p->iov_len;
		left -= p->iov_len;
	}
}

static unsigned int busy(void)
{
	unsigned int n = 0;
	unsigned int i;

	for (i = 0; i < MOST_IO; i++)
		n += ops[i].busy;
	return n;
}

static void submit(struct fuzz_in *in, struct hal *hal, struct op *op)
{
	uint64_t blocks = hal->info.capacity / hal->block;
	uint64_t first = fuzz_u8(in) % blocks;
	uint64_t count = 1 + fuzz_u8(in) % (65536u / hal->block);
	uint8_t what = fuzz_u8(in);
	unsigned int i;

	if (op->busy)
		return;
	memset(op, 0, sizeof(*op));
	op->offset = first * hal->block;
	op->length = min_u64(count, blocks - first) * hal->block;
	op->at = window + (fuzz_u16(in) & ~3u);
	op->io.op = what % 5;
	op->io.durable = what & 8;
	op->io.unmap = what & 16;
	op->io.iov = op->iov;
	op->io.offset = op->offset;
	op->io.length = op->length;
	op->io.done = op_done;
	if (op->io.op == HAL_SYNC)
		op->io.offset = op->io.length = op->length = 0;
	op_pieces(in, hal, op);
	if (op->io.op == HAL_WRITE && hal->info.read_only)
		op->io.op = HAL_READ;
	op->busy = true;
	op->shown = op->io.op == HAL_SYNC || op->io.op == HAL_DISCARD;
	op->alone = busy() == 1;
	for (i = 0; i < MOST_IO && !op->alone; i++)
		ops[i].alone = false;
	hal_submit(hal, &op->io);
}

static void all_shown(void)
{
	unsigned int i;

	for (i = 0; i < MOST_IO; i++)
		ops[i].shown = true;
}

static void kick(struct hal *hal)
{
	all_shown();
	hal_kick(hal);
}

/* The driver kicks by itself when it took something. */
static void look(struct hal *hal)
{
	hal_poll(hal);
	all_shown();
}

static void drive(struct fuzz_in *in, struct hal *hal)
{
	uint8_t what = fuzz_u8(in);

	switch (what % 8) {
	case 0:
	case 1:
	case 2:
	case 3:
		submit(in, hal, &ops[what >> 3 & (MOST_IO - 1)]);
		break;
	case 4:
		dev_turn();
		look(hal);
		break;
	case 5:
		kick(hal);
		hal_sync(hal);
		break;
	default:
		kick(hal);
		dev_turn();
		look(hal);
		break;
	}
	if (hal->changed)
		hal_resize(hal);
	FUZZ_CHECK(hal->polled == busy());
}

/* A device in order finishes what it has; any other is cut off. */
static void finish(struct hal *hal)
{
	unsigned int i;

	for (i = 0; i < 100 && busy() && dev.honest; i++) {
		kick(hal);
		dev_turn();
		look(hal);
	}
	FUZZ_CHECK(!busy() || !dev.honest);
	dev_hang_up();
	for (i = 0; i < 3; i++) {
		time_ms += TURN_MS;
		look(hal);
	}
	FUZZ_CHECK(!busy() && !hal->polled);
}

static void dev_exit(void)
{
	unsigned int i;

	dev_hang_up();
	for (i = 0; i < dev.regions; i++)
		munmap(dev.region[i].base, dev.region[i].r.size);
	close_fd(&dev.kick);
	close_fd(&dev.err);
}

/* Descriptors that are open beyond those of the set-up. */
static unsigned int open_fds(void)
{
	unsigned int n = 0;
	int i;

	for (i = 1; i <= 24; i++)
		n += fcntl(window_fd + i, F_GETFD) >= 0;
	return n;
}

void fuzz_one(struct fuzz_in *in)
{
	unsigned int before = open_fds();
	struct hal *hal = open_disk(in);
	unsigned int i;

	FUZZ_CHECK(hal ? !dev.refused : !dev.honest);
	for (i = 0; hal && i < MOST_OPS && in->left; i++)
		drive(in, hal);
	if (hal)
		finish(hal);
	hal_close(hal);
	dev_exit();
	FUZZ_CHECK(open_fds() == before);
}
