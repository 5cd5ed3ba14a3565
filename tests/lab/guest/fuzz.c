// SPDX-License-Identifier: GPL-2.0
/*
 * fuzz INTERFACE SECONDS SEED: the supervisor opens eight receive rings and
 * four transmit rings, and hands them to workers without any capability that
 * do whatever a worker can, at random.
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "zc.h"

#define RX	8
#define TX	4
#define RINGS	(RX + TX)
#define SLOTS	256
#define NOBODY	65534
#define LEAST	10000

static struct zc rings[RINGS];
static unsigned int state, *steps;
static time_t end;

static unsigned int roll(unsigned int sides)
{
	state = state * 1664525 + 1013904223;
	return (state >> 8) % sides;
}

static void scribble(struct zc *zc)
{
	unsigned char *page = (unsigned char *)zc->user;
	unsigned int size = zc->header->user_size;

	for (unsigned int i = roll(64); i; i--)
		page[roll(size)] = roll(256);
}

/* Half true: what the kernel believes in part is worth more than noise. */
static void nudge(struct zc *zc)
{
	zc_ring_release(zc->user, zc->header->write - roll(3));
	zc->user->write = zc->header->write + roll(SLOTS + 2);
	for (unsigned int i = 0; zc->header->direction == ZC_DIR_TX && i < SLOTS; i++)
		zc->offers[i] = (struct zc_tx_desc){ roll(2) ? roll(SLOTS) * ZC_BLOCK_SIZE : state,
						     roll(2000), roll(8) == 0, state };
	send(zc->fd, NULL, 0, MSG_DONTWAIT);
}

static void ask(struct zc *zc)
{
	unsigned char value[256];
	socklen_t length = roll(sizeof(value));

	for (unsigned int i = 0; i < sizeof(value); i++)
		value[i] = roll(4) ? 0 : roll(256);
	if (roll(2))
		setsockopt(zc->fd, SOL_ZEROCOPY, roll(6), roll(20) ? value : (void *)1, length);
	else
		getsockopt(zc->fd, SOL_ZEROCOPY, roll(6), roll(20) ? value : (void *)1, &length);
}

static void wait_or_move(struct zc *zc)
{
	struct pollfd poller = { .fd = zc->fd, .events = roll(65536) };
	static char frame[1600];

	switch (roll(6)) {
	case 0:
		poll(&poller, 1, roll(2));
		break;
	case 1:
		recv(zc->fd, frame, roll(sizeof(frame)), MSG_DONTWAIT | (roll(2) ? MSG_PEEK : 0));
		break;
	case 2:
		send(zc->fd, frame, roll(sizeof(frame)), MSG_DONTWAIT);
		break;
	case 3:
		bind(zc->fd, (void *)frame, roll(40));
		break;
	case 4:
		shutdown(zc->fd, roll(3));
		break;
	default:
		close(dup(zc->fd));
	}
}

static void remap(struct zc *zc)
{
	static const unsigned long offsets[] = { ZC_PGOFF_RING, ZC_PGOFF_USER, ZC_PGOFF_BUFFER };
	size_t size = (1 + roll(40)) * 4096;
	char *at = mmap(NULL, size, roll(4), roll(2) ? MAP_SHARED : MAP_PRIVATE, zc->fd,
			offsets[roll(3)] + roll(3) * 4096);

	if (at != MAP_FAILED) {
		mprotect(at, size, roll(8));
		madvise(at, size, roll(24));
		mremap(at, size, size + 4096, MREMAP_MAYMOVE);
		munmap(at, size);
	}
	if (!roll(50))
		madvise(zc->blocks, SLOTS * ZC_BLOCK_SIZE, MADV_DONTNEED);
	if (!roll(200))
		munmap(zc->blocks, SLOTS * ZC_BLOCK_SIZE);
}

/* Steps that all workers took; a slow guest goes on for as many as are worth something. */
static bool done(void)
{
	return time(NULL) >= end && READ_ONCE(*steps) >= LEAST;
}

/* A step may be a second of busy polling, and a round then minutes: time ends it, too. */
static void worker(unsigned int seed)
{
	state = seed;
	if (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
		_exit(1);
	for (unsigned int step = 0; step < 3000 && !done(); step++) {
		struct zc *zc = &rings[roll(RINGS)];

		__atomic_fetch_add(steps, 1, __ATOMIC_RELAXED);
		switch (roll(6)) {
		case 0:
			scribble(zc);
			break;
		case 1:
		case 2:
			nudge(zc);
			break;
		case 3:
			ask(zc);
			break;
		case 4:
			wait_or_move(zc);
			break;
		default:
			remap(zc);
		}
		if (!roll(2000) && !fork())
			_exit(0);
	}
	for (unsigned int i = 0; i < RINGS; i++)
		close(rings[(i + seed) % RINGS].fd);
	_exit(0);
}

static void open_all(const char *interface)
{
	for (unsigned int i = 0; i < RINGS; i++)
		rings[i] = i < RX ? zc_open(interface, i, ZC_DIR_RX, SLOTS) :
				    zc_open(interface, i - RX, ZC_DIR_TX, SLOTS);
}

static void close_all(void)
{
	for (unsigned int i = 0; i < RINGS; i++) {
		munmap(rings[i].user, rings[i].header->user_size);
		munmap(rings[i].header, 4096 + SLOTS * sizeof(struct zc_desc));
		munmap(rings[i].blocks, SLOTS * ZC_BLOCK_SIZE);
		close(rings[i].fd);
	}
}

int main(int argc, char **argv)
{
	unsigned int seed, rounds = 0;

	if (argc != 4)
		return 2;
	seed = atoi(argv[3]);
	steps = mmap(NULL, sizeof(*steps), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (steps == MAP_FAILED)
		die("steps");
	end = time(NULL) + atoi(argv[2]);
	signal(SIGPIPE, SIG_IGN);
	/* A worker's child may outlive it, and holds its rings: waited for, too, before they are opened anew. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	printf("READY\n");
	fflush(stdout);
	while (!done()) {
		open_all(argv[1]);
		for (unsigned int i = 0; i < 4; i++, seed++)
			if (!fork())
				worker(seed);
		while (wait(NULL) > 0)
			;
		close_all();
		rounds++;
	}
	printf("%u rounds, %u steps\n", rounds, *steps);
	return 0;
}
