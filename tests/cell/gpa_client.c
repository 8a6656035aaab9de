// SPDX-License-Identifier: GPL-2.0-only
/*
 * A client of the in-memory valve that takes the place of nexus_blk on its disk,
 * and sends what nexus_blk never would: guest-physical segments that are wrong.
 * insmod succeeds when each request was answered as it must be.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>

#include <nexus/nxblk_abi.h>

#include "ion.h"

#define GPA_SECONDS 30
#define GPA_PAGES 2
#define GPA_BYTES (GPA_PAGES * PAGE_SIZE)
#define GPA_SECTORS (GPA_BYTES / NXBLK_SECTOR_SIZE)
#define GPA_MARK 0xa5

static struct ion_channel *gpa_channel;
static DECLARE_COMPLETION(gpa_up_done);
static DECLARE_COMPLETION(gpa_answered);
static struct nxblk_resp gpa_resp;
static u64 gpa_cookie;
static u8 *gpa_buf;

static u32 gpa_receive(struct ion_channel *ch, const void *data)
{
	gpa_resp = *(const struct nxblk_resp *)data;
	complete(&gpa_answered);
	return ION_REASON_NONE;
}

static int gpa_offer(struct ion_channel *ch, const struct ion_offer *o,
		     struct ion_terms *t)
{
	t->depth = o->max_depth;
	t->features = o->features;
	return 0;
}

static void gpa_up(struct ion_channel *ch)
{
	if (ch->index == 0)
		complete(&gpa_up_done);
}

static void gpa_down(struct ion_channel *ch, const char *why)
{
	pr_err("channel went down: %s\n", why);
}

static void gpa_event(struct ion_channel *ch)
{
	ion_channel_receive(ch, gpa_receive);
}

static const struct ion_channel_ops gpa_ops = {
	.offer = gpa_offer,
	.up = gpa_up,
	.down = gpa_down,
	.event = gpa_event,
};

static int gpa_probe(struct ion_device *idev)
{
	unsigned int q;

	for (q = 0; q < idev->nr_channels; q++)
		ion_channel_open(&idev->channels[q], &gpa_ops, NULL);
	gpa_channel = &idev->channels[0];
	return 0;
}

static void gpa_remove(struct ion_device *idev)
{
	unsigned int q;

	for (q = 0; q < idev->nr_channels; q++)
		if (ion_channel_close(&idev->channels[q]))
			pr_err("queue %u: not drained\n", q);
}

static struct ion_driver gpa_driver = {
	.driver = { .name = "gpa_client", .owner = THIS_MODULE },
	.kind = ION_KIND_BLK,
	.probe = gpa_probe,
	.remove = gpa_remove,
};

/* One request of two segments; returns its status, or -ETIMEDOUT. */
static int gpa_ask(u8 op, u16 flags, const struct nxblk_seg *seg)
{
	struct nxblk_req req = {
		.op = op,
		.cap_slot = gpa_channel->entry.cap_slot,
		.flags = flags,
		.nseg = 2,
		.count = (seg[0].len + seg[1].len) >> NXBLK_SECTOR_SHIFT,
		.generation = (u32)gpa_channel->end.generation,
		.cookie = ++gpa_cookie,
		.seg = { seg[0], seg[1] },
	};

	reinit_completion(&gpa_answered);
	if (ion_channel_send(gpa_channel, &req))
		return -ENOTCONN;
	ion_channel_flush(gpa_channel);
	if (!wait_for_completion_timeout(&gpa_answered, GPA_SECONDS * HZ))
		return -ETIMEDOUT;
	return gpa_resp.cookie == req.cookie ? gpa_resp.status : -EIO;
}

/*
 * A READ whose first segment is right and whose second one is not: INVAL, and
 * not a byte of the first one has been written.
 */
static bool gpa_refused(const char *what, u64 addr, u32 len)
{
	struct nxblk_seg seg[2] = {
		{ .addr = virt_to_phys(gpa_buf), .len = NXBLK_SECTOR_SIZE },
		{ .addr = addr, .len = len },
	};
	int status;

	memset(gpa_buf, GPA_MARK, GPA_BYTES);
	status = gpa_ask(NXBLK_OP_READ, NXBLK_REQ_GPA, seg);
	if (status == NXBLK_S_INVAL && !memchr_inv(gpa_buf, GPA_MARK, GPA_BYTES))
		return true;
	pr_err("%s: status %d, buffer %s\n", what, status,
	       memchr_inv(gpa_buf, GPA_MARK, GPA_BYTES) ? "changed" :
							  "untouched");
	return false;
}

static void gpa_fill(void)
{
	unsigned int i;

	for (i = 0; i < GPA_BYTES; i++)
		gpa_buf[i] = i % 251;
}

/* Written and read back in pieces that cross a page; what is honest works. */
static bool gpa_honest(void)
{
	struct nxblk_seg seg[2] = {
		{ .addr = virt_to_phys(gpa_buf), .len = PAGE_SIZE + 512 },
		{ .addr = virt_to_phys(gpa_buf) + PAGE_SIZE + 512,
		  .len = PAGE_SIZE - 512 },
	};
	unsigned int i;
	int status;

	gpa_fill();
	status = gpa_ask(NXBLK_OP_WRITE, NXBLK_REQ_GPA, seg);
	memset(gpa_buf, GPA_MARK, GPA_BYTES);
	if (!status)
		status = gpa_ask(NXBLK_OP_READ, NXBLK_REQ_GPA, seg);
	for (i = 0; i < GPA_BYTES && gpa_buf[i] == i % 251; i++)
		;
	if (!status && i == GPA_BYTES)
		return true;
	pr_err("honest: status %d, right up to byte %u\n", status, i);
	return false;
}

/* Where the RAM ends that the buffer is in. */
static u64 gpa_ram_end(void)
{
	unsigned long pfn = PHYS_PFN(virt_to_phys(gpa_buf));

	while (page_is_ram(pfn))
		pfn++;
	return PFN_PHYS(pfn);
}

static int gpa_verdict(void)
{
	u64 end = gpa_ram_end();
	u64 buf = virt_to_phys(gpa_buf) + NXBLK_SECTOR_SIZE;
	bool ok = gpa_honest();

	ok &= gpa_refused("an odd address", buf + 2, 512);
	ok &= gpa_refused("no whole sectors", buf, 516);
	ok &= gpa_refused("nothing", buf, 0);
	ok &= gpa_refused("beyond RAM", end, 512);
	ok &= gpa_refused("far beyond RAM", 1ull << 51, 512);
	ok &= gpa_refused("over the end of RAM", end - 512, 1024);
	ok &= gpa_refused("at the end of addresses", 0ull - 512, 512);
	ok &= gpa_refused("over the end of addresses", 0ull - 512, 1024);
	ok &= gpa_refused("a hole below 1 MiB", 0xa0000, 512);
	ok &= gpa_refused("over the edge of a hole", 0x98000, 0x10000);
	ok &= gpa_honest();
	return ok ? 0 : -EIO;
}

static int __init gpa_init(void)
{
	int ret = -ENODEV;

	gpa_buf = (u8 *)__get_free_pages(GFP_KERNEL, 1);
	if (!gpa_buf)
		return -ENOMEM;
	ret = ion_driver_register(&gpa_driver);
	if (ret)
		goto free;
	ret = -ENODEV;
	if (gpa_channel &&
	    wait_for_completion_timeout(&gpa_up_done, GPA_SECONDS * HZ))
		ret = gpa_verdict();
	ion_driver_unregister(&gpa_driver);
free:
	free_pages((unsigned long)gpa_buf, 1);
	return ret;
}

static void __exit gpa_exit(void)
{
}

module_init(gpa_init);
module_exit(gpa_exit);

MODULE_DESCRIPTION("Client with wrong guest-physical segments (test)");
MODULE_LICENSE("GPL");
