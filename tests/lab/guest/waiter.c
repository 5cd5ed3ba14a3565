// SPDX-License-Identifier: GPL-2.0
/*
 * waiter INTERFACE BUFFER SLOTS FRAMES USECS BUSY_US COUNT HOLD LOT
 *
 * Reads frames 0..COUNT-1 from queue 0, to which the RETA sends everything,
 * and counts how it was woken.  BUFFER: "own" memory, "kernel" memory by
 * ZC_PGOFF_BUFFER, or "huge" pages.  FRAMES, USECS, BUSY_US: ZC_OPT_WAKE.
 * HOLD: 1: reads nothing before all of them lie in the ring.  LOT: says
 * DRAINED before it sleeps, at the start and when so many more were read.
 */
#include <time.h>

#include "frame.h"
#include "zc.h"

#define PATIENCE_MS	60000

static struct zc_wake_req wake;
static double woken;	/* start of the last sleep that a wake-up ended */
static unsigned int count, lot, bad, sleeps, unwoken, early, timeouts;

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec * 1e-6;
}

static void *huge_blocks(unsigned int slots)
{
	void *blocks = mmap(NULL, (size_t)slots * ZC_BLOCK_SIZE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	if (blocks == MAP_FAILED)
		die("huge pages for %u slots", slots);
	return blocks;
}

static struct zc open_ring(const char *interface, const char *buffer, unsigned int slots)
{
	struct zc zc = { .fd = zc_socket(), .slots = slots };
	bool kernel = !strcmp(buffer, "kernel");

	if (zc.fd < 0 || zc_slots(zc.fd, slots))
		die("%u slots", slots);
	if (!kernel) {
		zc.blocks = strcmp(buffer, "huge") ? zc_blocks(slots) : huge_blocks(slots);
		if (zc_register(zc.fd, zc.blocks, slots))
			die("User Buffer");
	}
	if (zc_bind(zc.fd, interface, 0, ZC_DIR_RX))
		die("bind to %s", interface);
	zc_map(&zc);
	if (kernel) {
		zc.blocks = mmap(NULL, (size_t)slots * ZC_BLOCK_SIZE, PROT_READ, MAP_SHARED, zc.fd,
				 ZC_PGOFF_BUFFER);
		if (zc.blocks == MAP_FAILED)
			die("mmap of the kernel's buffer");
	}
	return zc;
}

static void check(const struct zc *zc, unsigned int n)
{
	const struct zc_desc *desc = &zc->descs[n & (zc->slots - 1)];
	uint8_t wanted[FRAME_MAX];
	struct frame_hash hash;
	unsigned int size = frame_size(n, 0);

	frame_make(wanted, n, size, &hash);
	bad += desc->len != size || memcmp(zc->blocks + desc->offset, wanted, size);
}

/* What the last lot was for is done: the next one may come. */
static void announce(unsigned int read)
{
	static unsigned int next;

	if (lot && read == next) {
		printf("DRAINED\n");
		fflush(stdout);
		next += lot;
	}
}

/* Woken for fewer frames than are enough: no timer that was started since can have run. */
static bool too_early(const struct zc *zc, unsigned int read, double since)
{
	return zc_ring_peek(zc->header, read) < wake.frames &&
	       now_ms() - since < wake.usecs / 2000.0;
}

/* How poll() ended tells whether somebody woke us, a frame was there already, or we gave up. */
static void sleep_until_woken(struct zc *zc, unsigned int read)
{
	struct pollfd poller = { .fd = zc->fd, .events = POLLIN };

	announce(read);
	if (zc_ring_may_sleep(zc->header, zc->user, read)) {
		unsigned long long before = READ_ONCE(zc->header->wakeups);
		double start = now_ms();

		sleeps++;
		timeouts += poll(&poller, 1, PATIENCE_MS) == 0;
		if (READ_ONCE(zc->header->wakeups) == before) {
			unwoken++;
		} else {
			early += too_early(zc, read, woken);
			woken = start;
		}
	}
	zc_ring_awake(zc->user);
}

static void read_all(struct zc *zc)
{
	unsigned int read = 0;

	while (read < count && !timeouts) {
		unsigned int ready = zc_ring_peek(zc->header, read);

		while (ready--) {
			check(zc, read);
			zc_ring_release(zc->user, ++read);
		}
		if (read < count)
			sleep_until_woken(zc, read);
	}
}

int main(int argc, char **argv)
{
	unsigned int unread;
	double start;
	struct zc zc;

	if (argc != 10)
		return 2;
	count = atoi(argv[7]);
	lot = atoi(argv[9]);
	zc = open_ring(argv[1], argv[2], atoi(argv[3]));
	wake.frames = atoi(argv[4]);
	wake.usecs = atoi(argv[5]);
	wake.busy_poll_us = atoi(argv[6]);
	if (setsockopt(zc.fd, SOL_ZEROCOPY, ZC_OPT_WAKE, &wake, sizeof(wake)))
		die("ZC_OPT_WAKE");
	printf("READY\n");
	fflush(stdout);
	start = now_ms();
	woken = start;
	for (int ms = 0; atoi(argv[8]) && zc.header->write < count && ms < 60000; ms += 10)
		usleep(10000);
	unread = zc.header->write;
	read_all(&zc);
	printf("{\"bad\": %u, \"sleeps\": %u, \"unwoken\": %u, \"early\": %u, \"timeouts\": %u, \"unread\": %u, "
	       "\"wakeups\": %llu, \"read\": %u, \"ring_full\": %llu, \"ms\": %.0f}\n", bad, sleeps,
	       unwoken, early, timeouts, unread, (unsigned long long)zc.header->wakeups, zc.user->read,
	       (unsigned long long)zc.header->ring_full, now_ms() - start);
	return 0;
}
