/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A packet as zcframe's plugins see it, in C: the rules of framework/packet/decode.py and value.py.
 *
 * Decoding leaves 14 bytes that wait between the two passes of a burst; each field is then loaded when it is asked for.
 * Numbers are in host order, an IPv4 address is ::ffff:a.b.c.d, and what a packet does not have is 0.
 */
#ifndef BENCH_PLUGINS_PACKET_H
#define BENCH_PLUGINS_PACKET_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { IPPROTO_IS_ICMP = 1, IPPROTO_IS_TCP = 6, IPPROTO_IS_UDP = 17, IPPROTO_IS_DCCP = 33, IPPROTO_IS_AH = 51,
       IPPROTO_IS_ICMPV6 = 58, IPPROTO_IS_SCTP = 132, IPPROTO_IS_UDPLITE = 136 };
enum { TCP_FIN = 0x01, TCP_SYN = 0x02, TCP_RST = 0x04, TCP_ACK = 0x10 };

/* flags */
enum { FRAGMENT = 1, HAS_PORTS = 2, HAS_TCP = 4 };

/* Offsets in the frame, all within what was captured; l4 is 0 where there is no such header. */
struct headers {
	uint16_t l3, l4, payload, end;
	uint16_t ethertype;
	uint8_t proto, version, flags;
};

struct packet {
	const uint8_t *data;
	const struct headers *at;
	int64_t ts;			/* ns */
	uint32_t caplen, wirelen;
};

static inline uint32_t be16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap16(v);
}

static inline uint32_t be32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

static inline uint64_t be64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap64(v);
}

struct address {
	uint64_t hi, lo;
};

/* which: 0 the source, 1 the destination; the packet has IP */
static inline struct address packet_address(const struct packet *pkt, int which)
{
	const uint8_t *l3 = pkt->data + pkt->at->l3;

	if (pkt->at->version == 4)
		return (struct address){ 0, 0xffffULL << 32 | be32(l3 + 12 + 4 * which) };
	return (struct address){ be64(l3 + 8 + 16 * which), be64(l3 + 16 + 16 * which) };
}

static inline uint32_t packet_sport(const struct packet *pkt)
{
	return pkt->at->flags & HAS_PORTS ? be16(pkt->data + pkt->at->l4) : 0;
}

static inline uint32_t packet_dport(const struct packet *pkt)
{
	return pkt->at->flags & HAS_PORTS ? be16(pkt->data + pkt->at->l4 + 2) : 0;
}

static inline uint32_t packet_tcp_flags(const struct packet *pkt)
{
	return pkt->at->flags & HAS_TCP ? pkt->data[pkt->at->l4 + 13] : 0;
}

static inline uint32_t packet_tcp_seq(const struct packet *pkt)
{
	return pkt->at->flags & HAS_TCP ? be32(pkt->data + pkt->at->l4 + 4) : 0;
}

static inline uint32_t packet_tcp_ack(const struct packet *pkt)
{
	return pkt->at->flags & HAS_TCP ? be32(pkt->data + pkt->at->l4 + 8) : 0;
}

static inline uint32_t packet_ttl(const struct packet *pkt)
{
	return pkt->at->version ? pkt->data[pkt->at->l3 + (pkt->at->version == 4 ? 8 : 7)] : 0;
}

/* Bytes captured from the L4 header on. */
static inline uint32_t packet_l4_len(const struct packet *pkt)
{
	return pkt->at->l4 ? pkt->at->end - pkt->at->l4 : 0;
}

/* type << 8 | code */
static inline uint32_t packet_icmp(const struct packet *pkt)
{
	bool icmp = pkt->at->proto == IPPROTO_IS_ICMP || pkt->at->proto == IPPROTO_IS_ICMPV6;

	return icmp && packet_l4_len(pkt) >= 2 ? be16(pkt->data + pkt->at->l4) : 0;
}

/* Bytes of an L4 header of which `room` were captured. */
static inline uint32_t l4_size(const uint8_t *l4, uint32_t room, uint32_t proto)
{
	uint32_t size = 0;

	switch (proto) {
	case IPPROTO_IS_TCP:
		size = room >= 20 ? l4[12] >> 2 & 0x3c : room;
		if (room >= 20 && size < 20)
			size = 20;
		break;
	case IPPROTO_IS_SCTP:
	case IPPROTO_IS_DCCP:
		size = 12;
		break;
	case IPPROTO_IS_UDP:
	case IPPROTO_IS_UDPLITE:
	case IPPROTO_IS_ICMP:
	case IPPROTO_IS_ICMPV6:
		size = 8;
		break;
	}
	return size < room ? size : room;
}

/* Bytes of the frame; those past the end read 0. */
struct view {
	const uint8_t *data;
	int64_t length;
};

static inline struct view packet_payload(const struct packet *pkt)
{
	uint32_t start = pkt->at->payload, end = pkt->at->end;

	if (pkt->at->l4)
		start += l4_size(pkt->data + start, end - start, pkt->at->proto);
	return (struct view){ pkt->data + start, end - start };
}

static inline uint32_t view_u8(const struct view *view, int64_t at)
{
	return (uint64_t)at < (uint64_t)view->length ? view->data[at] : 0;
}

static inline uint32_t view_u16(const struct view *view, int64_t at)
{
	if (view->length > 1 && (uint64_t)at < (uint64_t)view->length - 1)
		return be16(view->data + at);
	return view_u8(view, at) << 8;
}

#endif
