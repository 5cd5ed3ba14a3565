// SPDX-License-Identifier: GPL-2.0
/*
 * unwind INTERFACE: every call that fails leaves the socket as it was, so that
 * the right call succeeds afterwards.
 */
#include "zc.h"

#define SLOTS	64

static void expect(bool good, const char *what)
{
	if (!good)
		die("%s", what);
}

static void refused(int result, int wanted, const char *what)
{
	if (result >= 0 || errno != wanted)
		die("%s: errno %d, not %d", what, errno, wanted);
}

static int option(int fd, int name, const void *value, socklen_t length)
{
	return setsockopt(fd, SOL_ZEROCOPY, name, value, length);
}

static void test_ring(int fd)
{
	struct { struct zc_ring_req req; char more[24]; } ring = { .req.slots = SLOTS };

	refused(zc_slots(fd, 0), EINVAL, "no slots");
	refused(zc_slots(fd, 65), EINVAL, "no power of two");
	refused(zc_slots(fd, 32), EINVAL, "too few");
	refused(zc_slots(fd, 131072), EINVAL, "too many");
	ring.more[23] = 1;
	refused(option(fd, ZC_OPT_RING, &ring, sizeof(ring)), E2BIG, "an unknown extension");
	ring.more[23] = 0;
	expect(!option(fd, ZC_OPT_RING, &ring, sizeof(ring)), "an extension of zeros");
	expect(!option(fd, ZC_OPT_RING, &ring, 4), "a shorter structure");
	refused(option(fd, ZC_OPT_RING, (void *)8, 8), EFAULT, "a bad pointer");
	refused(option(fd, 77, &ring, 8), ENOPROTOOPT, "an unknown option");
	refused(setsockopt(fd, 1000, ZC_OPT_RING, &ring, 8), ENOPROTOOPT, "an unknown level");
}

/* A hole in the middle: the pages before it must be let go. */
static void test_buffer(int fd)
{
	char *blocks = zc_blocks(SLOTS);
	struct zc_buffer_req req = { (uintptr_t)blocks + 1, SLOTS * ZC_BLOCK_SIZE };

	refused(option(fd, ZC_OPT_BUFFER, &req, sizeof(req)), EINVAL, "not page-aligned");
	req = (struct zc_buffer_req){ (uintptr_t)blocks, 100 };
	refused(option(fd, ZC_OPT_BUFFER, &req, sizeof(req)), EINVAL, "no whole pages");
	req = (struct zc_buffer_req){ -4096UL, SLOTS * ZC_BLOCK_SIZE };
	refused(option(fd, ZC_OPT_BUFFER, &req, sizeof(req)), EINVAL, "beyond the end");
	req = (struct zc_buffer_req){ (uintptr_t)blocks, 1UL << 40 };
	refused(option(fd, ZC_OPT_BUFFER, &req, sizeof(req)), EINVAL, "larger than any ring");
	munmap(blocks + 16 * 4096, 4096);
	refused(zc_register(fd, blocks, SLOTS), EFAULT, "a hole");
	mmap(blocks + 16 * 4096, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	refused(zc_register(fd, blocks, SLOTS), EFAULT, "a page that is read-only");
	mprotect(blocks + 16 * 4096, 4096, PROT_READ | PROT_WRITE);
	expect(!zc_register(fd, blocks, SLOTS), "whole again");
	refused(zc_register(fd, blocks, SLOTS), EBUSY, "a second buffer");
}

static void test_bind(int fd, const char *interface)
{
	struct sockaddr_zc address = { .szc_family = zc_family() };
	int other = zc_socket();

	refused(bind(fd, (struct sockaddr *)&address, 8), EINVAL, "a short address");
	refused(bind(fd, (struct sockaddr *)&address, sizeof(address)), ENODEV, "no interface");
	refused(zc_bind(fd, "lo", 0, ZC_DIR_RX), EOPNOTSUPP, "another driver's interface");
	refused(zc_bind(fd, interface, 8, ZC_DIR_RX), ERANGE, "queue 8 of 8");
	refused(zc_bind(fd, interface, 65536, ZC_DIR_RX), ERANGE, "queue 65536");
	refused(zc_bind(fd, interface, 0, 2), EINVAL, "a third direction");
	address.szc_flags = 1;
	refused(bind(fd, (struct sockaddr *)&address, sizeof(address)), EINVAL, "unknown flags");
	refused((int)(long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0), ENXIO, "not bound yet");
	expect(!zc_bind(other, interface, 0, ZC_DIR_RX), "another takes the queue");
	refused(zc_bind(fd, interface, 0, ZC_DIR_RX), EBUSY, "a taken queue");
	close(other);
	zc_slots(fd, 2 * SLOTS);
	refused(zc_bind(fd, interface, 0, ZC_DIR_RX), EINVAL, "a buffer of another size");
	zc_slots(fd, SLOTS);
	expect(!zc_bind(fd, interface, 0, ZC_DIR_RX), "after all that, bind");
	refused(zc_bind(fd, interface, 1, ZC_DIR_RX), EBUSY, "a second bind");
	refused(zc_slots(fd, SLOTS), EBUSY, "another size");
}

static void test_stats(int fd)
{
	unsigned char stats[100];
	socklen_t length = 12;

	memset(stats, 0xee, sizeof(stats));
	expect(!getsockopt(fd, SOL_ZEROCOPY, ZC_OPT_STATS, stats, &length), "stats");
	expect(length == 12 && stats[12] == 0xee, "optlen is honoured");
	length = sizeof(stats);
	expect(!getsockopt(fd, SOL_ZEROCOPY, ZC_OPT_STATS, stats, &length), "stats");
	expect(length == sizeof(struct zc_stats) && stats[length] == 0xee, "no more than there is");
}

int main(int argc, char **argv)
{
	int fd = zc_socket();

	if (argc != 2)
		return 2;
	test_ring(fd);
	test_buffer(fd);
	test_bind(fd, argv[1]);
	test_stats(fd);
	printf("good\n");
	return 0;
}
