// SPDX-License-Identifier: GPL-2.0
/*
 * recv() and send() for programs that know no rings, with one copy.
 *
 * The kernel then moves the user's counters itself, so that it is one or the
 * other: whoever has mapped the user's page gets -EBUSY here.
 */
#include <linux/if_vlan.h>
#include <linux/uio.h>

#include "zc_family.h"

static int zc_plain_ring(struct socket *sock, u16 direction, struct zc_ring **ring)
{
	*ring = zc_sock_ring(zc_sk(sock->sk));
	if (!*ring)
		return -ENXIO;
	return (*ring)->direction == direction ? 0 : -EOPNOTSUPP;
}

static bool zc_ring_is_gone(const struct zc_ring *ring)
{
	return READ_ONCE(ring->header->state) == ZC_STATE_GONE;
}

/* Sleep until the ring has something to read, is gone, or time is over. */
static int zc_plain_wait(struct zc_ring *ring, long *timeout)
{
	long left;

	if (zc_ring_needs_kick(ring->header))
		zc_ring_kick(ring);
	if (!*timeout)
		return -EAGAIN;
	left = wait_event_interruptible_timeout(*sk_sleep(ring->sk),
						zc_ring_readable(ring) || zc_ring_is_gone(ring) ||
						zc_ring_is_shut(ring),
						*timeout);
	if (left < 0)
		return sock_intr_errno(*timeout);
	*timeout = left;
	return 0;
}

static int zc_frame_copy(struct zc_ring *ring, const struct zc_desc *desc, u32 slot,
			 struct msghdr *msg, size_t len)
{
	size_t want = min_t(size_t, desc->len, len);
	struct page *page = zc_block_page(ring->buffer, slot);

	if (copy_page_to_iter(page, zc_block_offset(slot), want, &msg->msg_iter) != want)
		return -EFAULT;
	if (want < desc->len)
		msg->msg_flags |= MSG_TRUNC;
	if (msg->msg_controllen)
		put_cmsg(msg, SOL_ZEROCOPY, ZC_CMSG_DESC, sizeof(*desc), (void *)desc);
	return want;
}

/* Of a ring without an unread frame: whether one may still come. */
static int zc_ring_end(const struct zc_ring *ring)
{
	if (zc_ring_is_gone(ring))
		return -ENODEV;
	return zc_ring_is_shut(ring) ? 0 : -EAGAIN;
}

/* One frame, where there is one; -EAGAIN where there is none. */
static int zc_frame_recv(struct zc_ring *ring, struct msghdr *msg, size_t len, int flags)
{
	u32 read = READ_ONCE(ring->user->read);
	u32 slot = read & (ring->cursor.slots - 1);
	struct zc_desc desc;
	int got;

	if (READ_ONCE(ring->mapped))
		return -EBUSY;
	if (!zc_ring_peek(ring->header, read))
		return zc_ring_end(ring);
	desc = ring->descs[slot];
	got = zc_frame_copy(ring, &desc, slot, msg, len);
	if (got < 0 || flags & MSG_PEEK)
		return got;
	zc_ring_release(ring->user, read + 1);
	if (zc_ring_needs_kick(ring->header))
		zc_ring_kick(ring);
	return flags & MSG_TRUNC ? desc.len : got;
}

int zc_recvmsg(struct socket *sock, struct msghdr *msg, size_t len, int flags)
{
	struct zc_sock *zs = zc_sk(sock->sk);
	long timeout = sock_rcvtimeo(sock->sk, flags & MSG_DONTWAIT);
	struct zc_ring *ring;
	int err;

	if (flags & ~(MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC | MSG_CMSG_COMPAT))
		return -EINVAL;
	err = zc_plain_ring(sock, ZC_DIR_RX, &ring);
	while (!err) {
		/* Whoever holds it copies to his own memory, which may take its time. */
		if (mutex_lock_interruptible(&zs->plain))
			return sock_intr_errno(timeout);
		err = zc_frame_recv(ring, msg, len, flags);
		mutex_unlock(&zs->plain);
		if (err == -EAGAIN)
			err = zc_plain_wait(ring, &timeout);
		else
			return err;
	}
	return err;
}

/* The next block of the ring, as an offer; -EAGAIN where all are in use. */
static int zc_frame_send(struct zc_ring *ring, struct msghdr *msg, size_t len)
{
	u32 write = READ_ONCE(ring->user->write);
	u32 slot = write & (ring->cursor.slots - 1);
	struct page *page = zc_block_page(ring->buffer, slot);

	if (READ_ONCE(ring->mapped))
		return -EBUSY;
	if (READ_ONCE(ring->header->state) != ZC_STATE_RUNNING)
		return zc_ring_is_gone(ring) ? -ENODEV : -ENETDOWN;
	/* Completions are taken as they come: nobody looks at them. */
	zc_ring_release(ring->user, smp_load_acquire(&ring->header->write));
	if (!zc_ring_writable(ring))
		return -EAGAIN;
	if (copy_page_from_iter(page, zc_block_offset(slot), len, &msg->msg_iter) != len)
		return -EFAULT;
	ring->offers[slot] = (struct zc_tx_desc){
		.offset = slot * ZC_BLOCK_SIZE,
		.len = len,
	};
	smp_store_release(&ring->user->write, write + 1);	/* B of the user's side */
	zc_ring_kick(ring);
	return len;
}

int zc_sendmsg(struct socket *sock, struct msghdr *msg, size_t len)
{
	struct zc_sock *zs = zc_sk(sock->sk);
	long timeout = sock_sndtimeo(sock->sk, msg->msg_flags & MSG_DONTWAIT);
	struct zc_ring *ring;
	int err;

	err = zc_plain_ring(sock, ZC_DIR_TX, &ring);
	if (err)
		return err;
	if (!len) {
		zc_ring_kick(ring);	/* one kick a burst */
		return 0;
	}
	if (len < ETH_HLEN || len > VLAN_ETH_FRAME_LEN)
		return len < ETH_HLEN ? -EINVAL : -EMSGSIZE;
	do {
		if (mutex_lock_interruptible(&zs->plain))
			return sock_intr_errno(timeout);
		err = zc_frame_send(ring, msg, len);
		mutex_unlock(&zs->plain);
		if (err != -EAGAIN)
			return err;
		err = zc_plain_wait(ring, &timeout);
	} while (!err);
	return err;
}
