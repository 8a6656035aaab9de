/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Images that cannot be served are refused with one line that names path and
 * reason; locks keep others out, and QEMU's tools too.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rumpk/image.h"
#include "rumpk/unix.h"
#include "loop_device.h"

static char dir[64];
static char path[80];
static char said[4096];

static int open_quietly(struct image *img, const char *name, bool ro,
			uint32_t block)
{
	int saved = dup(2);
	int p[2];
	ssize_t n;
	int err;

	assert_int_equal(pipe2(p, O_NONBLOCK), 0);
	dup2(p[1], 2);
	err = image_open(img, name, ro, block, 0);
	dup2(saved, 2);
	n = read(p[0], said, sizeof(said) - 1);
	said[n > 0 ? n : 0] = '\0';
	close(saved);
	close(p[0]);
	close(p[1]);
	return err;
}

static void refused(const char *name, const char *why, uint32_t block)
{
	struct image img;
	char *newline;

	assert_true(open_quietly(&img, name, false, block) < 0);
	newline = strchr(said, '\n');
	if (!newline || newline[1] || !strstr(said, name) || !strstr(said, why))
		fail_msg("%s: not one line with \"%s\": %s", name, why, said);
}

static void make(off_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

static int setup(void **state)
{
	strcpy(dir, "/tmp/rumpk-unit-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/image", dir);
	return 0;
}

static int teardown(void **state)
{
	unlink(path);
	return rmdir(dir);
}

static void image_missing(void **state)
{
	refused(path, "No such file", 512);
}

static void image_directory(void **state)
{
	refused(dir, "is a directory", 512);
}

static void image_fifo(void **state)
{
	assert_int_equal(mkfifo(path, 0600), 0);
	refused(path, "is a FIFO", 512);
}

static void image_device(void **state)
{
	refused("/dev/null", "must be a regular file", 512);
}

static void image_sizes(void **state)
{
	make(0);
	refused(path, "is empty", 512);
	make(1);
	refused(path, "multiple of 512", 512);
	make((1 << 20) + 1);
	refused(path, "multiple of 512", 512);
	make((1 << 20) + 512);
	refused(path, "multiple of 4096", 4096);
}

static void image_unreadable(void **state)
{
	pid_t pid;
	int status;

	make(4096);
	assert_int_equal(chmod(path, 0), 0);
	assert_int_equal(chmod(dir, 0755), 0);
	pid = fork();
	if (pid == 0) {
		struct image img;

		if (setresuid(65534, 65534, 65534) < 0 && getuid() == 0)
			_exit(2);
		_exit(image_open(&img, path, false, 512, 0) == -EACCES ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void image_opens(void **state)
{
	struct image img;
	struct image same;

	make(8192);
	assert_int_equal(image_open(&img, path, true, 4096, 0), 0);
	assert_int_equal(img.size, 8192);
	assert_int_equal(fcntl(img.fd, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(image_open(&same, path, true, 512, 0), 0);
	assert_memory_equal(img.uuid, same.uuid, 16);
	close(same.fd);
	close(img.fd);
	unlink(path);
	make(8192);
	assert_int_equal(image_open(&same, path, true, 512, 0), 0);
	assert_memory_not_equal(img.uuid, same.uuid, 16);
	close(same.fd);
}

static void image_in_memory(void **state)
{
	int fd = memfd_create("image", MFD_CLOEXEC);
	struct image img;
	char name[32];

	assert_int_equal(ftruncate(fd, 8192), 0);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	assert_int_equal(image_open(&img, name, false, 512, 0), 0);
	assert_true(img.memory_fs);
	close(img.fd);
	close(fd);
}

static void image_locked(void **state)
{
	struct image writer;
	struct image other;
	char pid[32];

	make(8192);
	assert_int_equal(image_open(&writer, path, false, 512, 0), 0);
	refused(path, "in use by", 512);
	snprintf(pid, sizeof(pid), "(pid %d)", getpid());
	assert_non_null(strstr(said, pid));
	assert_int_equal(open_quietly(&other, path, true, 512), -EBUSY);
	close(writer.fd);
	assert_int_equal(image_open(&other, path, false, 512, 0), 0);
	close(other.fd);
}

static void image_shared_by_readers(void **state)
{
	struct image a;
	struct image b;

	make(8192);
	assert_int_equal(image_open(&a, path, true, 512, 0), 0);
	assert_int_equal(image_open(&b, path, true, 512, 0), 0);
	refused(path, "in use by", 512);
	close(a.fd);
	refused(path, "in use by", 512);
	close(b.fd);
}

static void ofd(int fd, short type, off_t byte)
{
	struct flock fl = {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = byte,
		.l_len = 1,
	};

	assert_int_equal(fcntl(fd, F_OFD_SETLK, &fl), 0);
}

static bool ofd_taken(int fd, off_t byte)
{
	struct flock fl = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = byte,
		.l_len = 1,
	};

	assert_int_equal(fcntl(fd, F_OFD_GETLK, &fl), 0);
	return fl.l_type != F_UNLCK;
}

/* Byte 101: "I write"; 201: "nobody else may write". */
static void image_locks_of_qemu(void **state)
{
	struct image img;
	int fd;

	make(8192);
	fd = open(path, O_RDWR);
	ofd(fd, F_RDLCK, 101);
	refused(path, "in use by", 512);
	assert_int_equal(open_quietly(&img, path, true, 512), -EBUSY);
	ofd(fd, F_UNLCK, 101);
	ofd(fd, F_RDLCK, 201);
	refused(path, "in use by", 512);
	assert_int_equal(open_quietly(&img, path, true, 512), 0);
	close(img.fd);
	ofd(fd, F_UNLCK, 201);

	assert_int_equal(open_quietly(&img, path, false, 512), 0);
	assert_true(ofd_taken(fd, 100) && ofd_taken(fd, 101));
	assert_true(ofd_taken(fd, 201) && ofd_taken(fd, 203));
	close(img.fd);
	assert_false(ofd_taken(fd, 101));
	assert_int_equal(open_quietly(&img, path, true, 512), 0);
	assert_true(ofd_taken(fd, 100) && ofd_taken(fd, 201));
	assert_false(ofd_taken(fd, 101));
	close(img.fd);
	close(fd);
}

/*
 * What a refused attempt took for a moment must be given back, or two that wait
 * for each other would do so for ever.
 */
static void image_refusal_leaves_no_lock(void **state)
{
	int holder;
	int fd;

	make(8192);
	holder = open(path, O_RDWR);
	fd = open(path, O_RDWR);
	ofd(holder, F_RDLCK, 201);
	assert_int_equal(image_lock(fd, false, 0), -EBUSY);
	assert_false(ofd_taken(holder, 100) || ofd_taken(holder, 101));
	assert_int_equal(flock(holder, LOCK_EX | LOCK_NB), 0);
	close(fd);
	close(holder);
}

/* The fence: a writer's is exclusive, readers share one. */
static void image_flock(void **state)
{
	struct image img;
	int fd;

	make(8192);
	fd = open(path, O_RDWR);
	assert_int_equal(image_open(&img, path, false, 512, 0), 0);
	assert_int_equal(flock(fd, LOCK_SH | LOCK_NB), -1);
	close(img.fd);
	assert_int_equal(image_open(&img, path, true, 512, 0), 0);
	assert_int_equal(flock(fd, LOCK_SH | LOCK_NB), 0);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
	close(img.fd);
	close(fd);
}

static void image_lock_waits(void **state)
{
	struct image img;
	struct image late;
	pid_t pid;

	make(8192);
	assert_int_equal(image_open(&img, path, false, 512, 0), 0);
	pid = fork();
	if (pid == 0) {
		/* The description is shared: it goes with the last of the two. */
		usleep(100000);
		_exit(0);
	}
	close(img.fd);
	assert_int_equal(image_open(&late, path, false, 512, 5000), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(late.fd);
}

/* Where a device is served by one node it is not by another, nor where it is mounted. */
static void image_device_claimed(void **state)
{
	struct image writer;
	struct image other;
	struct stat st;
	char alias[96];
	char node[32];
	char pid[32];
	int witness;
	int fd;

	make(1 << 20);
	fd = loop_device(path, node, sizeof(node));
	if (fd < 0)
		skip();
	snprintf(alias, sizeof(alias), "%s/alias", dir);
	assert_int_equal(stat(node, &st), 0);
	assert_int_equal(mknod(alias, S_IFBLK | 0600, st.st_rdev), 0);

	assert_int_equal(open_quietly(&writer, node, false, 512), 0);
	assert_int_equal(writer.size, 1 << 20);
	assert_false(writer.memory_fs);
	refused(alias, "in use by", 512);
	snprintf(pid, sizeof(pid), "(pid %d)", getpid());
	assert_non_null(strstr(said, pid));
	assert_int_equal(image_open_again(&other, -1, alias, false, 512), -EBUSY);
	witness = image_witness(node);
	assert_true(witness >= 0);
	close(witness);
	/* As those who mount do. */
	assert_int_equal(open(node, O_RDWR | O_EXCL | O_CLOEXEC), -1);
	close(writer.fd);

	assert_int_equal(open_quietly(&writer, alias, true, 512), 0);
	assert_int_equal(open_quietly(&other, node, true, 512), 0);
	close(writer.fd);
	close(other.fd);

	writer.fd = open(node, O_RDONLY | O_EXCL | O_CLOEXEC);
	refused(node, "in use by another process, a mount", 512);
	close(writer.fd);
	assert_int_equal(open_quietly(&other, node, false, 512), 0);
	close(other.fd);
	unlink(alias);
	close(fd);
}

/* As for the lock: what the dead still have in the kernel holds the claim. */
static void image_claim_waits(void **state)
{
	struct image img;
	struct image late;
	char node[32];
	pid_t pid;
	int fd;

	make(1 << 20);
	fd = loop_device(path, node, sizeof(node));
	if (fd < 0)
		skip();
	assert_int_equal(image_open(&img, node, false, 512, 0), 0);
	pid = fork();
	if (pid == 0) {
		usleep(100000);
		_exit(0);
	}
	close(img.fd);
	assert_int_equal(image_open_again(&late, -1, node, false, 512), -EBUSY);
	assert_int_equal(image_open(&late, node, false, 512, 5000), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(late.fd);
	close(fd);
}

static void image_socket(void **state)
{
	int fd = unix_listen(path, SOCK_STREAM);

	assert_true(fd >= 0);
	refused(path, "is a socket", 512);
	close(fd);
}

static void image_tty(void **state)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	assert_true(fd >= 0 && unlockpt(fd) == 0);
	refused(ptsname(fd), "must be a regular file", 512);
	close(fd);
}

#define image_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		image_test(image_missing),
		image_test(image_directory),
		image_test(image_fifo),
		image_test(image_device),
		image_test(image_socket),
		image_test(image_tty),
		image_test(image_sizes),
		image_test(image_unreadable),
		image_test(image_opens),
		image_test(image_in_memory),
		image_test(image_locked),
		image_test(image_shared_by_readers),
		image_test(image_locks_of_qemu),
		image_test(image_refusal_leaves_no_lock),
		image_test(image_flock),
		image_test(image_lock_waits),
		image_test(image_device_claimed),
		image_test(image_claim_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
