/* SPDX-License-Identifier: GPL-2.0 */
/* The plugins that only count, in C: sizes, talkers, and those of benchmarks/plugins.py. */
#ifndef BENCH_PLUGINS_COUNTS_H
#define BENCH_PLUGINS_COUNTS_H

#include "packet.h"
#include "rows.h"

enum { LONGEST = 65535 };

struct sizes {
	uint64_t lengths[1 << 16], excess[1];
};

static inline void sizes_filter(struct sizes *sizes, const struct packet *pkt)
{
	uint32_t length = pkt->wirelen;

	sizes->lengths[length < LONGEST ? length : LONGEST]++;
	if (length > LONGEST)
		sizes->excess[0] += length - LONGEST;
}

struct host_key {
	uint64_t hi, lo;
};

struct host {
	uint32_t tag;
	struct host_key key;
	uint64_t sent_packets, sent_bytes, received_packets, received_bytes;
} __attribute__((aligned(64)));

static inline uint64_t host_key_hash(const struct host_key *key)
{
	uint64_t words[] = { key->hi, key->lo };

	return hash_words(words, 2);
}

static inline bool host_key_equal(const struct host_key *a, const struct host_key *b)
{
	return a->lo == b->lo && a->hi == b->hi;
}

static inline bool host_ready(const struct host *host, int64_t now)
{
	(void)host;
	(void)now;
	return false;
}

static inline uint64_t host_rank(const struct host *host)
{
	(void)host;
	return 0;
}

DEFINE_ROWS(host_rows, host, host_key)

static inline struct host_key host_key_make(const struct packet *pkt, int which)
{
	struct address address = packet_address(pkt, which);

	return (struct host_key){ address.hi, address.lo };
}

/* The packet has IP; hashes: of its source and its destination. */
static inline void talkers_filter(struct host_rows *hosts, const struct packet *pkt, const uint64_t *hashes)
{
	struct host_key source = host_key_make(pkt, 0), target = host_key_make(pkt, 1);
	struct host *host;
	bool fresh;

	host = host_rows_upsert(hosts, &source, hashes[0], 0, &fresh);
	if (host) {
		host->sent_packets++;
		host->sent_bytes += pkt->wirelen;
	}
	host = host_rows_upsert(hosts, &target, hashes[1], 0, &fresh);
	if (host) {
		host->received_packets++;
		host->received_bytes += pkt->wirelen;
	}
}

static inline void protocols_filter(uint64_t *protocols, const struct packet *pkt)
{
	protocols[pkt->at->proto]++;
}

static inline void ports_filter(uint64_t *ports, const struct packet *pkt)
{
	ports[packet_dport(pkt)] += pkt->wirelen;
}

static inline void hops_filter(uint64_t *hops, const struct packet *pkt)
{
	hops[packet_ttl(pkt)]++;
}

#endif
