/* SPDX-License-Identifier: GPL-2.0-only */
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "log.h"
#include "util.h"

#define CLAIM_RETRY_MS 1

static const char *image_kind_fault(mode_t mode)
{
	if (S_ISREG(mode) || S_ISBLK(mode))
		return NULL;
	if (S_ISDIR(mode))
		return "is a directory, must be a regular file or a block device";
	if (S_ISFIFO(mode))
		return "is a FIFO, must be a regular file or a block device";
	if (S_ISSOCK(mode))
		return "is a socket, must be a regular file or a block device";
	return "must be a regular file or a block device";
}

/**
 * image_size - bytes that an image can serve
 * @fd: image
 * @block: logical block in bytes
 * @size: filled on success
 * @why: filled on failure with what is wrong
 *
 * Return: 0, or -EINVAL when such an image cannot be served.
 */
int image_size(int fd, uint32_t block, uint64_t *size, const char **why)
{
	struct stat st;
	uint64_t bytes;

	*why = "cannot be examined";
	if (fd_stat(fd, &st) < 0)
		return -EINVAL;
	*why = image_kind_fault(st.st_mode);
	if (*why)
		return -EINVAL;
	bytes = (uint64_t)st.st_size;
	*why = "gives no size";
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, &bytes) < 0)
		return -EINVAL;
	*why = "is empty";
	if (!bytes)
		return -EINVAL;
	*why = block == 4096 ? "has a size that is not a multiple of 4096" :
			       "has a size that is not a multiple of 512";
	if (bytes % block)
		return -EINVAL;
	*size = bytes;
	return 0;
}

static uint64_t fnv1a(uint64_t hash, const void *data, size_t length)
{
	const uint8_t *p = data;

	while (length--)
		hash = (hash ^ *p++) * 0x100000001b3ull;
	return hash;
}

/**
 * image_identity - which file it is
 * @fd: image
 * @uuid: filled
 *
 * The same file gives the same UUID to every process that serves it, and a new
 * file under the same name gives another one. Version 8: of our own making.
 */
void image_identity(int fd, uint8_t uuid[16])
{
	struct statx stx;
	uint64_t id[5] = { 0 };
	uint64_t half[2];

	if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &stx) == 0) {
		id[0] = makedev(stx.stx_dev_major, stx.stx_dev_minor);
		id[1] = stx.stx_ino;
		id[2] = makedev(stx.stx_rdev_major, stx.stx_rdev_minor);
		id[3] = (uint64_t)stx.stx_btime.tv_sec;
		id[4] = stx.stx_btime.tv_nsec;
	}
	half[0] = fnv1a(0xcbf29ce484222325ull, id, sizeof(id));
	half[1] = fnv1a(half[0] ^ 0x9e3779b97f4a7c15ull, id, sizeof(id));
	memcpy(uuid, half, 16);
	uuid[6] = (uuid[6] & 0x0f) | 0x80;
	uuid[8] = (uuid[8] & 0x3f) | 0x80;
}

/* A device's node always lies in one; what it stands for does not. */
static bool image_on_memory_fs(int fd)
{
	struct statfs fs;
	struct stat st;

	if (fd_stat(fd, &st) < 0 || !S_ISREG(st.st_mode) || fstatfs(fd, &fs) < 0)
		return false;
	return fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC;
}

/*
 * O_NONBLOCK: a FIFO without a writer must not hang us. It is taken off again,
 * since io_uring would give up on reads that have to wait for the device.
 */
static int image_open_fd(const char *path, bool read_only)
{
	int flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY |
		    O_NONBLOCK;

	return open(path, flags);
}

static void image_refuse_open(const char *path, int error)
{
	struct stat st;

	if (error == EISDIR)
		rumpk_error("disk %s: %s", path, image_kind_fault(S_IFDIR));
	/* A socket cannot be opened at all: ENXIO alone does not tell. */
	else if (error == ENXIO && stat(path, &st) == 0 &&
		 image_kind_fault(st.st_mode))
		rumpk_error("disk %s: %s", path, image_kind_fault(st.st_mode));
	else
		rumpk_error("disk %s: %s", path, strerror(error));
}

static void image_refuse_lock(const char *path, int fd, int err)
{
	char holder[128];

	if (err == -EBUSY) {
		image_holder(fd, holder, sizeof(holder));
		rumpk_error("disk %s: in use by %s", path, holder);
	} else {
		rumpk_error("disk %s: cannot be locked: %s", path,
			    strerror(-err));
	}
}

/* Is it one that can be served, and of what size? */
static int image_judge(struct image *img, const char *path, uint32_t block)
{
	const char *why;
	int err = image_size(img->fd, block, &img->size, &why);

	if (err) {
		rumpk_error("disk %s: %s", path, why);
		return err;
	}
	if (fcntl(img->fd, F_SETFL, 0) < 0) {
		err = -errno;
		rumpk_error("disk %s: %s", path, strerror(errno));
		return err;
	}
	img->memory_fs = image_on_memory_fs(img->fd);
	image_identity(img->fd, img->uuid);
	return 0;
}

static int image_open_at(struct image *img, const char *at, const char *path,
			 bool read_only, uint32_t block)
{
	int err;

	img->fd = image_open_fd(at, read_only);
	if (img->fd < 0) {
		err = -errno;
		/* A kernel may keep writers off what is mounted: as if it were locked. */
		if (err != -EBUSY)
			image_refuse_open(path, errno);
		return err;
	}
	err = image_judge(img, path, block);
	if (err)
		close_fd(&img->fd);
	return err;
}

/*
 * A lock is of one inode, and a block device may have many, besides what the kernel
 * itself has it for: whoever writes claims the device. Readers share it, which a claim
 * would forbid. Like the lock a claim goes with the last reference to its description.
 */
static int image_claim(struct image *img, bool read_only)
{
	const int flags = O_RDWR | O_EXCL | O_CLOEXEC;
	struct stat st;
	char at[32];
	int fd;

	if (fd_stat(img->fd, &st) < 0)
		return -errno;
	if (read_only || !S_ISBLK(st.st_mode))
		return 0;
	snprintf(at, sizeof(at), "/proc/self/fd/%d", img->fd);
	fd = open(at, flags);
	if (fd < 0)
		return -errno;
	close(img->fd);
	img->fd = fd;
	return 0;
}

static int image_take(struct image *img, bool read_only, unsigned int wait_ms)
{
	uint64_t until = now_ms() + wait_ms;
	uint64_t now;
	int err;

	while ((err = image_claim(img, read_only)) == -EBUSY && now_ms() < until)
		usleep(CLAIM_RETRY_MS * 1000);
	if (err)
		return err;
	now = now_ms();
	return image_lock(img->fd, read_only,
			  now < until ? (unsigned int)(until - now) : 0);
}

/**
 * image_open - open, judge, claim and lock an image
 * @img: filled on success
 * @path: name
 * @read_only: open for reading, share with other readers
 * @block: logical block in bytes
 * @wait_ms: how long to wait for a lock or a claim that somebody holds
 *
 * Return: 0, or -errno after a message that names path and reason.
 */
int image_open(struct image *img, const char *path, bool read_only,
	       uint32_t block, unsigned int wait_ms)
{
	int err = image_open_at(img, path, path, read_only, block);

	if (err == -EBUSY)
		image_refuse_open(path, EBUSY);
	if (err)
		return err;
	err = image_take(img, read_only, wait_ms);
	if (!err)
		return 0;
	image_refuse_lock(path, img->fd, err);
	close_fd(&img->fd);
	return err;
}

/**
 * image_open_again - open an image that was served before, and wait for nobody
 * @img: filled on success
 * @known: description of it, image_witness(); -1: by its name
 * @path: name
 * @read_only: as image_open()
 * @block: as image_open()
 *
 * A file that was moved, deleted or replaced meanwhile is still the disk.
 *
 * Return: 0; -EBUSY, without a message, when somebody holds its lock or has
 * claimed it; another -errno after a message.
 */
int image_open_again(struct image *img, int known, const char *path,
		     bool read_only, uint32_t block)
{
	char at[32];
	int err;

	snprintf(at, sizeof(at), "/proc/self/fd/%d", known);
	err = image_open_at(img, known < 0 ? path : at, path, read_only, block);
	if (err)
		return err;
	err = image_take(img, read_only, 0);
	if (!err)
		return 0;
	if (err != -EBUSY)
		image_refuse_lock(path, img->fd, err);
	close_fd(&img->fd);
	return err;
}

/**
 * image_is_held - name the process that holds an image's locks
 * @known: as image_open_again()
 * @path: as image_open_again()
 * @text: filled
 * @length: of @text
 *
 * Return: whether there is one that we may look into.
 */
bool image_is_held(int known, const char *path, char *text, unsigned int length)
{
	int fd = known < 0 ? image_open_fd(path, true) : known;
	bool held = fd >= 0 && image_holder(fd, text, length);

	if (known < 0)
		close_fd(&fd);
	return held;
}

/**
 * image_witness - a description of an image that is never locked
 * @path: name
 *
 * For whoever outlives those who serve: it keeps the file, and will be told of each
 * error of writing back (disks.c).
 *
 * Return: a descriptor, or -errno.
 */
int image_witness(const char *path)
{
	int fd = image_open_fd(path, true);

	return fd < 0 ? -errno : fd;
}

/**
 * image_is - is it the image that is meant
 * @fd: of an image
 * @uuid: of the one that is meant
 *
 * Return: whether it is.
 */
bool image_is(int fd, const uint8_t uuid[16])
{
	uint8_t found[16];

	image_identity(fd, found);
	return memcmp(found, uuid, sizeof(found)) == 0;
}
