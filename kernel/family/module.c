// SPDX-License-Identifier: GPL-2.0
/* PF_ZEROCOPY: coming and going of the module. */
#include <linux/module.h>

#include "zc_family.h"

static int family = 25;
module_param(family, int, 0444);
MODULE_PARM_DESC(family, "protocol family to take: one that nobody uses, such as 18, 19, 22, 23, 25");

/* Told, and not to be chosen: what a reader has to know before it maps a ring. */
static int zc_abi_set(const char *value, const struct kernel_param *param)
{
	return -EPERM;
}

static int zc_abi_get(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%u\n", ZC_ABI_VERSION);
}

static const struct kernel_param_ops zc_abi_ops = { .set = zc_abi_set, .get = zc_abi_get };

module_param_cb(abi, &zc_abi_ops, NULL, 0444);
MODULE_PARM_DESC(abi, "version of the layout in linux/pf_zerocopy.h; to be read only");

static int __init zc_module_init(void)
{
	int err;

	err = zc_device_init();
	if (err)
		return err;
	err = zc_proc_init();
	if (err)
		goto out_device;
	err = zc_socket_init(family);
	if (err)
		goto out_proc;
	pr_info("pf_zerocopy: protocol family %d\n", family);
	return 0;

out_proc:
	zc_proc_exit();
out_device:
	zc_device_exit();
	return err;
}

static void __exit zc_module_exit(void)
{
	zc_socket_exit();
	zc_proc_exit();
	zc_device_exit();
}

module_init(zc_module_init);
module_exit(zc_module_exit);

MODULE_DESCRIPTION("PF_ZEROCOPY: descriptor rings shared between NIC queues and user space");
MODULE_LICENSE("GPL");
