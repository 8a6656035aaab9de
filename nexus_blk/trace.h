/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints nexus_blk:nxblk_issue, nxblk_answer and nxblk_state.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM nexus_blk

#if !defined(NEXUS_BLK_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define NEXUS_BLK_TRACE_H

#include <linux/tracepoint.h>

#include <nexus/nxblk_abi.h>
#include <nexus/nxblk_validate.h>

#ifndef NEXUS_BLK_TRACE_NAMES
#define NEXUS_BLK_TRACE_NAMES
#define nxblk_show_op(op)                             \
	__print_symbolic(op, { NXBLK_OP_READ, "READ" }, \
			 { NXBLK_OP_WRITE, "WRITE" },   \
			 { NXBLK_OP_INFO, "INFO" },     \
			 { NXBLK_OP_FLUSH, "FLUSH" },   \
			 { NXBLK_OP_DISCARD, "DISCARD" }, \
			 { NXBLK_OP_WRITE_ZEROES, "WRITE_ZEROES" })
#endif

TRACE_EVENT(nxblk_issue,
	TP_PROTO(int disk, unsigned int queue, const struct nxblk_req *req),
	TP_ARGS(disk, queue, req),
	TP_STRUCT__entry(
		__field(int, disk)
		__field(unsigned int, queue)
		__field(u16, tag)
		__field(u8, op)
		__field(u16, flags)
		__field(u16, nseg)
		__field(u64, lba)
		__field(u32, count)
		__field(u32, generation)
		__field(u64, cookie)
	),
	TP_fast_assign(
		__entry->disk = disk;
		__entry->queue = queue;
		__entry->tag = req->tag;
		__entry->op = req->op;
		__entry->flags = req->flags;
		__entry->nseg = req->nseg;
		__entry->lba = req->lba;
		__entry->count = req->count;
		__entry->generation = req->generation;
		__entry->cookie = req->cookie;
	),
	TP_printk("nxblk%d queue=%u tag=%u op=%s flags=%#x lba=%llu count=%u nseg=%u generation=%u cookie=%#llx",
		  __entry->disk, __entry->queue, __entry->tag,
		  nxblk_show_op(__entry->op), __entry->flags, __entry->lba,
		  __entry->count, __entry->nseg, __entry->generation,
		  __entry->cookie)
);

TRACE_EVENT(nxblk_answer,
	TP_PROTO(int disk, unsigned int queue, const struct nxblk_resp *resp,
		 u64 ns),
	TP_ARGS(disk, queue, resp, ns),
	TP_STRUCT__entry(
		__field(int, disk)
		__field(unsigned int, queue)
		__field(u16, tag)
		__field(u8, op)
		__field(u8, status)
		__field(u64, done)
		__field(u64, cookie)
		__field(u64, ns)
	),
	TP_fast_assign(
		__entry->disk = disk;
		__entry->queue = queue;
		__entry->tag = resp->tag;
		__entry->op = resp->op;
		__entry->status = resp->status;
		__entry->done = resp->done;
		__entry->cookie = resp->cookie;
		__entry->ns = ns;
	),
	TP_printk("nxblk%d queue=%u tag=%u op=%s status=%u done=%llu cookie=%#llx ns=%llu",
		  __entry->disk, __entry->queue, __entry->tag,
		  nxblk_show_op(__entry->op), __entry->status, __entry->done,
		  __entry->cookie, __entry->ns)
);

TRACE_EVENT(nxblk_state,
	TP_PROTO(int disk, const char *state, const char *reason),
	TP_ARGS(disk, state, reason),
	TP_STRUCT__entry(
		__field(int, disk)
		__array(char, state, 12)
		__array(char, reason, NXBLK_FAULT_ROOM)
	),
	TP_fast_assign(
		__entry->disk = disk;
		strscpy(__entry->state, state, sizeof(__entry->state));
		strscpy(__entry->reason, reason, sizeof(__entry->reason));
	),
	TP_printk("nxblk%d state=%s reason=%s", __entry->disk, __entry->state,
		  __entry->reason)
);

#endif /* NEXUS_BLK_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
