// SPDX-License-Identifier: GPL-2.0
/* holder INTERFACE [QUEUES]: bind rings, map them, and wait to be killed. */
#include "zc.h"

int main(int argc, char **argv)
{
	unsigned int queues = argc > 2 ? atoi(argv[2]) : 1;

	if (argc < 2)
		return 2;
	for (unsigned int q = 0; q < queues; q++)
		zc_open(argv[1], q, ZC_DIR_RX, 1024);
	printf("READY\n");
	fflush(stdout);
	for (;;)
		pause();
}
