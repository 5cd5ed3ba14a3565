/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * PF_ZEROCOPY: descriptor rings and User Buffers shared between a NIC's DMA
 * engine and user space.
 *
 * This header is the authority for the layout.  framework/abi.py is its
 * readable view in Python; tests/unit/test_abi.py compiles this file and
 * compares every offset, size and constant.
 *
 * One ring belongs to one queue of one interface, in one direction.
 *
 *   mmap offset         owner    the other side may   holds
 *   ZC_PGOFF_RING       kernel   read                 zc_ring_header, slots of
 *                                                     zc_desc from desc_offset
 *   ZC_PGOFF_USER       user     read and check       zc_user_page (rx and tx),
 *                                                     then zc_tx_desc[] (tx)
 *   ZC_PGOFF_BUFFER     user     DMA only             the User Buffer, where the
 *                                                     owner did not bring one
 *
 * Slot i and block i belong together: the frame of descriptor i lies in the
 * bytes [i * block_size, (i + 1) * block_size) of the User Buffer.  `write` and
 * `read` are free-running 32-bit counters of slots; the slot of counter n is
 * n & (slots - 1), and write - read (mod 2^32) slots hold unread frames.
 *
 * Barriers, receive side:
 *
 *   producer (kernel)                       consumer (user)
 *   -----------------                       ---------------
 *   load-acquire read          (A, see D)   load-acquire write     (C, see B)
 *   fill block and descriptor               use descriptor and block
 *   store-release write        (B, see C)   store-release read     (D, see A)
 *
 * Sleeping, either side of B:
 *
 *   consumer: flags |= ZC_USER_WANT_WAKE; full barrier (E); re-read write; poll
 *   producer: store-release write; full barrier (F); test WANT_WAKE; wake
 *
 * E and F pair with each other: one of the two sides sees the other's store.
 * The same holds for ZC_RING_NEED_KICK with the roles exchanged.
 *
 * Transmit side: user space fills zc_tx_desc[n], store-releases `write` of its
 * page (B) and calls send(fd, NULL, 0, 0).  The kernel copies and checks each
 * descriptor once, and completes them in their order: zc_desc[n] of the ring
 * says when, and whether, frame n went out.  Slot n may be used again when its
 * completion was taken, by store-release of `read` (D); a frame may lie in any
 * block, but in one only.
 *
 * All values are in the byte order of the machine.
 */
#ifndef _UAPI_LINUX_PF_ZEROCOPY_H
#define _UAPI_LINUX_PF_ZEROCOPY_H

#include <linux/types.h>

#define ZC_ABI_MAGIC		0x5a43524eU	/* "ZCRN" */
#define ZC_ABI_VERSION		1

#define ZC_CACHE_LINE		64
#define ZC_BLOCK_SIZE		2048	/* two blocks a 4 KiB page, none across */
#define ZC_MIN_SLOTS		64
#define ZC_MAX_SLOTS		65536
#define ZC_MAX_TX_SLOTS		4096
#define ZC_MAX_QUEUES		16
#define ZC_RETA_SIZE		128
#define ZC_RSS_KEY_SIZE		40
#define ZC_IFNAME_SIZE		16

#define ZC_PGOFF_RING		0x000000000ULL
#define ZC_PGOFF_USER		0x100000000ULL
#define ZC_PGOFF_BUFFER		0x200000000ULL

/* zc_ring_header.direction */
#define ZC_DIR_RX		0
#define ZC_DIR_TX		1

/* zc_ring_header.state */
#define ZC_STATE_SETUP		0	/* not yet bound, or no User Buffer */
#define ZC_STATE_RUNNING	1
#define ZC_STATE_STOPPED	2	/* interface down, or shutdown(); counters go on */
#define ZC_STATE_GONE		3	/* device removed: nothing will ever come */

/* zc_ring_header.flags */
#define ZC_RING_NEED_KICK	(1U << 0)	/* poll() to restart the producer */
#define ZC_RING_AT_LEAST	(1U << 1)	/* nic_drop saturated: a lower bound */

/* zc_user_page.flags */
#define ZC_USER_WANT_WAKE	(1U << 0)	/* the consumer is about to sleep */

/* zc_desc.flag_access, the paper's names */
#define ZC_ACCESS_UNINITIALIZED	0	/* never held a frame */
#define ZC_ACCESS_READABLE	1	/* holds a frame for user space */
#define ZC_ACCESS_WRITABLE	2	/* handed to the NIC */

/* zc_desc.status */
#define ZC_STATUS_TRUNCATED	(1U << 0)	/* wire_len > len: cut to the block */
#define ZC_STATUS_VLAN		(1U << 1)	/* tag stripped: vlan_tci is valid */
#define ZC_STATUS_HW_TIME	(1U << 2)	/* timestamp taken by the NIC */
#define ZC_STATUS_CSUM_BAD	(1U << 3)	/* IP or L4 checksum found wrong */
#define ZC_STATUS_NO_TIME	(1U << 4)	/* the source has no time of arrival */
#define ZC_STATUS_UNSENT	(1U << 5)	/* tx: refused, or the queue was stopped */

/* zc_desc.rss_type, as the 82576 reports it (datasheet 7.1.5.1) */
#define ZC_RSS_NONE		0
#define ZC_RSS_TCP_IPV4		1
#define ZC_RSS_IPV4		2
#define ZC_RSS_TCP_IPV6		3
#define ZC_RSS_IPV6_EX		4
#define ZC_RSS_IPV6		5
#define ZC_RSS_TCP_IPV6_EX	6
#define ZC_RSS_UDP_IPV4		7
#define ZC_RSS_UDP_IPV6		8
#define ZC_RSS_UDP_IPV6_EX	9

/**
 * struct zc_desc - one received frame
 * @timestamp:   arrival, nanoseconds since the epoch
 * @offset:      of the frame's first byte in the User Buffer
 * @wire_len:    length on the wire, without FCS
 * @rss_hash:    Toeplitz hash; 0 where @rss_type is ZC_RSS_NONE
 * @len:         bytes present in the block
 * @vlan_tci:    stripped tag (ZC_STATUS_VLAN)
 * @vlan_tpid:   its ethertype
 * @status:      ZC_STATUS_*
 * @rss_type:    ZC_RSS_*
 * @flag_access: ZC_ACCESS_*
 * @port:        which of the source's interfaces brought it
 */
struct zc_desc {
	__u64 timestamp;
	__u32 offset;
	__u32 wire_len;
	__u32 rss_hash;
	__u16 len;
	__u16 vlan_tci;
	__u16 vlan_tpid;
	__u16 status;
	__u8  rss_type;
	__u8  flag_access;
	__u16 port;
};

/**
 * struct zc_tx_desc - one frame to send, written by user space
 * @offset: of the frame's first byte in the User Buffer
 * @len:    bytes to send
 * @flags:  none defined: must be 0
 * @cookie: the user's own; the kernel does not look at it
 */
struct zc_tx_desc {
	__u32 offset;
	__u16 len;
	__u16 flags;
	__u64 cookie;
};

/**
 * struct zc_ring_header - the kernel-owned head of a ring, read-only to users
 * @magic:       ZC_ABI_MAGIC
 * @version:     ZC_ABI_VERSION; a reader refuses what it does not know
 * @header_size: bytes of this structure; grows, never shrinks
 * @desc_size:   bytes of one descriptor; grows, never shrinks
 * @desc_offset: of the first descriptor from the start of the ring mapping
 * @slots:       a power of two
 * @block_size:  bytes of one block
 * @queue:       hardware queue
 * @direction:   ZC_DIR_*
 * @user_size:   bytes of the user-owned mapping
 * @buffer_size: bytes of the User Buffer
 * @epoch:       counts re-initialisations of the hardware ring; `write` goes on
 * @state:       ZC_STATE_*
 * @flags:       ZC_RING_*
 * @ifname:      interface, as it was called at bind, NUL-padded
 * @write:       frames published since the ring was made
 * @arrived:     frames that the NIC put into this queue, whatever became of them
 * @arrived_bytes: their wire lengths
 * @nic_drop:    frames that the NIC itself dropped for this queue
 * @ring_full:   frames dropped because all slots were unread
 * @truncated:   frames published with ZC_STATUS_TRUNCATED
 * @wakeups:     times that a sleeping consumer was woken
 * @reserved0:   0
 * @reserved1:   0
 * @reserved2:   0
 */
struct zc_ring_header {
	__u32 magic;
	__u16 version;
	__u16 header_size;
	__u32 desc_size;
	__u32 desc_offset;
	__u32 slots;
	__u32 block_size;
	__u16 queue;
	__u16 direction;
	__u32 user_size;
	__u64 buffer_size;
	__u32 epoch;
	__u32 state;
	__u32 flags;
	__u8  ifname[ZC_IFNAME_SIZE];
	__u8  reserved0[60];

	/* cache line 2: the producer's counter alone */
	__u32 write;
	__u8  reserved1[60];

	/* cache line 3: what became of the frames */
	__u64 arrived;
	__u64 arrived_bytes;
	__u64 nic_drop;
	__u64 ring_full;
	__u64 truncated;
	__u64 wakeups;
	__u8  reserved2[16];
};

/**
 * struct zc_user_page - the head of the user-owned part
 * @read:      slots released since the ring was made (rx); completions taken (tx)
 * @write:     descriptors offered (tx only)
 * @flags:     ZC_USER_*
 * @reserved0: the rest of a cache line
 * @reserved1: the rest of a cache line
 * @reserved2: the rest of a cache line
 *
 * Whatever stands here is a hint: the kernel range-checks it against counters
 * of its own.  In a tx mapping the zc_tx_desc array follows at ZC_TX_DESC_OFFSET.
 */
struct zc_user_page {
	__u32 read;
	__u8  reserved0[60];
	__u32 write;
	__u8  reserved1[60];
	__u32 flags;
	__u8  reserved2[60];
};

#define ZC_TX_DESC_OFFSET	256

/*
 * setsockopt / getsockopt, level SOL_ZEROCOPY.  Option structures grow by
 * length: a shorter one is zero-extended, a longer one must be zero beyond what
 * the kernel knows.
 */
#define SOL_ZEROCOPY		287

#define ZC_OPT_RING		1	/* struct zc_ring_req */
#define ZC_OPT_BUFFER		2	/* struct zc_buffer_req */
#define ZC_OPT_WAKE		3	/* struct zc_wake_req */
#define ZC_OPT_STATS		4	/* struct zc_stats, get only */

/* Control message of recvmsg(): the struct zc_desc of the frame. */
#define ZC_CMSG_DESC		1

/**
 * struct sockaddr_zc - address for bind()
 * @szc_family:    the protocol family
 * @szc_direction: ZC_DIR_*
 * @szc_ifindex:   interface
 * @szc_queue:     hardware queue
 * @szc_flags:     none defined: must be 0
 */
struct sockaddr_zc {
	__u16 szc_family;
	__u16 szc_direction;
	__u32 szc_ifindex;
	__u32 szc_queue;
	__u32 szc_flags;
};

/**
 * struct zc_ring_req - size of the ring, before bind
 * @slots:    a power of two, ZC_MIN_SLOTS to ZC_MAX_SLOTS (tx: ZC_MAX_TX_SLOTS)
 * @reserved: 0
 */
struct zc_ring_req {
	__u32 slots;
	__u32 reserved;
};

/**
 * struct zc_buffer_req - the User Buffer, before bind
 * @addr: page-aligned address in the caller
 * @size: slots * ZC_BLOCK_SIZE bytes
 */
struct zc_buffer_req {
	__u64 addr;
	__u64 size;
};

/**
 * struct zc_wake_req - when to wake a sleeping consumer
 * @frames:      at the latest after so many unread frames; 0: no such bound
 * @usecs:       at the latest so long after the first unread frame; 0: at once
 * @busy_poll_us: poll the queue from the caller's context for so long; 0: never;
 *                more than before takes CAP_NET_ADMIN
 * @reserved:    0
 */
struct zc_wake_req {
	__u32 frames;
	__u32 usecs;
	__u32 busy_poll_us;
	__u32 reserved;
};

/**
 * struct zc_stats - counters of one ring, as in struct zc_ring_header
 * @arrived:       frames that the NIC put into this queue
 * @arrived_bytes: their wire lengths
 * @published:     what is left of @arrived without the drops
 * @nic_drop:      frames that the NIC itself dropped
 * @ring_full:     frames dropped because all slots were unread
 * @truncated:     frames published with ZC_STATUS_TRUNCATED
 * @wakeups:       times that a sleeping consumer was woken
 * @flags:         ZC_RING_*
 */
struct zc_stats {
	__u64 arrived;
	__u64 arrived_bytes;
	__u64 published;
	__u64 nic_drop;
	__u64 ring_full;
	__u64 truncated;
	__u64 wakeups;
	__u64 flags;
};

#endif /* _UAPI_LINUX_PF_ZEROCOPY_H */
