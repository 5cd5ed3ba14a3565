// SPDX-License-Identifier: GPL-2.0
/*
 * Transmit rings, from the driver's NAPI: take what the user offers, complete
 * it in order.
 *
 * An offer is copied once and checked in the copy: what the user changes
 * afterwards changes nothing.  One that is refused takes its place in the order
 * of completions, marked ZC_STATUS_UNSENT.
 */
#include <linux/if_vlan.h>
#include <linux/module.h>

#include "zc_family.h"

static bool zc_tx_valid(const struct zc_ring *ring, const struct zc_tx_desc *offer)
{
	u32 in_block = offer->offset % ZC_BLOCK_SIZE;

	return !offer->flags && offer->len >= ETH_HLEN && offer->len <= VLAN_ETH_FRAME_LEN &&
	       in_block + offer->len <= ZC_BLOCK_SIZE &&
	       offer->offset / ZC_BLOCK_SIZE < ring->cursor.slots;
}

/* Completes the oldest posted slot. */
static void zc_tx_finish(struct zc_ring *ring, u64 now, u16 status)
{
	struct zc_cursor *c = &ring->cursor;
	struct zc_ring_header *header = ring->header;
	struct zc_desc *desc = &ring->descs[zc_cursor_slot(c, c->write)];

	desc->timestamp = now;
	desc->status = status;
	desc->flag_access = ZC_ACCESS_READABLE;
	c->write++;
	if (status & ZC_STATUS_UNSENT)
		WRITE_ONCE(header->nic_drop, header->nic_drop + 1);
}

/* Refused offers never reach the NIC: they are done when their turn comes. */
static void zc_tx_finish_refused(struct zc_ring *ring, u64 now)
{
	struct zc_cursor *c = &ring->cursor;

	while (zc_cursor_inflight(c) &&
	       ring->descs[zc_cursor_slot(c, c->write)].status & ZC_STATUS_UNSENT)
		zc_tx_finish(ring, now, ZC_STATUS_UNSENT);
}

/* Copies offer posted, records it and says whether it may be sent. */
static bool zc_tx_accept(struct zc_ring *ring, struct zc_tx_frame *frame)
{
	struct zc_cursor *c = &ring->cursor;
	u32 slot = zc_cursor_slot(c, c->posted);
	struct zc_tx_desc *shared = &ring->offers[slot];
	struct zc_tx_desc offer = {
		.offset = READ_ONCE(shared->offset),
		.len = READ_ONCE(shared->len),
		.flags = READ_ONCE(shared->flags),
	};
	bool valid = zc_tx_valid(ring, &offer);
	struct zc_ring_header *header = ring->header;

	ring->descs[slot] = (struct zc_desc){
		.offset = offer.offset,
		.len = offer.len,
		.wire_len = offer.len,
		.status = valid ? 0 : ZC_STATUS_UNSENT,
		.flag_access = ZC_ACCESS_WRITABLE,
	};
	c->posted++;
	WRITE_ONCE(header->arrived, header->arrived + 1);
	if (!valid)
		return false;
	WRITE_ONCE(header->arrived_bytes, header->arrived_bytes + offer.len);
	frame->len = offer.len;
	frame->dma = zc_block_dma(ring->buffer, offer.offset / ZC_BLOCK_SIZE) +
		     offer.offset % ZC_BLOCK_SIZE;
	dma_sync_single_for_device(ring->buffer->dma_dev, frame->dma, frame->len, DMA_TO_DEVICE);
	return true;
}

/**
 * zc_tx_take() - the next frame to send
 * @ring:  [napi] the ring
 * @frame: filled where one is to be sent
 *
 * Return: whether there is one
 */
bool zc_tx_take(struct zc_ring *ring, struct zc_tx_frame *frame)
{
	struct zc_cursor *c = &ring->cursor;
	u32 offered;

	zc_ring_collect(c, ring->user);
	/* C of the other direction: the offers before `write` are complete. */
	offered = zc_cursor_offered(c, smp_load_acquire(&ring->user->write));
	while (offered--)
		if (zc_tx_accept(ring, frame))
			return true;
	return false;
}
EXPORT_SYMBOL_GPL(zc_tx_take);

/**
 * zc_tx_refuse() - what is offered now is not sent
 * @ring: [napi] the ring
 *
 * It comes back, behind what the NIC still holds, with the next zc_tx_complete().
 */
void zc_tx_refuse(struct zc_ring *ring)
{
	struct zc_cursor *c = &ring->cursor;
	struct zc_tx_frame frame;

	while (zc_tx_take(ring, &frame))
		ring->descs[zc_cursor_slot(c, c->posted - 1)].status = ZC_STATUS_UNSENT;
}
EXPORT_SYMBOL_GPL(zc_tx_refuse);

/**
 * zc_tx_complete() - the NIC is done with the oldest frames that it was given
 * @ring:   [napi] the ring
 * @frames: how many
 * @now:    nanoseconds since the epoch
 */
void zc_tx_complete(struct zc_ring *ring, u32 frames, u64 now)
{
	zc_tx_finish_refused(ring, now);
	while (frames--) {
		zc_tx_finish(ring, now, 0);
		zc_tx_finish_refused(ring, now);
	}
}
EXPORT_SYMBOL_GPL(zc_tx_complete);

/**
 * zc_tx_abort() - the queue is stopped: what the NIC still held is not sent
 * @ring: [napi] the ring
 */
void zc_tx_abort(struct zc_ring *ring)
{
	u64 now = ktime_get_real_ns();

	while (zc_cursor_inflight(&ring->cursor))
		zc_tx_finish(ring, now, ZC_STATUS_UNSENT);
	zc_tx_submit(ring);
}
EXPORT_SYMBOL_GPL(zc_tx_abort);

/**
 * zc_tx_submit() - publish every completion, and wake who waits for it
 * @ring: [napi] the ring
 */
void zc_tx_submit(struct zc_ring *ring)
{
	zc_ring_submit(&ring->cursor, ring->header);
	zc_ring_wake(ring);
}
EXPORT_SYMBOL_GPL(zc_tx_submit);
