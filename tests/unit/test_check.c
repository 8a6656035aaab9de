// SPDX-License-Identifier: GPL-2.0-only
/*
 * The checks of nxblk_check.h, one status each, and their order. The driver of
 * the checks below stands for a valve: it calls them as one does.
 */
#include "unit.h"

#include <string.h>

#include <nexus/nxblk_check.h>

#define DATA 0x100000ull
#define DATA_LENGTH 0x200000ull
#define TABLE 0x40000ull
#define DEPTH 8u
#define CAPACITY 4096ull

static const struct nxblk_limits base_limits = {
	.features = NXBLK_F_ALL & ~NXBLK_F_ZERO_COPY,
	.depth = DEPTH,
	.logical_block = 512,
	.capacity = CAPACITY,
	.max_sectors = 2048,
	.max_segments = 64,
	.max_discard_sectors = 1024,
	.max_write_zeroes_sectors = 512,
	.data = { DATA, DATA_LENGTH },
	.indirect = { TABLE, DEPTH *NXBLK_INDIRECT_STRIDE },
};

/* A request, its table and what it is judged by. */
struct ask {
	struct nxblk_req req;
	struct nxblk_seg table[NXBLK_MAX_SEGS];
	struct nxblk_limits lim;
};

static __u8 judge(const struct ask *a)
{
	const struct nxblk_seg *seg = a->req.seg;
	__u8 status;

	status = nxblk_check_op(&a->req, a->lim.features);
	if (!status)
		status = nxblk_check_shape(&a->req, &a->lim);
	if (a->req.flags & NXBLK_REQ_INDIRECT)
		seg = a->table;
	if (!status)
		status = nxblk_check_segs(&a->req, seg, &a->lim);
	if (!status)
		status = nxblk_check_range(&a->req, a->lim.capacity);
	return status;
}

static struct ask ask_rw(__u8 op)
{
	struct ask a = { .lim = base_limits };

	a.req.op = op;
	a.req.tag = 3;
	a.req.nseg = 1;
	a.req.lba = 100;
	a.req.count = 16;
	a.req.seg[0].addr = DATA;
	a.req.seg[0].len = 16 * 512;
	return a;
}

static struct ask ask_plain(__u8 op)
{
	struct ask a = { .lim = base_limits };

	a.req.op = op;
	if (nxblk_op_has_range(op)) {
		a.req.lba = 100;
		a.req.count = 16;
	}
	return a;
}

static struct ask ask_info(void)
{
	struct ask a = { .lim = base_limits };

	a.req.op = NXBLK_OP_INFO;
	a.req.nseg = 1;
	a.req.seg[0].addr = DATA + 4;
	a.req.seg[0].len = sizeof(struct nxblk_config);
	return a;
}

/* Sixteen sectors in sixteen segments, by the table in the tag's place. */
static struct ask ask_indirect(void)
{
	struct ask a = ask_rw(NXBLK_OP_WRITE);
	int i;

	a.req.flags = NXBLK_REQ_INDIRECT;
	a.req.nseg = 16;
	a.req.seg[0].addr = TABLE + a.req.tag * NXBLK_INDIRECT_STRIDE;
	a.req.seg[0].len = 16 * sizeof(struct nxblk_seg);
	for (i = 0; i < 16; i++) {
		a.table[i].addr = DATA + 512 * i;
		a.table[i].len = 512;
	}
	return a;
}

/* The request that @make makes, with one field changed, gets @status. */
#define judged(make, change, status)                                           \
	do {                                                                   \
		struct ask a = make;                                           \
		a.change;                                                      \
		assert_int_equal(judge(&a), status);                           \
	} while (0)

#define OK NXBLK_S_OK
#define INVAL NXBLK_S_INVAL
#define UNSUPP NXBLK_S_UNSUPP
#define RANGE NXBLK_S_RANGE
#define RW ask_rw(NXBLK_OP_WRITE)
#define RD ask_rw(NXBLK_OP_READ)

static void check_accepts_honest(void **state)
{
	judged(RD, req.tag = 0, OK);
	judged(RW, req.tag = 0, OK);
	judged(ask_info(), req.tag = 0, OK);
	judged(ask_indirect(), req.cookie = 9, OK);
	judged(ask_plain(NXBLK_OP_FLUSH), req.cookie = 9, OK);
	judged(ask_plain(NXBLK_OP_DISCARD), req.cookie = 9, OK);
	judged(ask_plain(NXBLK_OP_WRITE_ZEROES), req.cookie = 9, OK);
	judged(ask_plain(NXBLK_OP_WRITE_ZEROES), req.flags = NXBLK_REQ_UNMAP, OK);
	judged(RW, req.flags = NXBLK_REQ_FUA, OK);
	judged(RD, req.lba = CAPACITY - 16, OK);
	judged(RD, req.lba = 0, OK);
}

static void check_unknown_operation(void **state)
{
	int op;

	for (op = 0; op < 256; op++)
		if (op < NXBLK_OP_READ || op > NXBLK_OP_WRITE_ZEROES)
			judged(RW, req.op = op, UNSUPP);
}

static void check_not_negotiated(void **state)
{
	judged(ask_plain(NXBLK_OP_FLUSH), lim.features &= ~NXBLK_F_FLUSH, UNSUPP);
	judged(ask_plain(NXBLK_OP_DISCARD), lim.features &= ~NXBLK_F_DISCARD,
	       UNSUPP);
	judged(ask_plain(NXBLK_OP_WRITE_ZEROES),
	       lim.features &= ~NXBLK_F_WRITE_ZEROES, UNSUPP);
	judged(ask_indirect(), lim.features &= ~NXBLK_F_INDIRECT, UNSUPP);
	judged(RW, req.flags = NXBLK_REQ_GPA, UNSUPP);
	{
		struct ask a = RW;

		a.req.flags = NXBLK_REQ_FUA;
		a.lim.features &= ~NXBLK_F_FUA;
		assert_int_equal(judge(&a), UNSUPP);
	}
	/* The three operations of the valve need nothing. */
	judged(RW, lim.features = 0, OK);
	judged(RD, lim.features = 0, OK);
	judged(ask_info(), lim.features = 0, OK);
}

static void check_flags(void **state)
{
	unsigned int bit;

	for (bit = 4; bit < 16; bit++) {
		judged(RW, req.flags = 1u << bit, INVAL);
		judged(ask_plain(NXBLK_OP_FLUSH), req.flags = 1u << bit, INVAL);
	}
	judged(RD, req.flags = NXBLK_REQ_FUA, INVAL);
	judged(RW, req.flags = NXBLK_REQ_UNMAP, INVAL);
	judged(ask_plain(NXBLK_OP_FLUSH), req.flags = NXBLK_REQ_FUA, INVAL);
	judged(ask_plain(NXBLK_OP_DISCARD), req.flags = NXBLK_REQ_FUA, INVAL);
	judged(ask_plain(NXBLK_OP_DISCARD), req.flags = NXBLK_REQ_UNMAP, INVAL);
	judged(ask_plain(NXBLK_OP_WRITE_ZEROES), req.flags = NXBLK_REQ_GPA,
	       INVAL);
	judged(ask_info(), req.flags = NXBLK_REQ_INDIRECT, INVAL);
	judged(ask_info(), req.flags = NXBLK_REQ_GPA, INVAL);
}

static void check_count(void **state)
{
	judged(RW, req.count = 0, INVAL);
	judged(RW, req.count = 0xffffffffu, INVAL);
	judged(RW, req.count = 2049, INVAL);
	judged(ask_plain(NXBLK_OP_DISCARD), req.count = 1025, INVAL);
	judged(ask_plain(NXBLK_OP_DISCARD), req.count = 1024, OK);
	judged(ask_plain(NXBLK_OP_DISCARD), req.count = 0, INVAL);
	judged(ask_plain(NXBLK_OP_WRITE_ZEROES), req.count = 513, INVAL);
	judged(ask_plain(NXBLK_OP_WRITE_ZEROES), req.count = 512, OK);
	judged(ask_plain(NXBLK_OP_FLUSH), req.count = 1, INVAL);
	judged(ask_plain(NXBLK_OP_FLUSH), req.lba = 1, INVAL);
	judged(ask_info(), req.count = 1, INVAL);
	judged(ask_info(), req.lba = 1, INVAL);
}

static void check_logical_block(void **state)
{
	struct ask a = RW;

	a.lim.logical_block = 4096;
	a.req.lba = 8;
	assert_int_equal(judge(&a), OK);
	a.req.lba = 9;
	assert_int_equal(judge(&a), INVAL);
	a.req.lba = 1ull << 63 | 4;
	assert_int_equal(judge(&a), INVAL);
	a.req.lba = 8;
	a.req.count = 12;
	a.req.seg[0].len = 12 * 512;
	assert_int_equal(judge(&a), INVAL);
	a.req.count = 8;
	a.req.seg[0].len = 8 * 512;
	assert_int_equal(judge(&a), OK);
}

static void check_segment_count(void **state)
{
	judged(RW, req.nseg = 0, INVAL);
	judged(RW, req.nseg = 2, INVAL);
	judged(RW, req.nseg = 3, INVAL);
	judged(RW, req.nseg = 0xffff, INVAL);
	judged(ask_info(), req.nseg = 2, INVAL);
	judged(ask_info(), req.nseg = 0, INVAL);
	judged(ask_plain(NXBLK_OP_FLUSH), req.nseg = 1, INVAL);
	judged(ask_plain(NXBLK_OP_DISCARD), req.nseg = 1, INVAL);
	judged(ask_indirect(), req.nseg = 0, INVAL);
	judged(ask_indirect(), req.nseg = 65, INVAL);
	judged(ask_indirect(), req.nseg = 17, INVAL);
	/* Whatever the limit says, a table holds 256. */
	{
		struct ask a = ask_indirect();

		a.lim.max_segments = 0xffff;
		a.req.nseg = NXBLK_MAX_SEGS + 1;
		a.req.seg[0].len = a.req.nseg * sizeof(struct nxblk_seg);
		assert_int_equal(judge(&a), INVAL);
	}
}

static void check_unused_segments_are_zero(void **state)
{
	judged(RW, req.seg[1].addr = 4, INVAL);
	judged(RW, req.seg[1].len = 4, INVAL);
	judged(RW, req.seg[1].reserved = 4, INVAL);
	judged(ask_plain(NXBLK_OP_FLUSH), req.seg[0].addr = DATA, INVAL);
	judged(ask_plain(NXBLK_OP_DISCARD), req.seg[0].len = 1, INVAL);
	judged(ask_info(), req.seg[1].len = 1, INVAL);
	judged(ask_indirect(), req.seg[1].addr = 1, INVAL);
}

static void check_indirect_place(void **state)
{
	struct ask a = ask_indirect();
	__u64 place = a.req.seg[0].addr;

	judged(ask_indirect(), req.seg[0].addr = TABLE, INVAL);
	judged(ask_indirect(), req.seg[0].addr = place + 16, INVAL);
	judged(ask_indirect(), req.seg[0].addr = place - 4096, INVAL);
	judged(ask_indirect(), req.seg[0].addr = ~0ull, INVAL);
	judged(ask_indirect(), req.seg[0].len = 15 * 16, INVAL);
	judged(ask_indirect(), req.seg[0].len = 17 * 16, INVAL);
	judged(ask_indirect(), req.seg[0].reserved = 1, INVAL);
	judged(ask_indirect(), req.tag = 2, INVAL);
	judged(ask_indirect(), lim.indirect.length = 4 * 4096, OK);
	judged(ask_indirect(), lim.indirect.length = 4 * 4096 - 1, INVAL);
	judged(ask_indirect(), lim.indirect.length = 3 * 4096, INVAL);
	judged(ask_indirect(), lim.indirect.length = 4095, INVAL);
	judged(ask_indirect(), lim.indirect.length = 0, INVAL);
}

static void check_segment_bounds(void **state)
{
	__u64 end = DATA + DATA_LENGTH;

	judged(RW, req.seg[0].addr = end - 16 * 512, OK);
	judged(RW, req.seg[0].addr = end - 16 * 512 + 4, INVAL);
	judged(RW, req.seg[0].addr = end - 4, INVAL);
	judged(RW, req.seg[0].addr = end, INVAL);
	judged(RW, req.seg[0].addr = DATA - 4, INVAL);
	judged(RW, req.seg[0].addr = 0, INVAL);
	judged(RW, req.seg[0].addr = TABLE, INVAL);
	judged(RW, req.seg[0].addr = 0ull - 512, INVAL);
	judged(RW, req.seg[0].addr = 0ull - 16 * 512, INVAL);
	judged(RW, req.seg[0].addr = 1ull << 63, INVAL);
	judged(RW, lim.data.length = 16 * 512, OK);
	judged(RW, lim.data.length = 16 * 512 - 1, INVAL);
	judged(RW, lim.data.length = 0, INVAL);
}

static void check_segment_alignment(void **state)
{
	judged(RW, req.seg[0].addr = DATA + 4, OK);
	judged(RW, req.seg[0].addr = DATA + 2, INVAL);
	judged(RW, req.seg[0].addr = DATA + 1, INVAL);
	judged(RW, req.seg[0].reserved = 1, INVAL);
	judged(ask_info(), req.seg[0].addr = DATA + 1, INVAL);
}

static void check_segment_sum(void **state)
{
	struct ask a = RW;

	judged(RW, req.seg[0].len = 0, INVAL);
	judged(RW, req.seg[0].len = 512, INVAL);
	judged(RW, req.seg[0].len = 17 * 512, INVAL);
	judged(RW, req.seg[0].len = 16 * 512 - 4, INVAL);
	judged(RW, req.seg[0].len = 0xfffffe00u, INVAL);
	judged(ask_info(), req.seg[0].len = 255, INVAL);
	judged(ask_info(), req.seg[0].len = 260, INVAL);
	judged(ask_indirect(), table[15].len = 1024, INVAL);
	judged(ask_indirect(), table[7].len = 0, INVAL);
	judged(ask_indirect(), table[7].addr = DATA + DATA_LENGTH, INVAL);
	judged(ask_indirect(), table[7].addr = 0ull - 512, INVAL);
	judged(ask_indirect(), table[7].reserved = 1, INVAL);

	/* Two segments that make the sum only together, or modulo 512. */
	a.req.nseg = 2;
	a.req.seg[0].len = 15 * 512;
	a.req.seg[1].addr = DATA + 64 * 512;
	a.req.seg[1].len = 512;
	assert_int_equal(judge(&a), OK);
	a.req.seg[0].len = 15 * 512 + 256;
	a.req.seg[1].len = 256;
	assert_int_equal(judge(&a), INVAL);
}

static void check_range(void **state)
{
	judged(RW, req.lba = CAPACITY - 15, RANGE);
	judged(RW, req.lba = CAPACITY - 1, RANGE);
	judged(RW, req.lba = CAPACITY, RANGE);
	judged(RW, req.lba = 0ull - 16, RANGE);
	judged(RW, req.lba = ~0ull, RANGE);
	judged(RW, req.lba = 1ull << 63, RANGE);
	judged(RW, lim.capacity = 0, RANGE);
	judged(RW, lim.capacity = 15, RANGE);
	judged(ask_plain(NXBLK_OP_DISCARD), req.lba = CAPACITY, RANGE);
	judged(ask_plain(NXBLK_OP_WRITE_ZEROES), req.lba = ~0ull, RANGE);
	judged(ask_plain(NXBLK_OP_FLUSH), lim.capacity = 0, OK);
	judged(ask_info(), lim.capacity = 0, OK);
}

/* Guest-physical segments: shape alone, no window. */
static void check_guest_physical(void **state)
{
	struct ask a = RW;

	a.lim.features |= NXBLK_F_ZERO_COPY;
	a.req.flags = NXBLK_REQ_GPA;
	a.req.seg[0].addr = 1ull << 40;
	assert_int_equal(judge(&a), OK);
	a.req.seg[0].addr += 2;
	assert_int_equal(judge(&a), INVAL);
}

/*
 * Faults of R-CHK-3, -4, -6, -7 and -8, in this order. With several of them a
 * request gets the status of the first, each pair tried.
 */
static void fault_operation(struct ask *a)
{
	a->lim.features &= ~NXBLK_F_WRITE_ZEROES;
	a->req.op = NXBLK_OP_WRITE_ZEROES;
}

static void fault_flags(struct ask *a)
{
	a->req.flags |= 1u << 9;
}

static void fault_count(struct ask *a)
{
	a->req.count = 0;
}

static void fault_segment(struct ask *a)
{
	a->req.seg[0].addr = 0;
}

static void fault_range(struct ask *a)
{
	a->req.lba = ~0ull;
}

static void check_order(void **state)
{
	static const struct {
		void (*make)(struct ask *a);
		__u8 status;
	} faults[] = {
		{ fault_operation, UNSUPP }, { fault_flags, INVAL },
		{ fault_count, INVAL },	     { fault_segment, INVAL },
		{ fault_range, RANGE },
	};
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		for (k = i; k < ARRAY_SIZE(faults); k++) {
			struct ask a = RW;

			faults[k].make(&a);
			faults[i].make(&a);
			assert_int_equal(judge(&a), faults[i].status);
		}
	}
}

/* A flag that is not negotiated comes after a flag that is wrong. */
static void check_flag_order(void **state)
{
	struct ask a = RW;

	a.lim.features &= ~NXBLK_F_FUA;
	a.req.flags = NXBLK_REQ_FUA | NXBLK_REQ_UNMAP;
	assert_int_equal(judge(&a), INVAL);
	a.req.flags = NXBLK_REQ_FUA;
	a.req.count = 0;
	assert_int_equal(judge(&a), UNSUPP);
}

static void check_operations_are_classified(void **state)
{
	assert_true(nxblk_op_writes(NXBLK_OP_WRITE));
	assert_true(nxblk_op_writes(NXBLK_OP_DISCARD));
	assert_true(nxblk_op_writes(NXBLK_OP_WRITE_ZEROES));
	assert_false(nxblk_op_writes(NXBLK_OP_READ));
	assert_false(nxblk_op_writes(NXBLK_OP_FLUSH));
	assert_false(nxblk_op_writes(NXBLK_OP_INFO));
	assert_false(nxblk_op_known(0));
	assert_false(nxblk_op_known(NXBLK_OP_SECURE_ERASE));
	assert_false(nxblk_op_known(NXBLK_OP_ZONE_FIRST));
	assert_false(nxblk_op_has_range(NXBLK_OP_INFO));
	assert_false(nxblk_op_has_range(NXBLK_OP_FLUSH));
	assert_false(nxblk_op_has_buffer(NXBLK_OP_DISCARD));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(check_accepts_honest),
		cmocka_unit_test(check_unknown_operation),
		cmocka_unit_test(check_not_negotiated),
		cmocka_unit_test(check_flags),
		cmocka_unit_test(check_count),
		cmocka_unit_test(check_logical_block),
		cmocka_unit_test(check_segment_count),
		cmocka_unit_test(check_unused_segments_are_zero),
		cmocka_unit_test(check_indirect_place),
		cmocka_unit_test(check_segment_bounds),
		cmocka_unit_test(check_segment_alignment),
		cmocka_unit_test(check_segment_sum),
		cmocka_unit_test(check_range),
		cmocka_unit_test(check_guest_physical),
		cmocka_unit_test(check_order),
		cmocka_unit_test(check_flag_order),
		cmocka_unit_test(check_operations_are_classified),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
