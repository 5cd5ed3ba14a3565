// SPDX-License-Identifier: GPL-2.0
/*
 * A chain of zcframe's plugins written by hand: the same tables with the same keys, as many slots and the same shards,
 * over frames where the NIC put them.  What it leaves out is all that lets a worker be killed at any instruction:
 * journal, verdicts, and bounds that are checked.
 *
 * A shared library for ctypes; see benchmarks/cplugins.py.  Compile with -DZC_PLUGINS=<sum of PLUGIN_*> to choose the
 * plugins; those left out cost nothing.  A burst is taken in two passes: the first decodes, hashes and prefetches, the
 * second counts.
 */
#include <linux/pf_zerocopy.h>

#include "counts.h"
#include "decode.h"
#include "dns.h"
#include "flows.h"
#include "synflood.h"

enum { PLUGIN_FLOWS = 1, PLUGIN_SIZES = 2, PLUGIN_TALKERS = 4, PLUGIN_DNS = 8, PLUGIN_SYNFLOOD = 16,
       PLUGIN_PROTOCOLS = 32, PLUGIN_PORTS = 64, PLUGIN_HOPS = 128 };

#ifndef ZC_PLUGINS
#define ZC_PLUGINS 255
#endif

enum { BURST = 64, AHEAD = 8, SHARDS = 129, UNHASHED = 128, ETHERTYPES = 1 << 16, LINE = 64 };

/* Slots of each table in one shard, words of letters in one shard. */
struct room {
	uint64_t flows, hosts, names, letters, targets, asked;
};

struct shard {
	struct flows flows;
	struct host_rows hosts;
	struct dns dns;
	uint64_t protocols[256], hops[256];
};

struct state {
	uint64_t accepted, wire;
	struct shard shards[SHARDS];
	struct sizes sizes;
	struct synflood synflood;
	uint64_t ports[1 << 16];
	uint64_t no_ip[ETHERTYPES];	/* by ethertype */
};

/* Of a packet, between the passes. */
struct stash {
	struct headers at;
	struct flow_key key;
	uint64_t flow_hash, host_hashes[2];
	bool forward;
};

/* What Python reads. */
struct part {
	const void *at;
	uint64_t count, size, lost, expired;
};

static inline uint32_t bucket_of(const struct zc_desc *desc)
{
	return desc->rss_type ? desc->rss_hash & 127 : UNHASHED;
}

static inline struct packet packet_of(const struct zc_desc *desc, const uint8_t *blocks, const struct headers *at)
{
	return (struct packet){ blocks + desc->offset, at, desc->timestamp, desc->len, desc->wire_len };
}

/* Keys and hashes of a packet with IP, and what they lead to on its way into the cache. */
static inline void look_ahead(struct stash *stash, const struct packet *pkt, const struct shard *shard)
{
	if (ZC_PLUGINS & PLUGIN_FLOWS) {
		stash->forward = flow_key_make(&stash->key, pkt);
		stash->flow_hash = flow_key_hash(&stash->key);
		ROWS_PREFETCH(&shard->flows.rows, stash->flow_hash);
	}
	for (int which = 0; which < 2 && ZC_PLUGINS & PLUGIN_TALKERS; which++) {
		struct host_key key = host_key_make(pkt, which);

		stash->host_hashes[which] = host_key_hash(&key);
		ROWS_PREFETCH(&shard->hosts, stash->host_hashes[which]);
	}
}

static inline void burst_decode(const struct zc_desc *desc, const uint8_t *blocks, uint32_t n,
				const struct state *state, struct stash *stashes)
{
	for (uint32_t i = 0; i < n; i++) {
		struct stash *stash = &stashes[i];
		struct packet pkt = packet_of(&desc[i], blocks, &stash->at);

		/* descriptors are a ring: reading past the burst is reading the next one's */
		__builtin_prefetch(pkt.data + (uint64_t)AHEAD * ZC_BLOCK_SIZE);
		headers_decode(&stash->at, pkt.data, desc[i].len);
		if (stash->at.version)
			look_ahead(stash, &pkt, &state->shards[bucket_of(&desc[i])]);
	}
}

/* Plugins in the order of the chain of eight. */
static inline void count_packet(struct state *state, struct shard *shard, const struct packet *pkt,
				const struct stash *stash)
{
	bool ip = pkt->at->version;

	if (ZC_PLUGINS & PLUGIN_FLOWS && ip)
		flows_filter(&shard->flows, pkt, &stash->key, stash->flow_hash, stash->forward);
	if (ZC_PLUGINS & PLUGIN_SIZES)
		sizes_filter(&state->sizes, pkt);
	if (ZC_PLUGINS & PLUGIN_TALKERS && ip)
		talkers_filter(&shard->hosts, pkt, stash->host_hashes);
	if (ZC_PLUGINS & PLUGIN_DNS)
		dns_filter(&shard->dns, pkt);
	if (ZC_PLUGINS & PLUGIN_SYNFLOOD)
		synflood_filter(&state->synflood, pkt);
	if (ZC_PLUGINS & PLUGIN_PROTOCOLS)
		protocols_filter(shard->protocols, pkt);
	if (ZC_PLUGINS & PLUGIN_PORTS)
		ports_filter(state->ports, pkt);
	if (ZC_PLUGINS & PLUGIN_HOPS)
		hops_filter(shard->hops, pkt);
	if (__builtin_expect(!ip, 0))
		state->no_ip[pkt->at->ethertype]++;
}

static inline void burst_count(const struct zc_desc *desc, const uint8_t *blocks, uint32_t n, struct state *state,
			       const struct stash *stashes)
{
	for (uint32_t i = 0; i < n; i++) {
		struct packet pkt = packet_of(&desc[i], blocks, &stashes[i].at);

		count_packet(state, &state->shards[bucket_of(&desc[i])], &pkt, &stashes[i]);
		state->wire += pkt.wirelen;
	}
	state->accepted += n;
}

/* Takes the frames of desc[0..n); returns how many it took. */
uint64_t run(const struct zc_desc *desc, const uint8_t *blocks, uint32_t n, struct state *state)
{
	struct stash stashes[BURST];

	for (uint32_t done = 0; done < n; done += BURST) {
		uint32_t burst = n - done < BURST ? n - done : BURST;

		burst_decode(desc + done, blocks, burst, state, stashes);
		burst_count(desc + done, blocks, burst, state, stashes);
	}
	return n;
}

/* Bytes of whole cache lines. */
static inline uint64_t lines(uint64_t size)
{
	return (size + LINE - 1) / LINE * LINE;
}

/* Bytes of memory that state_place() needs. */
uint64_t state_size(const struct room *room)
{
	uint64_t shard = lines(room->flows * sizeof(struct flow)) + lines(room->hosts * sizeof(struct host)) +
			 lines(room->names * sizeof(struct name)) + lines(room->letters * sizeof(uint64_t));

	return lines(sizeof(struct state)) + SHARDS * shard + lines(room->targets * sizeof(struct target)) +
	       lines(room->asked * sizeof(struct asked));
}

static void *take(char **memory, uint64_t size)
{
	char *at = *memory;

	*memory += lines(size);
	return at;
}

#define TAKE_ROWS(memory, rows, wanted)									\
	do {												\
		(rows)->slots = take(memory, (wanted) * sizeof(*(rows)->slots));			\
		(rows)->mask = (wanted) - 1;								\
	} while (0)

/* An empty state in zeroed memory that begins with a cache line. */
struct state *state_place(const struct room *room, char *memory)
{
	struct state *state = take(&memory, sizeof(*state));

	for (int i = 0; i < SHARDS; i++) {
		struct shard *shard = &state->shards[i];

		TAKE_ROWS(&memory, &shard->flows.rows, room->flows);
		TAKE_ROWS(&memory, &shard->hosts, room->hosts);
		TAKE_ROWS(&memory, &shard->dns.names, room->names);
		shard->dns.letters = take(&memory, room->letters * sizeof(*shard->dns.letters));
		shard->dns.room = room->letters;
	}
	TAKE_ROWS(&memory, &state->synflood.targets, room->targets);
	TAKE_ROWS(&memory, &state->synflood.asked, room->asked);
	return state;
}

#define IS(text) (!strcmp(name, text))
#define ARRAY(text, array)										\
	do {												\
		if (IS(text))										\
			return (struct part){ array, sizeof(array) / sizeof(*(array)), sizeof(*(array)), 0, 0 };	\
	} while (0)
#define TABLE(text, rows)										\
	do {												\
		if (IS(text))										\
			return (struct part){ (rows)->slots, (rows)->mask + 1, sizeof(*(rows)->slots), (rows)->lost,	\
					      (rows)->expired };						\
	} while (0)
#define PAST_COLUMN(column) ARRAY("flows.past_" #column, flows->past_##column)

static struct part flows_part(const struct flows *flows, const char *name)
{
	TABLE("flows.flows", &flows->rows);
	PAST_COLUMN(a_hi);
	PAST_COLUMN(a_lo);
	PAST_COLUMN(b_hi);
	PAST_COLUMN(b_lo);
	PAST_COLUMN(ports);
	PAST_COLUMN(first_ns);
	PAST_COLUMN(last_ns);
	PAST_COLUMN(packets);
	PAST_COLUMN(bytes);
	PAST_COLUMN(numbers);
	PAST_COLUMN(tcp_flags);
	PAST_COLUMN(seen);
	PAST_COLUMN(marks);
	ARRAY("flows.floor", flows->floor);
	ARRAY("flows.unlisted", flows->unlisted);
	return (struct part){ 0 };
}

/* A member of a plugin's state, "plugin.member"; of the shard, where it has shards.  count 0: there is none. */
struct part state_part(const struct state *state, uint32_t number, const char *name)
{
	const struct shard *shard = &state->shards[number];

	if (!strncmp(name, "flows.", 6))
		return flows_part(&shard->flows, name);
	ARRAY("sizes.lengths", state->sizes.lengths);
	ARRAY("sizes.excess", state->sizes.excess);
	TABLE("talkers.hosts", &shard->hosts);
	TABLE("dns.names", &shard->dns.names);
	ARRAY("dns.counts", shard->dns.counts);
	ARRAY("dns.rcodes", shard->dns.rcodes);
	ARRAY("dns.types", shard->dns.types);
	ARRAY("dns.streams", shard->dns.streams);
	ARRAY("dns.used", shard->dns.used);
	if (IS("dns.letters"))
		return (struct part){ shard->dns.letters, shard->dns.room, sizeof(*shard->dns.letters), 0, 0 };
	TABLE("synflood.targets", &state->synflood.targets);
	TABLE("synflood.asked", &state->synflood.asked);
	ARRAY("synflood.latest", state->synflood.latest);
	ARRAY("protocols.protocols", shard->protocols);
	ARRAY("ports.ports", state->ports);
	ARRAY("hops.hops", shard->hops);
	ARRAY("no_ip.packets", state->no_ip);
	return (struct part){ 0 };
}
