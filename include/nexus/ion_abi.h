/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The ION window: what two machines that share memory agree upon.
 *
 * This header is the contract, docs/protocol.md the rules for using it. All
 * fields are little-endian and naturally aligned; every offset is in bytes
 * from the start of the window, never a pointer.
 *
 * The window has three regions: *host* (written by the host alone), *guest*
 * (written by the guest alone) and *data* (written by both). Region starts and
 * lengths are multiples of 64 KiB, the largest page size of the kernels that
 * we serve, so that either side can map the other's region read-only. Inside a
 * region each cache line has one writer and lines that change at run time are
 * 128 bytes apart, since adjacent-line prefetchers pull lines in pairs.
 *
 * Sources: magic, window address and channel IDs are Rumpk's own (its M9
 * proof); the rest is this project's (docs/architecture.md).
 */
#ifndef NEXUS_ION_ABI_H
#define NEXUS_ION_ABI_H

#include "ion_os.h"

#define ION_MAGIC 0x494F4E52u
#define ION_ABI_MAJOR 1
#define ION_ABI_MINOR 1

#define ION_REGION_ALIGN 0x10000u
#define ION_LINE_ALIGN 128u
#define ION_PAGE_ALIGN 4096u
#define ION_WINDOW_MIN (4ull << 20)
#define ION_WINDOW_MAX (1ull << 40)
#define ION_MAX_CHANNELS 1024u
#define ION_MAX_LOG2_ENTRIES 15u
#define ION_MAX_ENTRY_SIZE 256u
#define ION_MAX_QUEUES 64u

/*
 * The index at which a fresh ring starts unless the directory says otherwise:
 * every run wraps through 2^32 in its first seconds, so that code which does
 * not survive the wrap never survives its first test either.
 */
#define ION_INITIAL_INDEX 0xfffffff0u

/**
 * enum ion_kind - channel kinds; the values are Rumpk's channel IDs
 * @ION_KIND_BLK: block requests; its answers are @ION_KIND_BLK_RESP
 * @ION_KIND_TEST: reserved for transport tests (an echo channel)
 *
 * The directory names a channel pair by the ID of its request half.
 */
enum ion_kind {
	ION_KIND_NET_RX = 0x0500,
	ION_KIND_NET_TX = 0x0501,
	ION_KIND_LWF_RX = 0x0600,
	ION_KIND_LWF_TX = 0x0601,
	ION_KIND_BLK = 0x0700,
	ION_KIND_BLK_RESP = 0x0701,
	ION_KIND_TEST = 0x0F00,
	ION_KIND_CONSOLE_IN = 0x1000,
	ION_KIND_CONSOLE_OUT = 0x1001,
	ION_KIND_VFS = 0x2000,
};

/**
 * enum ion_class - how a queue's answers are announced
 * @ION_CLASS_INTERRUPT: the host rings the guest's vector by the event index
 * @ION_CLASS_POLL: the guest polls; the host never rings for answers
 */
enum ion_class {
	ION_CLASS_INTERRUPT = 0,
	ION_CLASS_POLL = 1,
	ION_CLASS_COUNT
};

/**
 * enum ion_host_state - state of the window or of one channel, host side
 * @ION_HOST_DOWN: nobody serves (the state of fresh, zeroed memory)
 * @ION_HOST_READY: own indices are at the initial index, nothing is in flight,
 *	the generation is valid: the guest may acknowledge it
 * @ION_HOST_LIVE: channels only: the acknowledgement was accepted
 * @ION_HOST_DRAINING: channels only: a reset was seen; no request is consumed
 *	any more, what is in flight is being finished or fenced
 * @ION_HOST_LATCHED: channels only: the guest broke a ring rule (see the
 *	reason); only a reset gets the channel out of this state
 * @ION_HOST_GONE: orderly end; a successor may come back with a new generation
 */
enum ion_host_state {
	ION_HOST_DOWN = 0,
	ION_HOST_READY = 1,
	ION_HOST_LIVE = 2,
	ION_HOST_DRAINING = 3,
	ION_HOST_LATCHED = 4,
	ION_HOST_GONE = 5,
	ION_HOST_STATE_COUNT
};

/**
 * enum ion_guest_state - state of one channel, guest side
 * @ION_GUEST_DOWN: no driver is bound (the state of fresh, zeroed memory)
 * @ION_GUEST_RESET: the guest asks the host to drain; &ion_guest_channel.reset_id
 *	says which reset this is
 * @ION_GUEST_LIVE: &ion_guest_channel.generation is acknowledged, own indices
 *	are at the initial index, the parameters are valid
 * @ION_GUEST_LATCHED: the host broke a ring rule; a reset will follow
 */
enum ion_guest_state {
	ION_GUEST_DOWN = 0,
	ION_GUEST_RESET = 1,
	ION_GUEST_LIVE = 2,
	ION_GUEST_LATCHED = 3,
	ION_GUEST_STATE_COUNT
};

/**
 * enum ion_reason - why a side latched a channel, or keeps it down
 * @ION_REASON_NONE: nothing is wrong
 * @ION_REASON_REQ_PROD: the guest's request producer index moved back or by
 *	more than the ring holds (host latches)
 * @ION_REASON_RSP_CONS: the guest's response consumer index left the span of
 *	what was produced (host latches)
 * @ION_REASON_RSP_PROD: the host's response producer index moved back or by
 *	more than the ring holds (guest latches)
 * @ION_REASON_REQ_CONS: the host's request consumer index left the span of
 *	what was produced (guest latches)
 * @ION_REASON_RSP_TAG: an answer of this generation carries a tag at or above
 *	the depth (guest latches)
 * @ION_REASON_RSP_UNMATCHED: an answer of this generation matches no request
 *	in flight by tag, operation and cookie (guest latches)
 * @ION_REASON_DEPTH: handshake: depth outside 2 .. ring entries
 * @ION_REASON_FEATURES: handshake: an accepted feature was not offered, or a
 *	required one was not accepted
 * @ION_REASON_CLASS: handshake: unknown class
 * @ION_REASON_VECTOR: handshake: vector the guest does not have
 * @ION_REASON_GUEST_STATE: guest state is none of &enum ion_guest_state
 * @ION_REASON_LIMITS: the guest refuses an offer, for instance of less than the
 *	former one (guest latches; it waits for another generation)
 * @ION_REASON_REMOVED: the host took the channel out of service
 * @ION_REASON_IO: the window itself failed
 * @ION_REASON_UNANSWERED: a request has been unanswered for longer than its user
 *	waits (guest latches, to have it drained)
 */
enum ion_reason {
	ION_REASON_NONE = 0,
	ION_REASON_REQ_PROD = 1,
	ION_REASON_RSP_CONS = 2,
	ION_REASON_RSP_PROD = 3,
	ION_REASON_REQ_CONS = 4,
	ION_REASON_RSP_TAG = 5,
	ION_REASON_RSP_UNMATCHED = 6,
	ION_REASON_DEPTH = 7,
	ION_REASON_FEATURES = 8,
	ION_REASON_CLASS = 9,
	ION_REASON_VECTOR = 10,
	ION_REASON_GUEST_STATE = 11,
	ION_REASON_LIMITS = 12,
	ION_REASON_REMOVED = 13,
	ION_REASON_IO = 14,
	ION_REASON_UNANSWERED = 15,
	ION_REASON_COUNT
};

/**
 * struct ion_span - a range of the window
 * @offset: bytes from the start of the window
 * @length: bytes
 */
struct ion_span {
	__u64 offset;
	__u64 length;
};
ION_ASSERT_SIZE(struct ion_span, 16);

/**
 * struct ion_host_header - window offset 0, written by the host
 * @magic: ION_MAGIC; stored last, with release, once everything that is
 *	constant is in place. Any other value: not an ION window.
 * @abi_major: ION_ABI_MAJOR; a guest that knows another one rejects the window
 * @abi_minor: additions that an older guest may ignore
 * @length: of the whole window; at most what the guest can map
 * @host: the host region; starts at 0
 * @guest: the guest region
 * @data: the data region
 * @features_offered: window features; none is defined in ABI 1.0
 * @features_required: subset of the offered ones without which the host does
 *	not serve; a guest that lacks one rejects the window
 * @instance: random, new with each window
 * @dir_offset: the directory, in the host region, line aligned
 * @dir_count: entries, at most ION_MAX_CHANNELS
 * @dir_entry_size: at least sizeof(struct ion_dir_entry), a multiple of 8; a
 *	guest ignores the bytes that it does not know
 * @generation: moves when the directory changes or the host restarts; the
 *	directory is stable while @state is ION_HOST_READY
 * @state: &enum ion_host_state: DOWN, READY or GONE; stored with release after
 *	@generation and everything it vouches for
 * @reason: &enum ion_reason
 * @heartbeat: incremented at least ten times a second by a host thread that
 *	does no I/O
 */
struct ion_host_header {
	__u32 magic;
	__u16 abi_major;
	__u16 abi_minor;
	__u64 length;
	struct ion_span host;
	struct ion_span guest;
	struct ion_span data;
	__u64 features_offered;
	__u64 features_required;
	__u8 instance[16];
	__u64 dir_offset;
	__u32 dir_count;
	__u32 dir_entry_size;
	__u8 reserved0[16];
	/* 128: moves with each generation */
	__u64 generation;
	__u32 state;
	__u32 reason;
	__u8 reserved1[112];
	/* 256: moves all the time */
	__u64 heartbeat;
	__u8 reserved2[120];
};
ION_ASSERT_SIZE(struct ion_host_header, 384);
ION_ASSERT_OFFSET(struct ion_host_header, magic, 0);
ION_ASSERT_OFFSET(struct ion_host_header, abi_major, 4);
ION_ASSERT_OFFSET(struct ion_host_header, abi_minor, 6);
ION_ASSERT_OFFSET(struct ion_host_header, length, 8);
ION_ASSERT_OFFSET(struct ion_host_header, host, 16);
ION_ASSERT_OFFSET(struct ion_host_header, guest, 32);
ION_ASSERT_OFFSET(struct ion_host_header, data, 48);
ION_ASSERT_OFFSET(struct ion_host_header, features_offered, 64);
ION_ASSERT_OFFSET(struct ion_host_header, features_required, 72);
ION_ASSERT_OFFSET(struct ion_host_header, instance, 80);
ION_ASSERT_OFFSET(struct ion_host_header, dir_offset, 96);
ION_ASSERT_OFFSET(struct ion_host_header, dir_count, 104);
ION_ASSERT_OFFSET(struct ion_host_header, dir_entry_size, 108);
ION_ASSERT_OFFSET(struct ion_host_header, generation, 128);
ION_ASSERT_OFFSET(struct ion_host_header, state, 136);
ION_ASSERT_OFFSET(struct ion_host_header, reason, 140);
ION_ASSERT_OFFSET(struct ion_host_header, heartbeat, 256);

/**
 * struct ion_guest_header - first bytes of the guest region, written by the guest
 * @features: accepted window features; written before any channel is
 *	acknowledged, read by the host when a channel is acknowledged
 * @instance: random, new each time a guest attaches to the window
 * @heartbeat: incremented at least every two seconds while the window is in use
 */
struct ion_guest_header {
	__u64 features;
	__u8 instance[16];
	__u8 reserved0[104];
	/* 128: moves all the time */
	__u64 heartbeat;
	__u8 reserved1[120];
};
ION_ASSERT_SIZE(struct ion_guest_header, 256);
ION_ASSERT_OFFSET(struct ion_guest_header, features, 0);
ION_ASSERT_OFFSET(struct ion_guest_header, instance, 8);
ION_ASSERT_OFFSET(struct ion_guest_header, heartbeat, 128);

/**
 * struct ion_ring_desc - where a ring's entries lie
 * @offset: page aligned; request rings lie in the guest region, response rings
 *	in the host region: entries are in the region of their producer
 * @entry_size: bytes, a multiple of 8, at most ION_MAX_ENTRY_SIZE
 * @log2_entries: 1 .. ION_MAX_LOG2_ENTRIES
 */
struct ion_ring_desc {
	__u64 offset;
	__u16 entry_size;
	__u8 log2_entries;
	__u8 reserved0;
	__u32 reserved1;
};
ION_ASSERT_SIZE(struct ion_ring_desc, 16);
ION_ASSERT_OFFSET(struct ion_ring_desc, entry_size, 8);
ION_ASSERT_OFFSET(struct ion_ring_desc, log2_entries, 10);

/**
 * struct ion_dir_entry - one queue pair, written by the host
 * @kind: &enum ion_kind of the request half
 * @instance: device number: instance n of ION_KIND_BLK is nxblk<n>
 * @queue: queue number inside the instance; the queues of an instance are
 *	numbered 0 .. n-1 without gaps and stand in this order
 * @queue_class: &enum ion_class that the host proposes
 * @cap_slot: the slot of the cell's CSpace that the guest names in requests; a
 *	name, not a secret
 * @initial_index: at which all four indices of the pair start
 * @host_channel: offset of &struct ion_host_channel, in the host region
 * @guest_channel: offset of &struct ion_guest_channel, in the guest region
 * @req: requests, guest to host
 * @rsp: responses, host to guest
 * @data: the pair's part of the data region; page aligned; may be empty
 * @indirect: segment tables, in the guest region; page aligned; may be empty
 * @config: the kind's configuration in the host region, shared by the queues
 *	of an instance; may be empty. Its first u32 is a sequence: odd while the
 *	host changes the rest, even and new afterwards.
 * @host_peer: peer number of the host on the doorbell device
 * @host_vector: the host's vector for this pair
 *
 * Reserved bytes are zero when written and ignored when read.
 *
 * Ranges ascend: in each region, taken in the order of the entries and inside an
 * entry in the order @host_channel, @config, @rsp (host region), @guest_channel,
 * @req, @indirect (guest region), @data (data region), each range starts at or
 * after the end of the one before, the first after the region's header (and the
 * directory). So one pass proves that nothing overlaps. The one exception: queue
 * 1 and above of an instance repeat the @config of its queue 0.
 */
struct ion_dir_entry {
	__u16 kind;
	__u16 instance;
	__u16 queue;
	__u8 queue_class;
	__u8 cap_slot;
	__u32 initial_index;
	__u32 reserved0;
	__u64 host_channel;
	__u64 guest_channel;
	struct ion_ring_desc req;
	struct ion_ring_desc rsp;
	struct ion_span data;
	struct ion_span indirect;
	struct ion_span config;
	__u16 host_peer;
	__u16 host_vector;
	__u32 reserved1;
	__u64 reserved2;
};
ION_ASSERT_SIZE(struct ion_dir_entry, 128);
ION_ASSERT_OFFSET(struct ion_dir_entry, kind, 0);
ION_ASSERT_OFFSET(struct ion_dir_entry, instance, 2);
ION_ASSERT_OFFSET(struct ion_dir_entry, queue, 4);
ION_ASSERT_OFFSET(struct ion_dir_entry, queue_class, 6);
ION_ASSERT_OFFSET(struct ion_dir_entry, cap_slot, 7);
ION_ASSERT_OFFSET(struct ion_dir_entry, initial_index, 8);
ION_ASSERT_OFFSET(struct ion_dir_entry, host_channel, 16);
ION_ASSERT_OFFSET(struct ion_dir_entry, guest_channel, 24);
ION_ASSERT_OFFSET(struct ion_dir_entry, req, 32);
ION_ASSERT_OFFSET(struct ion_dir_entry, rsp, 48);
ION_ASSERT_OFFSET(struct ion_dir_entry, data, 64);
ION_ASSERT_OFFSET(struct ion_dir_entry, indirect, 80);
ION_ASSERT_OFFSET(struct ion_dir_entry, config, 96);
ION_ASSERT_OFFSET(struct ion_dir_entry, host_peer, 112);
ION_ASSERT_OFFSET(struct ion_dir_entry, host_vector, 114);

/**
 * struct ion_host_channel - a channel as the host sees it, written by the host
 * @state: &enum ion_host_state; stored with release after the other fields of
 *	its line
 * @reason: &enum ion_reason; not NONE only in LATCHED, DOWN and GONE
 * @generation: of this channel, compared for equality only; messages carry its
 *	low 32 bits. New whenever @state becomes READY.
 * @drained_id: the guest's reset_id to which this READY is the answer; tells a
 *	guest that its own reset was drained, not an earlier guest's
 * @features: what the kind offers, frozen while READY or LIVE
 * @max_depth: most tags the host serves in this queue, 2 .. ring entries
 * @rsp_prod: response producer index; stored with release after the entries
 * @req_cons: request consumer index; stored with release after the entries
 *	have been copied out
 * @req_event: the host wants a doorbell when the request producer index moves
 *	past this
 */
struct ion_host_channel {
	__u32 state;
	__u32 reason;
	__u64 generation;
	__u64 drained_id;
	__u64 features;
	__u32 max_depth;
	__u8 reserved0[92];
	/* 128 */
	__u32 rsp_prod;
	__u8 reserved1[124];
	/* 256 */
	__u32 req_cons;
	__u32 req_event;
	__u8 reserved2[120];
};
ION_ASSERT_SIZE(struct ion_host_channel, 384);
ION_ASSERT_OFFSET(struct ion_host_channel, state, 0);
ION_ASSERT_OFFSET(struct ion_host_channel, reason, 4);
ION_ASSERT_OFFSET(struct ion_host_channel, generation, 8);
ION_ASSERT_OFFSET(struct ion_host_channel, drained_id, 16);
ION_ASSERT_OFFSET(struct ion_host_channel, features, 24);
ION_ASSERT_OFFSET(struct ion_host_channel, max_depth, 32);
ION_ASSERT_OFFSET(struct ion_host_channel, rsp_prod, 128);
ION_ASSERT_OFFSET(struct ion_host_channel, req_cons, 256);
ION_ASSERT_OFFSET(struct ion_host_channel, req_event, 260);

/**
 * struct ion_guest_channel - a channel as the guest sees it, written by the guest
 * @state: &enum ion_guest_state; stored with release after the other fields of
 *	its line and after the indices
 * @reason: &enum ion_reason; not NONE only in LATCHED
 * @generation: the host generation that LIVE acknowledges
 * @reset_id: new and not 0 at each reset; stored before the state
 * @features: accepted, a subset of what the host offered
 * @depth: tags in use: every request's tag is below it
 * @vector: of the guest, to be rung for this channel
 * @queue_class: &enum ion_class taken
 * @req_prod: request producer index; stored with release after the entries
 * @rsp_cons: response consumer index
 * @rsp_event: the guest wants a doorbell when the response producer index moves
 *	past this
 */
struct ion_guest_channel {
	__u32 state;
	__u32 reason;
	__u64 generation;
	__u64 reset_id;
	__u64 features;
	__u32 depth;
	__u16 vector;
	__u8 queue_class;
	__u8 reserved0[89];
	/* 128 */
	__u32 req_prod;
	__u8 reserved1[124];
	/* 256 */
	__u32 rsp_cons;
	__u32 rsp_event;
	__u8 reserved2[120];
};
ION_ASSERT_SIZE(struct ion_guest_channel, 384);
ION_ASSERT_OFFSET(struct ion_guest_channel, state, 0);
ION_ASSERT_OFFSET(struct ion_guest_channel, reason, 4);
ION_ASSERT_OFFSET(struct ion_guest_channel, generation, 8);
ION_ASSERT_OFFSET(struct ion_guest_channel, reset_id, 16);
ION_ASSERT_OFFSET(struct ion_guest_channel, features, 24);
ION_ASSERT_OFFSET(struct ion_guest_channel, depth, 32);
ION_ASSERT_OFFSET(struct ion_guest_channel, vector, 36);
ION_ASSERT_OFFSET(struct ion_guest_channel, queue_class, 38);
ION_ASSERT_OFFSET(struct ion_guest_channel, req_prod, 128);
ION_ASSERT_OFFSET(struct ion_guest_channel, rsp_cons, 256);
ION_ASSERT_OFFSET(struct ion_guest_channel, rsp_event, 260);

/*
 * QEMU ivshmem-doorbell (docs/specs/ivshmem-spec.txt in QEMU's sources): the
 * PCI identity and the BAR0 registers, for the providers on the guest side.
 */
#define ION_IVSHMEM_VENDOR 0x1af4
#define ION_IVSHMEM_DEVICE 0x1110
#define ION_IVSHMEM_IVPOSITION 8
#define ION_IVSHMEM_DOORBELL 12

#endif /* NEXUS_ION_ABI_H */
