/* SPDX-License-Identifier: GPL-2.0 */
/* plugins/synflood in C: connections that were asked for and never answered; without `drop`. */
#ifndef BENCH_PLUGINS_SYNFLOOD_H
#define BENCH_PLUGINS_SYNFLOOD_H

#include "packet.h"
#include "rows.h"

/* what became of a connection that was asked for */
enum { PHASE_OPEN = 1, PHASE_ANSWERED = 2, PHASE_REFUSED = 3 };

static const int64_t FORGOTTEN_NS = 60000000000, HALF_WINDOW_NS = 30000000000;

struct target_key {
	uint64_t hi, lo;
	uint16_t port;
};

struct target {
	uint32_t tag;
	struct target_key key;
	uint64_t recent, old, window, peak, syns, answers, again, dropped;
	int64_t last_ns;
	uint64_t sources[4];
};

struct asked_key {
	uint64_t src_hi, src_lo, dst_hi, dst_lo;
	uint32_t ports, number;
};

struct asked {
	uint32_t tag;
	struct asked_key key;
	uint64_t window;
	int64_t last_ns;
	uint8_t phase, over, early;
};

static inline uint64_t target_key_hash(const struct target_key *key)
{
	uint64_t words[] = { key->hi, key->lo, key->port };

	return hash_words(words, 3);
}

static inline bool target_key_equal(const struct target_key *a, const struct target_key *b)
{
	return a->lo == b->lo && a->hi == b->hi && a->port == b->port;
}

static inline bool target_ready(const struct target *target, int64_t now)
{
	return now - target->last_ns > FORGOTTEN_NS;
}

static inline int64_t target_rank(const struct target *target)
{
	return target->last_ns;
}

static inline uint64_t asked_key_hash(const struct asked_key *key)
{
	uint64_t words[] = { key->src_hi, key->src_lo, key->dst_hi, key->dst_lo,
			     (uint64_t)key->ports << 32 | key->number };

	return hash_words(words, 5);
}

static inline bool asked_key_equal(const struct asked_key *a, const struct asked_key *b)
{
	return a->src_lo == b->src_lo && a->dst_lo == b->dst_lo && a->ports == b->ports && a->number == b->number &&
	       a->src_hi == b->src_hi && a->dst_hi == b->dst_hi;
}

static inline bool asked_ready(const struct asked *asked, int64_t now)
{
	return asked->over || now - asked->last_ns > FORGOTTEN_NS;
}

static inline int64_t asked_rank(const struct asked *asked)
{
	return asked->last_ns;
}

DEFINE_ROWS(target_rows, target, target_key)
DEFINE_ROWS(asked_rows, asked, asked_key)

struct synflood {
	struct target_rows targets;
	struct asked_rows asked;
	uint64_t latest[1];
};

/* Set the bit of a source address, one of 256 by the upper bits of a hash. */
static inline void mark_source(struct target *target, struct address source)
{
	uint32_t parts[] = { source.hi >> 32, source.hi, source.lo >> 32, source.lo }, mixed = 0;

	for (int i = 0; i < 4; i++) {
		mixed = (mixed ^ parts[i]) * 0x45d9f3bu;
		mixed = (mixed ^ mixed >> 16) * 0x45d9f3bu;
	}
	target->sources[mixed >> 30] |= 1ULL << (mixed >> 24 & 63);
}

/* Bring a row to the present window. */
static inline void turn_target(struct target *target, uint64_t window)
{
	if (target->window >= window)
		return;
	target->old = target->window == window - 1 ? target->recent : 0;
	target->recent = 0;
	target->window = window;
}

/* Take one half-open connection of those counted in that window. */
static inline int take_open(struct target *target, uint64_t window)
{
	uint64_t *from = target->window == window ? &target->recent : target->window == window + 1 ? &target->old : NULL;

	if (!from || !*from)
		return 0;
	--*from;
	return 1;
}

static inline int take_latest(struct target *target)
{
	return take_open(target, target->window) || take_open(target, target->window - 1);
}

/* Count the connection that a SYN asks for. */
static inline void open_connection(struct target *target, struct asked *asked, bool fresh)
{
	bool seen = !fresh && asked->phase != PHASE_REFUSED && asked->window + 1 >= target->window;

	if (seen && asked->early) {
		/* its answer overtook it, and took another one's place */
		target->recent += asked->early - 1;
		asked->early = 0;
		return;
	}
	if (seen && asked->phase == PHASE_OPEN) {
		int taken = take_open(target, asked->window);

		target->recent += taken;
	} else if (!seen) {
		target->recent++;
		asked->phase = PHASE_OPEN;
		asked->over = asked->early = 0;
	}
	target->again += seen;
	asked->window = target->window;
}

/* Ends as the one that asked has them; reply: the packet goes to that one. */
static inline struct asked_key asked_key_make(const struct packet *pkt, bool reply, uint32_t number)
{
	struct address from = packet_address(pkt, reply), to = packet_address(pkt, !reply);
	uint32_t sport = packet_sport(pkt), dport = packet_dport(pkt);

	return (struct asked_key){ from.hi, from.lo, to.hi, to.lo, reply ? dport << 16 | sport : sport << 16 | dport,
				   number };
}

static inline struct target_key target_key_make(const struct packet *pkt, int which)
{
	struct address address = packet_address(pkt, which);

	return (struct target_key){ address.hi, address.lo, which ? packet_dport(pkt) : packet_sport(pkt) };
}

static inline int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static void count_syn(struct synflood *flood, const struct packet *pkt, uint64_t window)
{
	struct target_key target_key = target_key_make(pkt, 1);
	struct asked_key asked_key = asked_key_make(pkt, false, packet_tcp_seq(pkt));
	struct target *target;
	struct asked *asked;
	bool fresh;

	target = target_rows_upsert(&flood->targets, &target_key, target_key_hash(&target_key), pkt->ts, &fresh);
	if (!target)
		return;
	turn_target(target, window);
	target->last_ns = later(target->last_ns, pkt->ts);
	target->syns++;
	asked = asked_rows_upsert(&flood->asked, &asked_key, asked_key_hash(&asked_key), pkt->ts, &fresh);
	if (asked) {
		open_connection(target, asked, fresh);
		asked->last_ns = later(asked->last_ns, pkt->ts);
	} else {
		target->recent++;
	}
	if (target->old + target->recent > target->peak)
		target->peak = target->old + target->recent;
	mark_source(target, packet_address(pkt, 0));
}

/* Take the half-open connection that was answered, or, where its SYN was not seen, the latest. */
static inline void close_connection(struct target *target, struct asked *asked, bool fresh, int phase)
{
	if (fresh)
		asked->early = 1 + take_latest(target);
	else if (asked->phase == PHASE_OPEN)
		take_open(target, asked->window);
	else
		return;
	target->answers++;
	asked->phase = phase;
	asked->over = 1;
	asked->window = target->window;
}

static void count_answer(struct synflood *flood, const struct packet *pkt, uint64_t window)
{
	struct target_key target_key = target_key_make(pkt, 0);
	struct asked_key asked_key = asked_key_make(pkt, true, packet_tcp_ack(pkt) - 1);
	struct target *target = target_rows_find(&flood->targets, &target_key);
	struct asked *asked;
	bool fresh;

	if (!target)
		return;
	turn_target(target, window);
	target->last_ns = later(target->last_ns, pkt->ts);
	asked = asked_rows_upsert(&flood->asked, &asked_key, asked_key_hash(&asked_key), pkt->ts, &fresh);
	if (asked) {
		close_connection(target, asked, fresh,
				 packet_tcp_flags(pkt) & TCP_RST ? PHASE_REFUSED : PHASE_ANSWERED);
		asked->last_ns = later(asked->last_ns, pkt->ts);
	} else {
		take_latest(target);
		target->answers++;
	}
}

/* The RST of the end that asked: its connection is over, answered or not. */
static void count_abort(struct synflood *flood, const struct packet *pkt, uint64_t window)
{
	struct target_key target_key = target_key_make(pkt, 1);
	struct asked_key asked_key = asked_key_make(pkt, false, packet_tcp_seq(pkt) - 1);
	struct asked *asked = asked_rows_find(&flood->asked, &asked_key);
	struct target *target;

	if (!asked)
		return;
	target = target_rows_find(&flood->targets, &target_key);
	if (target && asked->phase == PHASE_OPEN) {
		turn_target(target, window);
		take_open(target, asked->window);
	}
	asked->phase = PHASE_REFUSED;
	asked->over = 1;
}

static inline void synflood_filter(struct synflood *flood, const struct packet *pkt)
{
	uint32_t flags = packet_tcp_flags(pkt), kind = flags & (TCP_SYN | TCP_ACK | TCP_RST);
	uint64_t window;

	if (!(flags & (TCP_SYN | TCP_RST)))
		return;
	window = pkt->ts / HALF_WINDOW_NS;
	if (window > flood->latest[0])
		flood->latest[0] = window;
	if (kind == TCP_SYN)
		count_syn(flood, pkt, window);
	else if (kind == (TCP_SYN | TCP_ACK) || ((flags & (TCP_RST | TCP_ACK)) == (TCP_RST | TCP_ACK) &&
						 packet_tcp_seq(pkt) == 0))
		count_answer(flood, pkt, window);
	else if (flags & TCP_RST)
		count_abort(flood, pkt, window);
}

#endif
