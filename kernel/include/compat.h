/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where kernels differ.  Kbuild looks the names up in the headers it builds
 * against and defines ZC_HAVE_<NAME>: features are probed, not versions.
 */
#ifndef _ZC_COMPAT_H
#define _ZC_COMPAT_H

#include <linux/hrtimer.h>
#include <linux/mm.h>
#include <linux/netdevice.h>
#include <linux/poll.h>
#include <linux/workqueue.h>

#ifndef ZC_HAVE_VM_FLAGS_CLEAR
static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

#ifndef ZC_HAVE_HRTIMER_SETUP
static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*function)(struct hrtimer *),
				 clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = function;
}
#endif

/* Gone from the newest kernels, which keep what it looks at. */
#ifndef ZC_HAVE_POLL_DOES_NOT_WAIT
static inline bool poll_does_not_wait(const poll_table *table)
{
	return !table || !table->_qproc;
}
#endif

#ifndef ZC_HAVE_SYSTEM_PERCPU_WQ
#define system_percpu_wq system_wq
#endif

#ifndef ZC_HAVE_NETIF_NAPI_ADD_CONFIG
static inline void netif_napi_add_config(struct net_device *dev, struct napi_struct *napi,
					 int (*poll)(struct napi_struct *, int), int index)
{
	netif_napi_add(dev, napi, poll);
}
#endif

/* What proto_ops.bind takes; both begin with sa_family. */
#ifdef ZC_HAVE_SOCKADDR_UNSIZED
#define zc_bind_address sockaddr_unsized
#else
#define zc_bind_address sockaddr
#endif

#endif /* _ZC_COMPAT_H */
