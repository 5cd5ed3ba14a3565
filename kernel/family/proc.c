// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/memshare, as the paper has it: the shared rings, for people; and
 * /proc/net/zerocopy: the sockets.  Neither shows an address.
 */
#include <linux/nsproxy.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <net/net_namespace.h>

#include "zc_family.h"

static const char *const zc_states[] = {
	[ZC_STATE_SETUP] = "setup",
	[ZC_STATE_RUNNING] = "running",
	[ZC_STATE_STOPPED] = "stopped",
	[ZC_STATE_GONE] = "gone",
};

static const char *zc_direction(const struct zc_ring *ring)
{
	return ring->direction == ZC_DIR_RX ? "rx" : "tx";
}

static void zc_memshare_ring(struct seq_file *seq, const struct zc_ring *ring)
{
	const struct zc_ring_header *header = ring->header;
	u32 write = READ_ONCE(header->write);

	seq_printf(seq, "%-15s %5u %-3s %6u %9llu %-7s %5u %10u %10u\n", header->ifname,
		   ring->queue, zc_direction(ring), header->slots, header->buffer_size,
		   zc_states[READ_ONCE(header->state)], READ_ONCE(header->epoch), write,
		   READ_ONCE(ring->user->read));
}

static int zc_memshare_show(struct seq_file *seq, void *unused)
{
	struct net *net = current->nsproxy->net_ns;
	struct zc_sock *zs;

	seq_puts(seq, "interface       queue dir  slots    buffer state   epoch      write       read\n");
	mutex_lock(&zc_socks_lock);
	list_for_each_entry(zs, &zc_socks, node)
		if (net_eq(sock_net(&zs->sk), net) && zc_sock_ring(zs))
			zc_memshare_ring(seq, zc_sock_ring(zs));
	mutex_unlock(&zc_socks_lock);
	return 0;
}

static void zc_sockets_row(struct seq_file *seq, struct zc_sock *zs)
{
	struct zc_ring *ring = zc_sock_ring(zs);
	const struct zc_ring_header *header;

	seq_printf(seq, "%-8llu %-6u ", (u64)sock_i_ino(&zs->sk),
		   from_kuid_munged(seq_user_ns(seq), zs->sk.sk_uid));
	if (!ring) {
		seq_puts(seq, "-\n");
		return;
	}
	header = ring->header;
	seq_printf(seq, "%-15s %5u %-3s %12llu %14llu %10llu %10llu %9llu\n", header->ifname,
		   ring->queue, zc_direction(ring), READ_ONCE(header->arrived),
		   READ_ONCE(header->arrived_bytes), READ_ONCE(header->nic_drop),
		   READ_ONCE(header->ring_full), READ_ONCE(header->wakeups));
}

static int zc_sockets_show(struct seq_file *seq, void *unused)
{
	struct net *net = seq_file_single_net(seq);
	struct zc_sock *zs;

	seq_puts(seq, "inode    uid    interface       queue dir      arrived          bytes   nic_drop  ring_full   wakeups\n");
	mutex_lock(&zc_socks_lock);
	list_for_each_entry(zs, &zc_socks, node)
		if (net_eq(sock_net(&zs->sk), net))
			zc_sockets_row(seq, zs);
	mutex_unlock(&zc_socks_lock);
	return 0;
}

static int __net_init zc_net_init(struct net *net)
{
	return proc_create_net_single("zerocopy", 0444, net->proc_net, zc_sockets_show, NULL) ?
	       0 : -ENOMEM;
}

static void __net_exit zc_net_exit(struct net *net)
{
	remove_proc_entry("zerocopy", net->proc_net);
}

static struct pernet_operations zc_net_ops = {
	.init = zc_net_init,
	.exit = zc_net_exit,
};

int zc_proc_init(void)
{
	int err = register_pernet_subsys(&zc_net_ops);

	if (err)
		return err;
	if (proc_create_single("memshare", 0444, NULL, zc_memshare_show))
		return 0;
	unregister_pernet_subsys(&zc_net_ops);
	return -ENOMEM;
}

void zc_proc_exit(void)
{
	remove_proc_entry("memshare", NULL);
	unregister_pernet_subsys(&zc_net_ops);
}
