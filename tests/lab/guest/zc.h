/* SPDX-License-Identifier: GPL-2.0 */
/* Opening and mapping a ring, for the programs of the lab. */
#ifndef _LAB_ZC_H
#define _LAB_ZC_H

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "zc_ring.h"

struct zc {
	int fd;
	unsigned int slots;
	struct zc_ring_header *header;
	struct zc_desc *descs;
	struct zc_user_page *user;
	struct zc_tx_desc *offers;
	unsigned char *blocks;
};

static inline void die(const char *what, ...)
{
	int err = errno;
	va_list args;

	va_start(args, what);
	vprintf(what, args);
	va_end(args);
	printf(": %s\n", strerror(err));
	fflush(stdout);
	_exit(1);
}

static inline int zc_family(void)
{
	FILE *file = fopen("/sys/module/pf_zerocopy/parameters/family", "r");
	int family = -1;

	if (!file || fscanf(file, "%d", &family) != 1)
		die("family number");
	fclose(file);
	return family;
}

static inline int zc_socket(void)
{
	return socket(zc_family(), SOCK_RAW, 0x0300 /* htons(ETH_P_ALL) */);
}

static inline int zc_slots(int fd, unsigned int slots)
{
	struct zc_ring_req req = { .slots = slots };

	return setsockopt(fd, SOL_ZEROCOPY, ZC_OPT_RING, &req, sizeof(req));
}

static inline int zc_register(int fd, void *blocks, unsigned int slots)
{
	struct zc_buffer_req req = {
		.addr = (uintptr_t)blocks,
		.size = (unsigned long)slots * ZC_BLOCK_SIZE,
	};

	return setsockopt(fd, SOL_ZEROCOPY, ZC_OPT_BUFFER, &req, sizeof(req));
}

static inline int zc_bind(int fd, const char *interface, unsigned int queue, unsigned int direction)
{
	struct sockaddr_zc address = {
		.szc_family = zc_family(),
		.szc_direction = direction,
		.szc_ifindex = if_nametoindex(interface),
		.szc_queue = queue,
	};

	return bind(fd, (struct sockaddr *)&address, sizeof(address));
}

static inline void *zc_blocks(unsigned int slots)
{
	void *blocks = mmap(NULL, (size_t)slots * ZC_BLOCK_SIZE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (blocks == MAP_FAILED)
		die("User Buffer of %u slots", slots);
	return blocks;
}

static inline void zc_map(struct zc *zc)
{
	size_t ring = 4096 + (size_t)zc->slots * sizeof(struct zc_desc);

	zc->header = mmap(NULL, ring, PROT_READ, MAP_SHARED, zc->fd, ZC_PGOFF_RING);
	if (zc->header == MAP_FAILED)
		die("mmap of the ring");
	zc->user = mmap(NULL, zc->header->user_size, PROT_READ | PROT_WRITE, MAP_SHARED, zc->fd,
			ZC_PGOFF_USER);
	if (zc->user == MAP_FAILED)
		die("mmap of the user's page");
	zc->descs = (void *)((char *)zc->header + zc->header->desc_offset);
	zc->offers = (void *)((char *)zc->user + ZC_TX_DESC_OFFSET);
}

static inline struct zc zc_open(const char *interface, unsigned int queue, unsigned int direction,
				unsigned int slots)
{
	struct zc zc = { .fd = zc_socket(), .slots = slots };

	if (zc.fd < 0)
		die("socket");
	zc.blocks = zc_blocks(slots);
	if (zc_slots(zc.fd, slots))
		die("%u slots", slots);
	if (zc_register(zc.fd, zc.blocks, slots))
		die("User Buffer");
	if (zc_bind(zc.fd, interface, queue, direction))
		die("bind to %s, queue %u", interface, queue);
	zc_map(&zc);
	return zc;
}

/* Sleep until a frame is there, the device is gone, or time is over. */
static inline short zc_wait(struct zc *zc, unsigned int read, int ms)
{
	struct pollfd poller = { .fd = zc->fd, .events = POLLIN };

	if (zc_ring_may_sleep(zc->header, zc->user, read))
		poll(&poller, 1, ms);
	zc_ring_awake(zc->user);
	return poller.revents;
}

#endif /* _LAB_ZC_H */
