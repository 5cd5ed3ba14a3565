// SPDX-License-Identifier: GPL-2.0
/*
 * Receive rings, from the driver's NAPI: post free slots to the NIC, complete
 * them in order, submit what was completed.
 */
#include <linux/if_vlan.h>
#include <linux/module.h>

#include "zc_family.h"

/**
 * zc_rx_room() - how many slots may be posted now
 * @ring:  [napi] the ring
 * @depth: descriptors that the hardware ring holds at most
 *
 * Return: a number of slots
 */
u32 zc_rx_room(struct zc_ring *ring, u32 depth)
{
	zc_ring_collect(&ring->cursor, ring->user);
	return zc_cursor_room(&ring->cursor, depth);
}
EXPORT_SYMBOL_GPL(zc_rx_room);

/**
 * zc_rx_post() - the next slot becomes the NIC's
 * @ring: [napi] with room
 *
 * Return: DMA address of its block, ZC_BLOCK_SIZE bytes
 */
dma_addr_t zc_rx_post(struct zc_ring *ring)
{
	struct zc_cursor *c = &ring->cursor;
	u32 slot = zc_cursor_slot(c, c->posted++);
	dma_addr_t dma = zc_block_dma(ring->buffer, slot);

	WRITE_ONCE(ring->descs[slot].flag_access, ZC_ACCESS_WRITABLE);
	dma_sync_single_for_device(ring->buffer->dma_dev, dma, ZC_BLOCK_SIZE, DMA_FROM_DEVICE);
	return dma;
}
EXPORT_SYMBOL_GPL(zc_rx_post);

/**
 * zc_rx_complete() - the NIC filled the oldest posted slot
 * @ring:  [napi] the ring
 * @frame: what the NIC says of it
 * @now:   nanoseconds since the epoch
 *
 * Nobody sees it before zc_rx_submit().
 */
void zc_rx_complete(struct zc_ring *ring, const struct zc_frame *frame, u64 now)
{
	struct zc_cursor *c = &ring->cursor;
	struct zc_ring_header *header = ring->header;
	u32 slot = zc_cursor_slot(c, c->write);
	u16 len = min_t(u16, frame->len, ZC_BLOCK_SIZE);

	dma_sync_single_for_cpu(ring->buffer->dma_dev, zc_block_dma(ring->buffer, slot), len,
				DMA_FROM_DEVICE);
	ring->descs[slot] = (struct zc_desc){
		.timestamp = now,
		.offset = slot * ZC_BLOCK_SIZE,
		.wire_len = len,
		.rss_hash = frame->rss_hash,
		.len = len,
		.status = frame->status,
		.rss_type = frame->rss_type,
		.flag_access = ZC_ACCESS_READABLE,
	};
	c->write++;
	WRITE_ONCE(header->arrived, header->arrived + 1);
	WRITE_ONCE(header->arrived_bytes, header->arrived_bytes + len);
	if (frame->status & ZC_STATUS_TRUNCATED)
		WRITE_ONCE(header->truncated, header->truncated + 1);
}
EXPORT_SYMBOL_GPL(zc_rx_complete);

/**
 * zc_rx_submit() - publish every completed frame, and wake who waits for it
 * @ring: [napi] the ring
 */
void zc_rx_submit(struct zc_ring *ring)
{
	zc_ring_submit(&ring->cursor, ring->header);
	zc_ring_wake(ring);
}
EXPORT_SYMBOL_GPL(zc_rx_submit);

/**
 * zc_rx_stalled() - does the NIC hold no slot because the user holds them all?
 * @ring: [napi] the ring, after all that could be posted was posted
 *
 * Then nothing will arrive, no interrupt either: poll() has to kick.
 *
 * Return: false where slots are posted, or where some have become free
 */
bool zc_rx_stalled(struct zc_ring *ring)
{
	if (zc_cursor_inflight(&ring->cursor)) {
		zc_ring_unstall(ring->header);
		return false;
	}
	return zc_ring_stall(&ring->cursor, ring->header, ring->user);
}
EXPORT_SYMBOL_GPL(zc_rx_stalled);

/**
 * zc_rx_dropped() - the NIC lost frames of this queue
 * @ring:      [napi] the ring
 * @frames:    how many
 * @no_slot:   the user held all slots; otherwise NAPI was too slow
 * @saturated: the NIC's counter had run full
 */
void zc_rx_dropped(struct zc_ring *ring, u32 frames, bool no_slot, bool saturated)
{
	struct zc_ring_header *header = ring->header;
	__u64 *cause = no_slot ? &header->ring_full : &header->nic_drop;

	WRITE_ONCE(header->arrived, header->arrived + frames);
	smp_wmb();	/* a drop is an arrival, to all readers; pairs with zc_ring_stats() */
	WRITE_ONCE(*cause, *cause + frames);
	if (saturated)
		WRITE_ONCE(header->flags, header->flags | ZC_RING_AT_LEAST);
}
EXPORT_SYMBOL_GPL(zc_rx_dropped);
