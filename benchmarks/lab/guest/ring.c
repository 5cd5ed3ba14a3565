// SPDX-License-Identifier: GPL-2.0
/*
 * ring INTERFACE WARM_MS WINDOW_MS WORKERS SLOTS FRAMES USECS: PF_ZEROCOPY, a worker
 * for each of the first queues, that maps its ring and is woken after so many frames
 * or microseconds.
 */
#include "zc.h"

#include "load.h"

static struct zc rings[LOAD_WORKERS];

static void work(unsigned int worker, struct load_tally *tally)
{
	struct zc *zc = &rings[worker];
	uint32_t read = READ_ONCE(zc->user->read);

	load_touch(zc->blocks, (size_t)zc->slots * ZC_BLOCK_SIZE);
	for (;;) {
		uint32_t ready = zc_ring_peek(zc->header, read);

		if (!ready) {
			if (zc_wait(zc, read, -1) & (POLLERR | POLLHUP))
				return;
			continue;
		}
		while (ready--) {
			struct zc_desc *desc = &zc->descs[read++ & (zc->slots - 1)];

			load_frame(tally, zc->blocks + desc->offset, desc->len);
		}
		zc_ring_release(zc->user, read);
		load_burst(tally);
	}
}

int main(int argc, char **argv)
{
	struct zc_wake_req wake = { 0 };
	unsigned int workers;

	if (argc != 8)
		return 2;
	workers = atoi(argv[4]);
	if (workers > LOAD_WORKERS)
		return 2;
	wake.frames = atoi(argv[6]);
	wake.usecs = atoi(argv[7]);
	for (unsigned int q = 0; q < workers; q++) {
		rings[q] = zc_open(argv[1], q, ZC_DIR_RX, atoi(argv[5]));
		if (setsockopt(rings[q].fd, SOL_ZEROCOPY, ZC_OPT_WAKE, &wake, sizeof(wake)))
			die("wake");
	}
	return load_run(workers, atoi(argv[2]), atoi(argv[3]), work);
}
