"""DNS: the names that are asked for, the types of the questions, the codes of the answers."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np

from zcframe import PASS, Array, Param, State, Table, merge, plugin, u8, u32, u64

PORT, MDNS_PORT = 53, 5353
UDP, TCP, SYN = 17, 6, 0x02

HEADER = 12
MAX_NAME = 254  # without the root's zero (RFC 1035, 2.3.4: 255 with it)
MAX_STEPS = 192  # labels and compression pointers of one name
MAX_QUESTIONS = 16
MAX_MESSAGES = 128  # in one segment

# In place of where a name ends: it is not as RFC 1035 has it; it goes on past the last byte that there is.
BAD, SHORT = -1, -2
# Past the end of every segment, and of what sequence numbers can tell.
NOWHERE = 1 << 32

# state.counts
QUERIES, RESPONSES, MALFORMED, CUT = 0, 1, 2, 3

# Two hashes of a name in the manner of FNV-1a, 38 bits each, with multipliers of 25: no product is above 63 bits.
HASH_MASK = (1 << 38) - 1
SEED_A, PRIME_A = 0x19E3779B9, 0x1000193
SEED_B, PRIME_B = 0x2A09E667F, 0x1DF5E0D

# state.types counts each type below OTHER_TYPES for itself.
OTHER_TYPES = 263

# state.streams: by a hash of the addresses and ports, a word each.
STREAMS = 512
# known << 62 | 14 bits of the hash << 48 | length of the message that begins << 32 | sequence number where it begins
KNOWN, OWNER_SHIFT, BODY_SHIFT = 1 << 62, 48, 32

TYPES = {
    1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 10: "NULL", 12: "PTR", 13: "HINFO", 15: "MX", 16: "TXT", 17: "RP",
    18: "AFSDB", 24: "SIG", 25: "KEY", 28: "AAAA", 29: "LOC", 33: "SRV", 35: "NAPTR", 36: "KX", 37: "CERT", 39: "DNAME",
    41: "OPT", 42: "APL", 43: "DS", 44: "SSHFP", 45: "IPSECKEY", 46: "RRSIG", 47: "NSEC", 48: "DNSKEY", 49: "DHCID",
    50: "NSEC3", 51: "NSEC3PARAM", 52: "TLSA", 53: "SMIMEA", 55: "HIP", 59: "CDS", 60: "CDNSKEY", 61: "OPENPGPKEY",
    62: "CSYNC", 63: "ZONEMD", 64: "SVCB", 65: "HTTPS", 99: "SPF", 108: "EUI48", 109: "EUI64", 249: "TKEY", 250: "TSIG",
    251: "IXFR", 252: "AXFR", 255: "ANY", 256: "URI", 257: "CAA", 258: "AVC", 260: "AMTRELAY", 261: "RESINFO",
}  # fmt: skip
RCODES = (
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH",
    "NOTZONE", "DSOTYPENI",
)  # fmt: skip


def lower(letter):  # type: ignore[no-untyped-def]
    """Names compare without case (RFC 4343); a label's length is below 64 and stays as it is."""
    return letter + 32 if 65 <= letter <= 90 else letter


def read_name(view, base, end, at):  # type: ignore[no-untyped-def]
    """(where the name at `at` ends, its length, its two hashes), or BAD or SHORT in the first place.

    base, end: of the message. A pointer leads to before the place that the last one led to, so that none is followed
    twice.
    """
    after, floor, length, a, b = 0, at, 0, SEED_A, SEED_B
    for _ in range(MAX_STEPS):
        size = view[at]
        if at >= end or (size >= 0xC0 and at + 2 > end):
            return SHORT, 0, 0, 0
        if size == 0:
            return (after if after else at + 1), length, a, b
        if size >= 0xC0:
            target = base + (view.u16(at) & 0x3FFF)
            if target >= floor or target < base + HEADER:
                return BAD, 0, 0, 0
            after = after if after else at + 2
            at = floor = target
            continue
        length += size + 1
        if size >= 0x40 or length > MAX_NAME:
            return BAD, 0, 0, 0
        if at + size >= end:
            return SHORT, 0, 0, 0
        for i in range(size + 1):
            letter = lower(view[at + i])
            a = (a ^ letter) * PRIME_A & HASH_MASK
            b = (b ^ letter) * PRIME_B & HASH_MASK
        at += size + 1
    return BAD, 0, 0, 0


def spell(view, base, at, left):  # type: ignore[no-untyped-def]
    """(next byte of a name that `read_name` found good, where it goes on, what is left of the label)."""
    if left == 0:
        for _ in range(MAX_STEPS):
            if view[at] < 0xC0:
                break
            at = base + (view.u16(at) & 0x3FFF)
        left = view[at] + 1
        if left == 1:
            return 0, at, 0
    return lower(view[at]), at + 1, left - 1


def keep_letters(state, view, base, at, length):  # type: ignore[no-untyped-def]
    """Write the name at `at` behind the others, 8 bytes a word: number of its first word + 1, or 0 without room."""
    first, words = state.used[0], (length + 7) >> 3
    if first + words > len(state.letters):
        return 0
    left, word = 0, 0
    for i in range(words * 8):
        letter, at, left = spell(view, base, at, left)
        word = word << 8 | letter
        if i & 7 == 7:
            state.letters[first + (i >> 3)] = word
    state.used[0] = first + words
    return first + 1


def count_question(state, view, base, at, name, flags):  # type: ignore[no-untyped-def]
    """Count for a name (length, hashes) that stands at `at`."""
    length, a, b = name
    row = state.names.upsert(a, b)
    if row:
        if row.new:
            row.length = length
            row.text = keep_letters(state, view, base, at, length)
        response = flags >> 15
        row.queries += 1 - response
        row.responses += response
        row.failures += response * min(flags & 15, 1)


def read_questions(state, view, base, end, flags):  # type: ignore[no-untyped-def]
    """0, or BAD or SHORT where the questions cannot be read."""
    at = base + HEADER
    for _ in range(min(view.u16(base + 4), MAX_QUESTIONS)):
        after, length, a, b = read_name(view, base, end, at)
        if after < 0:
            return after
        if after + 4 > end:
            return SHORT
        count_question(state, view, base, at, (length, a, b), flags)
        state.types[min(view.u16(after), OTHER_TYPES)] += 1 - (flags >> 15)
        at = after + 4
    return 0


def read_message(state, view, base, end, whole):  # type: ignore[no-untyped-def]
    """Count the message in [base, end) of the view; whole: nothing of it lies elsewhere."""
    problem, flags = SHORT, 0
    if end - base >= HEADER:
        flags = view.u16(base + 2)
        problem = read_questions(state, view, base, end, flags)
    if problem == SHORT and not whole:
        state.counts[CUT] += 1
    elif problem:
        state.counts[MALFORMED] += 1
    elif flags >> 15:
        state.counts[RESPONSES] += 1
        state.rcodes[flags & 15] += 1
    else:
        state.counts[QUERIES] += 1


def read_messages(state, view, at, body):  # type: ignore[no-untyped-def]
    """Count the messages that begin at `at` or later: (where the next one begins, its length or 0).

    body: length of the message at `at` where that is known, else it stands before it, as over TCP. NOWHERE: half a
    length ends the segment, so that the next beginning is not known.
    """
    end = len(view)
    for _ in range(MAX_MESSAGES):
        if body == 0 and at < end:
            if at + 1 == end:
                return NOWHERE, 0
            body = view.u16(at)
            at += 2
        if at >= end:
            break
        read_message(state, view, at, min(at + body, end), at + body <= end)
        at += body
        body = 0
    return at, body


def may_begin(view):  # type: ignore[no-untyped-def]
    """Whether a message could begin with the segment, where nobody knows."""
    return view.u16(0) >= HEADER and view.u16(6) == 1 and view.u16(4) >> 11 & 15 <= 6


def stream_of(pkt):  # type: ignore[no-untyped-def]
    """A hash of the stream's addresses and ports, 31 bits, not that of its opposite direction."""
    hashed = SEED_A
    for word in (pkt.src_hi, pkt.src_lo, pkt.dst_hi, pkt.dst_lo, pkt.sport << 16 | pkt.dport):
        hashed = (hashed ^ word & 0xFFFFFFFF) * PRIME_A & HASH_MASK
        hashed = (hashed ^ hashed >> 19 ^ word >> 32 & 0xFFFFFFFF) * PRIME_B & HASH_MASK
    return (hashed ^ hashed >> 19) & 0x7FFFFFFF


def join_stream(pkt, stream, owner):  # type: ignore[no-untyped-def]
    """(first byte of the segment at which a message begins, its length where that came before, else 0).

    stream: word of state.streams. The first byte is past the segment where no message begins in it.
    """
    if pkt.tcp_flags & SYN:
        return 0, 0
    if stream & KNOWN and stream >> OWNER_SHIFT & 0x3FFF == owner:
        # Sequence numbers wrap: the difference is one of 32 bits with a sign.
        first = (stream - pkt.tcp_seq + 0x80000000 & 0xFFFFFFFF) - 0x80000000
        if first >= 0:
            return first, stream >> BODY_SHIFT & 0xFFFF
    return (0 if may_begin(pkt.payload) else NOWHERE), 0


def stream_word(pkt, owner, at, body):  # type: ignore[no-untyped-def]
    """For state.streams: the next message, or with a `body` what follows its length, begins at byte `at`."""
    if at == NOWHERE:
        return 0
    sequence = pkt.tcp_seq + at + (1 if pkt.tcp_flags & SYN else 0)
    return KNOWN | owner << OWNER_SHIFT | body << BODY_SHIFT | sequence & 0xFFFFFFFF


def read_packet(pkt, state, streamed):  # type: ignore[no-untyped-def]
    """Count the message of a datagram, or those that begin in a segment of a TCP stream."""
    view = pkt.payload
    # A datagram of which something is missing is longer than what is here.
    at, body, hashed = 0, len(view) + (1 if pkt.is_fragment or pkt.caplen < pkt.wirelen else 0), 0
    if streamed:
        hashed = stream_of(pkt)
        at, body = join_stream(pkt, state.streams[hashed % STREAMS], hashed >> 17)
    if len(view) <= at < NOWHERE and pkt.tcp_flags & SYN == 0:
        return
    if at < len(view):
        at, body = read_messages(state, view, at, body)
    if streamed:
        state.streams[hashed % STREAMS] = stream_word(pkt, hashed >> 17, at, body)


@plugin
class Dns:
    """DNS queries and responses over UDP and TCP port 53: top names, query types, response codes.

    Read are a message's header and questions. `malformed` counts messages in which these are not as RFC 1035 has them,
    `cut` those whose questions were not in the packet (a fragment, a short capture, a segment's end); neither kind is
    among queries or responses. Over TCP, a message is counted in the segment in which it begins; streams are followed
    by their sequence numbers, so that what goes on in the next segment or comes twice is not taken for a beginning.
    Later fragments have no ports and are not seen. Names are shown in lower case, bytes that are no letter as RFC 4343
    has it. `lost` counts questions whose name found no room; a name has a row in each bucket in which it was asked for.
    """

    capacity = Param(1 << 16, "rows for names, over all buckets", minimum=2048, maximum=1 << 24)
    letters_room = Param(1 << 14, "room for names in each bucket, in words of 8 bytes", minimum=32, maximum=1 << 24)
    mdns = Param(False, "read UDP port 5353 (multicast DNS) as well")
    top = Param(10, "names listed in the report, by queries and responses", minimum=0, maximum=1_000_000)

    counts = Array(u64, 4)
    rcodes = Array(u64, 16)
    types = Array(u64, OTHER_TYPES + 1)
    streams = Array(u64.first, STREAMS)
    names = Table(
        key={"a": u64, "b": u64},
        value={"queries": u64, "responses": u64, "failures": u64, "text": u32.first, "length": u8.first},
        capacity=capacity,
    )
    # The names' bytes as on the wire, each label behind its length; row.text - 1 is a name's first word.
    letters = Array(u64, letters_room)
    used = Array(u64, 1)

    @staticmethod
    def filter(pkt, state, params):  # type: ignore[no-untyped-def]
        sport, dport, proto = pkt.sport, pkt.dport, pkt.proto
        plain = sport == PORT or dport == PORT
        streamed = plain and proto == TCP and (len(pkt.payload) or pkt.tcp_flags & SYN)
        multicast = params.mdns and (sport == MDNS_PORT or dport == MDNS_PORT)
        if streamed or (proto == UDP and (plain or multicast)):
            read_packet(pkt, state, proto == TCP)
        return PASS

    @staticmethod
    def merge(states: Sequence[State]) -> State:
        """Names refer to letters by number: each state's letters go behind those of the one before."""
        parts, letters, start = [], [], 0
        for state in states:
            part, used = copy(state), state.letters[: int(state.used[0])]
            part.names, part.letters = state.names.copy(), state.letters[:0]
            part.names["text"][part.names["text"] > 0] += start
            parts.append(part)
            letters.append(used)
            start += len(used)
        merged = merge(parts)
        merged.letters = np.concatenate(letters)
        return merged

    @staticmethod
    def report(merged: State, params: Any) -> dict[str, Any]:
        rows = merged.names
        asked = rows["queries"] + rows["responses"]
        busiest = rows[np.lexsort((rows["b"], rows["a"], np.iinfo(np.uint64).max - asked))[: params.top]]
        return {
            "queries": int(merged.counts[QUERIES]),
            "responses": int(merged.counts[RESPONSES]),
            "malformed": int(merged.counts[MALFORMED]),
            "cut": int(merged.counts[CUT]),
            "count": len(rows),
            "lost": merged.lost["names"],
            "names": [_described(row, merged.letters) for row in busiest],
            "types": _by_count({_type(number): int(n) for number, n in enumerate(merged.types) if n}),
            "rcodes": _by_count({_rcode(code): int(n) for code, n in enumerate(merged.rcodes) if n}),
        }

    @staticmethod
    def lines(report: dict[str, Any]) -> list[str]:
        lines = [f"{report['queries']:,} queries, {report['responses']:,} responses, {report['malformed']:,} malformed"]
        for label, counts in (("types", report["types"]), ("codes", report["rcodes"])):
            if counts:
                lines.append(f"{label}  " + "  ".join(f"{name} {n:,}" for name, n in list(counts.items())[:5]))
        if report["names"]:
            shown = (f"{row['name']} {row['queries'] + row['responses']:,}" for row in report["names"][:3])
            lines.append("names  " + "  ".join(shown))
        return lines


def _by_count(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def _rcode(code: int) -> str:
    return RCODES[code] if code < len(RCODES) else f"RCODE{code}"


def _type(number: int) -> str:
    """Unknown types are named as RFC 3597 has it."""
    return "OTHER" if number == OTHER_TYPES else TYPES.get(number, f"TYPE{number}")


def _described(row: Any, letters: Any) -> dict[str, Any]:
    return {
        "name": _name(_wire(row, letters)),
        "queries": int(row["queries"]),
        "responses": int(row["responses"]),
        "failures": int(row["failures"]),
    }


def _wire(row: Any, letters: Any) -> bytes | None:
    """The name as on the wire, without the root's zero; None where its letters found no room."""
    if row["text"] == 0:
        return None
    first, length = int(row["text"]) - 1, int(row["length"])
    words = letters[first : first + (length + 7) // 8]
    # The last word is filled up with zeros behind the name.
    return bytes(words.astype(">u8").tobytes()[:length])


def _name(wire: bytes | None) -> str:
    """Printable letters as they are, others as \\DDD, dots within a label as \\. (RFC 1035, 5.1)."""
    if wire is None:
        return "?"
    labels, at = [], 0
    while at < len(wire):
        labels.append("".join(_letter(octet) for octet in wire[at + 1 : at + 1 + wire[at]]))
        at += 1 + wire[at]
    return ".".join(labels) or "."


def _letter(octet: int) -> str:
    if octet in b".\\":
        return f"\\{chr(octet)}"
    return chr(octet) if 33 <= octet <= 126 else f"\\{octet:03}"
