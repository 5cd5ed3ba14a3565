// SPDX-License-Identifier: GPL-2.0
/*
 * glance INTERFACE COUNT
 *
 * Looks COUNT times by poll(..., 0) at queue 0, on which nothing comes, with a
 * second of busy polling: who does not want to wait is kept for one pass.
 */
#include "zc.h"

int main(int argc, char **argv)
{
	struct zc_wake_req wake = { .busy_poll_us = 1000000 };
	struct pollfd poller = { .events = POLLIN };
	struct zc zc;

	if (argc != 3)
		return 2;
	zc = zc_open(argv[1], 0, ZC_DIR_RX, 64);
	if (setsockopt(zc.fd, SOL_ZEROCOPY, ZC_OPT_WAKE, &wake, sizeof(wake)))
		die("ZC_OPT_WAKE");
	poller.fd = zc.fd;
	for (int left = atoi(argv[2]); left; left--)
		if (poll(&poller, 1, 0))
			die("something to read");
	return 0;
}
