// SPDX-License-Identifier: GPL-2.0
/*
 * User Buffers: pages that stay, charged to RLIMIT_MEMLOCK, mapped for one NIC.
 *
 * The paper keeps pages by page->count++ and finds their addresses by walking
 * page tables.  Today that is a long-term pin and the DMA API: migration, NUMA
 * balancing and an IOMMU are then all accounted for.
 */
#include <linux/capability.h>
#include <linux/highmem.h>
#include <linux/sched/user.h>

#include "zc_family.h"

/*
 * The limit is the user's, not the process's: behind execve() a process has
 * another mm, and its descriptors still.  As AF_XDP and io_uring charge.
 */
static int zc_buffer_charge(struct zc_buffer *buffer)
{
	unsigned long limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	struct user_struct *user = current_user();
	long now = atomic_long_read(&user->locked_vm);

	if (capable(CAP_IPC_LOCK))
		return 0;
	do {
		if (now + buffer->count > limit)
			return -ENOMEM;
	} while (!atomic_long_try_cmpxchg(&user->locked_vm, &now, now + buffer->count));
	buffer->user = get_uid(user);
	return 0;
}

static void zc_buffer_uncharge(struct zc_buffer *buffer)
{
	if (!buffer->user)
		return;
	atomic_long_sub(buffer->count, &buffer->user->locked_vm);
	free_uid(buffer->user);
}

static struct zc_buffer *zc_buffer_new(u64 size)
{
	struct zc_buffer *buffer;
	int err;

	if (!size || size & ~PAGE_MASK || size > (u64)ZC_MAX_SLOTS * ZC_BLOCK_SIZE)
		return ERR_PTR(-EINVAL);
	buffer = kzalloc(sizeof(*buffer), GFP_KERNEL_ACCOUNT);
	if (!buffer)
		return ERR_PTR(-ENOMEM);
	buffer->count = size >> PAGE_SHIFT;
	buffer->pages = kvcalloc(buffer->count, sizeof(*buffer->pages), GFP_KERNEL_ACCOUNT);
	buffer->dma = kvcalloc(buffer->count, sizeof(*buffer->dma), GFP_KERNEL_ACCOUNT);
	err = -ENOMEM;
	if (!buffer->pages || !buffer->dma)
		goto out_arrays;
	err = zc_buffer_charge(buffer);
	if (err)
		goto out_arrays;
	return buffer;

out_arrays:
	kvfree(buffer->dma);
	kvfree(buffer->pages);
	kfree(buffer);
	return ERR_PTR(err);
}

static void zc_buffer_delete(struct zc_buffer *buffer)
{
	zc_buffer_uncharge(buffer);
	kvfree(buffer->dma);
	kvfree(buffer->pages);
	kfree(buffer);
}

/**
 * zc_buffer_pin() - make a User Buffer of the caller's memory
 * @addr: page-aligned; should be MAP_SHARED, so that a fork shares it
 * @size: whole pages
 *
 * Return: the buffer; -EFAULT where it is not all writable memory of the
 * caller, -ENOMEM beyond RLIMIT_MEMLOCK, -EINVAL
 */
struct zc_buffer *zc_buffer_pin(u64 addr, u64 size)
{
	struct zc_buffer *buffer;
	unsigned long done = 0;
	int got;

	if (addr & ~PAGE_MASK || addr + size < addr || addr + size > ULONG_MAX)
		return ERR_PTR(-EINVAL);
	buffer = zc_buffer_new(size);
	if (IS_ERR(buffer))
		return buffer;
	buffer->pinned = true;
	while (done < buffer->count) {
		got = pin_user_pages_fast(addr + (done << PAGE_SHIFT), buffer->count - done,
					  FOLL_WRITE | FOLL_LONGTERM, buffer->pages + done);
		if (got <= 0) {
			if (done)
				unpin_user_pages(buffer->pages, done);
			zc_buffer_delete(buffer);
			return ERR_PTR(got ?: -EFAULT);
		}
		done += got;
	}
	return buffer;
}

/**
 * zc_buffer_alloc() - make a User Buffer of the kernel's memory, for mmap()
 * @size: whole pages
 *
 * Return: the buffer; -ENOMEM, -EINVAL
 */
struct zc_buffer *zc_buffer_alloc(u64 size)
{
	struct zc_buffer *buffer = zc_buffer_new(size);
	unsigned long i;

	if (IS_ERR(buffer))
		return buffer;
	for (i = 0; i < buffer->count; i++) {
		buffer->pages[i] = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
		if (!buffer->pages[i]) {
			zc_buffer_free(buffer);
			return ERR_PTR(-ENOMEM);
		}
	}
	return buffer;
}

/**
 * zc_buffer_map() - let one device reach the pages
 * @buffer:  not mapped
 * @dma_dev: the device
 * @dir:     the way of the data
 *
 * Return: 0 or -ENOMEM, then nothing is mapped
 */
int zc_buffer_map(struct zc_buffer *buffer, struct device *dma_dev,
		  enum dma_data_direction dir)
{
	unsigned long i;

	for (i = 0; i < buffer->count; i++) {
		buffer->dma[i] = dma_map_page(dma_dev, buffer->pages[i], 0, PAGE_SIZE, dir);
		if (dma_mapping_error(dma_dev, buffer->dma[i]))
			goto out_unmap;
	}
	buffer->dma_dev = dma_dev;
	buffer->dma_dir = dir;
	return 0;

out_unmap:
	while (i--)
		dma_unmap_page(dma_dev, buffer->dma[i], PAGE_SIZE, dir);
	return -ENOMEM;
}

/** zc_buffer_unmap() - the queue's DMA is stopped: take the pages away */
void zc_buffer_unmap(struct zc_buffer *buffer)
{
	unsigned long i;

	if (!buffer->dma_dev)
		return;
	for (i = 0; i < buffer->count; i++)
		dma_unmap_page(buffer->dma_dev, buffer->dma[i], PAGE_SIZE, buffer->dma_dir);
	buffer->dma_dev = NULL;
}

/** zc_buffer_free() - give the pages back; only when no device can reach them */
void zc_buffer_free(struct zc_buffer *buffer)
{
	unsigned long i;

	if (!buffer)
		return;
	WARN_ON(buffer->dma_dev);
	if (buffer->pinned) {
		unpin_user_pages_dirty_lock(buffer->pages, buffer->count, true);
	} else {
		for (i = 0; i < buffer->count && buffer->pages[i]; i++)
			put_page(buffer->pages[i]);
	}
	zc_buffer_delete(buffer);
}
