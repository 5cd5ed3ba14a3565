/* SPDX-License-Identifier: GPL-2.0 */
/* plugins/flows in C: bidirectional flows, and what tells one connection from the next over the same key. */
#ifndef BENCH_PLUGINS_FLOWS_H
#define BENCH_PLUGINS_FLOWS_H

#include "packet.h"
#include "rows.h"

/* `seen`: ends that sent, ends that sent a FIN, a RST from either */
enum { END_A = 1, END_B = 2, FINS = (END_A | END_B) << 2, RESET = 1 << 4, CLOSING = FINS | RESET };
/* `marks` */
enum { FORWARD = 1, ASKED = 2, SPLIT = 4, A_KNOWN = 4, B_KNOWN = 6, NEAR = 1, EXACT = 2 };
/* above the protocol in the key's last word */
enum { NO_PORTS = 1 << 8, ONE_WAY = 1 << 9 };
enum { SEQUENCE_WINDOW = 1 << 16, PAST = 128, PLACE_BITS = 16 };

static const int64_t LATE_NS = 1000000000, IDLE_NS = 120000000000, ACTIVE_NS = 1800000000000;
static const uint64_t LAST_UNICAST_V4 = 0xffffdfffffffULL;

struct flow_key {
	uint64_t a_hi, a_lo, b_hi, b_lo, ports;
};

struct flow {
	uint32_t tag;
	struct flow_key key;
	uint64_t packets, bytes;
	int64_t first_ns, last_ns;
	uint64_t numbers;
	uint8_t tcp_flags, seen, marks, closed;
} __attribute__((aligned(32)));

static inline uint64_t flow_key_hash(const struct flow_key *key)
{
	uint64_t words[] = { key->a_hi, key->a_lo, key->b_hi, key->b_lo, key->ports };

	return hash_words(words, 5);
}

static inline bool flow_key_equal(const struct flow_key *a, const struct flow_key *b)
{
	return a->a_lo == b->a_lo && a->b_lo == b->b_lo && a->ports == b->ports && a->a_hi == b->a_hi &&
	       a->b_hi == b->b_hi;
}

static inline bool flow_ready(const struct flow *flow, int64_t now)
{
	return flow->closed || now - flow->last_ns > IDLE_NS;
}

static inline uint64_t flow_rank(const struct flow *flow)
{
	return flow->bytes;
}

DEFINE_ROWS(flow_rows, flow, flow_key)

/* One shard; of the flows that ended, the largest, by column. */
struct flows {
	struct flow_rows rows;
	uint64_t past_a_hi[PAST], past_a_lo[PAST], past_b_hi[PAST], past_b_lo[PAST], past_ports[PAST];
	uint64_t past_first_ns[PAST], past_last_ns[PAST], past_packets[PAST], past_bytes[PAST], past_numbers[PAST];
	uint8_t past_tcp_flags[PAST], past_seen[PAST], past_marks[PAST];
	uint64_t floor[2], unlisted[3];
};

/* For each ICMP type its counterpart + 1, and whether it answers (Community ID 1.0). */
struct icmp_types {
	uint8_t counterpart[256], answers[256];
};

static const struct icmp_types ICMP_V4 = {
	.counterpart = { [8] = 1, [0] = 9, [10] = 10, [9] = 11, [13] = 15, [14] = 14, [15] = 17, [16] = 16, [17] = 19,
			 [18] = 18 },
	.answers = { [0] = 1, [9] = 1, [14] = 1, [16] = 1, [18] = 1 },
};

static const struct icmp_types ICMP_V6 = {
	.counterpart = { [128] = 130, [129] = 129, [130] = 132, [131] = 131, [133] = 135, [134] = 134, [135] = 137,
			 [136] = 136, [139] = 141, [140] = 140, [144] = 146, [145] = 145 },
	.answers = { [129] = 1, [131] = 1, [134] = 1, [136] = 1, [140] = 1, [145] = 1 },
};

/* What stands for the ports where both read 0; returns what is added to the protocol. */
static inline uint64_t ends_without_ports(const struct packet *pkt, uint64_t *sport, uint64_t *dport)
{
	uint32_t proto = pkt->at->proto, type, other;
	bool fragment = pkt->at->flags & FRAGMENT;

	*sport = *dport = 0;
	if (proto == IPPROTO_IS_TCP || proto == IPPROTO_IS_UDP || proto == IPPROTO_IS_SCTP)
		return fragment || packet_l4_len(pkt) < 4 ? NO_PORTS : 0;
	if (proto != IPPROTO_IS_ICMP && proto != IPPROTO_IS_ICMPV6)
		return 0;
	if (fragment || packet_l4_len(pkt) < 2)
		return NO_PORTS;
	type = packet_icmp(pkt) >> 8;
	other = (proto == IPPROTO_IS_ICMPV6 ? &ICMP_V6 : &ICMP_V4)->counterpart[type];
	*sport = type;
	*dport = other ? other - 1 : packet_icmp(pkt) & 255;
	return other ? 0 : ONE_WAY;
}

static inline bool answers_by_icmp(const struct packet *pkt)
{
	uint32_t proto = pkt->at->proto;
	struct address target;

	if ((proto != IPPROTO_IS_ICMP && proto != IPPROTO_IS_ICMPV6) || pkt->at->flags & FRAGMENT ||
	    packet_l4_len(pkt) < 2)
		return false;
	target = packet_address(pkt, 1);
	if (pkt->at->version == 4 ? target.lo > LAST_UNICAST_V4 : target.hi >> 56 == 255)
		return false;
	return (proto == IPPROTO_IS_ICMPV6 ? &ICMP_V6 : &ICMP_V4)->answers[packet_icmp(pkt) >> 8];
}

/* Key of an IP packet: the end with the smaller address, then port, is a.  Returns whether a sent it. */
static inline bool flow_key_make(struct flow_key *key, const struct packet *pkt)
{
	struct address source = packet_address(pkt, 0), target = packet_address(pkt, 1);
	uint64_t sport = 0, dport = 0, kind = pkt->at->proto;
	bool forward;

	if (!(pkt->at->flags & FRAGMENT)) {
		sport = packet_sport(pkt);
		dport = packet_dport(pkt);
	}
	if (!(sport | dport))
		kind |= ends_without_ports(pkt, &sport, &dport);
	if (pkt->at->version == 4)
		forward = (source.lo << 16 | sport) <= (target.lo << 16 | dport);
	else if (source.hi != target.hi)
		forward = (int64_t)source.hi < (int64_t)target.hi;
	else if (source.lo != target.lo)
		forward = (int64_t)source.lo < (int64_t)target.lo;
	else
		forward = sport <= dport;
	/* a message that nothing answers is a flow of its own in each direction */
	if (kind & ONE_WAY && forward)
		kind |= ONE_WAY << 1;
	key->a_hi = forward ? source.hi : target.hi;
	key->a_lo = forward ? source.lo : target.lo;
	key->b_hi = forward ? target.hi : source.hi;
	key->b_lo = forward ? target.lo : source.lo;
	key->ports = (forward ? sport : dport) << 32 | (forward ? dport : sport) << 16 | kind;
	return forward;
}

/* --- what a connection began with */

struct told {
	uint32_t marks;
	uint64_t numbers;
};

static inline uint32_t known(uint32_t marks, int end)
{
	return marks >> (end == END_A ? A_KNOWN : B_KNOWN) & 3;
}

static inline uint32_t number(uint64_t numbers, int end)
{
	return end == END_A ? numbers >> 32 : numbers;
}

/* The number of an end, where it was known less well. */
static inline void learn_number(struct told *told, int end, uint32_t certainty, uint32_t value)
{
	int shift = end == END_A ? A_KNOWN : B_KNOWN, place = end == END_A ? 32 : 0;

	if (certainty <= known(told->marks, end))
		return;
	told->marks = (told->marks & ~(3u << shift)) | certainty << shift;
	told->numbers = (told->numbers & ~(0xffffffffULL << place)) | (uint64_t)value << place;
}

/* Whether two numbers of one end, each known so well, cannot be of one connection. */
static inline bool contradicts(uint32_t certainty, uint32_t value, uint32_t later_certainty, uint32_t later)
{
	uint32_t forth = value - later, back = later - value;

	if (!certainty || !later_certainty)
		return false;
	if (certainty == later_certainty)
		return (forth < back ? forth : back) >= (certainty == EXACT ? 1 : SEQUENCE_WINDOW);
	return (later_certainty == EXACT ? forth : back) >= SEQUENCE_WINDOW;
}

/* Whether what begins with a SYN or its answer is another connection; over: all of the first one was before. */
static inline bool is_another(const struct told *first, bool over, const struct told *later)
{
	int asker = later->marks & FORWARD ? END_A : END_B, end = asker;

	for (int i = 0; i < 2; i++, end = END_A + END_B - end) {
		uint32_t certainty = known(first->marks, end), later_certainty = known(later->marks, end);

		if (contradicts(certainty, number(first->numbers, end), later_certainty, number(later->numbers, end)))
			return true;
		if (certainty == EXACT && later_certainty)
			return over && later_certainty == EXACT;
	}
	return over && !known(first->marks, asker);
}

/* What a packet of the end `sender` tells by itself. */
static inline struct told packet_tells(const struct packet *pkt, int sender)
{
	uint32_t flags = packet_tcp_flags(pkt), icmp = packet_icmp(pkt);
	bool answers = answers_by_icmp(pkt) || (flags & (TCP_SYN | TCP_ACK | TCP_RST)) == (TCP_SYN | TCP_ACK);
	int asker = answers ? END_A + END_B - sender : sender;
	struct told told = { .marks = asker == END_A ? FORWARD : 0 };

	if (answers || (flags & (TCP_SYN | TCP_RST)) == TCP_SYN)
		told.marks |= ASKED;
	if (flags && !(flags & TCP_RST))
		learn_number(&told, sender, flags & TCP_SYN ? EXACT : NEAR,
			     packet_tcp_seq(pkt) - (flags & TCP_SYN ? 0 : 1));
	if (flags & TCP_ACK)
		learn_number(&told, END_A + END_B - sender, NEAR, packet_tcp_ack(pkt) - 1);
	if (icmp && pkt->at->flags & FRAGMENT)
		learn_number(&told, END_A, NEAR, icmp);
	return told;
}

/* --- a flow that ends */

/* Bytes of the smallest and its place, as one number: the loop has no branch. */
static inline uint64_t smallest_past(const struct flows *flows)
{
	int64_t least = flows->past_bytes[0] << PLACE_BITS;

	for (int i = 1; i < PAST; i++) {
		int64_t one = flows->past_bytes[i] << PLACE_BITS | i;

		least = one < least ? one : least;
	}
	return least;
}

static inline void leave(struct flows *flows, uint64_t packets, uint64_t bytes)
{
	flows->unlisted[0]++;
	flows->unlisted[1] += packets;
	flows->unlisted[2] += bytes;
}

/* Put the flow of a row among those that ended, in place of the smallest of them where there is no room. */
static void keep_flow(struct flows *flows, const struct flow *flow)
{
	uint64_t least;
	int at;

	if (flow->bytes <= flows->floor[0]) {
		leave(flows, flow->packets, flow->bytes);
		return;
	}
	at = flows->floor[1];
	if (flows->past_bytes[at])
		leave(flows, flows->past_packets[at], flows->past_bytes[at]);
	flows->past_a_hi[at] = flow->key.a_hi;
	flows->past_a_lo[at] = flow->key.a_lo;
	flows->past_b_hi[at] = flow->key.b_hi;
	flows->past_b_lo[at] = flow->key.b_lo;
	flows->past_ports[at] = flow->key.ports;
	flows->past_packets[at] = flow->packets;
	flows->past_bytes[at] = flow->bytes;
	flows->past_first_ns[at] = flow->first_ns;
	flows->past_last_ns[at] = flow->last_ns;
	flows->past_numbers[at] = flow->numbers;
	flows->past_tcp_flags[at] = flow->tcp_flags;
	flows->past_seen[at] = flow->seen;
	flows->past_marks[at] = flow->marks;
	least = smallest_past(flows);
	flows->floor[0] = least >> PLACE_BITS;
	flows->floor[1] = least & ((1 << PLACE_BITS) - 1);
}

static inline void begin_flow(struct flow *flow, int64_t now, uint32_t marks)
{
	flow->packets = flow->bytes = 0;
	flow->first_ns = flow->last_ns = now;
	flow->tcp_flags = 0;
	flow->marks = marks;
}

/* Who asked, and the numbers that the connection began with. */
static inline void learn_flow(struct flow *flow, const struct told *told)
{
	struct told row = { flow->marks, flow->numbers };

	if (told->marks & ASKED && !(row.marks & ASKED))
		row.marks = (row.marks & ~FORWARD) | (told->marks & (FORWARD | ASKED));
	for (int end = END_A; end <= END_B; end++)
		learn_number(&row, end, known(told->marks, end), number(told->numbers, end));
	flow->marks = row.marks;
	flow->numbers = row.numbers;
}

/* Begin a flow in the row with this packet where it does not belong to the one there. */
static __attribute__((noinline)) void turn_flow(struct flows *flows, struct flow *flow, const struct packet *pkt,
						 int sender, bool fresh, bool silent, bool split)
{
	struct told told = packet_tells(pkt, sender), row = { flow->marks, flow->numbers };
	bool over = flow->seen & CLOSING && pkt->ts >= flow->last_ns;
	bool asks = (packet_tcp_flags(pkt) & (TCP_SYN | TCP_RST)) == TCP_SYN;

	if (fresh) {
		begin_flow(flow, pkt->ts, told.marks & (FORWARD | ASKED));
	} else if (flow->first_ns - pkt->ts > LATE_NS || (asks && is_another(&row, over, &told))) {
		keep_flow(flows, flow);
		begin_flow(flow, pkt->ts, told.marks & (FORWARD | ASKED));
		flow->seen = flow->closed = 0;
		flow->numbers = 0;
	} else if (silent) {
		keep_flow(flows, flow);
		begin_flow(flow, pkt->ts, flow->marks & ASKED ? flow->marks & ~SPLIT :
			   (flow->marks & ~(SPLIT | FORWARD)) | (told.marks & FORWARD));
		flow->seen &= CLOSING;
	} else if (split) {
		keep_flow(flows, flow);
		begin_flow(flow, pkt->ts, flow->marks | SPLIT);
		flow->seen &= CLOSING;
	}
	learn_flow(flow, &told);
}

/* The packet has IP; forward: a sent it. */
static inline void flows_filter(struct flows *flows, const struct packet *pkt, const struct flow_key *key,
				uint64_t hash, bool forward)
{
	int64_t now = pkt->ts;
	uint32_t flags = packet_tcp_flags(pkt);
	int sender = forward ? END_A : END_B;
	bool fresh, silent, split, early, first;
	struct flow *flow = flow_rows_upsert(&flows->rows, key, hash, now, &fresh);

	if (!flow)
		return;
	silent = now - flow->last_ns > IDLE_NS;
	split = now - flow->first_ns > ACTIVE_NS;
	first = flags && !(flow->seen & sender);
	early = flow->first_ns - now > LATE_NS;
	if (__builtin_expect(fresh | silent | split | early | first | ((flags & TCP_SYN) != 0), 0))
		turn_flow(flows, flow, pkt, sender, fresh, silent, split);
	flow->packets++;
	flow->bytes += pkt->wirelen;
	if (now < flow->first_ns)
		flow->first_ns = now;
	if (now > flow->last_ns)
		flow->last_ns = now;
	flow->tcp_flags |= flags;
	flow->seen |= sender | (flags & TCP_FIN) * sender << 2 | (flags & TCP_RST) << 2;
	flow->closed |= (flow->seen & RESET) != 0 || (flow->seen & FINS) == FINS;
}

#endif
