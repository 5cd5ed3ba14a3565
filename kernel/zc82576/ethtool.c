// SPDX-License-Identifier: GPL-2.0
/* What ethtool asks: -i, -l, -L, -x, -X, -n/-N rx-flow-hash, -g, -G, -c, -C, -S, link. */
#include <linux/bitfield.h>
#include <linux/ethtool.h>
#include <linux/log2.h>

#include "zc82576.h"

static void zc82576_get_drvinfo(struct net_device *dev, struct ethtool_drvinfo *info)
{
	const struct zc82576 *nic = netdev_priv(dev);

	strscpy(info->driver, KBUILD_MODNAME, sizeof(info->driver));
	strscpy(info->bus_info, pci_name(nic->pci), sizeof(info->bus_info));
}

static int zc82576_get_link_ksettings(struct net_device *dev, struct ethtool_link_ksettings *link)
{
	static const u32 speeds[] = { SPEED_10, SPEED_100, SPEED_1000, SPEED_1000 };
	const struct zc82576 *nic = netdev_priv(dev);
	u32 status = zc82576_read(nic, STATUS);

	ethtool_link_ksettings_zero_link_mode(link, supported);
	ethtool_link_ksettings_add_link_mode(link, supported, 1000baseT_Full);
	ethtool_link_ksettings_add_link_mode(link, supported, Autoneg);
	ethtool_link_ksettings_add_link_mode(link, supported, TP);
	link->base.port = PORT_TP;
	link->base.autoneg = AUTONEG_ENABLE;
	link->base.speed = SPEED_UNKNOWN;
	link->base.duplex = DUPLEX_UNKNOWN;
	if (netif_carrier_ok(dev)) {
		link->base.speed = speeds[FIELD_GET(STATUS_SPEED, status)];
		link->base.duplex = status & STATUS_FD ? DUPLEX_FULL : DUPLEX_HALF;
	}
	return 0;
}

static void zc82576_get_channels(struct net_device *dev, struct ethtool_channels *channels)
{
	const struct zc82576 *nic = netdev_priv(dev);

	channels->max_combined = ZC82576_QUEUES;
	channels->combined_count = nic->channels;
	channels->max_other = 1;
	channels->other_count = 1;
}

/* A ring keeps its queue for as long as it is bound: the first such queue from @first on. */
static u32 zc82576_bound_from(const struct zc82576 *nic, u32 first)
{
	while (first < ZC82576_QUEUES && !nic->queues[first].rx.ring && !nic->queues[first].tx.ring)
		first++;
	return first;
}

/*
 * The core has checked the maximum, and that a table which somebody set names
 * no queue that would go; any other table follows.  It passes no extack.
 */
static int zc82576_set_channels(struct net_device *dev, struct ethtool_channels *channels)
{
	struct zc82576 *nic = netdev_priv(dev);
	u32 count = channels->combined_count;
	u32 bound = zc82576_bound_from(nic, count);
	int err;

	if (!count || channels->rx_count || channels->tx_count || channels->other_count != 1)
		return -EINVAL;
	if (bound < ZC82576_QUEUES) {
		if (net_ratelimit())
			netdev_err(dev, "%u channels: queue %u is bound; close its socket first\n",
				   count, bound);
		return -EBUSY;
	}
	err = netif_set_real_num_queues(dev, count, count);
	if (err)
		return err;
	nic->channels = count;
	if (!netif_is_rxfh_configured(dev))
		zc82576_rss_spread(nic);
	if (nic->up)
		zc82576_rss_program(nic);
	return 0;
}

static int zc82576_get_coalesce(struct net_device *dev, struct ethtool_coalesce *coalesce,
				struct kernel_ethtool_coalesce *kernel,
				struct netlink_ext_ack *extack)
{
	const struct zc82576 *nic = netdev_priv(dev);

	coalesce->rx_coalesce_usecs = nic->rx_usecs;
	return 0;
}

static int zc82576_set_coalesce(struct net_device *dev, struct ethtool_coalesce *coalesce,
				struct kernel_ethtool_coalesce *kernel,
				struct netlink_ext_ack *extack)
{
	struct zc82576 *nic = netdev_priv(dev);

	if (coalesce->rx_coalesce_usecs > ZC82576_MAX_USECS) {
		NL_SET_ERR_MSG(extack, "rx-usecs: 0 to 8191");
		return -ERANGE;
	}
	nic->rx_usecs = coalesce->rx_coalesce_usecs;
	if (nic->up)
		zc82576_irq_moderate(nic);
	return 0;
}

static void zc82576_get_ringparam(struct net_device *dev, struct ethtool_ringparam *ring,
				  struct kernel_ethtool_ringparam *kernel,
				  struct netlink_ext_ack *extack)
{
	const struct zc82576 *nic = netdev_priv(dev);

	ring->rx_max_pending = ZC82576_MAX_DEPTH;
	ring->tx_max_pending = ZC82576_MAX_DEPTH;
	ring->rx_pending = nic->rx_depth;
	ring->tx_pending = nic->tx_depth;
}

static bool zc82576_depth_valid(u32 depth)
{
	return is_power_of_2(depth) && depth >= ZC82576_MIN_DEPTH && depth <= ZC82576_MAX_DEPTH;
}

static int zc82576_set_ringparam(struct net_device *dev, struct ethtool_ringparam *ring,
				 struct kernel_ethtool_ringparam *kernel,
				 struct netlink_ext_ack *extack)
{
	struct zc82576 *nic = netdev_priv(dev);

	if (ring->rx_mini_pending || ring->rx_jumbo_pending)
		return -EINVAL;
	if (!zc82576_depth_valid(ring->rx_pending) || !zc82576_depth_valid(ring->tx_pending)) {
		NL_SET_ERR_MSG(extack, "a power of two from 64 to 4096 is needed");
		return -EINVAL;
	}
	nic->rx_depth = ring->rx_pending;
	nic->tx_depth = ring->tx_pending;
	return zc82576_netdev_restart(nic);
}

static u32 zc82576_get_rxfh_key_size(struct net_device *dev)
{
	return ZC_RSS_KEY_SIZE;
}

static u32 zc82576_get_rxfh_indir_size(struct net_device *dev)
{
	return ZC_RETA_SIZE;
}

static void zc82576_rxfh_get(const struct zc82576 *nic, u32 *indir, u8 *key)
{
	unsigned int i;

	for (i = 0; indir && i < ZC_RETA_SIZE; i++)
		indir[i] = nic->reta[i];
	if (key)
		memcpy(key, nic->key, sizeof(nic->key));
}

/* The core has checked that every entry is one of our queues. */
static void zc82576_rxfh_set(struct zc82576 *nic, const u32 *indir, const u8 *key)
{
	unsigned int i;

	for (i = 0; indir && i < ZC_RETA_SIZE; i++)
		nic->reta[i] = indir[i];
	if (key)
		memcpy(nic->key, key, sizeof(nic->key));
	if (nic->up)
		zc82576_rss_program(nic);
}

#ifdef ZC_HAVE_ETHTOOL_RXFH_PARAM
static int zc82576_get_rxfh(struct net_device *dev, struct ethtool_rxfh_param *rxfh)
{
	rxfh->hfunc = ETH_RSS_HASH_TOP;
	zc82576_rxfh_get(netdev_priv(dev), rxfh->indir, rxfh->key);
	return 0;
}

static int zc82576_set_rxfh(struct net_device *dev, struct ethtool_rxfh_param *rxfh,
			    struct netlink_ext_ack *extack)
{
	if (rxfh->hfunc != ETH_RSS_HASH_NO_CHANGE && rxfh->hfunc != ETH_RSS_HASH_TOP)
		return -EOPNOTSUPP;
	zc82576_rxfh_set(netdev_priv(dev), rxfh->indir, rxfh->key);
	return 0;
}
#else
static int zc82576_get_rxfh(struct net_device *dev, u32 *indir, u8 *key, u8 *hfunc)
{
	if (hfunc)
		*hfunc = ETH_RSS_HASH_TOP;
	zc82576_rxfh_get(netdev_priv(dev), indir, key);
	return 0;
}

static int zc82576_set_rxfh(struct net_device *dev, const u32 *indir, const u8 *key,
			    const u8 hfunc)
{
	if (hfunc != ETH_RSS_HASH_NO_CHANGE && hfunc != ETH_RSS_HASH_TOP)
		return -EOPNOTSUPP;
	zc82576_rxfh_set(netdev_priv(dev), indir, key);
	return 0;
}
#endif

#define ZC82576_HASH_IP		(RXH_IP_SRC | RXH_IP_DST)
#define ZC82576_HASH_PORTS	(RXH_L4_B_0_1 | RXH_L4_B_2_3)

/* MRQC bits that add the ports for this kind of flow; 0: they never count. */
static u32 zc82576_port_fields(u32 flow)
{
	switch (flow) {
	case TCP_V4_FLOW:
		return MRQC_TCP_IPV4;
	case TCP_V6_FLOW:
		return MRQC_TCP_IPV6 | MRQC_TCP_IPV6_EX;
	case UDP_V4_FLOW:
		return MRQC_UDP_IPV4;
	case UDP_V6_FLOW:
		return MRQC_UDP_IPV6;
	default:
		return 0;
	}
}

static u32 zc82576_hash_fields(const struct zc82576 *nic, u32 flow)
{
	if (nic->fields & zc82576_port_fields(flow))
		return ZC82576_HASH_IP | ZC82576_HASH_PORTS;
	return ZC82576_HASH_IP;
}

static int zc82576_set_hash_fields(struct zc82576 *nic, u32 flow, u64 wanted)
{
	u32 fields = zc82576_port_fields(flow);

	if (wanted == ZC82576_HASH_IP)
		nic->fields &= ~fields;
	else if (wanted == (ZC82576_HASH_IP | ZC82576_HASH_PORTS) && fields)
		nic->fields |= fields;
	else
		return -EINVAL;
	if (nic->up)
		zc82576_rss_program(nic);
	return 0;
}

#ifdef ZC_HAVE_GET_RXFH_FIELDS
static int zc82576_get_rxfh_fields(struct net_device *dev, struct ethtool_rxfh_fields *rxfh)
{
	rxfh->data = zc82576_hash_fields(netdev_priv(dev), rxfh->flow_type);
	return 0;
}

static int zc82576_set_rxfh_fields(struct net_device *dev, const struct ethtool_rxfh_fields *rxfh,
				   struct netlink_ext_ack *extack)
{
	int err = zc82576_set_hash_fields(netdev_priv(dev), rxfh->flow_type, rxfh->data);

	if (err)
		NL_SET_ERR_MSG(extack, "addresses, or for TCP and UDP addresses and ports");
	return err;
}
#else
static int zc82576_set_rxnfc(struct net_device *dev, struct ethtool_rxnfc *info)
{
	if (info->cmd != ETHTOOL_SRXFH)
		return -EOPNOTSUPP;
	return zc82576_set_hash_fields(netdev_priv(dev), info->flow_type, info->data);
}
#endif

#ifdef ZC_HAVE_GET_RX_RING_COUNT
static u32 zc82576_get_rx_ring_count(struct net_device *dev)
{
	const struct zc82576 *nic = netdev_priv(dev);

	return nic->channels;
}
#else
static int zc82576_get_rxnfc(struct net_device *dev, struct ethtool_rxnfc *info, u32 *rules)
{
	const struct zc82576 *nic = netdev_priv(dev);

	switch (info->cmd) {
	case ETHTOOL_GRXRINGS:
		info->data = nic->channels;
		return 0;
	case ETHTOOL_GRXFH: /* reaches us where there is no get_rxfh_fields */
		info->data = zc82576_hash_fields(nic, info->flow_type);
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}
#endif

const struct ethtool_ops zc82576_ethtool_ops = {
	.get_drvinfo = zc82576_get_drvinfo,
	.get_link = ethtool_op_get_link,
	.get_link_ksettings = zc82576_get_link_ksettings,
	.supported_coalesce_params = ETHTOOL_COALESCE_RX_USECS,
	.get_coalesce = zc82576_get_coalesce,
	.set_coalesce = zc82576_set_coalesce,
	.get_channels = zc82576_get_channels,
	.set_channels = zc82576_set_channels,
	.get_ringparam = zc82576_get_ringparam,
	.set_ringparam = zc82576_set_ringparam,
	.get_rxfh_key_size = zc82576_get_rxfh_key_size,
	.get_rxfh_indir_size = zc82576_get_rxfh_indir_size,
	.get_rxfh = zc82576_get_rxfh,
	.set_rxfh = zc82576_set_rxfh,
#ifdef ZC_HAVE_GET_RXFH_FIELDS
	.get_rxfh_fields = zc82576_get_rxfh_fields,
	.set_rxfh_fields = zc82576_set_rxfh_fields,
#else
	.set_rxnfc = zc82576_set_rxnfc,
#endif
#ifdef ZC_HAVE_GET_RX_RING_COUNT
	.get_rx_ring_count = zc82576_get_rx_ring_count,
#else
	.get_rxnfc = zc82576_get_rxnfc,
#endif
	.get_sset_count = zc82576_stats_count,
	.get_strings = zc82576_stats_names,
	.get_ethtool_stats = zc82576_stats_values,
};
