// SPDX-License-Identifier: GPL-2.0
/*
 * reader INTERFACE QUEUES SLOTS SIZE KEY FIRST COUNT QUIET_MS [KILLS] [HOLD_MS]
 *
 * One process a queue reads frames FIRST..FIRST+COUNT-1 and checks each: every
 * byte, the order in its queue, its Toeplitz hash and type, and that the queue
 * is RETA[hash & 127] of an even table.  The parent kills readers and starts
 * successors KILLS times.  It ends when all frames were seen, or after QUIET_MS
 * without one, and prints one line of JSON.  HOLD_MS: readers sleep first.
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "frame.h"
#include "zc.h"

struct tally {
	unsigned long frames, bytes, bad_bytes, bad_hash, bad_queue, bad_order, bad_desc;
	uint32_t last;
	bool any;
};

struct shared {
	struct tally tallies[ZC_MAX_QUEUES];
	double started[ZC_MAX_QUEUES];
	bool stop;
	unsigned char seen[];
};

static const char *interface;
static unsigned int queues, slots, size, first, count, hold_ms;
static uint8_t key[ZC_RSS_KEY_SIZE];
static struct shared *shared;
static struct zc rings[ZC_MAX_QUEUES];

static double restart_ms;

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec * 1e-6;
}

static void check(struct zc *zc, unsigned int queue, const struct zc_desc *desc, unsigned int slot)
{
	struct tally *t = &shared->tallies[queue];
	const uint8_t *frame = zc->blocks + desc->offset;
	uint8_t wanted[FRAME_MAX];
	struct frame_hash hash;
	uint32_t n = frame_number(frame), value;

	/* The TCP checksums of frame.h are wrong, and the card may say so. */
	if (desc->offset != slot * ZC_BLOCK_SIZE || desc->len != desc->wire_len ||
	    desc->flag_access != ZC_ACCESS_READABLE || !desc->timestamp ||
	    desc->status & ~ZC_STATUS_CSUM_BAD)
		t->bad_desc++;
	if (n - first >= count || desc->len != frame_size(n, size)) {
		t->bad_bytes++;
		return;
	}
	frame_make(wanted, n, desc->len, &hash);
	t->bad_bytes += memcmp(wanted, frame, desc->len) != 0;
	value = hash.type ? frame_toeplitz(key, &hash) : 0;
	t->bad_hash += desc->rss_hash != value || desc->rss_type != hash.type;
	t->bad_queue += queue != (hash.type ? (value & 127) % 8 : 0);
	t->bad_order += t->any && n <= t->last && shared->seen[n - first] == 0;
	t->last = n;
	t->any = true;
	t->frames++;
	t->bytes += desc->len;
	if (shared->seen[n - first] < 255)
		shared->seen[n - first]++;
}

/* A successor goes on at `read`: the only thing it has to know. */
static void read_queue(unsigned int queue)
{
	struct zc *zc = &rings[queue];
	uint32_t read = READ_ONCE(zc->user->read);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (hold_ms)
		usleep(hold_ms * 1000);
	shared->started[queue] = now_ms();
	while (!shared->stop) {
		uint32_t ready = zc_ring_peek(zc->header, read);

		while (ready--) {
			unsigned int slot = read & (zc->slots - 1);

			check(zc, queue, &zc->descs[slot], slot);
			zc_ring_release(zc->user, ++read);
		}
		if (zc_wait(zc, read, 100) & (POLLERR | POLLHUP))
			break;
	}
	_exit(0);
}

static pid_t start_reader(unsigned int queue)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (!pid)
		read_queue(queue);
	return pid;
}

/* From the kill to the first look of the successor at its ring. */
static pid_t replace_reader(unsigned int queue, pid_t reader)
{
	double start = now_ms(), took;

	kill(reader, SIGKILL);
	waitpid(reader, NULL, 0);
	reader = start_reader(queue);
	while (*(volatile double *)&shared->started[queue] < start)
		usleep(500);
	took = shared->started[queue] - start;
	restart_ms = took > restart_ms ? took : restart_ms;
	return reader;
}

static unsigned long frames_seen(void)
{
	unsigned long sum = 0;

	for (unsigned int q = 0; q < queues; q++)
		sum += shared->tallies[q].frames;
	return sum;
}

static unsigned int missing(void)
{
	unsigned int lost = 0;

	for (unsigned int i = 0; i < count; i++)
		lost += !shared->seen[i];
	return lost;
}

static void report(unsigned int kills)
{
	struct tally sum = { 0 };
	unsigned int doubled = 0, lost = 0;
	int last_missing = -1;
	struct zc_stats stats, all = { 0 };

	for (unsigned int i = 0; i < count; i++) {
		if (!shared->seen[i]) {
			lost++;
			last_missing = first + i;
		}
		doubled += shared->seen[i] > 1 ? shared->seen[i] - 1 : 0;
	}
	printf("{\"queues\": [");
	for (unsigned int q = 0; q < queues; q++) {
		struct tally *t = &shared->tallies[q];
		socklen_t length = sizeof(stats);

		printf("%s%lu", q ? ", " : "", t->frames);
		sum.frames += t->frames;
		sum.bytes += t->bytes;
		sum.bad_bytes += t->bad_bytes;
		sum.bad_hash += t->bad_hash;
		sum.bad_queue += t->bad_queue;
		sum.bad_order += t->bad_order;
		sum.bad_desc += t->bad_desc;
		if (getsockopt(rings[q].fd, SOL_ZEROCOPY, ZC_OPT_STATS, &stats, &length))
			die("stats");
		all.arrived += stats.arrived;
		all.published += stats.published;
		all.arrived_bytes += stats.arrived_bytes;
		all.nic_drop += stats.nic_drop;
		all.ring_full += stats.ring_full;
		all.wakeups += stats.wakeups;
	}
	printf("], \"last_missing\": %d, \"restart_ms\": %.1f, ", last_missing, restart_ms);
	printf("\"frames\": %lu, \"bytes\": %lu, \"missing\": %u, \"doubled\": %u, \"kills\": %u, "
	       "\"bad_bytes\": %lu, \"bad_hash\": %lu, \"bad_queue\": %lu, \"bad_order\": %lu, "
	       "\"bad_desc\": %lu, \"arrived\": %llu, \"arrived_bytes\": %llu, \"published\": %llu, "
	       "\"nic_drop\": %llu, \"ring_full\": %llu, \"wakeups\": %llu}\n",
	       sum.frames, sum.bytes, lost, doubled, kills, sum.bad_bytes, sum.bad_hash,
	       sum.bad_queue, sum.bad_order, sum.bad_desc, (unsigned long long)all.arrived,
	       (unsigned long long)all.arrived_bytes, (unsigned long long)all.published,
	       (unsigned long long)all.nic_drop, (unsigned long long)all.ring_full,
	       (unsigned long long)all.wakeups);
}

static void parse_key(const char *text)
{
	for (unsigned int i = 0; i < ZC_RSS_KEY_SIZE; i++)
		key[i] = strtoul(text + 3 * i, NULL, 16);
}

/* Kills while frames come, then waits for the rest. */
static unsigned int supervise(pid_t *readers, unsigned int kills, int quiet_ms)
{
	unsigned int killed = 0;
	unsigned long before = 0;
	int quiet = 0;

	while (missing() && quiet < quiet_ms) {
		unsigned long now = frames_seen();

		usleep(10000);
		quiet = now == before ? quiet + 10 : 0;
		if (killed < kills && now != before) {
			unsigned int q = killed++ % queues;

			readers[q] = replace_reader(q, readers[q]);
		}
		before = now;
	}
	return killed;
}

int main(int argc, char **argv)
{
	pid_t readers[ZC_MAX_QUEUES];
	unsigned int killed;

	if (argc < 9)
		return 2;
	interface = argv[1];
	queues = atoi(argv[2]);
	slots = atoi(argv[3]);
	size = atoi(argv[4]);
	parse_key(argv[5]);
	first = atoi(argv[6]);
	count = atoi(argv[7]);
	hold_ms = argc > 10 ? atoi(argv[10]) : 0;
	shared = mmap(NULL, sizeof(*shared) + count, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (unsigned int q = 0; q < queues; q++)
		rings[q] = zc_open(interface, q, ZC_DIR_RX, slots);
	for (unsigned int q = 0; q < queues; q++)
		readers[q] = start_reader(q);
	printf("READY\n");
	fflush(stdout);
	killed = supervise(readers, argc > 9 ? atoi(argv[9]) : 0, atoi(argv[8]));
	shared->stop = true;
	for (unsigned int q = 0; q < queues; q++)
		waitpid(readers[q], NULL, 0);
	report(killed);
	return 0;
}
