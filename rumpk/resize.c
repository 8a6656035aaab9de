/* SPDX-License-Identifier: GPL-2.0-only */
#include "resize.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image.h"
#include "util.h"

static int change_open(const struct resize *r, int fd)
{
	struct stat st;
	uint8_t uuid[16];

	if (fstat(fd, &st) < 0)
		return errno;
	if (!S_ISREG(st.st_mode))
		return RESIZE_NO_FILE;
	image_identity(fd, uuid);
	if (memcmp(uuid, r->uuid, sizeof(uuid)))
		return RESIZE_OTHER_FILE;
	/* What a worker says of its disk's size is not relied on. */
	if ((uint64_t)st.st_size > r->bytes && !r->shrink)
		return RESIZE_SMALLER;
	if (ftruncate(fd, (off_t)r->bytes) < 0)
		return errno;
	return fsync(fd) < 0 ? RESIZE_UNSYNCED : 0;
}

static int change_image(const struct resize *r)
{
	int fd = open(r->path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int error;

	if (fd < 0)
		return errno;
	error = change_open(r, fd);
	close(fd);
	return error;
}

/**
 * resize_fault - what went wrong
 * @error: of a resize
 *
 * Return: text.
 */
const char *resize_fault(int error)
{
	switch (error) {
	case RESIZE_NO_FILE:
		return "the image is no regular file";
	case RESIZE_OTHER_FILE:
		return "its path names another file now";
	case RESIZE_SMALLER:
		return "the image would become smaller, which needs shrink";
	case RESIZE_UNSYNCED:
		return "the image has the new size, but that could not be synced: after a crash it may have the old one";
	case RESIZE_KILLED:
		return "the process that changes the image was killed; the image has the old size or the new one";
	case RESIZE_LATE:
		return "requests beyond the new end did not finish in time";
	case RESIZE_UNSEEN:
		return "no worker has taken notice in time; the image has the new size";
	case RESIZE_OTHER_SIZE:
		return "the worker offers another size than the image has now";
	default:
		return strerror(error);
	}
}

static void look_again(struct resize *r, struct authority *a)
{
	a->limit[r->disk] = 0;
	a->sized[r->disk]++;
	safety_changed(a);
	drain_begin(&r->drain, a);
	r->phase = RESIZE_LOOK;
}

static void change_begin(struct resize *r, struct authority *a)
{
	pid_t parent = getpid();

	r->child = fork();
	if (r->child == 0) {
		char name[16];

		/*
		 * The connection to the keeper is kept on purpose: a file system
		 * that hangs lets nobody be killed, and a rumpk that came
		 * meanwhile would serve a file that is cut later.
		 */
		snprintf(name, sizeof(name), "rumpk-resize-%u", r->disk);
		prctl(PR_SET_NAME, name);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(getppid() == parent ? change_image(r) : RESIZE_KILLED);
	}
	r->phase = RESIZE_CHANGE;
	if (r->child > 0)
		return;
	r->error = errno;
	look_again(r, a);
}

/**
 * resize_begin - begin to resize an image
 * @r: in RESIZE_NONE; @r->disk up to @r->before are set
 * @a: authority
 */
void resize_begin(struct resize *r, struct authority *a)
{
	r->serial++;
	r->error = 0;
	if (r->bytes >= r->before) {
		change_begin(r, a);
		return;
	}
	a->limit[r->disk] = r->bytes >> NXBLK_SECTOR_SHIFT;
	safety_changed(a);
	drain_begin(&r->drain, a);
	r->phase = RESIZE_LOWER;
}

static void lower_look(struct resize *r, struct authority *a,
		       const struct ledger *l)
{
	enum drain_state state = drain_look(&r->drain, l, r->disk);

	if (state == DRAIN_OVER) {
		change_begin(r, a);
	} else if (state == DRAIN_LATE) {
		r->error = RESIZE_LATE;
		look_again(r, a);
	}
}

static void change_look(struct resize *r, struct authority *a)
{
	int status;

	if (waitpid(r->child, &status, WNOHANG) != r->child)
		return;
	r->error = WIFEXITED(status) ? WEXITSTATUS(status) : RESIZE_KILLED;
	look_again(r, a);
}

/* The worker has looked: what it offers now is what came of it. */
static void look_look(struct resize *r, const struct ledger *l)
{
	uint64_t sectors = __atomic_load_n(&l->channel[r->disk].capacity,
					   __ATOMIC_RELAXED);

	if (!drain_seen(&r->drain, l)) {
		if (now_ms() < r->drain.until_ms)
			return;
		if (!r->error)
			r->error = RESIZE_UNSEEN;
	} else if (!r->error && sectors != r->bytes >> NXBLK_SECTOR_SHIFT) {
		r->error = RESIZE_OTHER_SIZE;
	}
	r->phase = RESIZE_NONE;
}

/**
 * resize_go_on - go on as far as possible
 * @r: resize; in RESIZE_NONE there is nothing to do
 * @a: authority
 * @l: ledger
 */
void resize_go_on(struct resize *r, struct authority *a, const struct ledger *l)
{
	switch (r->phase) {
	case RESIZE_NONE:
		break;
	case RESIZE_LOWER:
		lower_look(r, a, l);
		break;
	case RESIZE_CHANGE:
		change_look(r, a);
		break;
	case RESIZE_LOOK:
		look_look(r, l);
		break;
	}
}
