// SPDX-License-Identifier: GPL-2.0
/*
 * A bare write() loop: frames, each with its address and its length, into a tap.
 *
 * A shared library for ctypes; run() returns how many frames were taken.
 */
#include <stdint.h>
#include <unistd.h>

struct frame {
	const void *data;
	uint64_t length;
};

uint64_t run(int fd, const struct frame *frames, uint64_t n)
{
	uint64_t taken = 0;

	for (uint64_t i = 0; i < n; i++)
		taken += write(fd, frames[i].data, frames[i].length) == (ssize_t)frames[i].length;
	return taken;
}
