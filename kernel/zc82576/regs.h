/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Registers and descriptors of the Intel 82576, as far as we use them.
 * Source: Intel 82576EB Gigabit Ethernet Controller Datasheet, chapter 8
 * (registers), 7.1.5 (receive descriptors) and 7.2.2 (transmit descriptors).
 */
#ifndef _ZC82576_REGS_H
#define _ZC82576_REGS_H

#include <linux/bits.h>
#include <linux/types.h>

/* General (8.2) */
#define CTRL			0x00000
#define   CTRL_MASTER_DISABLE	BIT(2)
#define   CTRL_SLU		BIT(6)		/* set link up */
#define   CTRL_RST		BIT(26)
#define STATUS			0x00008
#define   STATUS_FD		BIT(0)
#define   STATUS_LU		BIT(1)
#define   STATUS_LAN_ID		GENMASK(3, 2)
#define   STATUS_TXOFF		BIT(4)		/* the link partner pauses us */
#define   STATUS_SPEED		GENMASK(7, 6)
#define   STATUS_MASTER_ENABLE	BIT(19)
#define EECD			0x00010
#define   EECD_AUTO_RD		BIT(9)		/* EEPROM has been read */
#define CTRL_EXT		0x00018
#define   CTRL_EXT_DRV_LOAD	BIT(28)
#define MDIC			0x00020
#define   MDIC_REG		GENMASK(20, 16)
#define   MDIC_PHY		GENMASK(25, 21)
#define   MDIC_WRITE		BIT(26)
#define   MDIC_READY		BIT(28)
#define   MDIC_ERROR		BIT(30)

/* PCIe (8.6.1) */
#define GCR			0x05B00
#define   GCR_TIMEOUT		GENMASK(15, 12)	/* of completions; 0: nobody set it */
#define   GCR_TIMEOUT_10MS	(1 << 12)
#define   GCR_TIMEOUT_RESEND	BIT(16)
#define   GCR_CAP_VER2		BIT(18)
#define PCIE_TIMEOUT_16_TO_55MS	0x5		/* in Device Control 2 */

/* Semaphores shared with firmware and the other port (8.6) */
#define SWSM			0x05B50
#define   SWSM_SMBI		BIT(0)
#define   SWSM_SWESMBI		BIT(1)
#define SW_FW_SYNC		0x05B5C
#define   SW_FW_SYNC_PHY(port)	BIT(1 + (port))
#define   SW_FW_SYNC_FW_SHIFT	16

/* Interrupts (8.8); the aliases of ICR, IMS, IMC that all silicon has */
#define ICR			0x000C0
#define IMS			0x000D0
#define IMC			0x000D8
#define   INT_LSC		BIT(2)
#define GPIE			0x01514
#define   GPIE_NSICR		BIT(0)
#define   GPIE_MSIX		BIT(4)
#define   GPIE_EIAME		BIT(30)
#define   GPIE_PBA		BIT(31)
#define EIMS			0x01524
#define EIMC			0x01528
#define EIAC			0x0152C
#define EIAM			0x01530
#define EICR			0x01580
#define EITR(v)			(0x01680 + 4 * (v))
#define   EITR_USECS		GENMASK(14, 2)
#define   EITR_CNT_IGNR		BIT(31)		/* leave the running count alone */
#define IVAR(n)			(0x01700 + 4 * (n))
#define IVAR_MISC		0x01740
#define   IVAR_VALID		BIT(7)

/* Receive (8.10) */
#define RCTL			0x00100
#define   RCTL_EN		BIT(1)
#define   RCTL_UPE		BIT(3)		/* unicast promiscuous */
#define   RCTL_MPE		BIT(4)		/* multicast promiscuous */
#define   RCTL_BAM		BIT(15)
#define   RCTL_SECRC		BIT(26)		/* strip the FCS */
#define RXCSUM			0x05000
#define   RXCSUM_IPOFL		BIT(8)
#define   RXCSUM_TUOFL		BIT(9)
#define   RXCSUM_PCSD		BIT(13)		/* RSS hash in the descriptor */
#define RAL0			0x05400
#define RAH0			0x05404
#define   RAH_VALID		BIT(31)
#define MRQC			0x05818
#define   MRQC_RSS		2
#define   MRQC_TCP_IPV4		BIT(16)
#define   MRQC_IPV4		BIT(17)
#define   MRQC_TCP_IPV6_EX	BIT(18)
#define   MRQC_IPV6		BIT(20)
#define   MRQC_TCP_IPV6		BIT(21)
#define   MRQC_UDP_IPV4		BIT(22)
#define   MRQC_UDP_IPV6		BIT(23)
#define RETA(n)			(0x05C00 + 4 * (n))
#define RSSRK(n)		(0x05C80 + 4 * (n))

#define RDBAL(q)		(0x0C000 + 0x40 * (q))
#define RDBAH(q)		(0x0C004 + 0x40 * (q))
#define RDLEN(q)		(0x0C008 + 0x40 * (q))
#define SRRCTL(q)		(0x0C00C + 0x40 * (q))
#define   SRRCTL_BSIZE_KIB	GENMASK(6, 0)
#define   SRRCTL_ADV_ONE_BUF	BIT(25)
#define   SRRCTL_DROP_EN	BIT(31)
#define RDH(q)			(0x0C010 + 0x40 * (q))
#define RDT(q)			(0x0C018 + 0x40 * (q))
#define RXDCTL(q)		(0x0C028 + 0x40 * (q))
#define   RXDCTL_PTHRESH	GENMASK(4, 0)
#define   RXDCTL_HTHRESH	GENMASK(12, 8)
#define   RXDCTL_WTHRESH	GENMASK(20, 16)
#define RQDPC(q)		(0x0C030 + 0x40 * (q))
#define   RQDPC_FULL		0xFFF		/* 12 bits, cleared by reading */

/* Transmit (8.12) */
#define TCTL			0x00400
#define   TCTL_EN		BIT(1)
#define   TCTL_PSP		BIT(3)		/* pad short frames */
#define   TCTL_CT		GENMASK(11, 4)
#define TDBAL(q)		(0x0E000 + 0x40 * (q))
#define TDBAH(q)		(0x0E004 + 0x40 * (q))
#define TDLEN(q)		(0x0E008 + 0x40 * (q))
#define TDH(q)			(0x0E010 + 0x40 * (q))
#define TDT(q)			(0x0E018 + 0x40 * (q))
#define TXDCTL(q)		(0x0E028 + 0x40 * (q))

#define DCTL_ENABLE		BIT(25)		/* of RXDCTL and of TXDCTL */

/* Statistics (8.18), all cleared by reading */
#define CRCERRS			0x04000
#define RXERRC			0x0400C
#define MPC			0x04010
#define RLEC			0x04040
#define GPRC			0x04074
#define GPTC			0x04080
#define RNBC			0x040A0
#define RUC			0x040A4
#define ROC			0x040AC

/* PHY registers, IEEE 802.3 clause 22 */
#define ZC82576_PHY_ADDRESS	1

/**
 * union zc82576_rx_desc - advanced receive descriptor (7.1.5)
 * @read: as software posts it
 * @done: as the NIC writes it back
 */
union zc82576_rx_desc {
	struct {
		__le64 packet;
		__le64 header;		/* bit 0 is DD once written back */
	} read;
	struct {
		__le32 info;
		__le32 rss_hash;
		__le32 status;
		__le16 length;
		__le16 vlan;
	} done;
};

#define RX_INFO_RSS_TYPE	GENMASK(3, 0)
#define RX_STATUS_DD		BIT(0)
#define RX_STATUS_EOP		BIT(1)
#define RX_STATUS_L4E		BIT(29)
#define RX_STATUS_IPE		BIT(30)
#define RX_STATUS_RXE		BIT(31)

/**
 * union zc82576_tx_desc - advanced transmit data descriptor (7.2.2.3)
 * @read: as software posts it
 * @done: as the NIC writes it back
 */
union zc82576_tx_desc {
	struct {
		__le64 packet;
		__le32 command;
		__le32 payload;
	} read;
	struct {
		__le64 reserved;
		__le32 reserved2;
		__le32 status;
	} done;
};

#define TX_CMD_LEN		GENMASK(15, 0)
#define TX_CMD_DATA		(3 << 20)	/* DTYP: advanced data */
#define TX_CMD_EOP		BIT(24)
#define TX_CMD_IFCS		BIT(25)
#define TX_CMD_RS		BIT(27)
#define TX_CMD_DEXT		BIT(29)
#define TX_PAYLOAD_LEN		GENMASK(31, 14)
#define TX_STATUS_DD		BIT(0)

#endif /* _ZC82576_REGS_H */
