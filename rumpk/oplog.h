/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The operation log: what rumpk had its storage do, and in which order, so that
 * what a power cut could have left of an image can be made from it afterwards.
 *
 * A log is a row of records, appended, those of all disks in one file: their order
 * is the order in which this rumpk began operations and learned of their ends. A
 * rumpk that comes again, or a worker that follows another, appends; its %OPLOG_DISK
 * record of a disk says that the log tells of no further ends of what began before.
 * How far the log is whole is kept in the ledger: what a worker that was killed has
 * written beyond, it had neither begun nor told anybody of, and is cut off. Who appends
 * holds the file's lock. Little-endian; the data that a write was given follows its
 * record.
 */
#ifndef RUMPK_OPLOG_H
#define RUMPK_OPLOG_H

#include <nexus/ion_os.h>

#include "hal.h"

#define OPLOG_MAGIC 0x474f4c31u

/**
 * enum oplog_type - what a record tells
 * @OPLOG_DISK: service of a disk begins; @length is its capacity
 * @OPLOG_BEGIN: an operation is handed to the storage
 * @OPLOG_END: it is done; @length is the errno, 0 when all went well
 */
enum oplog_type {
	OPLOG_DISK = 1,
	OPLOG_BEGIN = 2,
	OPLOG_END = 3,
};

/* struct oplog_record.flags */
#define OPLOG_DURABLE 1u

/**
 * struct oplog_record - a record
 * @magic: OPLOG_MAGIC
 * @type: &enum oplog_type
 * @disk: number of the disk
 * @op: &enum hal_op; READ is not logged
 * @flags: OPLOG_DURABLE
 * @id: of the operation, in this life of the disk
 * @offset: first byte
 * @length: bytes, and see &enum oplog_type
 */
struct oplog_record {
	__u32 magic;
	__u8 type;
	__u8 disk;
	__u8 op;
	__u8 flags;
	__u64 id;
	__u64 offset;
	__u64 length;
};
ION_ASSERT_SIZE(struct oplog_record, 32);

/* It could not be written at some time: better a short log than one with a hole. */
#define OPLOG_ENDED (~0ull)

/**
 * struct oplog_known - what whoever goes on with a log knows of it
 * @end: bytes of whole records; 0: nothing is known; OPLOG_ENDED
 * @file: which file it is, image_identity()
 */
struct oplog_known {
	uint64_t end;
	uint8_t file[16];
};

int oplog_open(const char *path, struct oplog_known *log, bool successor);
struct hal *hal_log_open(struct hal *below, int fd, unsigned int disk,
			 uint64_t *end);

#endif /* RUMPK_OPLOG_H */
