/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The driver's own structures.
 *
 * Locking: configuration runs under rtnl_lock.  A queue's rings belong to its
 * NAPI poll; rtnl code touches them between zc82576_queue_pause() and _resume().
 */
#ifndef _ZC82576_H
#define _ZC82576_H

#include <linux/ethtool.h>
#include <linux/io.h>
#include <linux/netdevice.h>
#include <linux/pci.h>
#include <linux/workqueue.h>

#include "regs.h"
#include "zc_ops.h"

#define ZC82576_QUEUES		8	/* of 16: a vector for each, of 10 */
#define ZC82576_OTHER_VECTOR	ZC82576_QUEUES
#define ZC82576_VECTORS		(ZC82576_QUEUES + 1)
#define ZC82576_MIN_DEPTH	64
#define ZC82576_MAX_DEPTH	4096
#define ZC82576_DEFAULT_DEPTH	1024
#define ZC82576_MAX_USECS	8191
#define ZC82576_RSS_FIELDS	(MRQC_TCP_IPV4 | MRQC_IPV4 | MRQC_TCP_IPV6_EX | \
				 MRQC_TCP_IPV6 | MRQC_IPV6)

struct zc82576;

/**
 * struct zc82576_hw_ring - a descriptor ring that the NIC reads
 * @ring:  the family's, or NULL: nobody has bound it
 * @descs: @depth descriptors while the queue runs, otherwise NULL
 * @dma:   their address
 * @depth: a power of two; one less is posted at most
 * @tail:  index to post next
 * @head:  index to complete next
 * @lost:  rx: frames dropped, of all rings that were ever bound
 */
struct zc82576_hw_ring {
	struct zc_ring *ring;
	void *descs;
	dma_addr_t dma;
	u32 depth;
	u32 tail;
	u32 head;
	u64 lost;
};

/**
 * struct zc82576_queue - a queue pair, its vector and its NAPI
 * @nic:     whose
 * @index:   of queue and vector
 * @napi:    the producer of both rings
 * @rx:      receive side
 * @tx:      transmit side
 * @frames:  received, ever
 * @bytes:   of these
 * @sent:    frames transmitted, ever
 * @sent_bytes: of these
 * @polls:   of NAPI, ever
 * @count_due: the watch wants RQDPC read
 * @tx_seen: the watch's: @tx.head at its last look
 * @tx_looks: the watch's: looks in a row in which it stood still
 * @irq_name: for /proc/interrupts
 */
struct zc82576_queue {
	struct zc82576 *nic;
	unsigned int index;
	struct napi_struct napi;
	struct zc82576_hw_ring rx;
	struct zc82576_hw_ring tx;
	u64 frames;
	u64 bytes;
	u64 sent;
	u64 sent_bytes;
	u64 polls;
	bool count_due;
	u32 tx_seen;
	unsigned int tx_looks;
	char irq_name[IFNAMSIZ + 8];
};

/**
 * struct zc82576_counters - the NIC's statistics registers, summed up
 * @crc_errors: frames with a wrong FCS
 * @rx_errors:  frames with a symbol error
 * @missed:     frames lost for want of space in the packet buffer
 * @length_errors: too short, too long or cut
 * @no_buffer:  frames that found no descriptor
 * @good_rx:    frames received
 * @good_tx:    frames sent
 */
struct zc82576_counters {
	u64 crc_errors;
	u64 rx_errors;
	u64 missed;
	u64 length_errors;
	u64 no_buffer;
	u64 good_rx;
	u64 good_tx;
};

/**
 * struct zc82576 - one port
 * @regs:     BAR 0
 * @pci:      function
 * @dev:      interface
 * @port:     0 or 1 of the chip
 * @channels: queue pairs that RSS may name and rings may take
 * @rx_usecs: at least so long from one interrupt of a queue to the next
 * @rx_depth: hardware receive descriptors a queue
 * @tx_depth: hardware transmit descriptors a queue
 * @fields:   MRQC bits
 * @key:      RSS key
 * @reta:     redirection table
 * @counters: of the hardware
 * @stats_lock: guards @counters and the registers, which are cleared by reading
 * @untold:   frames that the port lost, to be told by the first ring
 * @stack_drops: frames that the network stack wanted to send
 * @watch:    reads counters and link once a second
 * @reset:    starts the port again where it sends no more
 * @up:       [rtnl] queues run and NAPI is enabled; netif_running() is not the
 *            same where a restart failed
 * @other_irq_name: for /proc/interrupts
 * @queues:   the queue pairs
 */
struct zc82576 {
	u8 __iomem *regs;
	struct pci_dev *pci;
	struct net_device *dev;
	unsigned int port;
	u32 channels;
	u32 rx_usecs;
	u32 rx_depth;
	u32 tx_depth;
	u32 fields;
	u8 key[ZC_RSS_KEY_SIZE];
	u8 reta[ZC_RETA_SIZE];
	struct zc82576_counters counters;
	struct mutex stats_lock;
	atomic64_t untold;
	atomic64_t stack_drops;
	struct delayed_work watch;
	struct work_struct reset;
	bool up;
	char other_irq_name[IFNAMSIZ + 8];
	struct zc82576_queue queues[ZC82576_QUEUES];
};

static inline u32 zc82576_read(const struct zc82576 *nic, u32 reg)
{
	return readl(nic->regs + reg);
}

static inline void zc82576_write(const struct zc82576 *nic, u32 reg, u32 value)
{
	writel(value, nic->regs + reg);
}

/* Posted writes have arrived when a read has come back. */
static inline void zc82576_flush(const struct zc82576 *nic)
{
	zc82576_read(nic, STATUS);
}

/* hw.c */
int zc82576_hw_reset(struct zc82576 *nic);
void zc82576_hw_release(struct zc82576 *nic);
int zc82576_hw_link_start(struct zc82576 *nic);
void zc82576_hw_address(struct zc82576 *nic, u8 *address);
void zc82576_hw_set_address(struct zc82576 *nic, const u8 *address);
void zc82576_hw_receive(struct zc82576 *nic);
void zc82576_hw_queue_enable(struct zc82576 *nic, u32 dctl, u32 thresholds);
bool zc82576_hw_queue_disable(struct zc82576 *nic, u32 dctl);
void zc82576_hw_silence(struct zc82576 *nic);
void zc82576_hw_halt(struct zc82576 *nic, bool halted);

/* irq.c */
int zc82576_irq_start(struct zc82576 *nic);
void zc82576_irq_stop(struct zc82576 *nic);
void zc82576_irq_unmask(struct zc82576_queue *q);
void zc82576_irq_moderate(struct zc82576 *nic);

/* rx.c */
int zc82576_rx_start(struct zc82576_queue *q);
bool zc82576_rx_halt(struct zc82576_queue *q);
void zc82576_rx_finish(struct zc82576_queue *q);
bool zc82576_rx_poll(struct zc82576_queue *q, int budget, int *done);
void zc82576_rx_count_drops(struct zc82576_queue *q, bool no_slot);

/* tx.c */
int zc82576_tx_start(struct zc82576_queue *q);
bool zc82576_tx_halt(struct zc82576_queue *q);
void zc82576_tx_finish(struct zc82576_queue *q);
bool zc82576_tx_hangs(struct zc82576_queue *q);
bool zc82576_tx_poll(struct zc82576_queue *q, int budget);

/* rss.c */
void zc82576_rss_default(struct zc82576 *nic);
void zc82576_rss_spread(struct zc82576 *nic);
void zc82576_rss_program(struct zc82576 *nic);

/* netdev.c */
void zc82576_netdev_init(struct zc82576 *nic);
int zc82576_netdev_open(struct net_device *dev);
int zc82576_netdev_stop(struct net_device *dev);
void zc82576_netdev_link(struct zc82576 *nic);
int zc82576_netdev_restart(struct zc82576 *nic);
void zc82576_netdev_suspend(struct zc82576 *nic);
int zc82576_netdev_resume(struct zc82576 *nic);
void zc82576_queue_pause(struct zc82576_queue *q);
void zc82576_queue_resume(struct zc82576_queue *q);
extern const struct zc_device_ops zc82576_device_ops;

/* ethtool.c, stats.c */
extern const struct ethtool_ops zc82576_ethtool_ops;
void zc82576_stats_read(struct zc82576 *nic);
void zc82576_stats_sum(struct net_device *dev, struct rtnl_link_stats64 *stats);
int zc82576_stats_count(struct net_device *dev, int set);
void zc82576_stats_names(struct net_device *dev, u32 set, u8 *names);
void zc82576_stats_values(struct net_device *dev, struct ethtool_stats *stats, u64 *values);

#endif /* _ZC82576_H */
