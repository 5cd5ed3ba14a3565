/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Bidirectional flows in an open-addressing table: linear probing, a power of
 * two slots, doubled when half full.  The key stands in the slot, so that a hit
 * costs one or two cache lines.
 */
#ifndef BENCH_FLOW_TABLE_H
#define BENCH_FLOW_TABLE_H

#include <stdio.h>
#include <stdlib.h>

#include "packet.h"

enum { SEEN_FORWARD = 1, SEEN_BACKWARD = 2 };

/* Ends a and b in ascending order of (address, port), the words compared as they were loaded. */
struct flow_key {
	struct address a, b;
	uint16_t a_port, b_port;	/* in wire order */
	uint8_t version, proto;		/* version 0: a free slot */
};

struct flow {
	struct flow_key key;
	uint8_t tcp_flags;
	uint8_t seen;
	uint64_t packets, bytes, first_ns, last_ns;
};

struct flow_table {
	struct flow *slots;
	uint64_t mask, count;
};

static inline uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t flow_hash(const struct flow_key *key)
{
	uint64_t rest = (uint64_t)key->a_port << 32 | (uint64_t)key->b_port << 16 |
			(uint64_t)key->proto << 8 | key->version;
	uint64_t h = fold(key->a.high ^ 0x9e3779b97f4a7c15ULL, key->b.high ^ rest ^ 0xd6e8feb86659fd93ULL);

	h = fold(key->a.low ^ h, key->b.low ^ 0xa0761d6478bd642fULL);
	return fold(h ^ rest, 0xe7037ed1a0b428dbULL);
}

static inline bool flow_key_equal(const struct flow_key *a, const struct flow_key *b)
{
	return a->a.low == b->a.low && a->b.low == b->b.low && a->a_port == b->a_port && a->b_port == b->b_port &&
	       a->a.high == b->a.high && a->b.high == b->b.high && a->proto == b->proto && a->version == b->version;
}

/* Key of an IP packet; returns which direction it shows. */
static inline uint8_t flow_key_make(struct flow_key *key, const struct packet *pkt)
{
	struct address source = packet_address(pkt, 0), target = packet_address(pkt, 1);
	uint32_t sport = 0, dport = 0;
	bool swap;

	if (pkt->ports) {
		uint32_t pair = load_word32(pkt->ports);

		sport = pair & 0xffff;
		dport = pair >> 16;
	}
	if (source.low != target.low)
		swap = source.low > target.low;
	else if (source.high != target.high)
		swap = source.high > target.high;
	else
		swap = sport > dport;
	key->a = swap ? target : source;
	key->b = swap ? source : target;
	key->a_port = swap ? dport : sport;
	key->b_port = swap ? sport : dport;
	key->version = pkt->version;
	key->proto = pkt->proto;
	return swap ? SEEN_BACKWARD : SEEN_FORWARD;
}

static inline struct flow *flow_slots_alloc(uint64_t slots)
{
	struct flow *made = calloc(slots, sizeof(*made));

	if (!made) {
		fprintf(stderr, "no memory for %llu flows\n", (unsigned long long)slots);
		exit(1);
	}
	return made;
}

static inline void flow_table_init(struct flow_table *table, uint64_t slots)
{
	*table = (struct flow_table){ .slots = flow_slots_alloc(slots), .mask = slots - 1 };
}

static inline struct flow *flow_slot(const struct flow_table *table, const struct flow_key *key, uint64_t hash)
{
	for (uint64_t at = hash & table->mask;; at = (at + 1) & table->mask) {
		struct flow *flow = &table->slots[at];

		if (flow->key.version == 0 || flow_key_equal(&flow->key, key))
			return flow;
	}
}

static inline void flow_table_double(struct flow_table *table)
{
	struct flow_table grown = { .mask = table->mask * 2 + 1, .count = table->count };

	grown.slots = flow_slots_alloc(grown.mask + 1);
	for (uint64_t at = 0; at <= table->mask; at++) {
		const struct flow *flow = &table->slots[at];

		if (flow->key.version)
			*flow_slot(&grown, &flow->key, flow_hash(&flow->key)) = *flow;
	}
	free(table->slots);
	*table = grown;
}

static inline void flow_table_add(struct flow_table *table, const struct flow_key *key, uint64_t hash, uint8_t seen,
				  uint8_t tcp_flags, uint32_t bytes, uint64_t now)
{
	struct flow *flow = flow_slot(table, key, hash);

	if (__builtin_expect(flow->key.version == 0, 0)) {
		if (2 * (table->count + 1) > table->mask) {
			flow_table_double(table);
			flow = flow_slot(table, key, hash);
		}
		flow->key = *key;
		flow->first_ns = now;
		table->count++;
	}
	flow->packets++;
	flow->bytes += bytes;
	if (now < flow->first_ns)
		flow->first_ns = now;
	if (now > flow->last_ns)
		flow->last_ns = now;
	flow->tcp_flags |= tcp_flags;
	flow->seen |= seen;
}

#endif
