// SPDX-License-Identifier: GPL-2.0
/* Counters: the card's, cleared by reading, and those of the queues. */
#include <linux/ethtool.h>

#include "zc82576.h"

/**
 * zc82576_stats_read() - add the card's counters up (8.18)
 * @nic: may sleep
 *
 * What the port loses before it has chosen a queue (no room, longer than it
 * takes, damaged) is a loss to whoever captures: the first ring tells it.
 */
void zc82576_stats_read(struct zc82576 *nic)
{
	struct zc82576_counters *c = &nic->counters;
	u32 missed, damaged, too_long;

	mutex_lock(&nic->stats_lock);
	if (zc82576_read(nic, STATUS) == ~0U)
		goto out;		/* the device is gone */
	missed = zc82576_read(nic, MPC);
	damaged = zc82576_read(nic, CRCERRS);
	too_long = zc82576_read(nic, ROC);
	c->missed += missed;
	c->crc_errors += damaged;
	c->rx_errors += zc82576_read(nic, RXERRC);
	c->length_errors += zc82576_read(nic, RLEC) + zc82576_read(nic, RUC) + too_long;
	c->no_buffer += zc82576_read(nic, RNBC);
	c->good_rx += zc82576_read(nic, GPRC);
	c->good_tx += zc82576_read(nic, GPTC);
	atomic64_add((u64)missed + damaged + too_long, &nic->untold);
out:
	mutex_unlock(&nic->stats_lock);
}

void zc82576_stats_sum(struct net_device *dev, struct rtnl_link_stats64 *stats)
{
	const struct zc82576 *nic = netdev_priv(dev);
	unsigned int i;

	for (i = 0; i < ZC82576_QUEUES; i++) {
		const struct zc82576_queue *q = &nic->queues[i];

		stats->rx_packets += READ_ONCE(q->frames);
		stats->rx_bytes += READ_ONCE(q->bytes);
		stats->tx_packets += READ_ONCE(q->sent);
		stats->tx_bytes += READ_ONCE(q->sent_bytes);
		stats->rx_fifo_errors += READ_ONCE(q->rx.lost);
	}
	stats->rx_crc_errors = nic->counters.crc_errors;
	stats->rx_length_errors = nic->counters.length_errors;
	stats->rx_missed_errors = nic->counters.missed;
	stats->rx_errors = nic->counters.crc_errors + nic->counters.rx_errors +
			   nic->counters.length_errors;
	stats->tx_dropped = atomic64_read(&nic->stack_drops);
}

static const char zc82576_card_names[][ETH_GSTRING_LEN] = {
	"crc_errors", "rx_errors", "missed", "length_errors", "no_buffer", "good_rx", "good_tx",
};

static const char *const zc82576_queue_names[] = {
	"rx_frames", "rx_bytes", "rx_drops", "tx_frames", "tx_bytes", "polls",
};

int zc82576_stats_count(struct net_device *dev, int set)
{
	if (set != ETH_SS_STATS)
		return -EOPNOTSUPP;
	return ARRAY_SIZE(zc82576_card_names) + ZC82576_QUEUES * ARRAY_SIZE(zc82576_queue_names);
}

void zc82576_stats_names(struct net_device *dev, u32 set, u8 *names)
{
	unsigned int i, n;

	if (set != ETH_SS_STATS)
		return;
	memcpy(names, zc82576_card_names, sizeof(zc82576_card_names));
	names += sizeof(zc82576_card_names);
	for (i = 0; i < ZC82576_QUEUES; i++)
		for (n = 0; n < ARRAY_SIZE(zc82576_queue_names); n++, names += ETH_GSTRING_LEN)
			snprintf(names, ETH_GSTRING_LEN, "q%u_%s", i, zc82576_queue_names[n]);
}

/* In the order of the names above. */
void zc82576_stats_values(struct net_device *dev, struct ethtool_stats *stats, u64 *values)
{
	const struct zc82576 *nic = netdev_priv(dev);
	unsigned int i;

	static_assert(sizeof(nic->counters) == ARRAY_SIZE(zc82576_card_names) * sizeof(u64));
	memcpy(values, &nic->counters, sizeof(nic->counters));
	values += ARRAY_SIZE(zc82576_card_names);
	for (i = 0; i < ZC82576_QUEUES; i++) {
		const struct zc82576_queue *q = &nic->queues[i];

		*values++ = READ_ONCE(q->frames);
		*values++ = READ_ONCE(q->bytes);
		*values++ = READ_ONCE(q->rx.lost);
		*values++ = READ_ONCE(q->sent);
		*values++ = READ_ONCE(q->sent_bytes);
		*values++ = READ_ONCE(q->polls);
	}
}
