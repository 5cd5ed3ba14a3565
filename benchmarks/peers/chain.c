// SPDX-License-Identifier: GPL-2.0
/*
 * The compiled chain's loop, written by hand: decode, then plugins, over frames
 * where the NIC put them: 2 KiB blocks, each with its 32-byte descriptor.
 *
 * A shared library for ctypes:
 *
 *	struct state *state_new(uint64_t flow_slots);
 *	uint64_t run(const struct zc_desc *desc, const uint8_t *blocks, uint32_t n, struct state *state);
 *	void state_read(const struct state *state, struct totals *totals);
 *	void state_free(struct state *state);
 *
 * Compile with -DZC_PLUGINS=<sum of PLUGIN_*> to choose the plugins; those left
 * out cost nothing.  Bursts are taken in two passes, as in the generated chain:
 * the first decodes and prefetches, the second counts.
 */
#include <linux/pf_zerocopy.h>

#include "flow_table.h"

enum { PLUGIN_FLOWS = 1, PLUGIN_SIZES = 2, PLUGIN_TALKERS = 4, PLUGIN_SYNS = 8 };

#ifndef ZC_PLUGINS
#define ZC_PLUGINS (PLUGIN_FLOWS | PLUGIN_SIZES | PLUGIN_TALKERS)
#endif

enum { BURST = 64, AHEAD = 8, SIZES = 65536, HOST_SLOTS = 1 << 16, HOST_WINDOW = 16 };

struct host {
	struct address address;
	uint64_t packets, bytes;	/* packets 0: a free slot */
};

struct state {
	struct flow_table flows;
	uint64_t sizes[SIZES];		/* by wire length; the last one takes what is longer */
	struct host *talkers;
	struct host *syn_targets;
	uint64_t lost;			/* updates that found no room for a new host */
	uint64_t accepted;
};

struct totals {
	uint64_t packets, flows, flow_packets, flow_bytes, sized, talker_bytes, syns, lost;
};

struct decoded {
	struct packet pkt;
	struct flow_key key;
	uint64_t hash;
	uint8_t seen;
};

static struct host *hosts_new(void)
{
	struct host *hosts = calloc(HOST_SLOTS, sizeof(*hosts));

	if (!hosts)
		abort();
	return hosts;
}

static inline void host_add(struct state *state, struct host *hosts, const struct packet *pkt, int which, uint32_t bytes)
{
	struct address address = packet_address(pkt, which);
	uint64_t hash = fold(address.high ^ 0x9e3779b97f4a7c15ULL, address.low ^ 0xd6e8feb86659fd93ULL);

	for (uint32_t probe = 0; probe < HOST_WINDOW; probe++) {
		struct host *host = &hosts[(hash + probe) & (HOST_SLOTS - 1)];

		if (host->packets && (host->address.low != address.low || host->address.high != address.high))
			continue;
		host->address = address;
		host->packets++;
		host->bytes += bytes;
		return;
	}
	state->lost++;
}

static inline void flows_filter(struct state *state, const struct zc_desc *desc, const struct decoded *decoded)
{
	if (decoded->pkt.version)
		flow_table_add(&state->flows, &decoded->key, decoded->hash, decoded->seen, decoded->pkt.tcp_flags,
			       desc->wire_len, desc->timestamp);
}

static inline void sizes_filter(struct state *state, const struct zc_desc *desc)
{
	state->sizes[desc->wire_len < SIZES ? desc->wire_len : SIZES - 1]++;
}

static inline void talkers_filter(struct state *state, const struct zc_desc *desc, const struct packet *pkt)
{
	if (!pkt->version)
		return;
	host_add(state, state->talkers, pkt, 0, desc->wire_len);
	host_add(state, state->talkers, pkt, 1, desc->wire_len);
}

static inline void syns_filter(struct state *state, const struct packet *pkt)
{
	if ((pkt->tcp_flags & (TH_FLAG_SYN | TH_FLAG_ACK)) == TH_FLAG_SYN)
		host_add(state, state->syn_targets, pkt, 1, 0);
}

static inline void burst_decode(const struct zc_desc *desc, const uint8_t *blocks, uint32_t n, struct state *state,
				struct decoded *decoded)
{
	for (uint32_t i = 0; i < n; i++) {
		struct decoded *d = &decoded[i];

		/* descriptors are a ring: reading past the burst is reading the next one's */
		__builtin_prefetch(blocks + desc[i].offset + (uint64_t)AHEAD * ZC_BLOCK_SIZE);
		d->pkt = packet_decode(blocks + desc[i].offset, desc[i].len);
		if (!(ZC_PLUGINS & PLUGIN_FLOWS) || !d->pkt.version)
			continue;
		d->seen = flow_key_make(&d->key, &d->pkt);
		d->hash = flow_hash(&d->key);
		__builtin_prefetch(&state->flows.slots[d->hash & state->flows.mask], 1);
	}
}

static inline void burst_count(const struct zc_desc *desc, uint32_t n, struct state *state,
			       const struct decoded *decoded)
{
	for (uint32_t i = 0; i < n; i++) {
		if (ZC_PLUGINS & PLUGIN_FLOWS)
			flows_filter(state, &desc[i], &decoded[i]);
		if (ZC_PLUGINS & PLUGIN_SIZES)
			sizes_filter(state, &desc[i]);
		if (ZC_PLUGINS & PLUGIN_TALKERS)
			talkers_filter(state, &desc[i], &decoded[i].pkt);
		if (ZC_PLUGINS & PLUGIN_SYNS)
			syns_filter(state, &decoded[i].pkt);
		state->accepted++;
	}
}

/* Takes the frames of desc[0..n); returns how many it took. */
uint64_t run(const struct zc_desc *desc, const uint8_t *blocks, uint32_t n, struct state *state)
{
	struct decoded decoded[BURST];

	for (uint32_t done = 0; done < n; done += BURST) {
		uint32_t burst = n - done < BURST ? n - done : BURST;

		burst_decode(desc + done, blocks, burst, state, decoded);
		burst_count(desc + done, burst, state, decoded);
	}
	return n;
}

struct state *state_new(uint64_t flow_slots)
{
	struct state *state = calloc(1, sizeof(*state));

	if (!state)
		abort();
	flow_table_init(&state->flows, flow_slots);
	state->talkers = hosts_new();
	state->syn_targets = hosts_new();
	return state;
}

void state_free(struct state *state)
{
	free(state->flows.slots);
	free(state->talkers);
	free(state->syn_targets);
	free(state);
}

void state_read(const struct state *state, struct totals *totals)
{
	*totals = (struct totals){ .packets = state->accepted, .flows = state->flows.count, .lost = state->lost };
	for (uint64_t at = 0; at <= state->flows.mask; at++) {
		totals->flow_packets += state->flows.slots[at].packets;
		totals->flow_bytes += state->flows.slots[at].bytes;
	}
	for (int i = 0; i < SIZES; i++)
		totals->sized += state->sizes[i];
	for (int i = 0; i < HOST_SLOTS; i++) {
		totals->talker_bytes += state->talkers[i].bytes;
		totals->syns += state->syn_targets[i].packets;
	}
}
