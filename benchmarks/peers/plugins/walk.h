/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From an ethertype to the network header, through tags, labels, PPPoE, LLC and frames within frames: the rules of
 * framework/packet/walk.py.  Hardly a packet comes here.
 */
#ifndef BENCH_PLUGINS_WALK_H
#define BENCH_PLUGINS_WALK_H

#include "packet.h"

enum {
	TYPE_IPV4 = 0x0800, TYPE_IPV6 = 0x86dd, TYPE_VLAN = 0x8100, TYPE_PROVIDER = 0x88a8, TYPE_ARISTA = 0xd28b,
	TYPE_BRIDGED = 0x6558, TYPE_CMD = 0x8909, TYPE_ETAG = 0x893f, TYPE_FABRICPATH = 0x8903, TYPE_HSR = 0x892f,
	TYPE_LLC = 0x8870, TYPE_MACSEC = 0x88e5, TYPE_MPLS = 0x8847, TYPE_MPLS_UPSTREAM = 0x8848, TYPE_NSH = 0x894f,
	TYPE_PBB = 0x88e7, TYPE_PPPOE = 0x8864, TYPE_RTAG = 0xf1c1, TYPE_TRILL = 0x22f3, TYPE_VNTAG = 0x8926,
	MAX_802_3 = 1500, FIRST_ETHERTYPE = 0x0600, ETHERNET_HEADER = 14, MAX_HEADERS = 32,
	STOP = -1,
};

/* The header of type `type` is at offset `at`; STOP: there is nothing to look into. */
struct place {
	int32_t type, at;
};

static const struct place NOWHERE_FURTHER = { STOP, 0 };

static inline bool is_tag(int32_t type)
{
	return type == TYPE_VLAN || type == TYPE_PROVIDER || type == 0x9100 || type == 0x9200 || type == 0x9300;
}

static inline bool is_labels(int32_t type)
{
	return type == TYPE_MPLS || type == TYPE_MPLS_UPSTREAM;
}

static inline bool is_ip(const uint8_t *frame, int32_t length, int32_t type, int32_t at)
{
	if (type == TYPE_IPV4)
		return length - at >= 20 && frame[at] >> 4 == 4;
	return type == TYPE_IPV6 && length - at >= 40 && frame[at] >> 4 == 6;
}

/* Bytes of a header that always has as many, and ends with the type of what follows; 0: not one of these. */
static inline int32_t fixed_size(int32_t type)
{
	switch (type) {
	case TYPE_VNTAG:
	case TYPE_HSR:
	case TYPE_RTAG:
		return 6;
	case TYPE_ETAG:
	case TYPE_CMD:
		return 8;
	case TYPE_BRIDGED:
		return ETHERNET_HEADER;
	case TYPE_FABRICPATH:
		return 2 + ETHERNET_HEADER;
	case TYPE_PBB:
		return 4 + ETHERNET_HEADER;
	default:
		return is_tag(type) ? 4 : 0;
	}
}

/* The same where the header's first bytes tell it. */
static inline int32_t header_size(const uint8_t *header, int32_t room, int32_t type)
{
	if (type == TYPE_MACSEC && room >= 1)
		return header[0] & 0x8c ? 0 : 8 + (header[0] & 0x20 ? 8 : 0);
	if (type == TYPE_TRILL && room >= 2)
		return be16(header) >> 14 ? 0 : 6 + (be16(header) >> 6 & 31) * 4 + ETHERNET_HEADER;
	if (type == TYPE_ARISTA && room >= 4 && be16(header) == 1)
		return header[3] == 0x10 ? 14 : 12;
	return fixed_size(type);
}

static inline struct place behind_llc(const uint8_t *frame, int32_t length, int32_t at)
{
	uint32_t organisation, type;

	if (length - at < 3 || frame[at + 2] != 0x03)
		return NOWHERE_FURTHER;
	if (frame[at] == 0x06)
		return (struct place){ TYPE_IPV4, at + 3 };
	if (be16(frame + at) != 0xaaaa || length - at < 8)
		return NOWHERE_FURTHER;
	organisation = be16(frame + at + 3) << 8 | frame[at + 5];
	type = be16(frame + at + 6);
	if ((organisation && organisation != 0xf8) || type < FIRST_ETHERTYPE)
		return NOWHERE_FURTHER;
	return (struct place){ type, at + 8 };
}

/* Whether what is there may be an Ethernet frame. */
static inline bool is_frame(const uint8_t *frame, int32_t length, int32_t at)
{
	int32_t type;

	if (length - at < ETHERNET_HEADER)
		return false;
	type = be16(frame + at + 12);
	if (type <= MAX_802_3 || type == TYPE_LLC)
		return behind_llc(frame, length, at + ETHERNET_HEADER).type != STOP;
	return type == TYPE_IPV4 || type == TYPE_IPV6 || is_labels(type) || type == TYPE_PPPOE || type == TYPE_NSH ||
	       type == TYPE_MACSEC || type == TYPE_TRILL || type == TYPE_ARISTA || fixed_size(type);
}

/* Behind the bottom of an MPLS stack, where the first four bits tell (RFC 4928). */
static inline struct place behind_labels(const uint8_t *frame, int32_t length, int32_t at)
{
	uint32_t first, channel;

	if (length - at < 4)
		return NOWHERE_FURTHER;
	first = frame[at] >> 4;
	if (first == 4 || first == 6)
		return (struct place){ first == 4 ? TYPE_IPV4 : TYPE_IPV6, at };
	if (first == 1) {
		channel = be16(frame + at + 2);
		if (channel != 0x0021 && channel != 0x0057)
			return NOWHERE_FURTHER;
		return (struct place){ channel == 0x0021 ? TYPE_IPV4 : TYPE_IPV6, at + 4 };
	}
	if (first == 0 && is_frame(frame, length, at + 4))
		return (struct place){ TYPE_BRIDGED, at + 4 };
	return is_frame(frame, length, at) ? (struct place){ TYPE_BRIDGED, at } : NOWHERE_FURTHER;
}

static inline struct place behind_bridging(const uint8_t *frame, int32_t length, int32_t at)
{
	if (length - at < 2 || frame[at + 1] != 1 || frame[at] & 0x20)
		return NOWHERE_FURTHER;
	at += frame[at] & 0x40 ? 6 : 2;
	return at <= length ? (struct place){ TYPE_BRIDGED, at } : NOWHERE_FURTHER;
}

static inline struct place behind_ppp(const uint8_t *frame, int32_t length, int32_t at)
{
	for (int i = 0; i < 2 && length - at >= 2; i++) {
		uint32_t is_short = frame[at] & 1, number = is_short ? frame[at] : be16(frame + at);

		at += 2 - is_short;
		switch (number) {
		case 0x21:
			return (struct place){ TYPE_IPV4, at };
		case 0x57:
			return (struct place){ TYPE_IPV6, at };
		case 0x281:
		case 0x283:
			return (struct place){ TYPE_MPLS, at };
		case 0x31:
			return behind_bridging(frame, length, at);
		case 0x3d:
			if (length - at < 4 || frame[at] < 0xc0)
				return NOWHERE_FURTHER;
			at += 4;
			break;
		default:
			return NOWHERE_FURTHER;
		}
	}
	return NOWHERE_FURTHER;
}

static inline struct place behind_nsh(const uint8_t *frame, int32_t length, int32_t at)
{
	static const int32_t next[] = { 0, TYPE_IPV4, TYPE_IPV6, TYPE_BRIDGED, TYPE_NSH, TYPE_MPLS };
	int32_t size, following;

	if (length - at < 8)
		return NOWHERE_FURTHER;
	size = (be16(frame + at) & 0x3f) * 4;
	following = frame[at + 3];
	if (size < 8 || size > length - at || following == 0 || following >= (int32_t)(sizeof(next) / sizeof(*next)))
		return NOWHERE_FURTHER;
	return (struct place){ next[following], at + size };
}

static inline struct place behind(const uint8_t *frame, int32_t length, struct place header)
{
	int32_t at = header.at, size;

	if (is_labels(header.type)) {
		if (length - at < 4)
			return NOWHERE_FURTHER;
		return frame[at + 2] & 1 ? behind_labels(frame, length, at + 4) : (struct place){ TYPE_MPLS, at + 4 };
	}
	if (header.type == TYPE_PPPOE) {
		if (length - at < 6 || be16(frame + at) != 0x1100)
			return NOWHERE_FURTHER;
		return behind_ppp(frame, length, at + 6);
	}
	if (header.type <= MAX_802_3 || header.type == TYPE_LLC)
		return behind_llc(frame, length, at);
	if (header.type == TYPE_NSH)
		return behind_nsh(frame, length, at);
	size = header_size(frame + at, length - at, header.type);
	if (size <= 0 || size > length - at)
		return NOWHERE_FURTHER;
	return (struct place){ be16(frame + at + size - 2), at + size };
}

/* Where a walk of at most `steps` headers ends. */
static __attribute__((noinline)) struct place walk(const uint8_t *frame, int32_t length, struct place header, int steps)
{
	struct place guessed = { STOP, 0 };

	while (steps-- > 0) {
		struct place following = behind(frame, length, header);

		if (following.type == STOP)
			break;
		if (following.type == TYPE_BRIDGED && guessed.type == STOP && is_labels(header.type))
			guessed = header;
		header = following;
	}
	/* nothing marks a frame behind labels: that it is one shows in the IP header at its end */
	if (guessed.type != STOP && !is_ip(frame, length, header.type, header.at))
		return guessed;
	return header;
}

#endif
