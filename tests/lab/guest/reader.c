// SPDX-License-Identifier: GPL-2.0
/*
 * reader INTERFACE QUEUES SLOTS SIZE KEY FIRST COUNT QUIET_MS [KILLS] [HOLD]
 *
 * One process a queue reads frames FIRST..FIRST+COUNT-1 and checks each: every
 * byte, the order in its queue, its Toeplitz hash and type, and that the queue
 * is RETA[hash & 127] of an even table over QUEUES.  The parent kills readers
 * and starts successors KILLS times, every other round with a frame in hand;
 * kills are spread over all frames, which readers leave unread meanwhile.
 * It ends when all frames were read, or, once SIGTERM said that no more are
 * sent, after QUIET_MS without one, and prints one line of JSON.
 * HOLD: 1 where readers wait for SIGUSR1 first.
 */
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "frame.h"
#include "zc.h"

/*
 * A frame's note lies at the frame's place in the order of its queue, in one
 * word.  A reader that dies between note and release leaves the frame to its
 * successor, which writes the same note once more: nothing counts twice.
 */
#define NOTED		(1UL << 32)
#define BAD_BYTES	(1UL << 33)
#define BAD_HASH	(1UL << 34)
#define BAD_QUEUE	(1UL << 35)
#define BAD_DESC	(1UL << 36)

struct shared {
	unsigned long again[ZC_MAX_QUEUES];
	unsigned long changed[ZC_MAX_QUEUES];
	double started[ZC_MAX_QUEUES];
	bool fall[ZC_MAX_QUEUES];
	unsigned long allowed;
	bool hold;
	bool stop;
	uint64_t notes[];
};

static const char *interface;
static unsigned int queues, slots, size, first, count;
static uint8_t key[ZC_RSS_KEY_SIZE];
static struct shared *shared;
static struct zc rings[ZC_MAX_QUEUES];

static double restart_ms;
static volatile sig_atomic_t all_sent;

static void on_term(int number)
{
	all_sent = number;
}

static void on_usr1(int number)
{
	(void)number;
	WRITE_ONCE(shared->hold, false);
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec * 1e-6;
}

/* Number of the frame in this slot, and what is wrong with it. */
static uint64_t judge(const struct zc *zc, unsigned int queue, unsigned int slot)
{
	const struct zc_desc *desc = &zc->descs[slot];
	const uint8_t *frame = zc->blocks + desc->offset;
	uint8_t wanted[FRAME_MAX];
	struct frame_hash hash;
	uint32_t n = frame_number(frame), value;
	uint64_t note = NOTED | n;

	/* The TCP checksums of frame.h are wrong, and the card may say so. */
	if (desc->offset != slot * ZC_BLOCK_SIZE || desc->len != desc->wire_len ||
	    desc->flag_access != ZC_ACCESS_READABLE || !desc->timestamp ||
	    desc->status & ~ZC_STATUS_CSUM_BAD)
		note |= BAD_DESC;
	if (n - first >= count || desc->len != frame_size(n, size))
		return note | BAD_BYTES;
	frame_make(wanted, n, desc->len, &hash);
	if (memcmp(wanted, frame, desc->len))
		note |= BAD_BYTES;
	value = hash.type ? frame_toeplitz(key, &hash) : 0;
	if (desc->rss_hash != value || desc->rss_type != hash.type)
		note |= BAD_HASH;
	if (queue != (hash.type ? (value & 127) % queues : 0))
		note |= BAD_QUEUE;
	return note;
}

static uint64_t *note_of(unsigned int queue, uint32_t read)
{
	return &shared->notes[(size_t)queue * count + read];
}

/* What is noted already, its reader did not live to release. */
static void note(unsigned int queue, uint32_t read, uint64_t value)
{
	uint64_t *place = note_of(queue, read);

	shared->again[queue] += *place != 0;
	shared->changed[queue] += *place && *place != value;
	__atomic_store_n(place, value, __ATOMIC_RELAXED);
}

static unsigned long frames_read(void)
{
	unsigned long sum = 0;

	for (unsigned int q = 0; q < queues; q++)
		sum += READ_ONCE(rings[q].user->read);
	return sum;
}

/* Until the kills that belong to the frames read so far were done; one that is to fall needs a frame for it. */
static void wait_for_kills(unsigned int queue)
{
	while (frames_read() >= READ_ONCE(shared->allowed) && !READ_ONCE(shared->fall[queue]) &&
	       !READ_ONCE(shared->stop))
		usleep(500);
}

/* A successor goes on at `read`: the only thing it has to know. */
static void read_queue(unsigned int queue)
{
	struct zc *zc = &rings[queue];
	uint32_t read = READ_ONCE(zc->user->read);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (READ_ONCE(shared->hold))
		usleep(1000);
	shared->started[queue] = now_ms();
	while (!shared->stop) {
		uint32_t ready = zc_ring_peek(zc->header, read);

		while (ready--) {
			if (read == count)
				die("queue %u: more than %u frames", queue, count);
			wait_for_kills(queue);
			note(queue, read, judge(zc, queue, read & (zc->slots - 1)));
			if (READ_ONCE(shared->fall[queue]))
				raise(SIGKILL);
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

/*
 * Anywhere; or, where @hard, in the worst place, with a frame that is noted and
 * not released, should one come within a thousand sleeps.
 */
static void kill_reader(unsigned int queue, pid_t reader, bool hard)
{
	WRITE_ONCE(shared->fall[queue], hard);
	for (int ms = 0; hard && ms < 1000; ms++) {
		if (waitpid(reader, NULL, WNOHANG) == reader)
			return;
		usleep(1000);
	}
	kill(reader, SIGKILL);
	waitpid(reader, NULL, 0);
}

/* From the death to the first look of the successor at its ring. */
static pid_t replace_reader(unsigned int queue, pid_t reader, bool hard)
{
	double start, took;

	kill_reader(queue, reader, hard);
	start = now_ms();
	WRITE_ONCE(shared->fall[queue], false);
	reader = start_reader(queue);
	while (*(volatile double *)&shared->started[queue] < start)
		usleep(500);
	took = shared->started[queue] - start;
	restart_ms = took > restart_ms ? took : restart_ms;
	return reader;
}

struct tally {
	unsigned long frames, bytes, bad_bytes, bad_hash, bad_queue, bad_order, bad_desc;
	unsigned long again, changed, missing, doubled;
	int last_missing;
};

/* Sum up one queue's notes; `seen` counts each number. */
static void tally_queue(struct tally *t, unsigned int queue, unsigned char *seen)
{
	uint32_t frames = rings[queue].user->read, last = 0;

	for (uint32_t read = 0; read < frames; read++) {
		uint64_t value = *note_of(queue, read);
		uint32_t n = value;

		t->bad_desc += !value || value & BAD_DESC;
		t->bad_hash += !!(value & BAD_HASH);
		t->bad_queue += !!(value & BAD_QUEUE);
		t->bad_order += read && n <= last;
		last = n;
		if (value & BAD_BYTES) {
			t->bad_bytes++;
			continue;
		}
		t->bytes += frame_size(n, size);
		t->doubled += seen[n - first];
		seen[n - first] = 1;
	}
	t->frames += frames;
	t->again += shared->again[queue];
	t->changed += shared->changed[queue];
}

static struct tally tally_all(void)
{
	struct tally t = { .last_missing = -1 };
	unsigned char *seen = calloc(count, 1);

	for (unsigned int q = 0; q < queues; q++)
		tally_queue(&t, q, seen);
	for (unsigned int i = 0; i < count; i++) {
		if (!seen[i]) {
			t.missing++;
			t.last_missing = first + i;
		}
	}
	free(seen);
	return t;
}

static struct zc_stats stats_of_all(void)
{
	struct zc_stats all = { 0 };

	for (unsigned int q = 0; q < queues; q++) {
		struct zc_stats stats;
		socklen_t length = sizeof(stats);

		if (getsockopt(rings[q].fd, SOL_ZEROCOPY, ZC_OPT_STATS, &stats, &length))
			die("stats");
		all.arrived += stats.arrived;
		all.published += stats.published;
		all.arrived_bytes += stats.arrived_bytes;
		all.nic_drop += stats.nic_drop;
		all.ring_full += stats.ring_full;
		all.wakeups += stats.wakeups;
	}
	return all;
}

static void report(unsigned int kills)
{
	struct tally t = tally_all();
	struct zc_stats all = stats_of_all();

	printf("{\"queues\": [");
	for (unsigned int q = 0; q < queues; q++)
		printf("%s%u", q ? ", " : "", rings[q].user->read);
	printf("], \"last_missing\": %d, \"restart_ms\": %.1f, ", t.last_missing, restart_ms);
	printf("\"frames\": %lu, \"bytes\": %lu, \"missing\": %lu, \"doubled\": %lu, "
	       "\"again\": %lu, \"changed\": %lu, \"kills\": %u, ", t.frames, t.bytes, t.missing,
	       t.doubled, t.again, t.changed, kills);
	printf("\"bad_bytes\": %lu, \"bad_hash\": %lu, \"bad_queue\": %lu, \"bad_order\": %lu, "
	       "\"bad_desc\": %lu, ", t.bad_bytes, t.bad_hash, t.bad_queue, t.bad_order, t.bad_desc);
	printf("\"arrived\": %llu, \"arrived_bytes\": %llu, \"published\": %llu, "
	       "\"nic_drop\": %llu, \"ring_full\": %llu, \"wakeups\": %llu}\n",
	       (unsigned long long)all.arrived, (unsigned long long)all.arrived_bytes,
	       (unsigned long long)all.published, (unsigned long long)all.nic_drop,
	       (unsigned long long)all.ring_full, (unsigned long long)all.wakeups);
}

static void parse_key(const char *text)
{
	for (unsigned int i = 0; i < ZC_RSS_KEY_SIZE; i++)
		key[i] = strtoul(text + 3 * i, NULL, 16);
}

/* This queue, or the next one in which a frame waits: others may have none left. */
static unsigned int with_frames(unsigned int queue)
{
	for (unsigned int n = 0; n < queues; n++) {
		unsigned int q = (queue + n) % queues;

		if (zc_ring_peek(rings[q].header, READ_ONCE(rings[q].user->read)))
			return q;
	}
	return queue;
}

/* Kills at even distances in the frames, then waits for the rest. */
static unsigned int supervise(pid_t *readers, unsigned int kills, int quiet_ms)
{
	unsigned int killed = 0, step = count / (kills + 1);
	unsigned long before = 0;
	int quiet = 0;

	while (frames_read() < count && quiet < quiet_ms) {
		unsigned long now = frames_read();

		usleep(10000);
		quiet = all_sent && now == before ? quiet + 10 : 0;
		if (killed < kills && now >= (killed + 1UL) * step) {
			bool hard = killed / queues % 2;
			unsigned int q = hard ? with_frames(killed % queues) : killed % queues;

			readers[q] = replace_reader(q, readers[q], hard);
			killed++;
			WRITE_ONCE(shared->allowed, killed < kills ? (killed + 2UL) * step : ULONG_MAX);
		}
		before = now;
	}
	return killed;
}

int main(int argc, char **argv)
{
	pid_t readers[ZC_MAX_QUEUES];
	unsigned int kills;

	if (argc < 9)
		return 2;
	interface = argv[1];
	queues = atoi(argv[2]);
	slots = atoi(argv[3]);
	size = atoi(argv[4]);
	parse_key(argv[5]);
	first = atoi(argv[6]);
	count = atoi(argv[7]);
	kills = argc > 9 ? atoi(argv[9]) : 0;
	shared = mmap(NULL, sizeof(*shared) + (size_t)queues * count * sizeof(uint64_t),
		      PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("notes of %u frames", count);
	shared->hold = argc > 10 && atoi(argv[10]);
	shared->allowed = kills ? 2UL * (count / (kills + 1)) : ULONG_MAX;
	signal(SIGTERM, on_term);
	signal(SIGUSR1, on_usr1);
	for (unsigned int q = 0; q < queues; q++)
		rings[q] = zc_open(interface, q, ZC_DIR_RX, slots);
	for (unsigned int q = 0; q < queues; q++)
		readers[q] = start_reader(q);
	printf("READY\n");
	fflush(stdout);
	kills = supervise(readers, kills, atoi(argv[8]));
	shared->stop = true;
	for (unsigned int q = 0; q < queues; q++)
		waitpid(readers[q], NULL, 0);
	report(kills);
	return 0;
}
