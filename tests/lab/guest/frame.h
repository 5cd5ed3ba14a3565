/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Frame number n of a given size: made by the sender, made again and compared
 * by the reader.  n stands in the destination address, so that every kind of
 * frame carries it.
 */
#ifndef _LAB_FRAME_H
#define _LAB_FRAME_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define FRAME_MIN	60
#define FRAME_MAX	1514
#define FRAME_KINDS	8

enum frame_kind {
	FRAME_TCP4, FRAME_TCP4_AGAIN, FRAME_UDP4, FRAME_FRAGMENT, FRAME_TCP6,
	FRAME_UDP6, FRAME_OTHER, FRAME_VLAN,
};

/* What the card hashes of a frame: type as it reports it, and the input. */
struct frame_hash {
	unsigned int type;
	unsigned int length;
	uint8_t input[36];
};

static inline uint32_t frame_mix(uint32_t x)
{
	x = (x ^ (x >> 16)) * 0x7feb352dU;
	x = (x ^ (x >> 15)) * 0x846ca68bU;
	return x ^ (x >> 16);
}

static inline void frame_put16(uint8_t *at, unsigned int value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static inline void frame_put32(uint8_t *at, uint32_t value)
{
	frame_put16(at, value >> 16);
	frame_put16(at + 2, value);
}

static inline uint32_t frame_number(const uint8_t *frame)
{
	return (uint32_t)frame[2] << 24 | frame[3] << 16 | frame[4] << 8 | frame[5];
}

/* Sizes as the paper has them, and random ones. */
static inline unsigned int frame_size(uint32_t n, unsigned int wanted)
{
	return wanted ? wanted : FRAME_MIN + frame_mix(n ^ 0x517e) % (FRAME_MAX - FRAME_MIN + 1);
}

static inline unsigned int frame_checksum(const uint8_t *header, unsigned int length)
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i < length; i += 2)
		sum += header[i] << 8 | header[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

static inline unsigned int frame_ip4(uint8_t *at, unsigned int size, unsigned int protocol,
				     bool fragment, uint32_t flow, struct frame_hash *hash)
{
	at[0] = 0x45;
	at[1] = 0;
	frame_put16(at + 2, size);
	frame_put16(at + 4, flow);
	frame_put16(at + 6, fragment ? 0x2000 : 0);
	at[8] = 64;
	at[9] = protocol;
	frame_put16(at + 10, 0);
	frame_put32(at + 12, 0x0a000000 | (flow & 0xffff));
	frame_put32(at + 16, 0xc0a80000 | (flow >> 16));
	frame_put16(at + 10, frame_checksum(at, 20));
	memcpy(hash->input, at + 12, 8);
	hash->length = 8;
	return 20;
}

static inline unsigned int frame_ip6(uint8_t *at, unsigned int size, unsigned int protocol,
				     uint32_t flow, struct frame_hash *hash)
{
	frame_put32(at, 0x60000000);
	frame_put16(at + 4, size - 40);
	at[6] = protocol;
	at[7] = 64;
	for (unsigned int i = 0; i < 32; i += 4)
		frame_put32(at + 8 + i, i % 16 ? frame_mix(flow + i) : 0x20010db8);
	memcpy(hash->input, at + 8, 32);
	hash->length = 32;
	return 40;
}

static inline unsigned int frame_l4(uint8_t *at, unsigned int size, bool tcp, uint32_t flow)
{
	unsigned int length = tcp ? 20 : 8;

	memset(at, 0, length);
	frame_put16(at, 1024 + flow % 50000);
	frame_put16(at + 2, 80 + flow % 7);
	if (tcp)
		at[12] = 0x50;
	else
		frame_put16(at + 4, size);
	return length;
}

static inline void frame_hash_ports(struct frame_hash *hash, const uint8_t *l4, unsigned int type)
{
	memcpy(hash->input + hash->length, l4, 4);
	hash->length += 4;
	hash->type = type;
}

/* Fill frame n, and say how it is hashed with the card's usual fields. */
static inline void frame_make(uint8_t *frame, uint32_t n, unsigned int size,
			      struct frame_hash *hash)
{
	unsigned int kind = frame_mix(n) % FRAME_KINDS;
	uint32_t flow = frame_mix(n % 4099 + 17);
	unsigned int at = 12, l4;
	bool tcp = kind != FRAME_UDP4 && kind != FRAME_UDP6 && kind != FRAME_FRAGMENT;

	if ((kind == FRAME_TCP6 || kind == FRAME_UDP6) && size < 74)
		kind = FRAME_TCP4;
	hash->type = 0;
	hash->length = 0;
	frame[0] = 2;
	frame[1] = 0xfe;
	frame_put32(frame + 2, n);
	frame_put16(frame + 6, 0x0200);
	frame_put32(frame + 8, flow);
	if (kind == FRAME_VLAN) {
		frame_put16(frame + at, 0x8100);
		frame_put16(frame + at + 2, 1 + n % 4000);
		at += 4;
	}
	if (kind == FRAME_OTHER) {
		frame_put16(frame + at, 0x88b5);
		at += 2;
	} else if (kind == FRAME_TCP6 || kind == FRAME_UDP6) {
		frame_put16(frame + at, 0x86dd);
		at += 2;
		at += frame_ip6(frame + at, size - at, tcp ? 6 : 17, flow, hash);
		l4 = at;
		at += frame_l4(frame + at, size - at, tcp, flow);
		hash->type = 5;
		if (tcp)
			frame_hash_ports(hash, frame + l4, 3);
	} else {
		frame_put16(frame + at, 0x0800);
		at += 2;
		at += frame_ip4(frame + at, size - at, tcp ? 6 : 17, kind == FRAME_FRAGMENT, flow,
				hash);
		l4 = at;
		at += frame_l4(frame + at, size - at, tcp, flow);
		hash->type = 2;
		if (tcp)
			frame_hash_ports(hash, frame + l4, 1);
	}
	for (; at < size; at++)
		frame[at] = frame_mix(n * 1515 + at);
}

/* Toeplitz, bit by bit, as the published description has it. */
static inline uint32_t frame_toeplitz(const uint8_t *key, const struct frame_hash *hash)
{
	uint32_t result = 0;
	uint32_t window = (uint32_t)key[0] << 24 | key[1] << 16 | key[2] << 8 | key[3];

	for (unsigned int i = 0; i < hash->length * 8; i++) {
		if (hash->input[i / 8] >> (7 - i % 8) & 1)
			result ^= window;
		window = window << 1 | (key[4 + i / 8] >> (7 - i % 8) & 1);
	}
	return result;
}

#endif /* _LAB_FRAME_H */
