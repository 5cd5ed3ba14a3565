"""What tells one TCP connection from the next one between the same ends: the numbers that they began with.

Plain functions of integers. `filter` asks them, compiled, about a row and a packet; the report asks them about two
parts of a flow.

    marks    FORWARD, ASKED, SPLIT, and of each end how well its initial sequence number is known
    numbers  a's initial sequence number << 32 | b's; of ICMP in fragments, the type and code of the first one in place
             of a's
"""

from __future__ import annotations

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10

# Of the ends of a flow, the one that sent: a or b.
A, B = 1, 2

# `seen`: ends that sent, ends that sent a FIN, a RST from either.
SENT, FINS, RESET = A | B, (A | B) << 2, 1 << 4
CLOSING = FINS | RESET

# a asked; that is known, from a handshake and not from who came first; a long flow was split here.
FORWARD, ASKED, SPLIT = 1, 2, 4
# How well a number is known, at these bits of `marks`: NEAR is at or shortly behind the one that the end began with.
NEAR, EXACT = 1, 2
A_KNOWN, B_KNOWN = 4, 6
BEGUN = EXACT << A_KNOWN | EXACT << B_KNOWN

MASK = 0xFFFFFFFF
# Data that overtook their SYN, or that a SYN brought along, are a window away at most.
WINDOW = 1 << 16


def known(marks, end):  # type: ignore[no-untyped-def]
    """How well the number of an end is known: 0, NEAR or EXACT."""
    return marks >> (A_KNOWN if end == A else B_KNOWN) & 3


def number(numbers, end):  # type: ignore[no-untyped-def]
    return numbers >> (32 if end == A else 0) & MASK


def learned(marks, numbers, end, certainty, value):  # type: ignore[no-untyped-def]
    """(marks, numbers) with the number of an end, where it was known less well."""
    if certainty <= known(marks, end):
        return marks, numbers
    shift, place = (A_KNOWN, 32) if end == A else (B_KNOWN, 0)
    return marks & ~(3 << shift) | certainty << shift, numbers & ~(MASK << place) | (value & MASK) << place


def contradicts(certainty, value, later_certainty, later):  # type: ignore[no-untyped-def]
    """Whether two numbers of one end, each known so well, cannot be of one connection."""
    if certainty == 0 or later_certainty == 0:
        return False
    if certainty == later_certainty:
        apart = min(value - later & MASK, later - value & MASK)
        return apart >= (1 if certainty == EXACT else WINDOW)
    return (value - later if later_certainty == EXACT else later - value) & MASK >= WINDOW


def is_another(marks, numbers, over, later_marks, later_numbers):  # type: ignore[no-untyped-def]
    """Whether what began with a SYN or its answer is another connection than the one before it.

    over: that one had a FIN or RST, all of it before. What tells is the number of the end that asked, then that of the
    other one. The answer to a SYN that was seen belongs to it, come as it may, and so does a SYN that comes behind
    packets of its connection; one that is sent again after the end opens another.
    """
    asker = A if later_marks & FORWARD else B
    for end in (asker, A + B - asker):
        certainty, later_certainty = known(marks, end), known(later_marks, end)
        if contradicts(certainty, number(numbers, end), later_certainty, number(later_numbers, end)):
            return True
        if certainty == EXACT and later_certainty:
            return over and later_certainty == EXACT
    return over and known(marks, asker) == 0


def told(pkt, sender, answers):  # type: ignore[no-untyped-def]
    """(marks, numbers) that a packet of the end `sender` tells by itself; answers: it is an answer of ICMP."""
    flags = pkt.tcp_flags
    answers |= flags & (SYN | ACK | RST) == SYN | ACK
    asker = A + B - sender if answers else sender
    marks, numbers = FORWARD if asker == A else 0, 0
    if answers or flags & (SYN | RST) == SYN:
        marks |= ASKED
    if flags and flags & RST == 0:
        begins = flags & SYN
        marks, numbers = learned(
            marks, numbers, sender, EXACT if begins else NEAR, pkt.tcp_seq if begins else pkt.tcp_seq - 1
        )
    if flags & ACK:
        marks, numbers = learned(marks, numbers, A + B - sender, NEAR, pkt.tcp_ack - 1)
    if pkt.icmp and pkt.is_fragment:
        marks, numbers = learned(marks, numbers, A, NEAR, pkt.icmp)
    return marks, numbers
