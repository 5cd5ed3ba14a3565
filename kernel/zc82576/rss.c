// SPDX-License-Identifier: GPL-2.0
/* Receive-side scaling: key, fields, redirection table (8.10.18 to 8.10.20). */
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/netdevice.h>

#include "zc82576.h"

/** zc82576_rss_default() - even table, random key, the card's usual fields */
void zc82576_rss_default(struct zc82576 *nic)
{
	netdev_rss_key_fill(nic->key, sizeof(nic->key));
	zc82576_rss_spread(nic);
	nic->fields = ZC82576_RSS_FIELDS;
}

/** zc82576_rss_spread() - an even table over the channels there are */
void zc82576_rss_spread(struct zc82576 *nic)
{
	unsigned int i;

	for (i = 0; i < ZC_RETA_SIZE; i++)
		nic->reta[i] = ethtool_rxfh_indir_default(i, nic->channels);
}

/** zc82576_rss_program() - write all of it to the card */
void zc82576_rss_program(struct zc82576 *nic)
{
	unsigned int i;

	for (i = 0; i < ZC_RSS_KEY_SIZE / 4; i++)
		zc82576_write(nic, RSSRK(i), get_unaligned_le32(nic->key + 4 * i));
	for (i = 0; i < ZC_RETA_SIZE / 4; i++)
		zc82576_write(nic, RETA(i), get_unaligned_le32(nic->reta + 4 * i));
	/* PCSD: the descriptor carries the hash, not a packet checksum. */
	zc82576_write(nic, RXCSUM, RXCSUM_PCSD | RXCSUM_IPOFL | RXCSUM_TUOFL);
	zc82576_write(nic, MRQC, MRQC_RSS | nic->fields);
}
