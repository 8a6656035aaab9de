/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A cell's RAM: the layouts of QEMU's machines at their limits, every edge of
 * every range, and files that are no RAM.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rumpk/ram.h"

#define M (1ull << 20)
#define G (1ull << 30)
#define END UINT64_MAX

/* RAM that is nowhere: addresses are computed, never followed. */
static void lay_out(struct ram *r, enum ram_machine machine, uint64_t length)
{
	memset(r, 0, sizeof(*r));
	assert_null(ram_layout(r, machine, length));
	r->base = (uint8_t *)0x100000000000;
}

/* [first, end) is RAM from @offset on, and nothing beyond either end. */
static void is_range(const struct ram *r, uint64_t first, uint64_t end,
		     uint64_t offset)
{
	uint8_t *at = r->base + offset;

	assert_ptr_equal(ram_at(r, first, 512), at);
	assert_ptr_equal(ram_at(r, first, end - first), at);
	assert_ptr_equal(ram_at(r, end - 512, 512), at + (end - first) - 512);
	assert_null(ram_at(r, end - 512, 513));
	assert_null(ram_at(r, end - 4, 512));
	assert_null(ram_at(r, end, 512));
	assert_null(ram_at(r, first, end - first + 1));
	if (first)
		assert_null(ram_at(r, first - 4, 512));
	assert_null(ram_at(r, first + 512, UINT32_MAX * 1ull << 32));
	assert_null(ram_at(r, first + 512, END - first));
	assert_null(ram_at(r, first + 512, END));
}

static void is_pc(const struct ram *r, uint64_t low, uint64_t high)
{
	is_range(r, 0, 0xa0000, 0);
	is_range(r, 0x100000, low, 0x100000);
	assert_null(ram_at(r, 0xa0000, 512));
	assert_null(ram_at(r, 0xc0000, 512));
	assert_null(ram_at(r, 0xffe00, 512));
	assert_null(ram_at(r, 0x9fe00, 0x100000));
	assert_null(ram_at(r, 0xfee00000, 4096));
	if (high)
		is_range(r, 4 * G, 4 * G + high, low);
	else
		assert_null(ram_at(r, 4 * G, 512));
	assert_null(ram_at(r, END - 511, 512));
	assert_null(ram_at(r, END - 3, 512));
	assert_int_equal(r->ranges, high ? 3 : 2);
}

static void q35(void **state)
{
	struct ram r;

	lay_out(&r, RAM_Q35, 2 * M);
	is_pc(&r, 2 * M, 0);
	lay_out(&r, RAM_Q35, G);
	is_pc(&r, G, 0);
	lay_out(&r, RAM_Q35, 2816 * M - 4096);
	is_pc(&r, 2816 * M - 4096, 0);
	lay_out(&r, RAM_Q35, 2816 * M);
	is_pc(&r, 2 * G, 768 * M);
	lay_out(&r, RAM_Q35, 512 * G);
	is_pc(&r, 2 * G, 510 * G);
}

static void pc(void **state)
{
	struct ram r;

	lay_out(&r, RAM_PC, 2816 * M);
	is_pc(&r, 2816 * M, 0);
	lay_out(&r, RAM_PC, 3584 * M - 4096);
	is_pc(&r, 3584 * M - 4096, 0);
	lay_out(&r, RAM_PC, 3584 * M);
	is_pc(&r, 3 * G, 512 * M);
	lay_out(&r, RAM_PC, 512 * G);
	is_pc(&r, 3 * G, 509 * G);
}

static void virt(void **state)
{
	struct ram r;

	lay_out(&r, RAM_VIRT, 5 * G);
	assert_int_equal(r.ranges, 1);
	is_range(&r, G, 6 * G, 0);
	assert_null(ram_at(&r, 0, 512));
	assert_null(ram_at(&r, 0xa0000, 512));
	assert_null(ram_at(&r, END - 511, 512));
}

static void impossible_lengths(void **state)
{
	static const uint64_t lengths[] = {
		0,	 1,	      M,   2 * M - 4096, 2 * M + 512,
		G - 512, 512 * G + 1, END, 513 * G,	 END - 4095
	};
	struct ram r = { 0 };
	size_t i;
	int m;

	for (m = RAM_Q35; m <= RAM_VIRT; m++) {
		for (i = 0; i < ARRAY_SIZE(lengths); i++)
			assert_non_null(ram_layout(&r, m, lengths[i]));
	}
	assert_int_equal(r.ranges, 0);
	assert_null(ram_at(&r, 0, 512));
}

static int make_file(char *path, uint64_t length)
{
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)length), 0);
	return fd;
}

/* What is stored here is in the file, at the other side of each hole. */
static void mapped(void **state)
{
	char path[] = "/dev/shm/rumpk-unit-XXXXXX";
	int fd = make_file(path, 2816 * M);
	struct ram r = { 0 };
	char text[5];

	assert_int_equal(ram_open(&r, path, RAM_Q35), 0);
	memcpy(ram_at(&r, 4 * G + 8192, 5), "high", 5);
	assert_int_equal(pread(fd, text, 5, (off_t)(2 * G + 8192)), 5);
	assert_string_equal(text, "high");
	assert_int_equal(pwrite(fd, "low", 4, 4096), 4);
	assert_string_equal((char *)ram_at(&r, 4096, 4), "low");
	ram_close(&r);
	assert_null(ram_at(&r, 4096, 4));
	ram_close(&r);
	unlink(path);
	close(fd);
}

static void mapped_memfd(void **state)
{
	int fd = memfd_create("ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct ram r = { 0 };
	char path[40];

	assert_int_equal(ftruncate(fd, (off_t)(4 * M)), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(ram_open(&r, path, RAM_VIRT), 0);
	memcpy(ram_at(&r, G + 4 * M - 4, 4), "end", 4);
	ram_close(&r);
	close(fd);
}

static void no_ram(void **state)
{
	char path[] = "/dev/shm/rumpk-unit-XXXXXX";
	int fd = make_file(path, M);
	struct ram r = { 0 };

	assert_int_equal(ram_open(&r, path, RAM_Q35), -EINVAL);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(ram_open(&r, path, RAM_Q35), -EINVAL);
	close(fd);
	unlink(path);
	assert_int_equal(ram_open(&r, path, RAM_Q35), -EINVAL);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(ram_open(&r, path, RAM_Q35), -EINVAL);
	unlink(path);
	assert_int_equal(ram_open(&r, "/dev", RAM_Q35), -EINVAL);
	assert_int_equal(ram_open(&r, "/dev/zero", RAM_Q35), -EINVAL);
	assert_null(r.base);
	assert_null(ram_at(&r, 4096, 512));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(q35),	  cmocka_unit_test(pc),
		cmocka_unit_test(virt),	  cmocka_unit_test(impossible_lengths),
		cmocka_unit_test(mapped), cmocka_unit_test(mapped_memfd),
		cmocka_unit_test(no_ram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
