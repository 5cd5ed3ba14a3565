/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The arithmetic and the barriers of one ring, and nothing else.
 *
 * This file also builds in user space: tests/lab/host/ring_test.c runs it
 * there, alone and as producer against consumer.  model/ring.pml takes the same
 * steps as a model.  The letters are those of the diagram in
 * linux/pf_zerocopy.h.
 *
 * A cursor is the kernel's private account of a ring.  With all counters
 * free-running and compared by their differences,
 *
 *	released <= write <= posted <= released + slots
 *
 * holds at any time, whatever user space writes into its page:
 *
 *	released   the user gave them back (rx) or took their completions (tx)
 *	write      published to the user
 *	posted     handed to the NIC
 */
#ifndef _ZC_RING_H
#define _ZC_RING_H

#ifdef __KERNEL__
#include <linux/types.h>
#include <linux/compiler.h>
#include <linux/pf_zerocopy.h>
#include <asm/barrier.h>
#else
#include <stdbool.h>
#include <stdint.h>
#include <linux/pf_zerocopy.h>
typedef uint32_t u32;
#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), (v), __ATOMIC_RELAXED)
#define smp_load_acquire(p)	__atomic_load_n((p), __ATOMIC_ACQUIRE)		/* A, C */
#define smp_store_release(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)	/* B, D */
#define smp_mb()		__atomic_thread_fence(__ATOMIC_SEQ_CST)		/* E, F */
#endif

/**
 * struct zc_cursor - the kernel's own account of a ring
 * @slots:    a power of two
 * @released: what the user returned, as far as it was believed
 * @write:    published, or about to be by zc_ring_submit()
 * @posted:   handed to the NIC
 */
struct zc_cursor {
	u32 slots;
	u32 released;
	u32 write;
	u32 posted;
};

/** zc_cursor_slot() - which slot, and block, counter @n means */
static inline u32 zc_cursor_slot(const struct zc_cursor *c, u32 n)
{
	return n & (c->slots - 1);
}

/** zc_cursor_unread() - frames published and not released */
static inline u32 zc_cursor_unread(const struct zc_cursor *c)
{
	return c->write - c->released;
}

/** zc_cursor_inflight() - slots that the NIC holds */
static inline u32 zc_cursor_inflight(const struct zc_cursor *c)
{
	return c->posted - c->write;
}

/** zc_cursor_free() - slots that nobody holds */
static inline u32 zc_cursor_free(const struct zc_cursor *c)
{
	return c->slots - (c->posted - c->released);
}

/**
 * zc_cursor_room() - slots that may be posted now
 * @c:     the ring
 * @depth: how many the NIC can hold
 *
 * Return: a number of slots
 */
static inline u32 zc_cursor_room(const struct zc_cursor *c, u32 depth)
{
	u32 inflight = zc_cursor_inflight(c);
	u32 room = inflight < depth ? depth - inflight : 0;

	return room < zc_cursor_free(c) ? room : zc_cursor_free(c);
}

/**
 * zc_cursor_release() - believe @read, if it can be true
 * @c:    the ring
 * @read: what user space says it released; moves forward, never past @write
 *
 * A value that cannot be true is ignored: who writes it stalls his own ring.
 *
 * Return: whether it was believed
 */
static inline bool zc_cursor_release(struct zc_cursor *c, u32 read)
{
	if (read - c->released > zc_cursor_unread(c))
		return false;
	c->released = read;
	return true;
}

/**
 * zc_cursor_offered() - new descriptors that the user of a tx ring offers
 * @c:     the ring
 * @write: what user space says
 *
 * More than there are free slots is a lie and counts as none.
 *
 * Return: a number of descriptors
 */
static inline u32 zc_cursor_offered(const struct zc_cursor *c, u32 write)
{
	u32 offered = write - c->posted;

	return offered <= zc_cursor_free(c) ? offered : 0;
}

/* ---- the producer's side of the shared memory --------------------------- */

/** zc_ring_collect() - A, matches D: learn what the user released */
static inline bool zc_ring_collect(struct zc_cursor *c,
				   struct zc_user_page *user)
{
	return zc_cursor_release(c, smp_load_acquire(&user->read));	/* A */
}

/** zc_ring_submit() - B, matches C: publish everything before @c->write */
static inline void zc_ring_submit(const struct zc_cursor *c,
				  struct zc_ring_header *header)
{
	smp_store_release(&header->write, c->write);	/* B */
}

/** zc_ring_wants_wake() - F, matches E: does the consumer (mean to) sleep? */
static inline bool zc_ring_wants_wake(struct zc_user_page *user)
{
	smp_mb();	/* F: write before flags */
	return READ_ONCE(user->flags) & ZC_USER_WANT_WAKE;
}

/** zc_ring_unstall() - slots are posted: no kick is needed */
static inline void zc_ring_unstall(struct zc_ring_header *header)
{
	if (header->flags & ZC_RING_NEED_KICK)
		WRITE_ONCE(header->flags, header->flags & ~ZC_RING_NEED_KICK);
}

/**
 * zc_ring_stall() - nothing is posted and nothing is free: ask to be kicked
 * @c:      the ring
 * @header: kernel-owned
 * @user:   user-owned
 *
 * E and F with the roles exchanged: the flag is set, then `read` looked at
 * again.
 *
 * Return: false where room has appeared: the caller goes on
 */
static inline bool zc_ring_stall(struct zc_cursor *c,
				 struct zc_ring_header *header,
				 struct zc_user_page *user)
{
	WRITE_ONCE(header->flags, header->flags | ZC_RING_NEED_KICK);
	smp_mb();	/* F: flags before read */
	zc_ring_collect(c, user);
	if (!zc_cursor_free(c))
		return true;
	zc_ring_unstall(header);
	return false;
}

/* ---- the consumer's side ------------------------------------------------ */

/** zc_ring_peek() - C, matches B: frames that can be read from @read on */
static inline u32 zc_ring_peek(struct zc_ring_header *header, u32 read)
{
	return smp_load_acquire(&header->write) - read;	/* C */
}

/** zc_ring_release() - D, matches A: give back every slot before @read */
static inline void zc_ring_release(struct zc_user_page *user, u32 read)
{
	smp_store_release(&user->read, read);	/* D */
}

/** zc_ring_needs_kick() - after zc_ring_release(): must poll() be called? */
static inline bool zc_ring_needs_kick(struct zc_ring_header *header)
{
	smp_mb();	/* E: read before flags */
	return READ_ONCE(header->flags) & ZC_RING_NEED_KICK;
}

/**
 * zc_ring_may_sleep() - E, matches F: announce sleep and look once more
 * @header: kernel-owned
 * @user:   user-owned
 * @read:   the consumer's counter
 *
 * After poll(), or where none is needed, call zc_ring_awake().
 *
 * Return: true where nothing is to be read: poll() now
 */
static inline bool zc_ring_may_sleep(struct zc_ring_header *header,
				     struct zc_user_page *user, u32 read)
{
	WRITE_ONCE(user->flags, ZC_USER_WANT_WAKE);
	smp_mb();	/* E: flags before write */
	return !zc_ring_peek(header, read);
}

/** zc_ring_awake() - no wake-ups until the next zc_ring_may_sleep() */
static inline void zc_ring_awake(struct zc_user_page *user)
{
	WRITE_ONCE(user->flags, 0);
}

#endif /* _ZC_RING_H */
