// SPDX-License-Identifier: GPL-2.0
/*
 * Receive queues.  Hardware descriptors take the next free slots of the shared
 * ring in order, whose blocks the NIC fills.
 */
#include <linux/bitfield.h>
#include <linux/dma-mapping.h>
#include <linux/log2.h>

#include "zc82576.h"

#define RX_STATUS_CSUM_BAD	(RX_STATUS_L4E | RX_STATUS_IPE)
#define RX_TAIL_BATCH		32	/* descriptors a write of RDT, in a poll */

static union zc82576_rx_desc *zc82576_rx_desc(struct zc82576_hw_ring *rx, u32 index)
{
	union zc82576_rx_desc *descs = rx->descs;

	return &descs[index & (rx->depth - 1)];
}

/* Post every free slot.  One descriptor stays out: RDH = RDT means none. */
static void zc82576_rx_refill(struct zc82576_queue *q)
{
	struct zc82576_hw_ring *rx = &q->rx;
	u32 room = zc_rx_room(rx->ring, rx->depth - 1);

	if (!room)
		return;
	while (room--) {
		union zc82576_rx_desc *desc = zc82576_rx_desc(rx, rx->tail++);

		desc->read.packet = cpu_to_le64(zc_rx_post(rx->ring));
		desc->read.header = 0;		/* DD with it */
	}
	dma_wmb();	/* descriptors before the tail that covers them */
	zc82576_write(q->nic, RDT(q->index), rx->tail & (rx->depth - 1));
}

static struct zc_frame zc82576_rx_frame(const union zc82576_rx_desc *desc, u32 status)
{
	struct zc_frame frame = {
		.len = le16_to_cpu(desc->done.length),
		.rss_type = FIELD_GET(RX_INFO_RSS_TYPE, le32_to_cpu(desc->done.info)),
	};

	if (frame.rss_type != ZC_RSS_NONE)
		frame.rss_hash = le32_to_cpu(desc->done.rss_hash);
	if (status & RX_STATUS_CSUM_BAD)
		frame.status |= ZC_STATUS_CSUM_BAD;
	/* Neither comes without RCTL.SBP and LPE; if it did, it is no whole frame. */
	if (!(status & RX_STATUS_EOP) || status & RX_STATUS_RXE)
		frame.status |= ZC_STATUS_TRUNCATED;
	return frame;
}

/* Complete what the NIC wrote back, at most @budget. */
static int zc82576_rx_clean(struct zc82576_queue *q, int budget)
{
	struct zc82576_hw_ring *rx = &q->rx;
	u64 now = ktime_get_real_ns();
	int done;

	for (done = 0; done < budget && rx->head != rx->tail; done++) {
		union zc82576_rx_desc *desc = zc82576_rx_desc(rx, rx->head);
		u32 status = le32_to_cpu(READ_ONCE(desc->done.status));
		struct zc_frame frame;

		if (!(status & RX_STATUS_DD))
			break;
		dma_rmb();	/* DD before the rest of the descriptor */
		frame = zc82576_rx_frame(desc, status);
		zc_rx_complete(rx->ring, &frame, now);
		rx->head++;
		q->frames++;
		q->bytes += frame.len;
	}
	if (done)
		zc_rx_submit(rx->ring);
	return done;
}

/**
 * zc82576_rx_count_drops() - RQDPC before its 12 bits overflow (8.10.14)
 * @q:       whose NAPI this is, or is disabled
 * @no_slot: the queue had run dry because the user held every slot
 */
void zc82576_rx_count_drops(struct zc82576_queue *q, bool no_slot)
{
	u32 drops = zc82576_read(q->nic, RQDPC(q->index));

	if (!drops || drops == ~0U)
		return;
	drops &= RQDPC_FULL;
	q->rx.lost += drops;
	zc_rx_dropped(q->rx.ring, drops, no_slot, drops == RQDPC_FULL);
}

/* Of the port, to the first ring. */
static void zc82576_rx_count_untold(struct zc82576_queue *q)
{
	const struct zc82576_queue *first = q->nic->queues;
	s64 untold;

	while (first < q && !READ_ONCE(first->rx.ring))
		first++;
	if (first < q)
		return;
	untold = atomic64_xchg(&q->nic->untold, 0);
	if (untold)
		zc_rx_dropped(q->rx.ring, untold, false, false);
}

/* Does the NIC hold no descriptor that it could fill?  Then it drops. */
static bool zc82576_rx_dry(struct zc82576_hw_ring *rx)
{
	const union zc82576_rx_desc *last = zc82576_rx_desc(rx, rx->tail - 1);

	return rx->head == rx->tail || le32_to_cpu(READ_ONCE(last->done.status)) & RX_STATUS_DD;
}

/*
 * Before any slot is posted, while it is plain why the queue ran dry.  Only such
 * a queue drops: for the others the watch is enough.
 */
static void zc82576_rx_count(struct zc82576_queue *q)
{
	struct zc82576_hw_ring *rx = &q->rx;
	bool short_of_slots = rx->tail - rx->head < rx->depth - 1;
	bool dry = zc82576_rx_dry(rx);

	if (!dry && !READ_ONCE(q->count_due))
		return;
	zc82576_rx_count_drops(q, dry && short_of_slots);
	if (READ_ONCE(q->count_due))
		zc82576_rx_count_untold(q);
	WRITE_ONCE(q->count_due, false);
}

/**
 * zc82576_rx_poll() - NAPI's work on the receive side
 * @q:      the queue
 * @budget: frames at most
 * @done:   frames completed
 *
 * Return: true where there is more to do at once
 */
bool zc82576_rx_poll(struct zc82576_queue *q, int budget, int *done)
{
	struct zc82576_hw_ring *rx = &q->rx;

	*done = 0;
	if (!rx->descs)
		return false;
	zc82576_rx_count(q);
	while (*done < budget) {
		int some = zc82576_rx_clean(q, min(budget - *done, RX_TAIL_BATCH));

		if (!some)
			break;
		*done += some;
		zc82576_rx_refill(q);
	}
	zc82576_rx_refill(q);
	while (!zc_rx_stalled(rx->ring) && rx->head == rx->tail)
		zc82576_rx_refill(q);
	return *done == budget;
}

static void zc82576_rx_program(struct zc82576_queue *q)
{
	struct zc82576 *nic = q->nic;
	unsigned int i = q->index;

	zc82576_write(nic, RDBAL(i), lower_32_bits(q->rx.dma));
	zc82576_write(nic, RDBAH(i), upper_32_bits(q->rx.dma));
	zc82576_write(nic, RDLEN(i), q->rx.depth * sizeof(union zc82576_rx_desc));
	/* One full queue must not stop the others (8.10.2). */
	zc82576_write(nic, SRRCTL(i), FIELD_PREP(SRRCTL_BSIZE_KIB, ZC_BLOCK_SIZE / 1024) |
		      SRRCTL_ADV_ONE_BUF | SRRCTL_DROP_EN);
	zc82576_write(nic, RDH(i), 0);
	zc82576_write(nic, RDT(i), 0);
	zc82576_hw_queue_enable(nic, RXDCTL(i), FIELD_PREP(RXDCTL_PTHRESH, 8) |
				FIELD_PREP(RXDCTL_HTHRESH, 8) | FIELD_PREP(RXDCTL_WTHRESH, 1));
}

/**
 * zc82576_rx_start() - 4.5.9: set up the queue and post the free slots
 * @q: paused or not yet started, with a ring
 *
 * Return: 0 or -ENOMEM
 */
int zc82576_rx_start(struct zc82576_queue *q)
{
	struct zc82576_hw_ring *rx = &q->rx;

	if (!rx->ring)
		return 0;
	rx->depth = min(q->nic->rx_depth, rx->ring->cursor.slots);
	rx->descs = dma_alloc_coherent(&q->nic->pci->dev,
				       rx->depth * sizeof(union zc82576_rx_desc), &rx->dma,
				       GFP_KERNEL);
	if (!rx->descs)
		return -ENOMEM;
	rx->head = 0;
	rx->tail = 0;
	zc82576_read(q->nic, RQDPC(q->index));	/* what nobody waited for */
	zc82576_rx_program(q);
	zc_ring_start(rx->ring);
	zc82576_rx_refill(q);
	return 0;
}

/** zc82576_rx_halt() - tell the queue to stop; whether its DMA has stopped */
bool zc82576_rx_halt(struct zc82576_queue *q)
{
	return !q->rx.descs || zc82576_hw_queue_disable(q->nic, RXDCTL(q->index));
}

/**
 * zc82576_rx_finish() - submit what has arrived, and give the descriptors back
 * @q: paused; its DMA has stopped
 */
void zc82576_rx_finish(struct zc82576_queue *q)
{
	struct zc82576_hw_ring *rx = &q->rx;

	if (!rx->descs)
		return;
	zc82576_rx_clean(q, rx->depth);
	zc82576_rx_count_drops(q, rx->head == rx->tail);
	zc82576_rx_count_untold(q);
	zc_ring_stop(rx->ring);
	dma_free_coherent(&q->nic->pci->dev, rx->depth * sizeof(union zc82576_rx_desc), rx->descs,
			  rx->dma);
	rx->descs = NULL;
}
