// SPDX-License-Identifier: GPL-2.0
/* mmap(): the kernel's part read-only, the user's page, the kernel's blocks. */
#include <linux/vmalloc.h>

#include "compat.h"
#include "zc_family.h"

static int zc_map_ring(struct zc_ring *ring, struct vm_area_struct *vma)
{
	if (vma->vm_flags & VM_WRITE)
		return -EPERM;
	vm_flags_clear(vma, VM_MAYWRITE);	/* nor by mprotect() later */
	return remap_vmalloc_range(vma, ring->header, 0);
}

static int zc_map_user(struct zc_ring *ring, struct vm_area_struct *vma)
{
	int err = remap_vmalloc_range(vma, ring->user, 0);

	if (!err)
		WRITE_ONCE(ring->mapped, true);
	return err;
}

/* A buffer that the user brought, the user has mapped already. */
static int zc_map_buffer(struct zc_buffer *buffer, struct vm_area_struct *vma)
{
	unsigned long pages = vma_pages(vma);
	unsigned long i;
	int err = 0;

	if (buffer->pinned || pages > buffer->count)
		return -EINVAL;
	for (i = 0; i < pages && !err; i++)
		err = vm_insert_page(vma, vma->vm_start + (i << PAGE_SHIFT), buffer->pages[i]);
	return err;
}

/*
 * Under mmap_lock: takes no lock of ours.  A mapping holds the socket's file,
 * hence the ring.
 */
int zc_mmap(struct file *file, struct socket *sock, struct vm_area_struct *vma)
{
	struct zc_ring *ring = zc_sock_ring(zc_sk(sock->sk));

	if (!ring)
		return -ENXIO;
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	switch ((u64)vma->vm_pgoff << PAGE_SHIFT) {
	case ZC_PGOFF_RING:
		return zc_map_ring(ring, vma);
	case ZC_PGOFF_USER:
		return zc_map_user(ring, vma);
	case ZC_PGOFF_BUFFER:
		return zc_map_buffer(ring->buffer, vma);
	default:
		return -EINVAL;
	}
}
