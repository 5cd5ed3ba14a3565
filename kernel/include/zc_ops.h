/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a NIC's driver and the family PF_ZEROCOPY owe each other.
 *
 * The family owns sockets, rings and User Buffers; the driver owns hardware.
 * A driver registers its net_device with a table of three operations, and fills
 * or empties rings with the verbs below.  Each ring has one producer: the NAPI
 * context of its queue.  docs/kernel.md, "Adding a NIC", walks through it.
 *
 * Contexts:  [rtnl]  with rtnl_lock held, may sleep
 *            [napi]  the ring's one producer: its NAPI poll, or [rtnl] while
 *                    that NAPI is disabled
 */
#ifndef _ZC_OPS_H
#define _ZC_OPS_H

#include <linux/dma-mapping.h>
#include <linux/hrtimer.h>
#include <linux/netdevice.h>
#include <net/sock.h>

#include "zc_ring.h"

struct zc_buffer;
struct zc_device;
struct zc_ring;

/**
 * struct zc_device_ops - what the family asks of a driver
 * @owner:     module that stays while a ring is attached
 * @rx_queues: receive queues that a ring can be bound to
 * @tx_queues: transmit queues, likewise
 * @attach:    [rtnl] take the ring, whose blocks are mapped for DMA; start its
 *             queue where the interface is up.  0 or an errno, then unchanged
 * @detach:    [rtnl] stop the queue; on return the NIC reaches none of the
 *             ring's blocks and nobody calls a verb on it
 * @kick:      room or work has appeared: schedule NAPI.  Softirqs are off;
 *             called only between zc_ring_start() and zc_ring_stop()
 */
struct zc_device_ops {
	struct module *owner;
	unsigned int rx_queues;
	unsigned int tx_queues;
	int (*attach)(struct net_device *dev, struct zc_ring *ring);
	void (*detach)(struct net_device *dev, struct zc_ring *ring);
	void (*kick)(struct net_device *dev, struct zc_ring *ring);
};

/**
 * struct zc_ring - one queue's ring, one direction
 * @cursor:     the kernel's account; [napi] only
 * @header:     kernel-owned memory that users map read-only
 * @descs:      its descriptors
 * @user:       user-owned memory: hints, to be read once and checked
 * @offers:     tx: descriptors in user-owned memory
 * @buffer:     the blocks
 * @queue:      hardware queue
 * @direction:  ZC_DIR_*
 * @napi_id:    for busy polling; set by the driver while attached, 0 where unknown
 * @paused:     the driver waits for its NAPI: busy polling ends, none begins
 * @wake:       when to wake, as the user asked
 * @wake_timer: runs while unread frames wait for @wake.usecs to pass
 * @sk:         whom to wake
 * @mapped:     the user drives the ring through its own page; for good
 * @kick_lock:  guards @running against zc_ring_kick()
 * @running:    between zc_ring_start() and zc_ring_stop()
 * @device:     [rtnl] attached to; NULL once the device is gone
 * @node:       [rtnl] in the device's list
 */
struct zc_ring {
	struct zc_cursor cursor;
	struct zc_ring_header *header;
	struct zc_desc *descs;
	struct zc_user_page *user;
	struct zc_tx_desc *offers;
	struct zc_buffer *buffer;
	u16 queue;
	u16 direction;
	unsigned int napi_id;
	bool paused;

	struct zc_wake_req wake;
	struct hrtimer wake_timer;
	struct sock *sk;
	bool mapped;

	spinlock_t kick_lock;
	bool running;
	struct zc_device *device;
	struct list_head node;
};

/**
 * struct zc_frame - what a driver knows of a received frame
 * @len:      bytes in the block
 * @status:   ZC_STATUS_*
 * @rss_hash: as the NIC computed it
 * @rss_type: ZC_RSS_*
 */
struct zc_frame {
	u16 len;
	u16 status;
	u32 rss_hash;
	u8 rss_type;
};

/**
 * struct zc_tx_frame - a checked frame to send
 * @dma: of its first byte
 * @len: bytes
 */
struct zc_tx_frame {
	dma_addr_t dma;
	u16 len;
};

/* device.c */
int zc_device_register(struct net_device *dev, struct device *dma_dev,
		       const struct zc_device_ops *ops);
void zc_device_unregister(struct net_device *dev);
void zc_device_lost(struct net_device *dev);

/* ring.c: both directions */
void zc_ring_start(struct zc_ring *ring);
void zc_ring_stop(struct zc_ring *ring);

/* rx.c */
u32 zc_rx_room(struct zc_ring *ring, u32 depth);
dma_addr_t zc_rx_post(struct zc_ring *ring);
void zc_rx_complete(struct zc_ring *ring, const struct zc_frame *frame, u64 now);
void zc_rx_submit(struct zc_ring *ring);
bool zc_rx_stalled(struct zc_ring *ring);
void zc_rx_dropped(struct zc_ring *ring, u32 frames, bool no_slot, bool saturated);

/* tx.c */
bool zc_tx_take(struct zc_ring *ring, struct zc_tx_frame *frame);
void zc_tx_refuse(struct zc_ring *ring);
void zc_tx_complete(struct zc_ring *ring, u32 frames, u64 now);
void zc_tx_abort(struct zc_ring *ring);
void zc_tx_submit(struct zc_ring *ring);

#endif /* _ZC_OPS_H */
