// SPDX-License-Identifier: GPL-2.0
/*
 * pcap INTERFACE WARM_MS WINDOW_MS SOCKETS MEGABYTES: libpcap over TPACKET_V3.
 *
 * libpcap cannot name a queue.  Several sockets share the queues among them by
 * PACKET_FANOUT_QM, the queue's number modulo theirs.
 */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <pcap/pcap.h>
#include <sys/socket.h>

#include "load.h"

#define PATIENCE_MS	10	/* how long a block that is not full waits */
#define GROUP		1

static pcap_t *handles[LOAD_WORKERS];

static void take(u_char *tally, const struct pcap_pkthdr *head, const u_char *frame)
{
	load_frame((struct load_tally *)tally, frame, head->caplen);
}

static void work(unsigned int worker, struct load_tally *tally)
{
	while (pcap_dispatch(handles[worker], -1, take, (u_char *)tally) >= 0)
		load_burst(tally);
	pcap_perror(handles[worker], "dispatch");
}

static pcap_t *open_handle(const char *interface, int megabytes)
{
	char message[PCAP_ERRBUF_SIZE];
	pcap_t *handle = pcap_create(interface, message);

	if (!handle || pcap_set_promisc(handle, 1) || pcap_set_snaplen(handle, 2048) ||
	    pcap_set_timeout(handle, PATIENCE_MS) ||
	    pcap_set_buffer_size(handle, megabytes << 20) || pcap_activate(handle) < 0) {
		printf("libpcap: %s\n", handle ? pcap_geterr(handle) : message);
		exit(1);
	}
	return handle;
}

static void join(pcap_t *handle)
{
	int request = GROUP | PACKET_FANOUT_QM << 16;

	if (setsockopt(pcap_fileno(handle), SOL_PACKET, PACKET_FANOUT, &request, sizeof(request))) {
		perror("fanout");
		exit(1);
	}
}

int main(int argc, char **argv)
{
	unsigned int sockets;

	if (argc != 6)
		return 2;
	sockets = atoi(argv[4]);
	for (unsigned int i = 0; i < sockets; i++)
		handles[i] = open_handle(argv[1], atoi(argv[5]) / sockets);
	for (unsigned int i = 0; sockets > 1 && i < sockets; i++)
		join(handles[i]);
	return load_run(sockets, atoi(argv[2]), atoi(argv[3]), work);
}
