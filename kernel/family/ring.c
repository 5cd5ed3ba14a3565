// SPDX-License-Identifier: GPL-2.0
/* Rings: their memory, their state, and who is woken when. */
#include <linux/module.h>
#include <linux/vmalloc.h>
#include <net/busy_poll.h>

#include "compat.h"
#include "zc_family.h"

#define ZC_DESC_OFFSET	PAGE_SIZE	/* of the first descriptor */

/** zc_ring_size() - bytes of the kernel-owned mapping */
size_t zc_ring_size(u32 slots)
{
	return ZC_DESC_OFFSET + PAGE_ALIGN(slots * sizeof(struct zc_desc));
}

static size_t zc_ring_user_size(const struct zc_ring *ring)
{
	size_t offers = ring->cursor.slots * sizeof(struct zc_tx_desc);

	return ring->direction == ZC_DIR_RX ? PAGE_SIZE : PAGE_ALIGN(ZC_TX_DESC_OFFSET + offers);
}

static void zc_ring_describe(struct zc_ring *ring)
{
	struct zc_ring_header *header = ring->header;

	header->magic = ZC_ABI_MAGIC;
	header->version = ZC_ABI_VERSION;
	header->header_size = sizeof(*header);
	header->desc_size = sizeof(struct zc_desc);
	header->desc_offset = ZC_DESC_OFFSET;
	header->slots = ring->cursor.slots;
	header->block_size = ZC_BLOCK_SIZE;
	header->queue = ring->queue;
	header->direction = ring->direction;
	header->user_size = zc_ring_user_size(ring);
	header->buffer_size = (u64)ring->cursor.slots * ZC_BLOCK_SIZE;
	header->state = ZC_STATE_STOPPED;
}

/* Any context: from NAPI, from the timer, and when the ring's state changes. */
static void zc_ring_wake_now(struct zc_ring *ring)
{
	struct sock *sk = ring->sk;
	bool sleeper;

	rcu_read_lock();
	sleeper = skwq_has_sleeper(rcu_dereference(sk->sk_wq));
	rcu_read_unlock();
	if (!sleeper)
		return;
	/* NAPI and the timer may meet here. */
	atomic64_inc((atomic64_t *)&ring->header->wakeups);
	if (ring->direction == ZC_DIR_RX)
		sk->sk_data_ready(sk);
	else
		sk->sk_write_space(sk);
}

/* The frames for which it was started may have been read by now. */
static enum hrtimer_restart zc_ring_timer(struct hrtimer *timer)
{
	struct zc_ring *ring = container_of(timer, struct zc_ring, wake_timer);

	smp_mb();	/* off the queue before write is read; pairs with F in zc_ring_wake() */
	if (zc_ring_readable(ring))
		zc_ring_wake_now(ring);
	return HRTIMER_NORESTART;
}

/**
 * zc_ring_alloc() - a ring that no device fills yet
 * @sk:     its socket, which outlives it
 * @addr:   queue and direction
 * @slots:  checked
 * @buffer: of @slots blocks; stays the caller's where this fails
 * @wake:   when to wake
 *
 * Return: the ring or -ENOMEM
 */
struct zc_ring *zc_ring_alloc(struct sock *sk, const struct sockaddr_zc *addr, u32 slots,
			      struct zc_buffer *buffer, const struct zc_wake_req *wake)
{
	struct zc_ring *ring = kzalloc(sizeof(*ring), GFP_KERNEL_ACCOUNT);

	if (!ring)
		return ERR_PTR(-ENOMEM);
	ring->sk = sk;
	ring->queue = addr->szc_queue;
	ring->direction = addr->szc_direction;
	ring->cursor.slots = slots;
	ring->buffer = buffer;
	ring->wake = *wake;
	spin_lock_init(&ring->kick_lock);
	INIT_LIST_HEAD(&ring->node);
	hrtimer_setup(&ring->wake_timer, zc_ring_timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_SOFT);

	ring->header = vmalloc_user(zc_ring_size(slots));
	if (!ring->header)
		goto out_ring;
	ring->user = vmalloc_user(zc_ring_user_size(ring));
	if (!ring->user)
		goto out_header;
	ring->descs = (void *)ring->header + ZC_DESC_OFFSET;
	ring->offers = (void *)ring->user + ZC_TX_DESC_OFFSET;
	zc_ring_describe(ring);
	return ring;

out_header:
	vfree(ring->header);
out_ring:
	kfree(ring);
	return ERR_PTR(-ENOMEM);
}

/** zc_ring_free() - the ring and its blocks; no device, no mapping is left */
void zc_ring_free(struct zc_ring *ring)
{
	hrtimer_cancel(&ring->wake_timer);
	zc_buffer_free(ring->buffer);
	vfree(ring->user);
	vfree(ring->header);
	kfree(ring);
}

/**
 * zc_ring_start() - the hardware ring is set up and empty
 * @ring: [napi] attached
 *
 * Slots that the NIC had before, and did not fill, are posted anew: `write`
 * goes on, and user space keeps its place.
 */
void zc_ring_start(struct zc_ring *ring)
{
	ring->cursor.posted = ring->cursor.write;
	WRITE_ONCE(ring->header->epoch, ring->header->epoch + 1);
	WRITE_ONCE(ring->header->flags, ring->header->flags & ~ZC_RING_NEED_KICK);
	WRITE_ONCE(ring->header->state, ZC_STATE_RUNNING);
	spin_lock_bh(&ring->kick_lock);
	ring->running = true;
	spin_unlock_bh(&ring->kick_lock);
}
EXPORT_SYMBOL_GPL(zc_ring_start);

/**
 * zc_ring_stop() - the queue stands still; no kick comes any more
 * @ring: [napi] attached
 */
void zc_ring_stop(struct zc_ring *ring)
{
	spin_lock_bh(&ring->kick_lock);
	ring->running = false;
	spin_unlock_bh(&ring->kick_lock);
	WRITE_ONCE(ring->header->state, ZC_STATE_STOPPED);
	zc_ring_wake_now(ring);
}
EXPORT_SYMBOL_GPL(zc_ring_stop);

/**
 * zc_ring_gone() - the device will never come back
 * @ring: detached
 *
 * An error wakes those who wait for frames, and those who wait for errors only.
 */
void zc_ring_gone(struct zc_ring *ring)
{
	WRITE_ONCE(ring->header->state, ZC_STATE_GONE);
	WRITE_ONCE(ring->sk->sk_err, ENODEV);
	sk_error_report(ring->sk);
}

/** zc_ring_shut() - no frame will come any more; those that are unread stay */
void zc_ring_shut(struct zc_ring *ring)
{
	WRITE_ONCE(ring->sk->sk_shutdown, RCV_SHUTDOWN);
	zc_ring_wake_now(ring);
}

/** zc_ring_kick() - tell the driver that room or work has appeared */
void zc_ring_kick(struct zc_ring *ring)
{
	struct zc_device *device;

	spin_lock_bh(&ring->kick_lock);
	device = READ_ONCE(ring->device);
	if (ring->running && device)
		device->ops->kick(device->dev, ring);
	spin_unlock_bh(&ring->kick_lock);
}

/**
 * zc_ring_wake() - frames were submitted: wake the consumer if it is time
 * @ring: [napi]
 *
 * A consumer that drives the ring by its own page says when it sleeps; one
 * that uses recv() or poll() alone is found in the wait queue.  What it has
 * read since slots were last posted does not count as unread.
 *
 * The timer may run at any time of the second half, so that queues which share
 * a CPU share its interrupt.  One that is queued will see these frames; one
 * that runs already may have looked before they came, and is started again.
 */
void zc_ring_wake(struct zc_ring *ring)
{
	u32 frames = READ_ONCE(ring->wake.frames);
	u64 late = (u64)READ_ONCE(ring->wake.usecs) * NSEC_PER_USEC;

	if (!zc_ring_wants_wake(ring->user) && READ_ONCE(ring->mapped))
		return;
	zc_ring_collect(&ring->cursor, ring->user);
	if (!late || (frames && zc_cursor_unread(&ring->cursor) >= frames)) {
		hrtimer_try_to_cancel(&ring->wake_timer);
		zc_ring_wake_now(ring);
	} else if (!hrtimer_is_queued(&ring->wake_timer)) {
		hrtimer_start_range_ns(&ring->wake_timer, ns_to_ktime(late / 2), late / 2,
				       HRTIMER_MODE_REL_SOFT);
	}
}

/** zc_ring_readable() - rx: a frame is unread; tx: a completion is not taken */
bool zc_ring_readable(struct zc_ring *ring)
{
	return zc_ring_peek(ring->header, READ_ONCE(ring->user->read)) != 0;
}

/** zc_ring_writable() - tx: a slot is free, by the user's own account */
bool zc_ring_writable(struct zc_ring *ring)
{
	u32 held = READ_ONCE(ring->user->write) - READ_ONCE(ring->user->read);

	return held < ring->cursor.slots;
}

struct zc_busy {
	struct zc_ring *ring;
	u64 until;
};

static bool zc_busy_over(void *arg, unsigned long start)
{
	struct zc_busy *busy = arg;

	return zc_ring_readable(busy->ring) || READ_ONCE(busy->ring->paused) ||
	       ktime_get_ns() >= busy->until || need_resched() || signal_pending(current);
}

/**
 * zc_ring_busy_poll() - run the queue's NAPI from here
 * @ring: bound
 * @wait: for wake.busy_poll_us; else once, for who does not want to wait
 *
 * Return: whether something is to be read now
 */
bool zc_ring_busy_poll(struct zc_ring *ring, bool wait)
{
	u32 usecs = READ_ONCE(ring->wake.busy_poll_us);
	unsigned int napi_id = READ_ONCE(ring->napi_id);
	struct zc_busy busy = { .ring = ring };

	if (!usecs || napi_id < MIN_NAPI_ID || READ_ONCE(ring->paused) ||
	    READ_ONCE(ring->header->state) != ZC_STATE_RUNNING)
		return false;
	busy.until = ktime_get_ns() + (u64)usecs * NSEC_PER_USEC;
	/* Preferred: between two calls interrupts stay off for gro_flush_timeout, where set. */
	napi_busy_loop(napi_id, wait ? zc_busy_over : NULL, &busy, true, BUSY_POLL_BUDGET);
	return zc_ring_readable(ring);
}
