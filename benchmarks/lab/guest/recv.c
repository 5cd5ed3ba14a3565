// SPDX-License-Identifier: GPL-2.0
/* recv INTERFACE WARM_MS WINDOW_MS SLOTS FRAMES USECS: PF_ZEROCOPY by recv(), with a copy and a system call a frame. */
#include "zc.h"

#include "load.h"

static int sockets[LOAD_WORKERS];

static void work(unsigned int worker, struct load_tally *tally)
{
	uint8_t frame[ZC_BLOCK_SIZE];

	for (;;) {
		ssize_t length = recv(sockets[worker], frame, sizeof(frame), 0);

		if (length < 0)
			return;
		load_frame(tally, frame, length);
		load_burst(tally);
	}
}

int main(int argc, char **argv)
{
	struct zc_wake_req wake = { 0 };

	if (argc != 7)
		return 2;
	wake.frames = atoi(argv[5]);
	wake.usecs = atoi(argv[6]);
	for (unsigned int q = 0; q < LOAD_WORKERS; q++) {
		sockets[q] = zc_socket();
		if (sockets[q] < 0 || zc_slots(sockets[q], atoi(argv[4])) ||
		    setsockopt(sockets[q], SOL_ZEROCOPY, ZC_OPT_WAKE, &wake, sizeof(wake)) ||
		    zc_bind(sockets[q], argv[1], q, ZC_DIR_RX))
			die("%s, queue %u", argv[1], q);
	}
	return load_run(LOAD_WORKERS, atoi(argv[2]), atoi(argv[3]), work);
}
