// SPDX-License-Identifier: GPL-2.0
/*
 * The plugins flows, sizes and talkers on libpcap: a program that does what `zcframe run` does with these three.
 *
 *	live IFACE BUFFER_BYTES TIMEOUT_MS	says "ready", and after SIGTERM one JSON line: packets
 *	live FILE				the same of a capture file, then a line for each flow, host and size:
 *
 *	flow PROTO ADDRESS PORT ADDRESS PORT PACKETS BYTES TCP_FLAGS
 *	host ADDRESS SENT_PACKETS SENT_BYTES RECEIVED_PACKETS RECEIVED_BYTES
 *	size LENGTH PACKETS
 */
#include <arpa/inet.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "counts.h"
#include "decode.h"
#include "flows.h"

enum { SNAPLEN = 2048, POLL_MS = 200, SHARD_BITS = 7, SHARDS = 1 << SHARD_BITS, FLOW_SLOTS = 1 << 20,
       HOST_SLOTS = 1 << 18 };

struct counted {
	uint64_t packets;
	struct flows shards[SHARDS];	/* by the upper bits of a flow's hash */
	struct sizes sizes;
	struct host_rows hosts;
};

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

static void count(uint8_t *user, const struct pcap_pkthdr *header, const uint8_t *frame)
{
	struct counted *counted = (struct counted *)user;
	struct headers at;
	struct packet pkt = { frame, &at, header->ts.tv_sec * 1000000000LL + header->ts.tv_usec, header->caplen,
			      header->len };

	counted->packets++;
	headers_decode(&at, frame, header->caplen < SNAPLEN ? header->caplen : SNAPLEN);
	sizes_filter(&counted->sizes, &pkt);
	if (at.version) {
		struct flow_key key;
		bool forward = flow_key_make(&key, &pkt);
		struct host_key source = host_key_make(&pkt, 0), target = host_key_make(&pkt, 1);
		uint64_t hash = flow_key_hash(&key), hashes[] = { host_key_hash(&source), host_key_hash(&target) };

		flows_filter(&counted->shards[hash >> (64 - SHARD_BITS)], &pkt, &key, hash, forward);
		talkers_filter(&counted->hosts, &pkt, hashes);
	}
}

static void failed(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

/* Zeroed, and written: no packet waits for a page. */
static void *table_new(size_t slots, size_t size)
{
	void *memory = aligned_alloc(64, slots * size);

	if (!memory)
		failed("a table", "no memory");
	return memset(memory, 0, slots * size);
}

static struct counted *counted_new(void)
{
	struct counted *counted = table_new(1, (sizeof(*counted) + 63) / 64 * 64);

	for (int i = 0; i < SHARDS; i++) {
		counted->shards[i].rows.slots = table_new(FLOW_SLOTS / SHARDS, sizeof(struct flow));
		counted->shards[i].rows.mask = FLOW_SLOTS / SHARDS - 1;
	}
	counted->hosts.slots = table_new(HOST_SLOTS, sizeof(struct host));
	counted->hosts.mask = HOST_SLOTS - 1;
	return counted;
}

static pcap_t *open_live(const char *iface, int buffer, int timeout)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_create(iface, error);

	if (!pcap)
		failed(iface, error);
	pcap_set_tstamp_precision(pcap, PCAP_TSTAMP_PRECISION_NANO);
	if (pcap_set_snaplen(pcap, SNAPLEN) || pcap_set_buffer_size(pcap, buffer) || pcap_set_timeout(pcap, timeout) ||
	    pcap_activate(pcap) < 0 || pcap_setnonblock(pcap, 1, error))
		failed(iface, pcap_geterr(pcap));
	return pcap;
}

static void capture(pcap_t *pcap, struct counted *counted)
{
	struct sigaction action = { .sa_handler = stop };
	struct pollfd waiting = { .fd = pcap_get_selectable_fd(pcap), .events = POLLIN };

	sigaction(SIGTERM, &action, NULL);
	puts("ready");
	fflush(stdout);
	/* a blocking dispatch would not return once traffic has stopped */
	while (!stopped) {
		poll(&waiting, 1, POLL_MS);
		pcap_dispatch(pcap, -1, count, (uint8_t *)counted);
	}
}

static void read_file(const char *path, struct counted *counted)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, error);

	if (!pcap || pcap_datalink(pcap) != DLT_EN10MB)
		failed(path, pcap ? "not an Ethernet capture" : error);
	if (pcap_loop(pcap, -1, count, (uint8_t *)counted) == PCAP_ERROR)
		failed(path, pcap_geterr(pcap));
	pcap_close(pcap);
}

/* --- what was counted */

/* The text stays until the second call after this one. */
static const char *address_text(uint64_t hi, uint64_t lo)
{
	static char texts[2][INET6_ADDRSTRLEN];
	static int turn;
	uint64_t words[] = { __builtin_bswap64(hi), __builtin_bswap64(lo) };
	bool ipv4 = !hi && lo >> 32 == 0xffff;
	char *text = texts[turn ^= 1];

	inet_ntop(ipv4 ? AF_INET : AF_INET6, ipv4 ? (char *)words + 12 : (char *)words, text, INET6_ADDRSTRLEN);
	return text;
}

static void print_flow(const struct flow_key *key, uint64_t packets, uint64_t bytes, uint32_t tcp_flags)
{
	printf("flow %u %s %u %s %u %llu %llu %u\n", (uint32_t)(key->ports & 255), address_text(key->a_hi, key->a_lo),
	       (uint32_t)(key->ports >> 32), address_text(key->b_hi, key->b_lo), (uint32_t)(key->ports >> 16 & 0xffff),
	       (unsigned long long)packets, (unsigned long long)bytes, tcp_flags);
}

static void print_flows(const struct flows *flows)
{
	for (uint64_t at = 0; at <= flows->rows.mask; at++) {
		const struct flow *flow = &flows->rows.slots[at];

		if (flow->tag)
			print_flow(&flow->key, flow->packets, flow->bytes, flow->tcp_flags);
	}
	for (int at = 0; at < PAST; at++) {
		struct flow_key key = { flows->past_a_hi[at], flows->past_a_lo[at], flows->past_b_hi[at],
					flows->past_b_lo[at], flows->past_ports[at] };

		if (flows->past_packets[at])
			print_flow(&key, flows->past_packets[at], flows->past_bytes[at], flows->past_tcp_flags[at]);
	}
}

static void print_hosts(const struct host_rows *hosts)
{
	for (uint64_t at = 0; at <= hosts->mask; at++) {
		const struct host *host = &hosts->slots[at];

		if (host->tag)
			printf("host %s %llu %llu %llu %llu\n", address_text(host->key.hi, host->key.lo),
			       (unsigned long long)host->sent_packets, (unsigned long long)host->sent_bytes,
			       (unsigned long long)host->received_packets, (unsigned long long)host->received_bytes);
	}
}

static void print_counted(const struct counted *counted)
{
	for (int i = 0; i < SHARDS; i++)
		print_flows(&counted->shards[i]);
	print_hosts(&counted->hosts);
	for (int length = 0; length <= LONGEST; length++)
		if (counted->sizes.lengths[length])
			printf("size %d %llu\n", length, (unsigned long long)counted->sizes.lengths[length]);
}

int main(int argc, char **argv)
{
	struct counted *counted;
	pcap_t *pcap;

	if (argc != 2 && argc != 4) {
		fprintf(stderr, "usage: live IFACE BUFFER_BYTES TIMEOUT_MS, or live FILE\n");
		return 2;
	}
	counted = counted_new();
	if (argc == 4) {
		pcap = open_live(argv[1], atoi(argv[2]), atoi(argv[3]));
		capture(pcap, counted);
		pcap_close(pcap);
	} else {
		read_file(argv[1], counted);
	}
	printf("{\"packets\": %llu}\n", (unsigned long long)counted->packets);
	if (argc == 2)
		print_counted(counted);
	return 0;
}
