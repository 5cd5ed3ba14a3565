/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the family share with each other.
 *
 * Locks, outermost first:  zc_sock.lock > rtnl > zc_ring.kick_lock.
 * mmap() takes none of them: it runs under mmap_lock.  It finds the ring by
 * load-acquire.  No memory of the caller is touched inside zc_sock.lock.
 */
#ifndef _ZC_FAMILY_H
#define _ZC_FAMILY_H

#include <linux/mutex.h>
#include <linux/poll.h>
#include <net/sock.h>

#include "zc_ops.h"

#define ZC_DEFAULT_SLOTS	1024	/* of a ring that nobody sized */

/**
 * struct zc_sock - a socket
 * @sk:     first, as the core wants it
 * @lock:   serialises setsockopt, bind and release
 * @node:   in the list of all sockets, under zc_socks_lock
 * @slots:  for the ring to come; 0: the default
 * @wake:   for the ring to come
 * @buffer: registered, not yet bound; afterwards the ring's
 * @ring:   published by store-release when all of it stands; then constant
 * @plain:  serialises recvmsg and sendmsg, which move the user's counters
 */
struct zc_sock {
	struct sock sk;
	struct mutex lock;
	struct list_head node;
	u32 slots;
	struct zc_wake_req wake;
	struct zc_buffer *buffer;
	struct zc_ring *ring;
	struct mutex plain;
};

static inline struct zc_sock *zc_sk(struct sock *sk)
{
	return container_of(sk, struct zc_sock, sk);
}

/** zc_sock_ring() - the bound ring, or NULL; needs no lock */
static inline struct zc_ring *zc_sock_ring(struct zc_sock *zs)
{
	return smp_load_acquire(&zs->ring);	/* pairs with zc_bind() */
}

/**
 * struct zc_device - a net_device whose driver knows rings
 * @dev:     it
 * @dma_dev: does the DMA
 * @ops:     the driver's
 * @rings:   [rtnl] attached
 * @node:    [rtnl] in the list of devices
 */
struct zc_device {
	struct net_device *dev;
	struct device *dma_dev;
	const struct zc_device_ops *ops;
	struct list_head rings;
	struct list_head node;
};

/**
 * struct zc_buffer - a User Buffer: pages that stay where they are
 * @pages:   two blocks each
 * @dma:     their addresses, while @dma_dev is set
 * @count:   pages
 * @dma_dev: mapped for; NULL: not mapped
 * @dma_dir: way of the mapping
 * @user:    charged with @count locked pages; NULL: CAP_IPC_LOCK
 * @pinned:  the user's own pages; otherwise the kernel's, for mmap()
 */
struct zc_buffer {
	struct page **pages;
	dma_addr_t *dma;
	unsigned long count;
	struct device *dma_dev;
	enum dma_data_direction dma_dir;
	struct user_struct *user;
	bool pinned;
};

#define ZC_BLOCKS_PER_PAGE	(PAGE_SIZE / ZC_BLOCK_SIZE)

static inline struct page *zc_block_page(const struct zc_buffer *b, u32 block)
{
	return b->pages[block / ZC_BLOCKS_PER_PAGE];
}

static inline u32 zc_block_offset(u32 block)
{
	return (block % ZC_BLOCKS_PER_PAGE) * ZC_BLOCK_SIZE;
}

static inline dma_addr_t zc_block_dma(const struct zc_buffer *b, u32 block)
{
	return b->dma[block / ZC_BLOCKS_PER_PAGE] + zc_block_offset(block);
}

/* buffer.c */
struct zc_buffer *zc_buffer_pin(u64 addr, u64 size);
struct zc_buffer *zc_buffer_alloc(u64 size);
int zc_buffer_map(struct zc_buffer *buffer, struct device *dma_dev,
		  enum dma_data_direction dir);
void zc_buffer_unmap(struct zc_buffer *buffer);
void zc_buffer_free(struct zc_buffer *buffer);

/* device.c */
int zc_device_attach(struct zc_ring *ring, struct net *net, u32 ifindex);
void zc_device_detach(struct zc_ring *ring);
int zc_device_init(void);
void zc_device_exit(void);

/* ring.c */
struct zc_ring *zc_ring_alloc(struct sock *sk, const struct sockaddr_zc *addr,
			      u32 slots, struct zc_buffer *buffer,
			      const struct zc_wake_req *wake);
void zc_ring_free(struct zc_ring *ring);
size_t zc_ring_size(u32 slots);
void zc_ring_kick(struct zc_ring *ring);
void zc_ring_wake(struct zc_ring *ring);
void zc_ring_gone(struct zc_ring *ring);
void zc_ring_shut(struct zc_ring *ring);
bool zc_ring_busy_poll(struct zc_ring *ring, bool wait);
bool zc_ring_readable(struct zc_ring *ring);
bool zc_ring_writable(struct zc_ring *ring);

static inline bool zc_ring_is_shut(const struct zc_ring *ring)
{
	return READ_ONCE(ring->sk->sk_shutdown) & RCV_SHUTDOWN;
}

/* option.c, map.c, message.c: socket operations */
int zc_setsockopt(struct socket *sock, int level, int name, sockptr_t value,
		  unsigned int length);
int zc_getsockopt(struct socket *sock, int level, int name,
		  char __user *value, int __user *length);
int zc_mmap(struct file *file, struct socket *sock, struct vm_area_struct *vma);
int zc_recvmsg(struct socket *sock, struct msghdr *msg, size_t len, int flags);
int zc_sendmsg(struct socket *sock, struct msghdr *msg, size_t len);

/* socket.c */
extern struct mutex zc_socks_lock;
extern struct list_head zc_socks;
int zc_socket_init(int family);
void zc_socket_exit(void);

/* proc.c */
int zc_proc_init(void);
void zc_proc_exit(void);

#endif /* _ZC_FAMILY_H */
