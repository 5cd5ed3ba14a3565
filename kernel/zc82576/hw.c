// SPDX-License-Identifier: GPL-2.0
/*
 * The hardware outside its queues: reset, PHY, address, filters.
 * Sections are those of the 82576EB datasheet.
 */
#include <linux/bitfield.h>
#include <linux/delay.h>
#include <linux/etherdevice.h>
#include <linux/iopoll.h>
#include <linux/mii.h>

#include "zc82576.h"

#define ZC82576_PHY_TRIES	100

/* 4.5.1: mask and forget every cause. */
static void zc82576_hw_mask(struct zc82576 *nic)
{
	zc82576_write(nic, IMC, ~0U);
	zc82576_write(nic, EIMC, ~0U);
	zc82576_read(nic, ICR);
	zc82576_write(nic, EICR, ~0U);
	zc82576_flush(nic);
}

/** zc82576_hw_silence() - no frame comes in or goes out from now on */
void zc82576_hw_silence(struct zc82576 *nic)
{
	zc82576_write(nic, RCTL, 0);
	zc82576_write(nic, TCTL, 0);
	zc82576_flush(nic);
}

/* 5.2.3.3: no request of ours may be on the bus when the reset falls.  Whether there is none. */
static bool zc82576_hw_quiesce(struct zc82576 *nic)
{
	u32 status;

	zc82576_hw_silence(nic);
	zc82576_write(nic, CTRL, zc82576_read(nic, CTRL) | CTRL_MASTER_DISABLE);
	return !read_poll_timeout(zc82576_read, status,
				  !(status & STATUS_MASTER_ENABLE) || status == ~0U, 100, 80000,
				  false, nic, STATUS);
}

/* 8.6.1: a lost completion ends after 10 ms or more, and is not asked for again; as igb has it. */
static void zc82576_hw_completion_timeout(struct zc82576 *nic)
{
	u32 gcr = zc82576_read(nic, GCR);

	if (!(gcr & GCR_TIMEOUT) && gcr & GCR_CAP_VER2)
		pcie_capability_clear_and_set_word(nic->pci, PCI_EXP_DEVCTL2,
						   PCI_EXP_DEVCTL2_COMP_TIMEOUT,
						   PCIE_TIMEOUT_16_TO_55MS);
	else if (!(gcr & GCR_TIMEOUT))
		gcr |= GCR_TIMEOUT_10MS;
	zc82576_write(nic, GCR, gcr & ~GCR_TIMEOUT_RESEND);
}

/* Reset leaves queue 0 enabled (8.10.10, 8.12.14): nobody has bound it yet. */
static void zc82576_hw_disable_queues(struct zc82576 *nic)
{
	unsigned int i;

	for (i = 0; i < ZC_MAX_QUEUES; i++) {
		zc82576_write(nic, RXDCTL(i), 0);
		zc82576_write(nic, TXDCTL(i), 0);
	}
}

/**
 * zc82576_hw_reset() - bring the port into a known, silent state (4.5.4)
 * @nic: the port
 *
 * Return: 0, or -EIO where the chip does not come back
 */
int zc82576_hw_reset(struct zc82576 *nic)
{
	u32 value;
	int err;

	zc82576_hw_mask(nic);
	if (!zc82576_hw_quiesce(nic))
		pci_dbg(nic->pci, "PCIe requests still pending at reset\n");
	zc82576_write(nic, CTRL, zc82576_read(nic, CTRL) | CTRL_RST);
	usleep_range(1000, 2000);	/* no access for 1 ms (4.3.1) */
	err = read_poll_timeout(zc82576_read, value, !(value & CTRL_RST), 100, 100000, false,
				nic, CTRL);
	if (err || value == ~0U)
		return -EIO;
	/* The EEPROM sets address and PHY; a chip without one says so by time. */
	if (read_poll_timeout(zc82576_read, value, value & EECD_AUTO_RD, 1000, 20000, false,
			      nic, EECD))
		pci_dbg(nic->pci, "EEPROM auto-read did not finish\n");
	zc82576_hw_mask(nic);
	zc82576_hw_disable_queues(nic);
	zc82576_hw_completion_timeout(nic);
	nic->port = FIELD_GET(STATUS_LAN_ID, zc82576_read(nic, STATUS));
	/* Firmware leaves the PHY alone while a driver is there (8.2.3). */
	zc82576_write(nic, CTRL_EXT, zc82576_read(nic, CTRL_EXT) | CTRL_EXT_DRV_LOAD);
	return 0;
}

/**
 * zc82576_hw_halt() - on return the port reaches memory no more
 * @nic:    the port, whose queues were told to stop
 * @halted: they all did
 *
 * A queue that did not, or a request that stays on the bus, takes a reset of
 * the port; and if that fails, too, the function may not master the bus.
 */
void zc82576_hw_halt(struct zc82576 *nic, bool halted)
{
	if (zc82576_hw_quiesce(nic) && halted)
		return;
	netdev_err(nic->dev, "does not stop: the port is reset\n");
	if (!zc82576_hw_reset(nic))
		return;
	netdev_err(nic->dev, "does not reset: it may not use the bus any more\n");
	pci_clear_master(nic->pci);
}

/** zc82576_hw_release() - silence, and firmware may have the port back */
void zc82576_hw_release(struct zc82576 *nic)
{
	zc82576_hw_mask(nic);
	zc82576_hw_quiesce(nic);
	zc82576_write(nic, CTRL_EXT, zc82576_read(nic, CTRL_EXT) & ~CTRL_EXT_DRV_LOAD);
}

/* 4.6: the semaphore that guards SW_FW_SYNC, between ports and firmware. */
static int zc82576_hw_sync_lock(struct zc82576 *nic)
{
	u32 value;

	if (read_poll_timeout(zc82576_read, value, !(value & SWSM_SMBI), 50, 5000, false,
			      nic, SWSM))
		return -EBUSY;
	zc82576_write(nic, SWSM, value | SWSM_SMBI | SWSM_SWESMBI);
	if (zc82576_read(nic, SWSM) & SWSM_SWESMBI)
		return 0;
	zc82576_write(nic, SWSM, 0);
	return -EBUSY;
}

static void zc82576_hw_sync_unlock(struct zc82576 *nic)
{
	u32 value = zc82576_read(nic, SWSM);

	zc82576_write(nic, SWSM, value & ~(SWSM_SMBI | SWSM_SWESMBI));
}

/* One attempt at the PHY of this port. */
static int zc82576_hw_phy_try(struct zc82576 *nic)
{
	u32 ours = SW_FW_SYNC_PHY(nic->port);
	u32 value;
	int err;

	err = zc82576_hw_sync_lock(nic);
	if (err)
		return err;
	value = zc82576_read(nic, SW_FW_SYNC);
	if (value & (ours | ours << SW_FW_SYNC_FW_SHIFT))
		err = -EBUSY;
	else
		zc82576_write(nic, SW_FW_SYNC, value | ours);
	zc82576_hw_sync_unlock(nic);
	return err;
}

/* A second at most: rtnl is held. */
static int zc82576_hw_phy_lock(struct zc82576 *nic)
{
	int tries, err = -EBUSY;

	for (tries = 0; err && tries < ZC82576_PHY_TRIES; tries++) {
		err = zc82576_hw_phy_try(nic);
		if (err)
			usleep_range(5000, 6000);
	}
	return err;
}

/* The PHY is given back in any case: kept, it would be lost to firmware and to us. */
static void zc82576_hw_phy_unlock(struct zc82576 *nic)
{
	u32 ours = SW_FW_SYNC_PHY(nic->port);
	int tries, err = -EBUSY;

	for (tries = 0; err && tries < ZC82576_PHY_TRIES; tries++)
		err = zc82576_hw_sync_lock(nic);
	zc82576_write(nic, SW_FW_SYNC, zc82576_read(nic, SW_FW_SYNC) & ~ours);
	if (!err)
		zc82576_hw_sync_unlock(nic);
}

/* 8.2.4 */
static int zc82576_hw_phy_write(struct zc82576 *nic, u32 reg, u16 value)
{
	u32 mdic = value | FIELD_PREP(MDIC_REG, reg) |
		   FIELD_PREP(MDIC_PHY, ZC82576_PHY_ADDRESS) | MDIC_WRITE;

	zc82576_write(nic, MDIC, mdic);
	if (read_poll_timeout(zc82576_read, mdic, mdic & MDIC_READY, 50, 10000, false, nic, MDIC))
		return -ETIMEDOUT;
	return mdic & MDIC_ERROR ? -EIO : 0;
}

/**
 * zc82576_hw_link_start() - have the copper PHY negotiate anew (4.5.6, 4.5.7)
 * @nic: the port
 *
 * Return: 0, -EBUSY where firmware keeps the PHY, -ETIMEDOUT, -EIO
 */
int zc82576_hw_link_start(struct zc82576 *nic)
{
	int err;

	zc82576_write(nic, CTRL, zc82576_read(nic, CTRL) | CTRL_SLU);
	err = zc82576_hw_phy_lock(nic);
	if (err)
		return err;
	err = zc82576_hw_phy_write(nic, MII_BMCR, BMCR_ANENABLE | BMCR_ANRESTART | BMCR_FULLDPLX |
				   BMCR_SPEED1000);
	zc82576_hw_phy_unlock(nic);
	return err;
}

/** zc82576_hw_address() - the station address, as the EEPROM set it (8.10.15) */
void zc82576_hw_address(struct zc82576 *nic, u8 *address)
{
	u32 low = zc82576_read(nic, RAL0);
	u32 high = zc82576_read(nic, RAH0);

	put_unaligned_le32(low, address);
	put_unaligned_le16(high, address + 4);
}

/** zc82576_hw_set_address() - filter for another station address */
void zc82576_hw_set_address(struct zc82576 *nic, const u8 *address)
{
	zc82576_write(nic, RAL0, get_unaligned_le32(address));
	zc82576_write(nic, RAH0, get_unaligned_le16(address + 4) | RAH_VALID);
}

/**
 * zc82576_hw_receive() - set the filters and let frames come (4.5.9, 8.10.1)
 * @nic: the port
 *
 * No long frames (LPE): what exceeds 1522 bytes is counted in ROC, never cut
 * over two blocks.  CTRL.VME stays clear: VLAN tags stay in the frame.
 */
void zc82576_hw_receive(struct zc82576 *nic)
{
	const struct net_device *dev = nic->dev;
	u32 rctl = RCTL_EN | RCTL_BAM | RCTL_SECRC;

	if (dev->flags & IFF_PROMISC)
		rctl |= RCTL_UPE | RCTL_MPE;
	/* Groups are few on a capture port: all of them, rather than a hash. */
	if (dev->flags & IFF_ALLMULTI || !netdev_mc_empty(dev))
		rctl |= RCTL_MPE;
	zc82576_write(nic, RCTL, rctl);
}

/**
 * zc82576_hw_queue_enable() - 4.5.9.2, 4.5.10.1: enable, and see it enabled
 * @nic:        the port
 * @dctl:       RXDCTL or TXDCTL of the queue
 * @thresholds: its other bits
 */
void zc82576_hw_queue_enable(struct zc82576 *nic, u32 dctl, u32 thresholds)
{
	u32 value;

	zc82576_write(nic, dctl, thresholds | DCTL_ENABLE);
	if (read_poll_timeout(zc82576_read, value, value & DCTL_ENABLE, 10, 10000, false,
			      nic, dctl))
		netdev_err(nic->dev, "queue at %#x does not start\n", dctl);
}

/**
 * zc82576_hw_queue_disable() - stop one queue
 * @nic:  the port
 * @dctl: RXDCTL or TXDCTL of the queue
 *
 * A frame that is being written may still be finished: wait 100 us (4.5.9.2).
 *
 * Return: whether it writes to memory no more; otherwise only zc82576_hw_halt() helps
 */
bool zc82576_hw_queue_disable(struct zc82576 *nic, u32 dctl)
{
	u32 value;

	zc82576_write(nic, dctl, 0);
	if (read_poll_timeout(zc82576_read, value, !(value & DCTL_ENABLE) || value == ~0U, 10,
			      10000, false, nic, dctl)) {
		netdev_err(nic->dev, "queue at %#x does not stop\n", dctl);
		return false;
	}
	usleep_range(100, 200);
	return true;
}
