/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a frame says about itself: the rules of framework/packet/decode.py, in C.
 *
 * At most two VLAN tags; IPv4 and IPv6 with their extension headers; ports of
 * TCP, UDP, UDP-Lite, SCTP and DCCP.  A fragment has no ports, the first one
 * included.  Nothing past the captured length is read.
 */
#ifndef BENCH_PACKET_H
#define BENCH_PACKET_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
	ETHERTYPE_V4 = 0x0800,
	ETHERTYPE_V6 = 0x86dd,
	ETHERTYPE_8021Q = 0x8100,
	ETHERTYPE_8021AD = 0x88a8,
	ETHERTYPE_QINQ_OLD = 0x9100,
	MAX_TAGS = 2,
	MAX_EXTENSION_HEADERS = 8,
};

enum { TH_FLAG_SYN = 0x02, TH_FLAG_ACK = 0x10 };

/* An address as two words in wire order; an IPv4 address is the low one. */
struct address {
	uint64_t high, low;
};

/* version is 0 for what is not IP, or whose addresses were not captured */
struct packet {
	const uint8_t *addresses;	/* source, then destination */
	const uint8_t *ports;		/* NULL where there are none */
	uint8_t version;
	uint8_t proto;
	uint8_t tcp_flags;
};

static inline uint32_t load16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return ntohs(v);
}

static inline bool has_ports(uint32_t proto)
{
	switch (proto) {
	case 6:		/* TCP */
	case 17:	/* UDP */
	case 33:	/* DCCP */
	case 132:	/* SCTP */
	case 136:	/* UDP-Lite */
		return true;
	default:
		return false;
	}
}

static inline uint64_t load_word32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t load_word64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* which: 0 the source, 1 the destination */
static inline struct address packet_address(const struct packet *pkt, int which)
{
	if (pkt->version == 4)
		return (struct address){ 0, load_word32(pkt->addresses + 4 * which) };
	return (struct address){ load_word64(pkt->addresses + 16 * which), load_word64(pkt->addresses + 16 * which + 8) };
}

static inline void packet_l4(struct packet *pkt, const uint8_t *l4, const uint8_t *end)
{
	if (end - l4 < 4 || !has_ports(pkt->proto))
		return;
	pkt->ports = l4;
	if (pkt->proto == 6 && end - l4 >= 20)
		pkt->tcp_flags = l4[13];
}

static inline void packet_ipv4(struct packet *pkt, const uint8_t *l3, const uint8_t *end)
{
	uint32_t header, total;

	if (end - l3 < 20)
		return;
	header = (l3[0] & 15) * 4;
	total = load16(l3 + 2);
	/* 0 is what segmentation offload leaves behind */
	if (total >= 20 && l3 + total < end)
		end = l3 + total;
	pkt->version = 4;
	pkt->proto = l3[9];
	pkt->addresses = l3 + 12;
	/* more fragments, or an offset */
	if (load16(l3 + 6) & 0x3fff)
		return;
	if (header >= 20 && l3 + header <= end)
		packet_l4(pkt, l3 + header, end);
}

static inline void packet_ipv6(struct packet *pkt, const uint8_t *l3, const uint8_t *end)
{
	const uint8_t *l4 = l3 + 40;
	uint32_t claimed;

	if (end - l3 < 40)
		return;
	claimed = load16(l3 + 4);
	if (claimed && l4 + claimed < end)
		end = l4 + claimed;
	pkt->version = 6;
	pkt->proto = l3[6];
	pkt->addresses = l3 + 8;
	for (int i = 0; i < MAX_EXTENSION_HEADERS; i++) {
		bool fragment = pkt->proto == 44;

		if (!fragment && pkt->proto != 0 && pkt->proto != 43 && pkt->proto != 60) {
			packet_l4(pkt, l4, end);
			return;
		}
		if (end - l4 < 8)
			return;
		pkt->proto = l4[0];
		/* an atomic fragment (RFC 6946) is a whole packet */
		if (fragment && load16(l4 + 2) & 0xfff9)
			return;
		l4 += fragment ? 8 : 8 + l4[1] * 8;
		if (l4 > end)
			return;
	}
}

static inline struct packet packet_decode(const uint8_t *frame, uint32_t length)
{
	struct packet pkt = { 0 };
	const uint8_t *end = frame + length, *l3 = frame + 14;
	uint32_t ethertype;

	if (length < 14)
		return pkt;
	ethertype = load16(frame + 12);
	for (int tags = 0; tags < MAX_TAGS && end - l3 >= 4; tags++) {
		if (ethertype != ETHERTYPE_8021Q && ethertype != ETHERTYPE_8021AD && ethertype != ETHERTYPE_QINQ_OLD)
			break;
		ethertype = load16(l3 + 2);
		l3 += 4;
	}
	if (l3 == end)
		return pkt;
	if (ethertype == ETHERTYPE_V4 && l3[0] >> 4 == 4)
		packet_ipv4(&pkt, l3, end);
	else if (ethertype == ETHERTYPE_V6 && l3[0] >> 4 == 6)
		packet_ipv6(&pkt, l3, end);
	return pkt;
}

#endif
