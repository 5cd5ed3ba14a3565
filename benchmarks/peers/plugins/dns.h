/* SPDX-License-Identifier: GPL-2.0 */
/* plugins/dns in C: names, types and codes over UDP and TCP port 53; without `mdns`. */
#ifndef BENCH_PLUGINS_DNS_H
#define BENCH_PLUGINS_DNS_H

#include "packet.h"
#include "rows.h"

enum { DNS_PORT = 53, DNS_HEADER = 12, MAX_NAME = 254, MAX_STEPS = 192, MAX_QUESTIONS = 16, MAX_MESSAGES = 128 };
enum { OTHER_TYPES = 263, STREAMS = 512 };
enum { DNS_QUERIES, DNS_RESPONSES, DNS_MALFORMED, DNS_CUT, DNS_COUNTS };
/* in place of where a name ends */
enum { DNS_BAD = -1, DNS_SHORT = -2 };

static const int64_t DNS_NOWHERE = 1LL << 32;
static const uint64_t HASH_MASK = (1ULL << 38) - 1, SEED_A = 0x19e3779b9ULL, PRIME_A = 0x1000193,
		      SEED_B = 0x2a09e667fULL, PRIME_B = 0x1df5e0d, STREAM_KNOWN = 1ULL << 62;

struct name_key {
	uint64_t a, b;
};

struct name {
	uint32_t tag;
	struct name_key key;
	uint64_t queries, responses, failures;
	uint32_t text;
	uint8_t length;
};

static inline uint64_t name_key_hash(const struct name_key *key)
{
	uint64_t words[] = { key->a, key->b };

	return hash_words(words, 2);
}

static inline bool name_key_equal(const struct name_key *a, const struct name_key *b)
{
	return a->a == b->a && a->b == b->b;
}

static inline bool name_ready(const struct name *name, int64_t now)
{
	(void)name;
	(void)now;
	return false;
}

static inline uint64_t name_rank(const struct name *name)
{
	(void)name;
	return 0;
}

DEFINE_ROWS(name_rows, name, name_key)

/* One shard. */
struct dns {
	struct name_rows names;
	uint64_t counts[DNS_COUNTS], rcodes[16], types[OTHER_TYPES + 1], streams[STREAMS];
	uint64_t *letters, room, used[1];
};

static inline uint32_t lower(uint32_t letter)
{
	return letter >= 'A' && letter <= 'Z' ? letter + 32 : letter;
}

struct name_read {
	int64_t after;			/* where it ends, or DNS_BAD, DNS_SHORT */
	uint32_t length;
	struct name_key key;
};

/* The name at `at` of the message in [base, end); a pointer leads to before the place that the last one led to. */
static inline struct name_read read_name(const struct view *view, int64_t base, int64_t end, int64_t at)
{
	static const struct name_read bad = { .after = DNS_BAD }, cut = { .after = DNS_SHORT };
	int64_t after = 0, before = at;
	uint64_t a = SEED_A, b = SEED_B;
	uint32_t length = 0;

	for (int step = 0; step < MAX_STEPS; step++) {
		uint32_t size = view_u8(view, at);

		if (at >= end || (size >= 0xc0 && at + 2 > end))
			return cut;
		if (size == 0)
			return (struct name_read){ after ? after : at + 1, length, { a, b } };
		if (size >= 0xc0) {
			int64_t target = base + (view_u16(view, at) & 0x3fff);

			if (target >= before || target < base + DNS_HEADER)
				return bad;
			after = after ? after : at + 2;
			at = before = target;
			continue;
		}
		length += size + 1;
		if (size >= 0x40 || length > MAX_NAME)
			return bad;
		if (at + size >= end)
			return cut;
		for (uint32_t i = 0; i <= size; i++) {
			uint32_t letter = lower(view_u8(view, at + i));

			a = (a ^ letter) * PRIME_A & HASH_MASK;
			b = (b ^ letter) * PRIME_B & HASH_MASK;
		}
		at += size + 1;
	}
	return bad;
}

/* The next byte of a name that read_name() found good. */
static inline uint32_t spell(const struct view *view, int64_t base, int64_t *at, uint32_t *left)
{
	if (*left == 0) {
		for (int step = 0; step < MAX_STEPS && view_u8(view, *at) >= 0xc0; step++)
			*at = base + (view_u16(view, *at) & 0x3fff);
		*left = view_u8(view, *at) + 1;
		if (*left == 1) {
			*left = 0;
			return 0;
		}
	}
	--*left;
	return lower(view_u8(view, (*at)++));
}

/* Write the name behind the others: number of its first word + 1, or 0 without room. */
static inline uint32_t keep_letters(struct dns *dns, const struct view *view, int64_t base, int64_t at,
				    uint32_t length)
{
	uint64_t first = dns->used[0], words = (length + 7) >> 3, word = 0;
	uint32_t left = 0;

	if (first + words > dns->room)
		return 0;
	for (uint64_t i = 0; i < words * 8; i++) {
		word = word << 8 | spell(view, base, &at, &left);
		if ((i & 7) == 7)
			dns->letters[first + (i >> 3)] = word;
	}
	dns->used[0] = first + words;
	return first + 1;
}

static inline void count_question(struct dns *dns, const struct view *view, int64_t base, int64_t at,
				  const struct name_read *read, uint32_t flags)
{
	uint32_t response = flags >> 15;
	struct name *name;
	bool fresh;

	name = name_rows_upsert(&dns->names, &read->key, name_key_hash(&read->key), 0, &fresh);
	if (!name)
		return;
	if (fresh) {
		name->length = read->length;
		name->text = keep_letters(dns, view, base, at, read->length);
	}
	name->queries += 1 - response;
	name->responses += response;
	name->failures += response && flags & 15;
}

/* 0, or DNS_BAD or DNS_SHORT where the questions cannot be read. */
static inline int read_questions(struct dns *dns, const struct view *view, int64_t base, int64_t end, uint32_t flags)
{
	uint32_t questions = view_u16(view, base + 4);
	int64_t at = base + DNS_HEADER;

	for (uint32_t i = 0; i < questions && i < MAX_QUESTIONS; i++) {
		struct name_read read = read_name(view, base, end, at);
		uint32_t type;

		if (read.after < 0)
			return read.after;
		if (read.after + 4 > end)
			return DNS_SHORT;
		count_question(dns, view, base, at, &read, flags);
		type = view_u16(view, read.after);
		dns->types[type < OTHER_TYPES ? type : OTHER_TYPES] += 1 - (flags >> 15);
		at = read.after + 4;
	}
	return 0;
}

/* whole: nothing of the message lies elsewhere */
static inline void read_message(struct dns *dns, const struct view *view, int64_t base, int64_t end, bool whole)
{
	uint32_t flags = view_u16(view, base + 2);
	int problem = end - base >= DNS_HEADER ? read_questions(dns, view, base, end, flags) : DNS_SHORT;

	if (problem == DNS_SHORT && !whole) {
		dns->counts[DNS_CUT]++;
	} else if (problem) {
		dns->counts[DNS_MALFORMED]++;
	} else if (flags >> 15) {
		dns->counts[DNS_RESPONSES]++;
		dns->rcodes[flags & 15]++;
	} else {
		dns->counts[DNS_QUERIES]++;
	}
}

/* Where a message begins, and its length where that stood before it, else 0. */
struct joint {
	int64_t at, body;
};

static inline struct joint read_messages(struct dns *dns, const struct view *view, struct joint from)
{
	int64_t end = view->length, at = from.at, body = from.body;

	for (int i = 0; i < MAX_MESSAGES; i++) {
		if (body == 0 && at < end) {
			if (at + 1 == end)
				return (struct joint){ DNS_NOWHERE, 0 };
			body = view_u16(view, at);
			at += 2;
		}
		if (at >= end)
			break;
		read_message(dns, view, at, at + body < end ? at + body : end, at + body <= end);
		at += body;
		body = 0;
	}
	return (struct joint){ at, body };
}

/* 31 bits of a hash of the stream's ends, not that of its opposite direction. */
static inline uint64_t stream_of(const struct packet *pkt)
{
	struct address source = packet_address(pkt, 0), target = packet_address(pkt, 1);
	uint64_t words[] = { source.hi, source.lo, target.hi, target.lo,
			     (uint64_t)packet_sport(pkt) << 16 | packet_dport(pkt) };
	uint64_t hashed = SEED_A;

	for (int i = 0; i < 5; i++) {
		hashed = (hashed ^ (words[i] & 0xffffffff)) * PRIME_A & HASH_MASK;
		hashed = (hashed ^ hashed >> 19 ^ words[i] >> 32) * PRIME_B & HASH_MASK;
	}
	return (hashed ^ hashed >> 19) & 0x7fffffff;
}

static inline struct joint join_stream(const struct packet *pkt, const struct view *view, uint64_t stream,
				       uint64_t owner)
{
	bool may_begin;

	if (packet_tcp_flags(pkt) & TCP_SYN)
		return (struct joint){ 0, 0 };
	if (stream & STREAM_KNOWN && (stream >> 48 & 0x3fff) == owner) {
		int64_t first = (int32_t)((uint32_t)stream - packet_tcp_seq(pkt));

		if (first >= 0)
			return (struct joint){ first, stream >> 32 & 0xffff };
	}
	may_begin = view_u16(view, 0) >= DNS_HEADER && view_u16(view, 6) == 1 && (view_u16(view, 4) >> 11 & 15) <= 6;
	return (struct joint){ may_begin ? 0 : DNS_NOWHERE, 0 };
}

static inline uint64_t stream_word(const struct packet *pkt, uint64_t owner, struct joint next)
{
	uint32_t sequence = packet_tcp_seq(pkt) + (uint32_t)next.at + (packet_tcp_flags(pkt) & TCP_SYN ? 1 : 0);

	if (next.at == DNS_NOWHERE)
		return 0;
	return STREAM_KNOWN | owner << 48 | (uint64_t)next.body << 32 | sequence;
}

static __attribute__((noinline)) void read_segment(struct dns *dns, const struct packet *pkt, const struct view *view)
{
	uint64_t hashed = stream_of(pkt), *stream = &dns->streams[hashed % STREAMS];
	struct joint next = join_stream(pkt, view, *stream, hashed >> 17);

	if (view->length <= next.at && next.at < DNS_NOWHERE && !(packet_tcp_flags(pkt) & TCP_SYN))
		return;
	if (next.at < view->length)
		next = read_messages(dns, view, next);
	*stream = stream_word(pkt, hashed >> 17, next);
}

static __attribute__((noinline)) void read_datagram(struct dns *dns, const struct packet *pkt, const struct view *view)
{
	/* one of which something is missing is longer than what is here */
	bool missing = pkt->at->flags & FRAGMENT || pkt->caplen < pkt->wirelen;

	if (view->length > 0)
		read_messages(dns, view, (struct joint){ 0, view->length + missing });
}

static inline void dns_filter(struct dns *dns, const struct packet *pkt)
{
	uint32_t proto = pkt->at->proto;
	struct view view;

	if (packet_sport(pkt) != DNS_PORT && packet_dport(pkt) != DNS_PORT)
		return;
	if (proto != IPPROTO_IS_UDP && proto != IPPROTO_IS_TCP)
		return;
	view = packet_payload(pkt);
	if (proto == IPPROTO_IS_UDP)
		read_datagram(dns, pkt, &view);
	else if (view.length || packet_tcp_flags(pkt) & TCP_SYN)
		read_segment(dns, pkt, &view);
}

#endif
