/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where kernels differ.  Kbuild looks the names up in the headers it builds
 * against and defines ZC_HAVE_<NAME>: features are probed, not versions.
 */
#ifndef _ZC_COMPAT_H
#define _ZC_COMPAT_H

#include <linux/hrtimer.h>
#include <linux/mm.h>

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

/* What proto_ops.bind takes; both begin with sa_family. */
#ifdef ZC_HAVE_SOCKADDR_UNSIZED
#define zc_bind_address sockaddr_unsized
#else
#define zc_bind_address sockaddr
#endif

#endif /* _ZC_COMPAT_H */
