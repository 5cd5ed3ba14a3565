// SPDX-License-Identifier: GPL-2.0
/* Transmit queues: frames go out from the User Buffer. */
#include <linux/bitfield.h>
#include <linux/dma-mapping.h>
#include <linux/moduleparam.h>

#include "zc82576.h"

static unsigned int tx_timeout = 5;
module_param(tx_timeout, uint, 0644);
MODULE_PARM_DESC(tx_timeout, "seconds without a frame sent until the port is reset; 0: never; default 5");

static union zc82576_tx_desc *zc82576_tx_desc(struct zc82576_hw_ring *tx, u32 index)
{
	union zc82576_tx_desc *descs = tx->descs;

	return &descs[index & (tx->depth - 1)];
}

/* Complete, in order, what the NIC says it sent. */
static u32 zc82576_tx_clean(struct zc82576_queue *q)
{
	struct zc82576_hw_ring *tx = &q->tx;
	u32 done = 0;

	while (tx->head != tx->tail) {
		union zc82576_tx_desc *desc = zc82576_tx_desc(tx, tx->head);

		if (!(le32_to_cpu(READ_ONCE(desc->done.status)) & TX_STATUS_DD))
			break;
		tx->head++;
		done++;
	}
	q->sent += done;
	return done;
}

static void zc82576_tx_post(struct zc82576_queue *q, const struct zc_tx_frame *frame)
{
	union zc82576_tx_desc *desc = zc82576_tx_desc(&q->tx, q->tx.tail++);

	/* 7.2.2.3: one buffer, FCS by the NIC, report when it is sent. */
	desc->read.packet = cpu_to_le64(frame->dma);
	desc->read.payload = cpu_to_le32(FIELD_PREP(TX_PAYLOAD_LEN, frame->len));
	desc->read.command = cpu_to_le32(FIELD_PREP(TX_CMD_LEN, frame->len) | TX_CMD_DATA |
					 TX_CMD_EOP | TX_CMD_IFCS | TX_CMD_RS | TX_CMD_DEXT);
	q->sent_bytes += frame->len;
}

/* Hand offers to the NIC, at most @budget. */
static int zc82576_tx_fill(struct zc82576_queue *q, int budget)
{
	struct zc82576_hw_ring *tx = &q->tx;
	struct zc_tx_frame frame;
	int posted = 0;

	while (posted < budget && tx->tail - tx->head < tx->depth - 1 &&
	       zc_tx_take(tx->ring, &frame)) {
		zc82576_tx_post(q, &frame);
		posted++;
	}
	if (posted) {
		dma_wmb();	/* descriptors before the tail that covers them */
		zc82576_write(q->nic, TDT(q->index), tx->tail & (tx->depth - 1));
	}
	return posted;
}

/**
 * zc82576_tx_poll() - NAPI's work on the transmit side
 * @q:      the queue
 * @budget: frames to post at most
 *
 * Return: true where there is more to do at once
 */
bool zc82576_tx_poll(struct zc82576_queue *q, int budget)
{
	struct zc_ring *ring = q->tx.ring;
	u32 before, done;
	int posted;

	if (!q->tx.descs)
		return false;
	before = ring->cursor.write;
	done = zc82576_tx_clean(q);
	zc_tx_complete(ring, done, ktime_get_real_ns());
	posted = 0;
	if (netif_carrier_ok(q->nic->dev))
		posted = zc82576_tx_fill(q, budget);
	else
		zc_tx_refuse(ring);	/* the NIC would keep them until they are stale */
	/* Offers that were refused behind the last frame are done already. */
	zc_tx_complete(ring, 0, ktime_get_real_ns());
	if (ring->cursor.write != before)
		zc_tx_submit(ring);
	return posted == budget;
}

static void zc82576_tx_program(struct zc82576_queue *q)
{
	struct zc82576 *nic = q->nic;
	unsigned int i = q->index;

	zc82576_write(nic, TDBAL(i), lower_32_bits(q->tx.dma));
	zc82576_write(nic, TDBAH(i), upper_32_bits(q->tx.dma));
	zc82576_write(nic, TDLEN(i), q->tx.depth * sizeof(union zc82576_tx_desc));
	zc82576_write(nic, TDH(i), 0);
	zc82576_write(nic, TDT(i), 0);
	/* WTHRESH 0: every frame is reported at once (8.12.14). */
	zc82576_hw_queue_enable(nic, TXDCTL(i), FIELD_PREP(RXDCTL_PTHRESH, 8) |
				FIELD_PREP(RXDCTL_HTHRESH, 1));
}

/**
 * zc82576_tx_start() - 4.5.10: set up the queue
 * @q: paused or not yet started, with a ring
 *
 * Return: 0 or -ENOMEM
 */
int zc82576_tx_start(struct zc82576_queue *q)
{
	struct zc82576_hw_ring *tx = &q->tx;

	if (!tx->ring)
		return 0;
	tx->depth = q->nic->tx_depth;
	tx->descs = dma_alloc_coherent(&q->nic->pci->dev,
				       tx->depth * sizeof(union zc82576_tx_desc), &tx->dma,
				       GFP_KERNEL);
	if (!tx->descs)
		return -ENOMEM;
	tx->head = 0;
	tx->tail = 0;
	zc82576_tx_program(q);
	zc_ring_start(tx->ring);
	return 0;
}

/**
 * zc82576_tx_hangs() - does the NIC keep frames that it will not send?
 * @q: [watch] its own account of them may be a little old
 *
 * Return: true where there is no link, or where none went out for some looks
 */
bool zc82576_tx_hangs(struct zc82576_queue *q)
{
	u32 head = READ_ONCE(q->tx.head);

	if (!READ_ONCE(q->tx.descs) || head == READ_ONCE(q->tx.tail) || head != q->tx_seen) {
		q->tx_seen = head;
		q->tx_looks = 0;
		return false;
	}
	/* A switch that pauses us does not hang us. */
	if (zc82576_read(q->nic, STATUS) & STATUS_TXOFF)
		return false;
	if (!netif_carrier_ok(q->nic->dev))
		return true;
	return READ_ONCE(tx_timeout) && ++q->tx_looks >= READ_ONCE(tx_timeout);
}

/** zc82576_tx_halt() - tell the queue to stop; whether its DMA has stopped */
bool zc82576_tx_halt(struct zc82576_queue *q)
{
	return !q->tx.descs || zc82576_hw_queue_disable(q->nic, TXDCTL(q->index));
}

/**
 * zc82576_tx_finish() - what the NIC still held is not sent; give the descriptors back
 * @q: paused; its DMA has stopped
 */
void zc82576_tx_finish(struct zc82576_queue *q)
{
	struct zc82576_hw_ring *tx = &q->tx;

	if (!tx->descs)
		return;
	zc_tx_complete(tx->ring, zc82576_tx_clean(q), ktime_get_real_ns());
	zc_tx_abort(tx->ring);
	zc_ring_stop(tx->ring);
	dma_free_coherent(&q->nic->pci->dev, tx->depth * sizeof(union zc82576_tx_desc), tx->descs,
			  tx->dma);
	tx->descs = NULL;
}
