/* SPDX-License-Identifier: GPL-2.0-only */
#include "sim_guest.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MS 10000

static uint64_t ms_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int recv_message(int sock, int64_t *value, int *fd)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { .iov_base = value, .iov_len = sizeof(*value) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;

	*fd = -1;
	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | MSG_WAITALL) != sizeof(*value))
		return -EPIPE;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg && cmsg->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(cmsg), sizeof(*fd));
	return 0;
}

static int sim_greeting(struct sim_guest *g)
{
	struct stat st;
	int64_t value;
	int fd;

	if (recv_message(g->sock, &value, &fd) || value != 0 || fd >= 0)
		return -EPROTO;
	if (recv_message(g->sock, &g->id, &fd) || fd >= 0)
		return -EPROTO;
	if (recv_message(g->sock, &value, &fd) || value != -1 || fd < 0)
		return -EPROTO;
	g->window_fd = fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	g->length = (uint64_t)st.st_size;
	g->base = mmap(NULL, g->length, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		       0);
	return g->base == MAP_FAILED ? -errno : 0;
}

static int sim_vectors(struct sim_guest *g, int *fds, unsigned int n,
		       unsigned int *got, bool own)
{
	int64_t value;

	for (*got = 0; *got < n; (*got)++)
		if (recv_message(g->sock, &value, &fds[*got]) ||
		    fds[*got] < 0 || (value == g->id) != own)
			return -EPROTO;
	return 0;
}

int sim_connect(struct sim_guest *g, const char *path, unsigned int nhost,
		unsigned int nguest)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int err;

	memset(g, 0, sizeof(*g));
	strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
	g->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(g->sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	err = sim_greeting(g);
	if (!err)
		err = sim_vectors(g, g->host_bells, nhost, &g->nhost, false);
	if (!err)
		err = sim_vectors(g, g->bells, nguest, &g->nbells, true);
	return err;
}

void sim_disconnect(struct sim_guest *g)
{
	unsigned int i;

	for (i = 0; i < g->nhost; i++)
		close(g->host_bells[i]);
	for (i = 0; i < g->nbells; i++)
		close(g->bells[i]);
	if (g->base)
		munmap(g->base, g->length);
	close(g->window_fd);
	close(g->sock);
	memset(g, 0, sizeof(*g));
}

int sim_bind(struct sim_guest *g, unsigned int channel)
{
	struct ion_dir_entry entry;
	struct ion_dir_entry prev;
	struct ion_cursors cursors;
	struct ion_fault fault;
	unsigned int i;

	memcpy(&g->hdr, g->base, sizeof(g->hdr));
	if (g->hdr.magic != ION_MAGIC ||
	    !ion_validate_header(&g->hdr, g->length, 0, &fault))
		return -EINVAL;
	ion_cursors_init(&cursors, &g->hdr);
	for (i = 0; i < g->hdr.dir_count; i++) {
		memcpy(&entry, g->base + g->hdr.dir_offset + i * sizeof(entry),
		       sizeof(entry));
		if (!ion_validate_entry(&g->hdr, &entry, i ? &prev : NULL,
					(int)i, &cursors, &fault))
			return -EINVAL;
		prev = entry;
		if (i == channel)
			g->dir = entry;
	}
	if (channel >= g->hdr.dir_count)
		return -ENOENT;
	ion_guest_bind(&g->end, g->base, &g->dir);
	return 0;
}

void sim_ring(struct sim_guest *g)
{
	const uint64_t one = 1;
	ssize_t n = write(g->host_bells[g->dir.host_vector], &one, sizeof(one));

	(void)n;
}

static void wait_a_little(struct sim_guest *g)
{
	struct pollfd p = { .fd = g->bells[0], .events = POLLIN };
	uint64_t rung;

	if (poll(&p, 1, 1) == 1) {
		ssize_t n = read(g->bells[0], &rung, sizeof(rung));

		(void)n;
	}
}

int sim_wait_offer(struct sim_guest *g, unsigned int ms)
{
	uint64_t until = ms_now() + ms;

	while (!ion_guest_offer(&g->end, &g->offer)) {
		if (ms_now() > until)
			return -ETIMEDOUT;
		wait_a_little(g);
	}
	return 0;
}

int sim_reset(struct sim_guest *g, uint64_t id)
{
	ion_guest_reset(&g->end, id);
	sim_ring(g);
	return sim_wait_offer(g, ANSWER_MS);
}

void sim_ack(struct sim_guest *g, uint64_t features, uint32_t depth)
{
	const struct ion_terms terms = {
		.features = features,
		.depth = depth,
		.vector = (uint16_t)(g->dir.instance + 1),
	};

	ion_guest_ack(&g->end, &g->offer, &terms);
	sim_ring(g);
}

bool sim_wait_state(struct sim_guest *g, uint32_t state, unsigned int ms)
{
	uint64_t until = ms_now() + ms;

	while (ion_load_acquire(&g->end.theirs->state) != state) {
		if (ms_now() > until)
			return false;
		usleep(100);
	}
	return true;
}

int sim_attach(struct sim_guest *g, uint64_t features, uint32_t depth)
{
	struct timespec ts;
	int err;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	err = sim_reset(g,
			(uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec);
	if (err)
		return err;
	sim_ack(g, features & g->offer.features, depth);
	return sim_wait_state(g, ION_HOST_LIVE, ANSWER_MS) ? 0 : -ETIMEDOUT;
}

uint8_t *sim_data(struct sim_guest *g)
{
	return g->base + g->dir.data.offset;
}

void sim_prepare(struct sim_guest *g, struct nxblk_req *req, uint8_t op,
		 uint16_t tag)
{
	memset(req, 0, sizeof(*req));
	req->op = op;
	req->cap_slot = g->dir.cap_slot;
	req->tag = tag;
	req->generation = (uint32_t)g->end.generation;
	req->cookie = ++g->cookie;
}

void sim_put(struct sim_guest *g, const struct nxblk_req *req)
{
	while (!ion_prod_free(&g->end.req) && !g->end.req.broken)
		usleep(100);
	ion_prod_put(&g->end.req, req);
}

void sim_send(struct sim_guest *g, const struct nxblk_req *req)
{
	sim_put(g, req);
	if (ion_prod_publish(&g->end.req))
		sim_ring(g);
}

int sim_answer(struct sim_guest *g, struct nxblk_resp *rsp, unsigned int ms)
{
	struct pollfd p = { .fd = g->bells[g->dir.instance + 1],
			    .events = POLLIN };
	uint64_t until = ms_now() + ms;
	uint64_t rung;

	while (!ion_cons_avail(&g->end.rsp)) {
		if (g->end.rsp.broken || ms_now() > until)
			return -ETIMEDOUT;
		if (ion_cons_arm(&g->end.rsp))
			continue;
		if (poll(&p, 1, 10) == 1 &&
		    read(p.fd, &rung, sizeof(rung)) != sizeof(rung))
			continue;
	}
	ion_cons_get(&g->end.rsp, rsp);
	ion_cons_release(&g->end.rsp);
	return 0;
}

int sim_do(struct sim_guest *g, const struct nxblk_req *req,
	   struct nxblk_resp *rsp)
{
	int err;

	sim_send(g, req);
	err = sim_answer(g, rsp, ANSWER_MS);
	if (err)
		return err;
	return rsp->cookie == req->cookie && rsp->tag == req->tag &&
			       rsp->op == req->op &&
			       rsp->generation == req->generation ?
		       rsp->status :
		       -EBADMSG;
}

int sim_rw(struct sim_guest *g, uint8_t op, uint64_t lba, uint32_t count,
	   uint16_t flags)
{
	struct nxblk_resp rsp;
	struct nxblk_req req;
	int status;

	sim_prepare(g, &req, op, 0);
	req.lba = lba;
	req.count = count;
	req.flags = flags;
	req.nseg = 1;
	req.seg[0].addr = g->dir.data.offset;
	req.seg[0].len = count << NXBLK_SECTOR_SHIFT;
	status = sim_do(g, &req, &rsp);
	if (status == NXBLK_S_OK && rsp.done != req.seg[0].len)
		return -EBADMSG;
	return status;
}

int sim_simple(struct sim_guest *g, uint8_t op, uint64_t lba, uint32_t count,
	       uint16_t flags)
{
	struct nxblk_resp rsp;
	struct nxblk_req req;

	sim_prepare(g, &req, op, 0);
	req.lba = lba;
	req.count = count;
	req.flags = flags;
	return sim_do(g, &req, &rsp);
}

int sim_info(struct sim_guest *g, struct nxblk_config *config)
{
	struct nxblk_resp rsp;
	struct nxblk_req req;
	int status;

	sim_prepare(g, &req, NXBLK_OP_INFO, 0);
	req.nseg = 1;
	req.seg[0].addr = g->dir.data.offset;
	req.seg[0].len = sizeof(*config);
	status = sim_do(g, &req, &rsp);
	memcpy(config, sim_data(g), sizeof(*config));
	return status;
}
