// SPDX-License-Identifier: GPL-2.0
/*
 * ring_reader INTERFACE QUEUE COUNT: print COUNT frames of a receive queue, read
 * where the NIC put them.
 *
 *     gcc -O2 -Wall -I kernel/include/uapi -o ring_reader examples/readers/ring_reader.c
 *     ./ring_reader zc0 0 10
 *
 * Needs root and both kernel modules (docs/kernel.md).  linux/pf_zerocopy.h
 * describes every structure here, and names the barriers C, D and E.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/pf_zerocopy.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

static int fd;
static const struct zc_ring_header *header;	/* the kernel's: counters, then descriptors */
static struct zc_user_page *user;		/* ours: what we have released */
static const unsigned char *blocks;		/* the User Buffer, a block a slot */

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* The family has no fixed number: the module says which one it took. */
static int family(void)
{
	FILE *file = fopen("/sys/module/pf_zerocopy/parameters/family", "r");
	int number;

	if (!file || fscanf(file, "%d", &number) != 1)
		die("PF_ZEROCOPY is not loaded");
	fclose(file);
	return number;
}

static void *map(size_t size, int protection, off_t offset)
{
	void *memory = mmap(NULL, size, protection, MAP_SHARED, fd, offset);

	if (memory == MAP_FAILED)
		die("mmap");
	return memory;
}

/* Takes the queue (from here on the card fills its blocks), and maps it. */
static void open_ring(const char *interface, unsigned int queue)
{
	struct sockaddr_zc address = { .szc_family = family(), .szc_direction = ZC_DIR_RX,
				       .szc_ifindex = if_nametoindex(interface), .szc_queue = queue };

	fd = socket(address.szc_family, SOCK_RAW, htons(ETH_P_ALL));
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)))
		die("cannot take the queue");
	header = map(4096, PROT_READ, ZC_PGOFF_RING);	/* says how large all else is */
	if (header->magic != ZC_ABI_MAGIC || header->version != ZC_ABI_VERSION) {
		fprintf(stderr, "a ring of version %u, this is %u\n", header->version, ZC_ABI_VERSION);
		exit(1);
	}
	user = map(header->user_size, PROT_READ | PROT_WRITE, ZC_PGOFF_USER);
	blocks = map(header->buffer_size, PROT_READ, ZC_PGOFF_BUFFER);
	header = map(header->desc_offset + (size_t)header->slots * header->desc_size, PROT_READ, ZC_PGOFF_RING);
}

/* Descriptors may be longer than this program knows: desc_size is their distance. */
static void print_frame(uint32_t slot)
{
	const char *first = (const char *)header + header->desc_offset;
	const struct zc_desc *desc = (const void *)(first + (size_t)slot * header->desc_size);

	printf("%llu %u/%u %u %08x ", (unsigned long long)desc->timestamp, desc->len, desc->wire_len,
	       desc->rss_type, desc->rss_hash);
	for (unsigned int i = 0; i < desc->len; i++)
		printf("%02x", blocks[desc->offset + i]);
	printf("\n");
}

/* Print what is there, at most `left` frames, and release it; returns how many. */
static uint32_t read_burst(uint32_t left)
{
	uint32_t read = user->read;
	uint32_t ready = __atomic_load_n(&header->write, __ATOMIC_ACQUIRE) - read;	/* C */
	uint32_t end = read + (ready < left ? ready : left);

	for (uint32_t n = read; n != end; n++)
		print_frame(n & (header->slots - 1));
	__atomic_store_n(&user->read, end, __ATOMIC_RELEASE);	/* D: the blocks are the card's again */
	return end - read;
}

/* Sleep until a frame is there; false where the device is gone. */
static bool wait_for_frames(void)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };

	__atomic_store_n(&user->flags, ZC_USER_WANT_WAKE, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);	/* E: the flag before `write` */
	if (__atomic_load_n(&header->write, __ATOMIC_ACQUIRE) == user->read)
		poll(&poller, 1, -1);
	__atomic_store_n(&user->flags, 0, __ATOMIC_RELAXED);
	return !(poller.revents & (POLLERR | POLLHUP));
}

int main(int argc, char **argv)
{
	uint32_t left = argc == 4 ? atoi(argv[3]) : 0;

	if (!left)
		return 2;
	open_ring(argv[1], atoi(argv[2]));
	printf("reading queue %u of %s: %u slots\n", header->queue, argv[1], header->slots);
	fflush(stdout);
	while ((left -= read_burst(left)) && wait_for_frames())
		;
	return left != 0;
}
