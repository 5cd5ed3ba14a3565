// SPDX-License-Identifier: GPL-2.0
/*
 * Socket options.  Structures grow by length: what the caller leaves out is
 * zero, what the kernel does not know must be zero.
 */
#include <linux/log2.h>

#include "zc_family.h"

#define ZC_MAX_USECS	1000000	/* of waiting and of busy polling */

static int zc_option_tail(sockptr_t value, unsigned int from, unsigned int length)
{
	u8 byte;

	for (; from < length; from++) {
		if (copy_from_sockptr_offset(&byte, value, from, 1))
			return -EFAULT;
		if (byte)
			return -E2BIG;
	}
	return 0;
}

static int zc_option_copy(void *to, unsigned int known, sockptr_t value, unsigned int length)
{
	if (length > PAGE_SIZE)
		return -E2BIG;
	memset(to, 0, known);
	if (copy_from_sockptr(to, value, min(length, known)))
		return -EFAULT;
	return zc_option_tail(value, known, length);
}

/* Each option is copied before the lock is taken: a page of the caller's may take its time. */
static int zc_set_ring(struct zc_sock *zs, sockptr_t value, unsigned int length)
{
	struct zc_ring_req req;
	int err = zc_option_copy(&req, sizeof(req), value, length);

	if (err)
		return err;
	if (req.reserved || !is_power_of_2(req.slots) || req.slots < ZC_MIN_SLOTS ||
	    req.slots > ZC_MAX_SLOTS)
		return -EINVAL;
	mutex_lock(&zs->lock);
	if (zs->ring)
		err = -EBUSY;
	else
		zs->slots = req.slots;
	mutex_unlock(&zs->lock);
	return err;
}

static int zc_set_buffer(struct zc_sock *zs, sockptr_t value, unsigned int length)
{
	struct zc_buffer_req req;
	struct zc_buffer *buffer;
	int err = zc_option_copy(&req, sizeof(req), value, length);

	if (err)
		return err;
	if (READ_ONCE(zs->buffer))
		return -EBUSY;
	buffer = zc_buffer_pin(req.addr, req.size);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	mutex_lock(&zs->lock);
	if (!zs->buffer) {
		WRITE_ONCE(zs->buffer, buffer);
		buffer = NULL;
	}
	mutex_unlock(&zs->lock);
	if (!buffer)
		return 0;
	zc_buffer_free(buffer);		/* another caller was faster */
	return -EBUSY;
}

static int zc_set_wake(struct zc_sock *zs, sockptr_t value, unsigned int length)
{
	struct zc_wake_req req;
	int err = zc_option_copy(&req, sizeof(req), value, length);

	if (err)
		return err;
	if (req.reserved || req.usecs > ZC_MAX_USECS || req.busy_poll_us > ZC_MAX_USECS)
		return -EINVAL;
	mutex_lock(&zs->lock);
	/* As for SO_BUSY_POLL: it takes a processor, and keeps others from the queue. */
	if (req.busy_poll_us > zs->wake.busy_poll_us && !capable(CAP_NET_ADMIN)) {
		mutex_unlock(&zs->lock);
		return -EPERM;
	}
	zs->wake = req;
	if (zs->ring) {
		WRITE_ONCE(zs->ring->wake.frames, req.frames);
		WRITE_ONCE(zs->ring->wake.usecs, req.usecs);
		WRITE_ONCE(zs->ring->wake.busy_poll_us, req.busy_poll_us);
	}
	mutex_unlock(&zs->lock);
	return 0;
}

int zc_setsockopt(struct socket *sock, int level, int name, sockptr_t value, unsigned int length)
{
	struct zc_sock *zs = zc_sk(sock->sk);

	if (level != SOL_ZEROCOPY)
		return -ENOPROTOOPT;
	switch (name) {
	case ZC_OPT_RING:
		return zc_set_ring(zs, value, length);
	case ZC_OPT_BUFFER:
		return zc_set_buffer(zs, value, length);
	case ZC_OPT_WAKE:
		return zc_set_wake(zs, value, length);
	default:
		return -ENOPROTOOPT;
	}
}

static int zc_option_return(const void *from, int known, char __user *value, int __user *length)
{
	int room;

	if (get_user(room, length))
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	room = min(room, known);
	if (copy_to_user(value, from, room) || put_user(room, length))
		return -EFAULT;
	return 0;
}

static struct zc_stats zc_ring_stats(const struct zc_ring_header *header)
{
	struct zc_stats stats = {
		.nic_drop = READ_ONCE(header->nic_drop),
		.ring_full = READ_ONCE(header->ring_full),
		.truncated = READ_ONCE(header->truncated),
		.wakeups = READ_ONCE(header->wakeups),
		.flags = READ_ONCE(header->flags),
	};

	smp_rmb();	/* drops before arrivals, which hold them; pairs with zc_rx_dropped() */
	stats.arrived = READ_ONCE(header->arrived);
	stats.arrived_bytes = READ_ONCE(header->arrived_bytes);
	stats.published = stats.arrived - stats.nic_drop - stats.ring_full;
	return stats;
}

static int zc_get_stats(struct zc_ring *ring, char __user *value, int __user *length)
{
	struct zc_stats stats;

	if (!ring)
		return -ENXIO;
	stats = zc_ring_stats(ring->header);
	return zc_option_return(&stats, sizeof(stats), value, length);
}

static int zc_get_ring(struct zc_sock *zs, char __user *value, int __user *length)
{
	struct zc_ring_req req = { .slots = READ_ONCE(zs->slots) ?: ZC_DEFAULT_SLOTS };

	return zc_option_return(&req, sizeof(req), value, length);
}

static int zc_get_wake(struct zc_sock *zs, char __user *value, int __user *length)
{
	struct zc_wake_req req;

	mutex_lock(&zs->lock);
	req = zs->wake;
	mutex_unlock(&zs->lock);
	return zc_option_return(&req, sizeof(req), value, length);
}

int zc_getsockopt(struct socket *sock, int level, int name, char __user *value, int __user *length)
{
	struct zc_sock *zs = zc_sk(sock->sk);

	if (level != SOL_ZEROCOPY)
		return -ENOPROTOOPT;
	switch (name) {
	case ZC_OPT_RING:
		return zc_get_ring(zs, value, length);
	case ZC_OPT_WAKE:
		return zc_get_wake(zs, value, length);
	case ZC_OPT_STATS:
		return zc_get_stats(zc_sock_ring(zs), value, length);
	default:
		return -ENOPROTOOPT;
	}
}
