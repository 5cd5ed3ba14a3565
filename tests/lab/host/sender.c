// SPDX-License-Identifier: GPL-2.0
/*
 * sender PATH FIRST COUNT SIZE RATE: frames to the guest, one a datagram.
 * SIZE 0: random sizes.  RATE in frames a second, 0: as fast as they are taken.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "frame.h"

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
	struct sockaddr_un guest = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct frame_hash hash;
	uint8_t frame[FRAME_MAX];
	double start = now();

	if (argc != 6 || fd < 0)
		return 2;
	strncpy(guest.sun_path, argv[1], sizeof(guest.sun_path) - 1);
	uint32_t first = strtoul(argv[2], NULL, 0), count = strtoul(argv[3], NULL, 0);
	double rate = atof(argv[5]);

	for (uint32_t i = 0; i < count; i++) {
		unsigned int size = frame_size(first + i, atoi(argv[4]));

		frame_make(frame, first + i, size, &hash);
		while (rate > 0 && now() < start + i / rate)
			usleep(200);
		if (sendto(fd, frame, size, 0, (struct sockaddr *)&guest, sizeof(guest)) < 0) {
			perror("sendto");
			return 1;
		}
	}
	printf("%.3f\n", now() - start);
	return 0;
}
