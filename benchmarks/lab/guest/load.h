/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every contender does with a frame, and how its workers are started,
 * counted and stopped: the same for all of them.
 *
 * A contender opens its sockets, then calls load_run() with the work of one
 * worker.  SIGTERM ends it; it prints one line of JSON: frames and bytes read,
 * and how many of them in the window, which opens `warm_ms` after the first one:
 * until then buffers fill.
 */
#ifndef _BENCH_LOAD_H
#define _BENCH_LOAD_H

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOAD_WORKERS	8
#define LOAD_CACHE_LINE	64
#define LOAD_PAGE	4096

struct load_tally {
	unsigned long frames, bytes, before, in_time, strange;
} __attribute__((aligned(LOAD_CACHE_LINE)));

struct load {
	uint64_t start;		/* when the first frame was seen */
	uint64_t opens, closes;	/* the window, from there */
	struct load_tally tallies[LOAD_WORKERS];
};

static struct load *load;

static inline uint64_t load_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* A frame is looked at, as any program does that captures it. */
static inline void load_frame(struct load_tally *tally, const uint8_t *frame, unsigned int length)
{
	tally->strange += frame[0] != 2 || frame[1] != 0xfe;
	tally->frames++;
	tally->bytes += length;
}

/* After a burst: where in time it was. */
static inline void load_burst(struct load_tally *tally)
{
	uint64_t now = load_now(), none = 0;

	if (!load->start)
		__atomic_compare_exchange_n(&load->start, &none, now, false, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED);
	if (now - load->start < load->opens)
		tally->before = tally->frames;
	else if (now - load->start < load->closes)
		tally->in_time = tally->frames - tally->before;
}

/* Memory that a fork has to map anew: what was not touched yet costs a fault once, and is not what is measured. */
static inline void load_touch(const uint8_t *memory, size_t size)
{
	for (size_t at = 0; at < size; at += LOAD_PAGE)
		(void)*(const volatile uint8_t *)(memory + at);
}

static inline void load_report(unsigned int workers)
{
	struct load_tally sum = { 0 };

	for (unsigned int i = 0; i < workers; i++) {
		sum.frames += load->tallies[i].frames;
		sum.bytes += load->tallies[i].bytes;
		sum.in_time += load->tallies[i].in_time;
		sum.strange += load->tallies[i].strange;
	}
	printf("{\"frames\": %lu, \"bytes\": %lu, \"in_time\": %lu, \"strange\": %lu}\n", sum.frames,
	       sum.bytes, sum.in_time, sum.strange);
}

/* Sleeps until it is told to stop, and costs nothing while frames come. */
static inline int load_run(unsigned int workers, int warm_ms, int window_ms,
			   void (*work)(unsigned int worker, struct load_tally *tally))
{
	pid_t pids[LOAD_WORKERS];
	sigset_t stop;
	int signal;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	load = mmap(NULL, sizeof(*load), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	load->opens = warm_ms * 1000000ULL;
	load->closes = load->opens + window_ms * 1000000ULL;
	for (unsigned int i = 0; i < workers; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			work(i, &load->tallies[i]);
			_exit(1);
		}
	}
	printf("READY\n");
	fflush(stdout);
	sigwait(&stop, &signal);
	for (unsigned int i = 0; i < workers; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	load_report(workers);
	return 0;
}

#endif /* _BENCH_LOAD_H */
