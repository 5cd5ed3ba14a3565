// SPDX-License-Identifier: GPL-2.0
/*
 * Devices that know rings, and which ring hangs on which queue.
 *
 * Everything here happens under rtnl_lock: interfaces come, go, rise and fall
 * under it, so that a ring's device can be trusted without a count.
 */
#include <linux/module.h>
#include <linux/rtnetlink.h>

#include "zc_family.h"

static LIST_HEAD(zc_devices);

static struct zc_device *zc_device_find(const struct net_device *dev)
{
	struct zc_device *device;

	list_for_each_entry(device, &zc_devices, node)
		if (device->dev == dev)
			return device;
	return NULL;
}

/**
 * zc_device_register() - rings may be bound to this net_device from now on
 * @dev:     registered
 * @dma_dev: that does its DMA
 * @ops:     to be called under rtnl_lock
 *
 * Return: 0 or -ENOMEM
 */
int zc_device_register(struct net_device *dev, struct device *dma_dev,
		       const struct zc_device_ops *ops)
{
	struct zc_device *device = kzalloc(sizeof(*device), GFP_KERNEL);

	if (!device)
		return -ENOMEM;
	device->dev = dev;
	device->dma_dev = dma_dev;
	device->ops = ops;
	INIT_LIST_HEAD(&device->rings);
	rtnl_lock();
	list_add(&device->node, &zc_devices);
	rtnl_unlock();
	return 0;
}
EXPORT_SYMBOL_GPL(zc_device_register);

/* The NIC lets go of the ring. */
static void zc_device_release(struct zc_device *device, struct zc_ring *ring)
{
	device->ops->detach(device->dev, ring);
	if (ring->direction == ZC_DIR_RX)
		dev_set_promiscuity(device->dev, -1);
	zc_buffer_unmap(ring->buffer);
	list_del(&ring->node);
	WRITE_ONCE(ring->device, NULL);
	module_put(device->ops->owner);
}

static void zc_device_abandon(struct zc_device *device)
{
	struct zc_ring *ring, *next;

	list_for_each_entry_safe(ring, next, &device->rings, node) {
		zc_device_release(device, ring);
		zc_ring_gone(ring);
	}
}

/**
 * zc_device_unregister() - the net_device goes: its rings report ZC_STATE_GONE
 * @dev: registered with zc_device_register(), still a net_device
 *
 * Sockets stay open, and their pages pinned, until their owners close them.
 */
void zc_device_unregister(struct net_device *dev)
{
	struct zc_device *device;

	rtnl_lock();
	device = zc_device_find(dev);
	zc_device_abandon(device);
	list_del(&device->node);
	rtnl_unlock();
	kfree(device);
}
EXPORT_SYMBOL_GPL(zc_device_unregister);

/**
 * zc_device_lost() - the hardware does not come back: its rings report ZC_STATE_GONE
 * @dev: registered; stays so
 */
void zc_device_lost(struct net_device *dev)
{
	rtnl_lock();
	zc_device_abandon(zc_device_find(dev));
	rtnl_unlock();
}
EXPORT_SYMBOL_GPL(zc_device_lost);

static bool zc_device_taken(const struct zc_device *device, const struct zc_ring *ring)
{
	struct zc_ring *other;

	list_for_each_entry(other, &device->rings, node)
		if (other->queue == ring->queue && other->direction == ring->direction)
			return true;
	return false;
}

static int zc_device_check(const struct zc_device *device, const struct zc_ring *ring)
{
	bool rx = ring->direction == ZC_DIR_RX;

	if (!device)
		return -EOPNOTSUPP;
	if (ring->queue >= (rx ? device->ops->rx_queues : device->ops->tx_queues))
		return -ERANGE;
	return zc_device_taken(device, ring) ? -EBUSY : 0;
}

static int zc_device_take(struct zc_device *device, struct zc_ring *ring)
{
	bool rx = ring->direction == ZC_DIR_RX;
	int err;

	if (!try_module_get(device->ops->owner))
		return -ENODEV;
	err = zc_buffer_map(ring->buffer, device->dma_dev, rx ? DMA_FROM_DEVICE : DMA_TO_DEVICE);
	if (err)
		goto out_module;
	/* A capture of a queue wants what comes by, as AF_PACKET's does. */
	err = rx ? dev_set_promiscuity(device->dev, 1) : 0;
	if (err)
		goto out_unmap;
	strscpy_pad(ring->header->ifname, device->dev->name, ZC_IFNAME_SIZE);
	err = device->ops->attach(device->dev, ring);
	if (err)
		goto out_promiscuity;
	ring->device = device;
	list_add(&ring->node, &device->rings);
	return 0;

out_promiscuity:
	if (rx)
		dev_set_promiscuity(device->dev, -1);
out_unmap:
	zc_buffer_unmap(ring->buffer);
out_module:
	module_put(device->ops->owner);
	return err;
}

/**
 * zc_device_attach() - hang a ring on the queue that it names
 * @ring:    complete, of nobody
 * @net:     in whose namespace @ifindex counts
 * @ifindex: the interface
 *
 * Return: 0, -ENODEV (no such interface), -EOPNOTSUPP (its driver knows no
 * rings), -ERANGE (no such queue), -EBUSY (queue taken), -ENOMEM
 */
int zc_device_attach(struct zc_ring *ring, struct net *net, u32 ifindex)
{
	struct zc_device *device;
	struct net_device *dev;
	int err;

	rtnl_lock();
	err = -ENODEV;
	dev = __dev_get_by_index(net, ifindex);
	if (!dev)
		goto out;
	device = zc_device_find(dev);
	err = zc_device_check(device, ring);
	if (!err)
		err = zc_device_take(device, ring);
out:
	rtnl_unlock();
	return err;
}

/** zc_device_detach() - on return no NIC reaches the ring or its blocks */
void zc_device_detach(struct zc_ring *ring)
{
	rtnl_lock();
	if (ring->device)
		zc_device_release(ring->device, ring);
	rtnl_unlock();
}

/* Also where an interface moves to another network namespace. */
static int zc_device_event(struct notifier_block *block, unsigned long event, void *info)
{
	struct zc_device *device;

	if (event != NETDEV_UNREGISTER)
		return NOTIFY_DONE;
	device = zc_device_find(netdev_notifier_info_to_dev(info));
	if (device)
		zc_device_abandon(device);
	return NOTIFY_DONE;
}

static struct notifier_block zc_device_notifier = { .notifier_call = zc_device_event };

int zc_device_init(void)
{
	return register_netdevice_notifier(&zc_device_notifier);
}

void zc_device_exit(void)
{
	unregister_netdevice_notifier(&zc_device_notifier);
}
