// SPDX-License-Identifier: GPL-2.0
/* Sockets: made, bound, polled, released. */
#include <linux/if_ether.h>
#include <linux/module.h>

#include "compat.h"
#include "zc_family.h"

/* Every socket, for /proc; a ring is freed only after it left this list. */
DEFINE_MUTEX(zc_socks_lock);
LIST_HEAD(zc_socks);

static struct proto zc_proto = {
	.name = "ZEROCOPY",
	.owner = THIS_MODULE,
	.obj_size = sizeof(struct zc_sock),
};

static int zc_release(struct socket *sock)
{
	struct sock *sk = sock->sk;
	struct zc_sock *zs;

	if (!sk)
		return 0;
	zs = zc_sk(sk);
	mutex_lock(&zc_socks_lock);
	list_del(&zs->node);
	mutex_unlock(&zc_socks_lock);
	if (zs->ring) {
		zc_device_detach(zs->ring);
		zc_ring_free(zs->ring);
	} else {
		zc_buffer_free(zs->buffer);
	}
	sock_prot_inuse_add(sock_net(sk), &zc_proto, -1);
	sock_orphan(sk);
	sock->sk = NULL;
	sock_put(sk);
	return 0;
}

static int zc_bind_check(const struct sock *sk, const struct sockaddr_zc *addr, u32 slots)
{
	if (addr->szc_family != sk->sk_family)
		return -EAFNOSUPPORT;
	if (addr->szc_flags || addr->szc_direction > ZC_DIR_TX)
		return -EINVAL;
	if (addr->szc_queue >= ZC_MAX_QUEUES)
		return -ERANGE;
	if (addr->szc_direction == ZC_DIR_TX && slots > ZC_MAX_TX_SLOTS)
		return -EINVAL;
	return 0;
}

/* The registered buffer, if it has the ring's size, or one of the kernel's. */
static struct zc_buffer *zc_bind_buffer(const struct zc_sock *zs, u32 slots)
{
	u64 size = (u64)slots * ZC_BLOCK_SIZE;

	if (!zs->buffer)
		return zc_buffer_alloc(size);
	if ((u64)zs->buffer->count << PAGE_SHIFT != size)
		return ERR_PTR(-EINVAL);
	return zs->buffer;
}

static int zc_bind_ring(struct zc_sock *zs, const struct sockaddr_zc *addr, u32 slots)
{
	struct zc_buffer *buffer;
	struct zc_ring *ring;
	int err;

	buffer = zc_bind_buffer(zs, slots);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	ring = zc_ring_alloc(&zs->sk, addr, slots, buffer, &zs->wake);
	err = PTR_ERR_OR_ZERO(ring);
	if (err)
		goto out_buffer;
	err = zc_device_attach(ring, sock_net(&zs->sk), addr->szc_ifindex);
	if (err)
		goto out_ring;
	zs->buffer = buffer;
	smp_store_release(&zs->ring, ring);	/* pairs with zc_sock_ring() */
	return 0;

out_ring:
	ring->buffer = NULL;
	zc_ring_free(ring);
out_buffer:
	if (buffer != zs->buffer)
		zc_buffer_free(buffer);
	return err;
}

/*
 * The interface is looked up in the socket's own network namespace, so that
 * the capability counts where the interface belongs.
 */
static int zc_bind(struct socket *sock, struct zc_bind_address *address, int length)
{
	struct sockaddr_zc *addr = (struct sockaddr_zc *)address;
	struct zc_sock *zs = zc_sk(sock->sk);
	u32 slots;
	int err;

	if (!ns_capable(sock_net(sock->sk)->user_ns, CAP_NET_ADMIN))
		return -EPERM;
	if (length < sizeof(*addr))
		return -EINVAL;
	mutex_lock(&zs->lock);
	slots = zs->slots ?: ZC_DEFAULT_SLOTS;
	err = zs->ring ? -EBUSY : zc_bind_check(sock->sk, addr, slots);
	if (!err)
		err = zc_bind_ring(zs, addr, slots);
	mutex_unlock(&zs->lock);
	return err;
}

/* rx: a frame is unread.  tx: a completion is not taken, or a slot is free. */
static __poll_t zc_poll_ready(struct zc_ring *ring)
{
	if (ring->direction == ZC_DIR_RX)
		return zc_ring_readable(ring) ? EPOLLIN | EPOLLRDNORM : 0;
	return zc_ring_readable(ring) || zc_ring_writable(ring) ? EPOLLOUT | EPOLLWRNORM : 0;
}

static __poll_t zc_poll(struct file *file, struct socket *sock, poll_table *wait)
{
	struct zc_ring *ring = zc_sock_ring(zc_sk(sock->sk));
	__poll_t ready;

	sock_poll_wait(file, sock, wait);
	if (!ring)
		return EPOLLERR;
	if (READ_ONCE(ring->header->state) == ZC_STATE_GONE)
		return EPOLLERR | EPOLLHUP | zc_poll_ready(ring);
	if (zc_ring_needs_kick(ring->header))
		zc_ring_kick(ring);
	if (zc_ring_is_shut(ring))
		return EPOLLIN | EPOLLRDNORM | EPOLLRDHUP;
	ready = zc_poll_ready(ring);
	if (!ready && zc_ring_busy_poll(ring, !poll_does_not_wait(wait)))
		ready = zc_poll_ready(ring);
	return ready;
}

/*
 * SHUT_RD: no frame comes any more, and the queue is free; what has arrived can
 * be read.  The interface stays up, for those who send by it.  Who may not bind
 * may not do this either: nobody could bind the ring again.
 */
static int zc_shutdown(struct socket *sock, int how)
{
	struct zc_ring *ring = zc_sock_ring(zc_sk(sock->sk));

	if (!ns_capable(sock_net(sock->sk)->user_ns, CAP_NET_ADMIN))
		return -EPERM;
	if (!ring)
		return -ENOTCONN;
	if (how != SHUT_RD || ring->direction != ZC_DIR_RX)
		return -EOPNOTSUPP;
	zc_device_detach(ring);
	zc_ring_shut(ring);
	return 0;
}

static struct proto_ops zc_ops __ro_after_init = {
	.owner = THIS_MODULE,
	.release = zc_release,
	.bind = zc_bind,
	.connect = sock_no_connect,
	.socketpair = sock_no_socketpair,
	.accept = sock_no_accept,
	.getname = sock_no_getname,
	.poll = zc_poll,
	.ioctl = sock_no_ioctl,
	.listen = sock_no_listen,
	.shutdown = zc_shutdown,
	.setsockopt = zc_setsockopt,
	.getsockopt = zc_getsockopt,
	.sendmsg = zc_sendmsg,
	.recvmsg = zc_recvmsg,
	.mmap = zc_mmap,
};

static struct net_proto_family zc_family __ro_after_init;

static int zc_create(struct net *net, struct socket *sock, int protocol, int kern)
{
	struct zc_sock *zs;
	struct sock *sk;

	if (!ns_capable(net->user_ns, CAP_NET_RAW))
		return -EPERM;
	if (sock->type != SOCK_RAW)
		return -ESOCKTNOSUPPORT;
	if (protocol != (__force int)htons(ETH_P_ALL))
		return -EPROTONOSUPPORT;
	sk = sk_alloc(net, zc_family.family, GFP_KERNEL, &zc_proto, kern);
	if (!sk)
		return -ENOMEM;
	sock->ops = &zc_ops;
	sock_init_data(sock, sk);
	sk->sk_family = zc_family.family;
	/* No frame passes a socket filter: SO_ATTACH_FILTER says EPERM, and not yes. */
	sock_set_flag(sk, SOCK_FILTER_LOCKED);
	zs = zc_sk(sk);
	mutex_init(&zs->lock);
	mutex_init(&zs->plain);
	sock_prot_inuse_add(net, &zc_proto, 1);
	mutex_lock(&zc_socks_lock);
	list_add_tail(&zs->node, &zc_socks);
	mutex_unlock(&zc_socks_lock);
	return 0;
}

static struct net_proto_family zc_family __ro_after_init = {
	.create = zc_create,
	.owner = THIS_MODULE,
};

/**
 * zc_socket_init() - take the protocol family
 * @family: its number
 *
 * Return: 0, -EBUSY where it is taken, -ENOBUFS where it is no family
 */
int __init zc_socket_init(int family)
{
	int err;

	if (family <= 0)
		return -EINVAL;
	zc_family.family = family;
	zc_ops.family = family;
	err = proto_register(&zc_proto, 0);
	if (err)
		return err;
	err = sock_register(&zc_family);
	if (err)
		proto_unregister(&zc_proto);
	/* To who loads a module, -EEXIST says that it is loaded already. */
	return err == -EEXIST ? -EBUSY : err;
}

void zc_socket_exit(void)
{
	sock_unregister(zc_family.family);
	proto_unregister(&zc_proto);
}
