// SPDX-License-Identifier: GPL-2.0
/*
 * receiver PATH COUNT SIZE: frames from the guest; says READY, then how many
 * of the frames 0..COUNT-1 came, in order and right in every byte.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "frame.h"

int main(int argc, char **argv)
{
	struct sockaddr_un here = { .sun_family = AF_UNIX };
	struct pollfd poller = { .fd = socket(AF_UNIX, SOCK_DGRAM, 0), .events = POLLIN };
	uint8_t frame[2048], wanted[FRAME_MAX];
	uint32_t count, good = 0;
	struct frame_hash hash;

	if (argc != 4)
		return 2;
	strncpy(here.sun_path, argv[1], sizeof(here.sun_path) - 1);
	unlink(argv[1]);
	if (bind(poller.fd, (struct sockaddr *)&here, sizeof(here)))
		return 1;
	printf("READY\n");
	fflush(stdout);
	count = strtoul(argv[2], NULL, 0);
	while (good < count && poll(&poller, 1, 20000) == 1) {
		unsigned int size = frame_size(good, atoi(argv[3]));
		ssize_t got = read(poller.fd, frame, sizeof(frame));

		if (got < 2 || frame[0] != 2 || frame[1] != 0xfe)
			continue;	/* not of ours */
		frame_make(wanted, good, size, &hash);
		if (got != (ssize_t)size || memcmp(frame, wanted, size)) {
			printf("frame %u is wrong: %zd bytes, number %u\n", good, got,
			       frame_number(frame));
			return 1;
		}
		good++;
	}
	printf("%u\n", good);
	return good != count;
}
