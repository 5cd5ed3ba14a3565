// SPDX-License-Identifier: GPL-2.0
/*
 * The interface: up, down, link, and the rings that come and go on its queues.
 *
 * Frames reach rings only.  The network stack neither receives from this
 * interface nor sends by it: it is there for ip and ethtool.
 */
#include <linux/bitfield.h>
#include <linux/etherdevice.h>
#include <linux/rtnetlink.h>

#include "compat.h"
#include "zc82576.h"

/*
 * Both rings in one context.  Work that is left over is reported as a full
 * budget, so that NAPI comes back.
 */
static int zc82576_poll(struct napi_struct *napi, int budget)
{
	struct zc82576_queue *q = container_of(napi, struct zc82576_queue, napi);
	bool more;
	int done;

	q->polls++;
	more = zc82576_tx_poll(q, budget ?: 1);
	more |= zc82576_rx_poll(q, budget, &done);
	if (more)
		return budget;
	if (napi_complete_done(napi, done))
		zc82576_irq_unmask(q);
	return done;
}

static void zc82576_ring_napi(struct zc_ring *ring, unsigned int napi_id, bool paused)
{
	if (!ring)
		return;
	WRITE_ONCE(ring->napi_id, napi_id);
	WRITE_ONCE(ring->paused, paused);
}

/* From 6.13 on a NAPI has its id from here on, and not before. */
static void zc82576_queue_enable(struct zc82576_queue *q)
{
	napi_enable(&q->napi);
	zc82576_ring_napi(q->rx.ring, q->napi.napi_id, false);
	zc82576_ring_napi(q->tx.ring, q->napi.napi_id, false);
}

/** zc82576_queue_pause() - on return the queue's rings are the caller's */
void zc82576_queue_pause(struct zc82576_queue *q)
{
	/* Who busy-polls holds the NAPI for as long as it may. */
	zc82576_ring_napi(q->rx.ring, 0, true);
	zc82576_ring_napi(q->tx.ring, 0, true);
	napi_disable(&q->napi);
}

/** zc82576_queue_resume() - NAPI has them again, and looks at them at once */
void zc82576_queue_resume(struct zc82576_queue *q)
{
	zc82576_queue_enable(q);
	local_bh_disable();
	napi_schedule(&q->napi);
	local_bh_enable();
}

/* The port reaches no memory any more before any of it is given back. */
static void zc82576_queues_stop(struct zc82576 *nic)
{
	bool halted = true;
	unsigned int i;

	zc82576_hw_silence(nic);
	for (i = 0; i < ZC82576_QUEUES; i++) {
		halted &= zc82576_rx_halt(&nic->queues[i]);
		halted &= zc82576_tx_halt(&nic->queues[i]);
	}
	zc82576_hw_halt(nic, halted);
	for (i = 0; i < ZC82576_QUEUES; i++) {
		zc82576_rx_finish(&nic->queues[i]);
		zc82576_tx_finish(&nic->queues[i]);
	}
}

static int zc82576_queues_start(struct zc82576 *nic)
{
	unsigned int i;
	int err;

	for (i = 0; i < ZC82576_QUEUES; i++) {
		err = zc82576_rx_start(&nic->queues[i]);
		if (!err)
			err = zc82576_tx_start(&nic->queues[i]);
		if (err)
			return err;
	}
	return 0;
}

/** zc82576_netdev_open() - 4.5: reset, filters, queues, interrupts, and the link last */
int zc82576_netdev_open(struct net_device *dev)
{
	struct zc82576 *nic = netdev_priv(dev);
	unsigned int i;
	int err;

	netif_carrier_off(dev);
	pci_set_master(nic->pci);	/* which zc82576_hw_halt() may have taken */
	err = zc82576_hw_reset(nic);
	if (err)
		return err;
	zc82576_hw_set_address(nic, dev->dev_addr);
	zc82576_rss_program(nic);
	zc82576_write(nic, TCTL, TCTL_EN | TCTL_PSP | FIELD_PREP(TCTL_CT, 15));
	zc82576_hw_receive(nic);
	err = zc82576_queues_start(nic);
	if (err)
		goto out_queues;
	for (i = 0; i < ZC82576_QUEUES; i++)
		zc82576_queue_enable(&nic->queues[i]);
	err = zc82576_irq_start(nic);
	if (err)
		goto out_napi;
	err = zc82576_hw_link_start(nic);
	if (err)
		goto out_irq;
	nic->up = true;
	netif_tx_start_all_queues(dev);
	schedule_delayed_work(&nic->watch, 0);
	return 0;

out_irq:
	zc82576_irq_stop(nic);
	cancel_delayed_work_sync(&nic->watch);
	netif_carrier_off(dev);		/* which it may have seen */
out_napi:
	for (i = 0; i < ZC82576_QUEUES; i++)
		zc82576_queue_pause(&nic->queues[i]);
out_queues:
	zc82576_queues_stop(nic);
	zc82576_hw_release(nic);
	return err;
}

/** zc82576_netdev_stop() - on return nothing of the port runs; also where it was not up */
int zc82576_netdev_stop(struct net_device *dev)
{
	struct zc82576 *nic = netdev_priv(dev);
	unsigned int i;

	if (!nic->up)
		return 0;		/* a restart failed, or the machine sleeps */
	nic->up = false;
	zc82576_irq_stop(nic);		/* before the watch, which it starts */
	cancel_delayed_work_sync(&nic->watch);
	netif_tx_stop_all_queues(dev);
	netif_carrier_off(dev);
	for (i = 0; i < ZC82576_QUEUES; i++)
		zc82576_queue_pause(&nic->queues[i]);
	zc82576_stats_read(nic);	/* which a reset clears, and rings tell */
	zc82576_queues_stop(nic);
	zc82576_hw_release(nic);
	return 0;
}

static int zc82576_netdev_start(struct zc82576 *nic)
{
	int err = zc82576_netdev_open(nic->dev);

	if (err)
		netdev_err(nic->dev, "does not start again: %d; ip link set down and up\n", err);
	return err;
}

/**
 * zc82576_netdev_suspend() - the port rests, until zc82576_netdev_resume()
 * @nic: rings on it report ZC_STATE_STOPPED
 */
void zc82576_netdev_suspend(struct zc82576 *nic)
{
	rtnl_lock();
	netif_device_detach(nic->dev);
	zc82576_netdev_stop(nic->dev);
	rtnl_unlock();
}

/**
 * zc82576_netdev_resume() - the port goes on, with all that was configured
 * @nic: its registers may hold anything
 *
 * Return: 0 or an errno, then the interface is down
 */
int zc82576_netdev_resume(struct zc82576 *nic)
{
	int err = 0;

	rtnl_lock();
	if (netif_running(nic->dev))
		err = zc82576_netdev_start(nic);
	netif_device_attach(nic->dev);
	rtnl_unlock();
	return err;
}

/**
 * zc82576_netdev_restart() - down and up, with what was configured in between
 * @nic: under rtnl_lock
 *
 * Return: 0 or an errno, then the interface is down
 */
int zc82576_netdev_restart(struct zc82576 *nic)
{
	if (!nic->up)
		return 0;
	zc82576_netdev_stop(nic->dev);
	return zc82576_netdev_start(nic);
}

/** zc82576_netdev_link() - tell the core what the PHY says (8.2.2) */
void zc82576_netdev_link(struct zc82576 *nic)
{
	u32 status = zc82576_read(nic, STATUS);
	bool up = status != ~0U && status & STATUS_LU;

	if (up == netif_carrier_ok(nic->dev))
		return;
	if (up)
		netif_carrier_on(nic->dev);
	else
		netif_carrier_off(nic->dev);
	netdev_info(nic->dev, "link is %s\n", up ? "up" : "down");
}

/* Not from the watch: rtnl is held where the watch is waited for. */
static void zc82576_reset(struct work_struct *work)
{
	struct zc82576 *nic = container_of(work, struct zc82576, reset);

	rtnl_lock();
	if (nic->up) {
		netdev_err(nic->dev, "sends no more: the port is reset\n");
		zc82576_netdev_restart(nic);
	}
	rtnl_unlock();
}

/* Drops of a queue at rest: under load its NAPI reads them. */
static void zc82576_watch(struct work_struct *work)
{
	struct zc82576 *nic = container_of(work, struct zc82576, watch.work);
	unsigned int i;

	zc82576_netdev_link(nic);
	zc82576_stats_read(nic);
	for (i = 0; i < ZC82576_QUEUES; i++)
		if (zc82576_tx_hangs(&nic->queues[i]))
			schedule_work(&nic->reset);
	local_bh_disable();
	for (i = 0; i < ZC82576_QUEUES; i++) {
		WRITE_ONCE(nic->queues[i].count_due, true);
		napi_schedule(&nic->queues[i].napi);
	}
	local_bh_enable();
	schedule_delayed_work(&nic->watch, HZ);
}

static netdev_tx_t zc82576_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct zc82576 *nic = netdev_priv(dev);

	atomic64_inc(&nic->stack_drops);
	dev_kfree_skb_any(skb);
	return NETDEV_TX_OK;
}

static void zc82576_set_rx_mode(struct net_device *dev)
{
	struct zc82576 *nic = netdev_priv(dev);

	if (nic->up)
		zc82576_hw_receive(nic);
}

static int zc82576_set_address(struct net_device *dev, void *address)
{
	struct zc82576 *nic = netdev_priv(dev);
	int err = eth_mac_addr(dev, address);

	if (!err && nic->up)
		zc82576_hw_set_address(nic, dev->dev_addr);
	return err;
}

static const struct net_device_ops zc82576_netdev_ops = {
	.ndo_open = zc82576_netdev_open,
	.ndo_stop = zc82576_netdev_stop,
	.ndo_start_xmit = zc82576_xmit,
	.ndo_set_rx_mode = zc82576_set_rx_mode,
	.ndo_set_mac_address = zc82576_set_address,
	.ndo_validate_addr = eth_validate_addr,
	.ndo_get_stats64 = zc82576_stats_sum,
};

static struct zc82576_hw_ring *zc82576_side(struct zc82576_queue *q, const struct zc_ring *ring)
{
	return ring->direction == ZC_DIR_RX ? &q->rx : &q->tx;
}

static bool zc82576_rx_unbound(const struct zc82576 *nic)
{
	unsigned int i;

	for (i = 0; i < ZC82576_QUEUES; i++)
		if (nic->queues[i].rx.ring)
			return false;
	return true;
}

static int zc82576_attach(struct net_device *dev, struct zc_ring *ring)
{
	struct zc82576 *nic = netdev_priv(dev);
	struct zc82576_queue *q = &nic->queues[ring->queue];
	struct zc82576_hw_ring *side = zc82576_side(q, ring);
	int err;

	if (ring->queue >= nic->channels)
		return -ERANGE;
	if (side == &q->rx && zc82576_rx_unbound(nic)) {
		/* What the port lost before somebody captured is nobody's loss. */
		if (nic->up)
			zc82576_stats_read(nic);
		atomic64_set(&nic->untold, 0);
	}
	if (!nic->up) {
		side->ring = ring;
		return 0;
	}
	zc82576_queue_pause(q);
	side->ring = ring;
	err = side == &q->rx ? zc82576_rx_start(q) : zc82576_tx_start(q);
	if (err)
		side->ring = NULL;
	zc82576_queue_resume(q);
	return err;
}

/* Its DMA has stopped. */
static void zc82576_side_leave(struct zc82576_queue *q, struct zc82576_hw_ring *side)
{
	if (side == &q->rx)
		zc82576_rx_finish(q);
	else
		zc82576_tx_finish(q);
	side->ring = NULL;
}

static void zc82576_detach(struct net_device *dev, struct zc_ring *ring)
{
	struct zc82576 *nic = netdev_priv(dev);
	struct zc82576_queue *q = &nic->queues[ring->queue];
	struct zc82576_hw_ring *side = zc82576_side(q, ring);
	bool halted;

	if (!nic->up) {
		side->ring = NULL;
		return;
	}
	zc82576_stats_read(nic);
	zc82576_queue_pause(q);
	halted = side == &q->rx ? zc82576_rx_halt(q) : zc82576_tx_halt(q);
	if (halted)
		zc82576_side_leave(q, side);
	zc82576_queue_resume(q);
	if (halted)
		return;
	/* It may still write: the port is halted before anything is given back. */
	zc82576_netdev_stop(dev);
	side->ring = NULL;
	zc82576_netdev_start(nic);
}

static void zc82576_kick(struct net_device *dev, struct zc_ring *ring)
{
	struct zc82576 *nic = netdev_priv(dev);

	napi_schedule(&nic->queues[ring->queue].napi);
}

const struct zc_device_ops zc82576_device_ops = {
	.owner = THIS_MODULE,
	.rx_queues = ZC82576_QUEUES,
	.tx_queues = ZC82576_QUEUES,
	.attach = zc82576_attach,
	.detach = zc82576_detach,
	.kick = zc82576_kick,
};

/** zc82576_netdev_init() - everything that register_netdev() wants to find */
void zc82576_netdev_init(struct zc82576 *nic)
{
	struct net_device *dev = nic->dev;
	u8 address[ETH_ALEN];
	unsigned int i;

	dev->netdev_ops = &zc82576_netdev_ops;
	dev->ethtool_ops = &zc82576_ethtool_ops;
	dev->flags |= IFF_NOARP;
	dev->min_mtu = ETH_MIN_MTU;
	dev->max_mtu = ETH_DATA_LEN;	/* a frame fits a block */
	zc82576_hw_address(nic, address);
	if (is_valid_ether_addr(address))
		eth_hw_addr_set(dev, address);
	else
		eth_hw_addr_random(dev);
	zc82576_rss_default(nic);
	mutex_init(&nic->stats_lock);
	INIT_DELAYED_WORK(&nic->watch, zc82576_watch);
	INIT_WORK(&nic->reset, zc82576_reset);
	for (i = 0; i < ZC82576_QUEUES; i++) {
		nic->queues[i].nic = nic;
		nic->queues[i].index = i;
		/* Its number and its settings outlive ifdown, where the kernel keeps them. */
		netif_napi_add_config(dev, &nic->queues[i].napi, zc82576_poll, i);
	}
}
