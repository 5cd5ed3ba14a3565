// SPDX-License-Identifier: GPL-2.0
/* zc82576: driver of the Intel 82576 for PF_ZEROCOPY.  PCI side. */
#include <linux/etherdevice.h>
#include <linux/module.h>

#include "zc82576.h"

static int zc82576_map(struct zc82576 *nic)
{
	struct pci_dev *pci = nic->pci;
	int err;

	err = pci_enable_device_mem(pci);
	if (err)
		return err;
	err = dma_set_mask_and_coherent(&pci->dev, DMA_BIT_MASK(64));
	if (err)
		goto out_disable;
	err = pci_request_mem_regions(pci, KBUILD_MODNAME);
	if (err)
		goto out_disable;
	err = -EIO;
	nic->regs = pci_ioremap_bar(pci, 0);
	if (!nic->regs)
		goto out_regions;
	pci_set_master(pci);
	pci_save_state(pci);		/* for a reset of the slot */
	return 0;

out_regions:
	pci_release_mem_regions(pci);
out_disable:
	pci_disable_device(pci);
	return err;
}

static void zc82576_unmap(struct zc82576 *nic)
{
	pci_clear_master(nic->pci);
	iounmap(nic->regs);
	pci_release_mem_regions(nic->pci);
	pci_disable_device(nic->pci);
}

static int zc82576_vectors(struct pci_dev *pci)
{
	int got = pci_alloc_irq_vectors(pci, ZC82576_VECTORS, ZC82576_VECTORS, PCI_IRQ_MSIX);

	if (got > 0)
		return 0;
	pci_err(pci, "%u MSI-X vectors are needed: %d\n", ZC82576_VECTORS, got);
	return got ?: -ENOSPC;
}

static int zc82576_register(struct zc82576 *nic)
{
	int err = register_netdev(nic->dev);

	if (err)
		return err;
	err = zc_device_register(nic->dev, &nic->pci->dev, &zc82576_device_ops);
	if (err)
		unregister_netdev(nic->dev);
	return err;
}

static int zc82576_probe(struct pci_dev *pci, const struct pci_device_id *id)
{
	struct net_device *dev;
	struct zc82576 *nic;
	int err;

	dev = alloc_netdev_mqs(sizeof(*nic), "zc%d", NET_NAME_ENUM, ether_setup, ZC82576_QUEUES,
			       ZC82576_QUEUES);
	if (!dev)
		return -ENOMEM;
	SET_NETDEV_DEV(dev, &pci->dev);
	pci_set_drvdata(pci, dev);
	nic = netdev_priv(dev);
	nic->dev = dev;
	nic->pci = pci;
	nic->channels = ZC82576_QUEUES;
	nic->rx_depth = ZC82576_DEFAULT_DEPTH;
	nic->tx_depth = ZC82576_DEFAULT_DEPTH;
	err = zc82576_map(nic);
	if (err)
		goto out_netdev;
	err = zc82576_hw_reset(nic);
	if (err)
		goto out_map;
	zc82576_netdev_init(nic);
	err = zc82576_vectors(pci);
	if (err)
		goto out_hw;
	err = zc82576_register(nic);
	if (err)
		goto out_vectors;
	netdev_info(dev, "82576 at %s, %u queues\n", pci_name(pci), ZC82576_QUEUES);
	return 0;

out_vectors:
	pci_free_irq_vectors(pci);
out_hw:
	zc82576_hw_release(nic);
out_map:
	zc82576_unmap(nic);
out_netdev:
	free_netdev(dev);
	return err;
}

/* Rings are told first: no socket may bind to what is about to go. */
static void zc82576_remove(struct pci_dev *pci)
{
	struct net_device *dev = pci_get_drvdata(pci);
	struct zc82576 *nic = netdev_priv(dev);

	zc_device_unregister(dev);
	unregister_netdev(dev);
	cancel_work_sync(&nic->reset);
	pci_free_irq_vectors(pci);
	zc82576_hw_release(nic);
	zc82576_unmap(nic);
	free_netdev(dev);
}

static void zc82576_shutdown(struct pci_dev *pci)
{
	zc82576_netdev_suspend(netdev_priv(pci_get_drvdata(pci)));
}

static int zc82576_suspend(struct device *device)
{
	zc82576_netdev_suspend(netdev_priv(dev_get_drvdata(device)));
	return 0;
}

static int zc82576_resume(struct device *device)
{
	return zc82576_netdev_resume(netdev_priv(dev_get_drvdata(device)));
}

static DEFINE_SIMPLE_DEV_PM_OPS(zc82576_pm, zc82576_suspend, zc82576_resume);

/* Somebody resets the function, by sysfs for instance. */
static void zc82576_reset_prepare(struct pci_dev *pci)
{
	zc82576_netdev_suspend(netdev_priv(pci_get_drvdata(pci)));
}

static void zc82576_reset_done(struct pci_dev *pci)
{
	zc82576_netdev_resume(netdev_priv(pci_get_drvdata(pci)));
}

/* PCIe errors (Documentation/PCI/pci-error-recovery.rst). */
static pci_ers_result_t zc82576_error_detected(struct pci_dev *pci, pci_channel_state_t state)
{
	struct net_device *dev = pci_get_drvdata(pci);

	if (state == pci_channel_io_normal)
		return PCI_ERS_RESULT_CAN_RECOVER;
	zc82576_netdev_suspend(netdev_priv(dev));
	if (state != pci_channel_io_perm_failure)
		return PCI_ERS_RESULT_NEED_RESET;
	zc_device_lost(dev);
	return PCI_ERS_RESULT_DISCONNECT;
}

static pci_ers_result_t zc82576_slot_reset(struct pci_dev *pci)
{
	struct net_device *dev = pci_get_drvdata(pci);
	struct zc82576 *nic = netdev_priv(dev);

	if (!pci_enable_device_mem(pci)) {
		pci_set_master(pci);
		pci_restore_state(pci);
		pci_save_state(pci);
		if (!zc82576_hw_reset(nic))
			return PCI_ERS_RESULT_RECOVERED;
	}
	zc_device_lost(dev);
	return PCI_ERS_RESULT_DISCONNECT;
}

static void zc82576_error_resume(struct pci_dev *pci)
{
	zc82576_netdev_resume(netdev_priv(pci_get_drvdata(pci)));
}

static const struct pci_error_handlers zc82576_errors = {
	.error_detected = zc82576_error_detected,
	.slot_reset = zc82576_slot_reset,
	.resume = zc82576_error_resume,
	.reset_prepare = zc82576_reset_prepare,
	.reset_done = zc82576_reset_done,
};

/* Copper ports only: serdes and SGMII links are set up otherwise. */
static const struct pci_device_id zc82576_ids[] = {
	{ PCI_VDEVICE(INTEL, 0x10C9) },		/* 82576 */
	{ PCI_VDEVICE(INTEL, 0x10E8) },		/* 82576 quad */
	{ PCI_VDEVICE(INTEL, 0x1526) },		/* 82576 quad ET2 */
	{ }
};
MODULE_DEVICE_TABLE(pci, zc82576_ids);

static struct pci_driver zc82576_driver = {
	.name = "zc82576",
	.id_table = zc82576_ids,
	.probe = zc82576_probe,
	.remove = zc82576_remove,
	.shutdown = zc82576_shutdown,
	.err_handler = &zc82576_errors,
	.driver.pm = pm_sleep_ptr(&zc82576_pm),
};
module_pci_driver(zc82576_driver);

MODULE_DESCRIPTION("Intel 82576 for PF_ZEROCOPY");
MODULE_LICENSE("GPL");
