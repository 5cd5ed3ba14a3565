/* SPDX-License-Identifier: GPL-2.0 */
/* Where the headers of a frame lie: the rules of framework/packet/decode.py. */
#ifndef BENCH_PLUGINS_DECODE_H
#define BENCH_PLUGINS_DECODE_H

#include "walk.h"

enum { MAX_EXTENSION_HEADERS = 8, PLAIN_L4 = 34, MIN_AH = 12 };

static inline uint8_t port_flags(int32_t room, uint32_t proto)
{
	if (proto == IPPROTO_IS_TCP && room >= 20)
		return HAS_PORTS | HAS_TCP;
	switch (proto) {
	case IPPROTO_IS_TCP:
	case IPPROTO_IS_UDP:
	case IPPROTO_IS_UDPLITE:
	case IPPROTO_IS_SCTP:
	case IPPROTO_IS_DCCP:
		return room >= 4 ? HAS_PORTS : 0;
	default:
		return 0;
	}
}

/* Bytes of an authentication header of which `room` are there; 0: not whole. */
static inline int32_t ah_size(const uint8_t *header, int32_t room)
{
	int32_t size = room >= MIN_AH ? (header[1] + 2) * 4 : 0;

	return size >= MIN_AH && size <= room ? size : 0;
}

static inline void headers_ipv4(struct headers *at, const uint8_t *frame, int32_t length, int32_t l3)
{
	int32_t l4 = l3 + (frame[l3] & 15) * 4, total = be16(frame + l3 + 2), end = length;
	uint32_t fragment = be16(frame + l3 + 6) & 0x3fff;

	/* 0 is what segmentation offload leaves behind */
	if (total >= 20 && l3 + total < end)
		end = l3 + total;
	at->proto = frame[l3 + 9];
	at->end = end;
	if (l4 < l3 + 20 || l4 > end) {
		at->payload = end;
		return;
	}
	at->payload = l4;
	at->flags = fragment ? FRAGMENT : 0;
	if (fragment & 0x1fff)
		return;
	for (int i = 0; i < MAX_EXTENSION_HEADERS && at->proto == IPPROTO_IS_AH && !fragment; i++) {
		int32_t size = ah_size(frame + l4, end - l4);

		if (!size)
			break;
		at->proto = frame[l4];
		l4 += size;
	}
	at->l4 = at->payload = l4;
	at->flags |= port_flags(end - l4, at->proto);
}

static inline void headers_ipv6(struct headers *at, const uint8_t *frame, int32_t length, int32_t l3)
{
	int32_t l4 = l3 + 40, claimed = be16(frame + l3 + 4), end = length, size;

	if (claimed && l4 + claimed < end)
		end = l4 + claimed;
	at->proto = frame[l3 + 6];
	at->end = at->payload = end;
	for (int i = 0; i < MAX_EXTENSION_HEADERS; i++) {
		if (at->proto == 44) {
			uint32_t fragment;

			if (end - l4 < 8)
				return;
			fragment = be16(frame + l4 + 2);
			at->proto = frame[l4];
			l4 += 8;
			/* an atomic fragment (RFC 6946) is a whole packet */
			if (fragment & 0xfff9)
				at->flags |= FRAGMENT;
			if (fragment & 0xfff8) {
				at->payload = l4;
				return;
			}
		} else if (at->proto == 0 || at->proto == 43 || at->proto == 60) {
			if (end - l4 < 8)
				return;
			at->proto = frame[l4];
			l4 += 8 + frame[l4 + 1] * 8;
			if (l4 > end)
				return;
		} else if (at->proto == IPPROTO_IS_AH && !at->flags && (size = ah_size(frame + l4, end - l4))) {
			at->proto = frame[l4];
			l4 += size;
		} else {
			at->l4 = at->payload = l4;
			at->flags |= port_flags(end - l4, at->proto);
			return;
		}
	}
}

/* What most frames are: IPv4 without tags, options and AH, and no fragment. */
static inline bool is_plain_ipv4(const uint8_t *frame, int32_t length)
{
	return length >= PLAIN_L4 && be32(frame + 12) >> 8 == 0x080045 && !(be16(frame + 20) & 0x3fff) &&
	       frame[23] != IPPROTO_IS_AH;
}

static inline void headers_plain_ipv4(struct headers *at, const uint8_t *frame, int32_t length)
{
	int32_t total = be16(frame + 16), end = length;
	uint8_t proto = frame[23];

	if (total >= 20 && 14 + total < end)
		end = 14 + total;
	*at = (struct headers){ 14, PLAIN_L4, PLAIN_L4, end, TYPE_IPV4, proto, 4, port_flags(end - PLAIN_L4, proto) };
}

/* An Ethernet frame of `length` captured bytes. */
static inline void headers_decode(struct headers *at, const uint8_t *frame, int32_t length)
{
	struct place header = { 0, 14 };

	if (__builtin_expect(is_plain_ipv4(frame, length), 1)) {
		headers_plain_ipv4(at, frame, length);
		return;
	}
	*at = (struct headers){ .payload = length, .end = length };
	if (length < 14)
		return;
	header.type = be16(frame + 12);
	for (int tags = 0; tags < 2 && is_tag(header.type) && length - header.at >= 4; tags++) {
		header.type = be16(frame + header.at + 2);
		header.at += 4;
	}
	if (__builtin_expect(header.type != TYPE_IPV4 && header.type != TYPE_IPV6, 0))
		header = walk(frame, length, header, MAX_HEADERS - (header.at - 14) / 4);
	at->ethertype = header.type;
	at->l3 = at->payload = header.at;
	if (!is_ip(frame, length, header.type, header.at))
		return;
	at->version = header.type == TYPE_IPV4 ? 4 : 6;
	if (at->version == 4)
		headers_ipv4(at, frame, length, header.at);
	else
		headers_ipv6(at, frame, length, header.at);
}

#endif
