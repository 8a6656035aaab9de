/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The synchronous interface against a device in memory: bytes, bounds, and that
 * every call ends.
 */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rumpk/blk_sync.h"
#include "rumpk/unix.h"
#include "rumpk/util.h"
#include "virtio_device.h"

#define SECTORS (BYTES / 512)

static char dir[64];
static char path[80];
static int listener;
static pthread_t doorman;
static struct blk_sync *disk;
static uint8_t data[BYTES];

static void *let_in(void *arg)
{
	int sock = accept(listener, NULL, NULL);

	if (sock >= 0)
		device_start(sock);
	return NULL;
}

static int setup(void **state)
{
	strcpy(dir, "/dev/shm/rumpk-unit-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/device", dir);
	listener = unix_listen(path, SOCK_STREAM | SOCK_CLOEXEC);
	assert_true(listener >= 0);
	device_reset();
	disk = NULL;
	return 0;
}

static int teardown(void **state)
{
	blk_sync_close(disk);
	device_end();
	close(listener);
	unlink(path);
	return rmdir(dir);
}

static void open_disk(unsigned int timeout_ms)
{
	/* The listener is non-blocking, its connections' acceptor waits. */
	assert_int_equal(fcntl(listener, F_SETFL, 0), 0);
	assert_int_equal(pthread_create(&doorman, NULL, let_in, NULL), 0);
	disk = blk_sync_open(path, timeout_ms);
	pthread_join(doorman, NULL);
}

static void moves_data(void **state)
{
	size_t i;

	open_disk(10000);
	assert_non_null(disk);
	for (i = 0; i < BYTES; i++)
		data[i] = (uint8_t)(i * 7 + i / 512);
	assert_int_equal(blk_sync_write(disk, 0, SECTORS, data), 0);
	assert_memory_equal(dev.disk, data, BYTES);
	memset(data, 0, BYTES);
	assert_int_equal(blk_sync_read(disk, 3, 5000, data), 0);
	assert_memory_equal(data, dev.disk + 3 * 512, 5000 * 512);
	assert_int_equal(data[5000 * 512], 0);
	assert_int_equal(blk_sync_read(disk, 0, SECTORS, data), 0);
	assert_memory_equal(data, dev.disk, BYTES);
	dev.ntypes = 0;
	assert_int_equal(blk_sync_flush(disk), 0);
	assert_int_equal(dev.types[0], VIRTIO_BLK_T_FLUSH);
}

static void knows_the_device(void **state)
{
	struct blk_sync_info info;

	open_disk(10000);
	blk_sync_info(disk, &info);
	assert_int_equal(info.sectors, SECTORS);
	assert_int_equal(info.block, 512);
	assert_false(info.read_only);
	assert_int_equal(info.limits.segs, 4);
	assert_string_equal(info.id, "the fake");
}

static void own_block(void **state)
{
	struct blk_sync_info info;

	dev.config.blk_size = 4096;
	open_disk(10000);
	blk_sync_info(disk, &info);
	assert_int_equal(info.block, 4096);
	dev.ntypes = 0;
	assert_int_equal(blk_sync_read(disk, 4, 8, data), -EINVAL);
	assert_int_equal(blk_sync_write(disk, 8, 4, data), -EINVAL);
	assert_int_equal(dev.ntypes, 0);
	assert_int_equal(blk_sync_read(disk, 8, 8, data), 0);
}

static void outside(void **state)
{
	open_disk(10000);
	dev.ntypes = 0;
	assert_int_equal(blk_sync_read(disk, SECTORS, 1, data), -ERANGE);
	assert_int_equal(blk_sync_write(disk, SECTORS - 1, 2, data), -ERANGE);
	assert_int_equal(blk_sync_read(disk, UINT64_MAX, 2, data), -ERANGE);
	assert_int_equal(blk_sync_read(disk, 2, UINT64_MAX, data), -ERANGE);
	assert_int_equal(dev.ntypes, 0);
	assert_int_equal(blk_sync_read(disk, SECTORS - 1, 1, data), 0);
}

static void read_only(void **state)
{
	dev.features |= 1 << VIRTIO_BLK_F_RO;
	open_disk(10000);
	dev.ntypes = 0;
	assert_int_equal(blk_sync_write(disk, 0, 1, data), -EROFS);
	assert_int_equal(dev.ntypes, 0);
	assert_int_equal(blk_sync_read(disk, 0, 1, data), 0);
}

/* After an error it goes on, after the time limit it does not. */
static void every_call_ends(void **state)
{
	open_disk(1000);
	dev.misdeed = IO_ERROR;
	assert_int_equal(blk_sync_read(disk, 0, 1, data), -EIO);
	dev.misdeed = NONE;
	assert_int_equal(blk_sync_read(disk, 0, 1, data), 0);
	dev.misdeed = SILENT;
	assert_int_equal(blk_sync_write(disk, 0, 1, data), -ETIMEDOUT);
	assert_int_equal(blk_sync_read(disk, 0, 1, data), -ESHUTDOWN);
	assert_int_equal(blk_sync_flush(disk), -ESHUTDOWN);
}

static void device_lies(void **state)
{
	open_disk(10000);
	dev.misdeed = BAD_ID;
	assert_int_equal(blk_sync_read(disk, 0, 1, data), -ESHUTDOWN);
	assert_int_equal(blk_sync_read(disk, 0, 1, data), -ESHUTDOWN);
}

static void device_is_mute(void **state)
{
	dev.misdeed = MUTE;
	open_disk(300);
	assert_null(disk);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(moves_data),  TEST(knows_the_device),
		TEST(own_block),   TEST(outside),
		TEST(read_only),   TEST(every_call_ends),
		TEST(device_lies), TEST(device_is_mute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
