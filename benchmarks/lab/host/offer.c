// SPDX-License-Identifier: GPL-2.0
/*
 * offer SIZE RATE SECONDS: frames to the guest's card at RATE a second, by the
 * connection that is standard input, whether or not they are taken.  SIZE 0:
 * random sizes.  Prints how many were offered and how many were taken.
 *
 * A wire does not wait: a frame that finds no room at its time is gone.  So
 * every contender is offered the same, however slow it is.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "frame.h"

#define FRAMES		4096	/* made once: making one takes longer than sending it */
#define HEAD		4	/* QEMU's stream: a frame's length in network byte order */
#define BURST		64	/* frames a write: a writer that wakes up late catches up */
#define PATIENCE_US	10000000

static uint8_t frames[FRAMES][HEAD + FRAME_MAX];
static unsigned int lengths[FRAMES];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static void make_frames(unsigned int size)
{
	struct frame_hash hash;

	for (uint32_t n = 0; n < FRAMES; n++) {
		unsigned int length = frame_size(n, size);
		uint32_t head = htonl(length);

		memcpy(frames[n], &head, HEAD);
		frame_make(frames[n] + HEAD, n, length, &hash);
		lengths[n] = HEAD + length;
	}
}

/* A frame of which a part went out has to go out whole. */
static void finish(const uint8_t *rest, size_t length)
{
	while (length) {
		ssize_t sent = send(STDIN_FILENO, rest, length, 0);

		if (sent < 0) {
			perror("send");
			exit(1);
		}
		rest += sent;
		length -= sent;
	}
}

/* Whole frames that were taken of @count from number @first on. */
static unsigned int send_burst(unsigned long first, unsigned int count)
{
	uint8_t burst[BURST * (HEAD + FRAME_MAX)];
	size_t length = 0, end = 0;
	unsigned int taken = 0;
	ssize_t sent;

	for (unsigned int i = 0; i < count; i++) {
		unsigned int n = (first + i) % FRAMES;

		memcpy(burst + length, frames[n], lengths[n]);
		length += lengths[n];
	}
	sent = send(STDIN_FILENO, burst, length, MSG_DONTWAIT);
	if (sent < 0 && errno != EAGAIN)
		finish(burst, length);		/* says why */
	for (; sent > (ssize_t)end; taken++)
		end += lengths[(first + taken) % FRAMES];
	if (taken)
		finish(burst + sent, end - sent);
	return taken;
}

/* What is still on its way belongs to this run. */
static void drain(void)
{
	int left = 1;

	for (int waited = 0; left && waited < PATIENCE_US; waited += 1000) {
		ioctl(STDIN_FILENO, SIOCOUTQ, &left);
		usleep(1000);
	}
}

int main(int argc, char **argv)
{
	unsigned long count, sent = 0, taken = 0;
	double start, rate;

	if (argc != 4)
		return 2;
	make_frames(atoi(argv[1]));
	rate = atof(argv[2]);
	count = rate * atof(argv[3]);
	start = now();
	while (sent < count) {
		unsigned long due = (now() - start) * rate + 1;
		unsigned int burst;

		due = due < count ? due : count;
		if (due == sent) {
			usleep(100);
			continue;
		}
		burst = due - sent < BURST ? due - sent : BURST;
		taken += send_burst(sent, burst);
		sent += burst;
	}
	printf("{\"offered\": %lu, \"taken\": %lu, \"seconds\": %.3f}\n", count, taken, now() - start);
	drain();
	return 0;
}
