// SPDX-License-Identifier: GPL-2.0
/*
 * Counts what comes in on an interface, by libpcap, and does nothing else.
 *
 *	count_libpcap IFACE BUFFER_BYTES TIMEOUT_MS
 *
 * Says "ready", and after SIGTERM one JSON line: packets.
 */
#include <pcap/pcap.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { SNAPLEN = 2048, POLL_MS = 200 };

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

static void count(uint8_t *user, const struct pcap_pkthdr *header, const uint8_t *frame)
{
	(void)header;
	(void)frame;
	++*(uint64_t *)user;
}

static pcap_t *open_live(const char *iface, int buffer, int timeout)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_create(iface, error);

	if (!pcap || pcap_set_snaplen(pcap, SNAPLEN) || pcap_set_buffer_size(pcap, buffer) ||
	    pcap_set_timeout(pcap, timeout) || pcap_activate(pcap) < 0 || pcap_setnonblock(pcap, 1, error)) {
		fprintf(stderr, "%s: %s\n", iface, pcap ? pcap_geterr(pcap) : error);
		exit(1);
	}
	return pcap;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = stop };
	struct pollfd waiting = { .events = POLLIN };
	uint64_t packets = 0;
	pcap_t *pcap;

	if (argc != 4) {
		fprintf(stderr, "usage: count_libpcap IFACE BUFFER_BYTES TIMEOUT_MS\n");
		return 2;
	}
	pcap = open_live(argv[1], atoi(argv[2]), atoi(argv[3]));
	waiting.fd = pcap_get_selectable_fd(pcap);
	sigaction(SIGTERM, &action, NULL);
	puts("ready");
	fflush(stdout);
	/* a blocking dispatch would not return once traffic has stopped */
	while (!stopped) {
		poll(&waiting, 1, POLL_MS);
		pcap_dispatch(pcap, -1, count, (uint8_t *)&packets);
	}
	printf("{\"packets\": %llu}\n", (unsigned long long)packets);
	pcap_close(pcap);
	return 0;
}
