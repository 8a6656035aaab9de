// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sparse memory for the in-memory valve. Callers check bounds.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "memvalve.h"

void nxblk_store_init(struct nxblk_store *s)
{
	xa_init(&s->pages);
}

void nxblk_store_exit(struct nxblk_store *s)
{
	unsigned long index;
	void *page;

	xa_for_each(&s->pages, index, page)
		free_page((unsigned long)page);
	xa_destroy(&s->pages);
}

/* Bytes from @at to the end of its page, at most @len. */
static u32 nxblk_store_piece(u64 at, u64 len)
{
	return min_t(u64, len, PAGE_SIZE - offset_in_page(at));
}

static u8 *nxblk_store_find(struct nxblk_store *s, u64 at)
{
	return xa_load(&s->pages, at >> PAGE_SHIFT);
}

/* The page at @at, made when it is not there. */
static u8 *nxblk_store_make(struct nxblk_store *s, u64 at)
{
	u8 *page = nxblk_store_find(s, at);

	if (page)
		return page;
	/* No waiting for write-back: it may be waiting for us. */
	page = (u8 *)get_zeroed_page(GFP_NOIO | __GFP_NOWARN);
	if (!page)
		return NULL;
	if (xa_err(xa_store(&s->pages, at >> PAGE_SHIFT, page, GFP_NOIO))) {
		free_page((unsigned long)page);
		return NULL;
	}
	return page;
}

void nxblk_store_read(struct nxblk_store *s, u64 at, u8 *to, u32 len)
{
	while (len) {
		u32 n = nxblk_store_piece(at, len);
		const u8 *page = nxblk_store_find(s, at);

		if (page)
			memcpy(to, page + offset_in_page(at), n);
		else
			memset(to, 0, n);
		at += n;
		to += n;
		len -= n;
	}
}

/**
 * nxblk_store_write - copy into the store
 * @s: store
 * @at: first byte
 * @from: source
 * @len: bytes
 *
 * Return: 0, or -ENOSPC when there is no memory; some of it may be written.
 */
int nxblk_store_write(struct nxblk_store *s, u64 at, const u8 *from, u32 len)
{
	while (len) {
		u32 n = nxblk_store_piece(at, len);
		u8 *page = nxblk_store_make(s, at);

		if (!page)
			return -ENOSPC;
		memcpy(page + offset_in_page(at), from, n);
		at += n;
		from += n;
		len -= n;
	}
	return 0;
}

static void nxblk_store_zero_piece(struct nxblk_store *s, u64 at, u32 len)
{
	u8 *page = len ? nxblk_store_find(s, at) : NULL;

	if (page)
		memset(page + offset_in_page(at), 0, len);
}

/**
 * nxblk_store_zero - make a range read zero, giving whole pages back
 * @s: store
 * @at: first byte
 * @len: bytes
 */
void nxblk_store_zero(struct nxblk_store *s, u64 at, u64 len)
{
	u32 head = min_t(u64, len, -at & (PAGE_SIZE - 1));
	unsigned long index, pages;
	void *page;

	nxblk_store_zero_piece(s, at, head);
	at += head;
	len -= head;
	pages = len >> PAGE_SHIFT;
	if (pages) {
		xa_for_each_range(&s->pages, index, page, at >> PAGE_SHIFT,
				  (at >> PAGE_SHIFT) + pages - 1)
		{
			xa_erase(&s->pages, index);
			free_page((unsigned long)page);
		}
	}
	nxblk_store_zero_piece(s, at + ((u64)pages << PAGE_SHIFT),
			       offset_in_page(len));
}
