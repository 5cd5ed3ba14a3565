// SPDX-License-Identifier: GPL-2.0
/*
 * transmit INTERFACE QUEUE COUNT SIZE ring|plain|idle: frames 0..COUNT-1 out.
 *
 * ring: blocks are filled in place, offered in bursts, one kick each; every
 * completion is checked.  plain: send(), as any program does it.  idle: asks
 * COUNT times whether there is room, and sends nothing.
 */
#include "frame.h"
#include "zc.h"

#define SLOTS	256
#define BURST	32
#define BUSY_US	100000

static void fill(struct zc *zc, uint32_t n, unsigned int size)
{
	unsigned int slot = n % SLOTS;
	/* Anywhere in the block, and not in the slot's own one. */
	unsigned int offset = (SLOTS - 1 - slot) * ZC_BLOCK_SIZE + n % 8 * 66;
	struct frame_hash hash;

	frame_make(zc->blocks + offset, n, size, &hash);
	zc->offers[slot] = (struct zc_tx_desc){
		.offset = offset,
		.len = size,
		.cookie = n,
	};
}

/* Take what is complete; every completion says that its frame was sent. */
static uint32_t take(struct zc *zc, uint32_t read)
{
	uint32_t ready = zc_ring_peek(zc->header, read);

	while (ready--) {
		const struct zc_desc *done = &zc->descs[read % SLOTS];

		if (done->status || done->flag_access != ZC_ACCESS_READABLE || !done->timestamp) {
			printf("completion %u: status %#x\n", read, done->status);
			exit(1);
		}
		read++;
	}
	zc_ring_release(zc->user, read);
	return read;
}

static void send_ring(const char *interface, unsigned int queue, uint32_t count, unsigned int wanted)
{
	struct zc zc = zc_open(interface, queue, ZC_DIR_TX, SLOTS);
	struct pollfd poller = { .fd = zc.fd, .events = POLLOUT };
	uint32_t write = 0, read = 0;

	while (read < count) {
		unsigned int burst = 0;

		while (write < count && write - read < SLOTS && burst++ < BURST) {
			fill(&zc, write, frame_size(write, wanted));
			write++;
		}
		__atomic_store_n(&zc.user->write, write, __ATOMIC_RELEASE);
		if (burst && send(zc.fd, NULL, 0, 0))
			die("kick");
		if (zc_ring_may_sleep(zc.header, zc.user, read) && write - read == SLOTS)
			if (poll(&poller, 1, 5000) != 1)
				die("completions after %u frames", read);
		zc_ring_awake(zc.user);
		read = take(&zc, read);
	}
}

static void send_plain(const char *interface, unsigned int queue, uint32_t count,
		       unsigned int wanted)
{
	struct frame_hash hash;
	uint8_t frame[FRAME_MAX];
	int fd = zc_socket();

	if (zc_bind(fd, interface, queue, ZC_DIR_TX))
		die("bind");
	for (uint32_t n = 0; n < count; n++) {
		unsigned int size = frame_size(n, wanted);

		frame_make(frame, n, size, &hash);
		if (send(fd, frame, size, 0) != (ssize_t)size)
			die("send of frame %u", n);
	}
	usleep(500000);		/* closing the socket stops the queue */
}

/* There is room: poll() has nothing to wait for, long as it may busy-poll. */
static void send_none(const char *interface, unsigned int queue, uint32_t count)
{
	struct zc zc = zc_open(interface, queue, ZC_DIR_TX, SLOTS);
	struct pollfd poller = { .fd = zc.fd, .events = POLLOUT };
	struct zc_wake_req wake = { .busy_poll_us = BUSY_US };

	if (setsockopt(zc.fd, SOL_ZEROCOPY, ZC_OPT_WAKE, &wake, sizeof(wake)))
		die("ZC_OPT_WAKE");
	while (count--)
		if (poll(&poller, 1, 0) != 1 || poller.revents != POLLOUT)
			die("room");
}

int main(int argc, char **argv)
{
	if (argc < 6)
		return 2;
	if (!strcmp(argv[5], "ring"))
		send_ring(argv[1], atoi(argv[2]), atoi(argv[3]), atoi(argv[4]));
	else if (!strcmp(argv[5], "idle"))
		send_none(argv[1], atoi(argv[2]), atoi(argv[3]));
	else
		send_plain(argv[1], atoi(argv[2]), atoi(argv[3]), atoi(argv[4]));
	return 0;
}
