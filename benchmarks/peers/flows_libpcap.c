// SPDX-License-Identifier: GPL-2.0
/*
 * Flow counter on libpcap: reads a capture file, counts packets and bytes of
 * every bidirectional flow.
 *
 *	flows_libpcap FILE [list]
 *
 * Prints one JSON line: packets, bytes, flows, seconds from the first read to
 * the last, and seconds of CPU (user and system) in that time.  With `list` a line per flow follows:
 * proto address port address port packets bytes.
 *
 * Compile with -DREAD_BUFFER=<bytes> to read through a buffer of that size.
 * Without it libpcap opens the file itself, as in its manual, and stdio reads
 * 4 KiB at a time: about half the rate on small frames.
 */
#include <pcap/pcap.h>
#include <sys/resource.h>
#include <time.h>

#include "flow_table.h"

#ifndef READ_BUFFER
#define READ_BUFFER 0
#endif

enum { FIRST_SLOTS = 1 << 16 };

struct counter {
	struct flow_table flows;
	uint64_t packets, bytes;
};

static void count(uint8_t *user, const struct pcap_pkthdr *header, const uint8_t *frame)
{
	struct counter *counter = (struct counter *)user;
	struct packet pkt = packet_decode(frame, header->caplen);
	struct flow_key key;
	uint8_t seen;

	counter->packets++;
	counter->bytes += header->len;
	if (!pkt.version)
		return;
	seen = flow_key_make(&key, &pkt);
	flow_table_add(&counter->flows, &key, flow_hash(&key), seen, pkt.tcp_flags, header->len,
		       header->ts.tv_sec * 1000000000ULL + header->ts.tv_usec);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec * 1e-9;
}

static double cpu_seconds(void)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	return used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
}

static void print_end(const struct flow_key *key, const struct address *address, uint16_t port)
{
	char text[INET6_ADDRSTRLEN];

	if (key->version == 4)
		inet_ntop(AF_INET, &address->low, text, sizeof(text));
	else
		inet_ntop(AF_INET6, address, text, sizeof(text));
	printf(" %s %u", text, ntohs(port));
}

static void print_flows(const struct flow_table *table)
{
	for (uint64_t at = 0; at <= table->mask; at++) {
		const struct flow *flow = &table->slots[at];

		if (!flow->key.version)
			continue;
		printf("%u", flow->key.proto);
		print_end(&flow->key, &flow->key.a, flow->key.a_port);
		print_end(&flow->key, &flow->key.b, flow->key.b_port);
		printf(" %llu %llu\n", (unsigned long long)flow->packets, (unsigned long long)flow->bytes);
	}
}

#if READ_BUFFER
static pcap_t *open_offline(const char *path, char *error)
{
	static char buffer[READ_BUFFER];
	FILE *file = fopen(path, "rb");

	if (!file) {
		snprintf(error, PCAP_ERRBUF_SIZE, "%m");
		return NULL;
	}
	setvbuf(file, buffer, _IOFBF, sizeof(buffer));
	return pcap_fopen_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, error);
}
#else
static pcap_t *open_offline(const char *path, char *error)
{
	return pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, error);
}
#endif

static pcap_t *open_capture(const char *path)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = open_offline(path, error);

	if (!pcap || pcap_datalink(pcap) != DLT_EN10MB) {
		fprintf(stderr, "%s: %s\n", path, pcap ? "not an Ethernet capture" : error);
		exit(1);
	}
	return pcap;
}

int main(int argc, char **argv)
{
	struct counter counter = { .packets = 0 };
	double start, end, cpu;
	pcap_t *pcap;

	if (argc < 2 || argc > 3 || (argc == 3 && strcmp(argv[2], "list"))) {
		fprintf(stderr, "usage: flows_libpcap FILE [list]\n");
		return 2;
	}
	pcap = open_capture(argv[1]);
	flow_table_init(&counter.flows, FIRST_SLOTS);
	cpu = cpu_seconds();
	start = seconds();
	if (pcap_loop(pcap, -1, count, (uint8_t *)&counter) == PCAP_ERROR) {
		fprintf(stderr, "%s: %s\n", argv[1], pcap_geterr(pcap));
		return 1;
	}
	end = seconds();
	cpu = cpu_seconds() - cpu;
	printf("{\"packets\": %llu, \"bytes\": %llu, \"flows\": %llu, \"seconds\": %.9f, \"cpu\": %.6f}\n",
	       (unsigned long long)counter.packets, (unsigned long long)counter.bytes,
	       (unsigned long long)counter.flows.count, end - start, cpu);
	if (argc == 3)
		print_flows(&counter.flows);
	pcap_close(pcap);
	return 0;
}
