"""What a packet tells of its flow: who began it, how far a TCP connection is, whether another flow begins."""

from __future__ import annotations

from zcframe.framework.jit.compiler import inlined
from zcframe.framework.state.flow.columns import BEGAN_B

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10

# Bits of `_marks`. Those of the second end are one further to the left.
SENT, FINISHED, KNOWN = 2, 8, 32
RESET = 128
BOTH = 3

# `state` of a flow.
NEW, ESTABLISHED, CLOSING, CLOSED = 0, 1, 2, 3

# Bits of a row's word `new`: its first one says so. The packet is of the end that began; of the second end of the key.
FORWARD, SECOND = 2, 4

TCP = 6
MASK = 0xFFFFFFFF
# A count of bytes behind which no stream goes on.
FAR = 1 << 31


@inlined
def is_tcp(pkt):  # type: ignore[no-untyped-def]
    """Whether it is of a TCP connection; a fragment belongs to a flow without ports."""
    return pkt.proto == TCP and pkt.is_fragment == 0


@inlined
def flags_of(pkt):  # type: ignore[no-untyped-def]
    """TCP flags that count."""
    return pkt.tcp_flags if is_tcp(pkt) else 0


@inlined
def is_over(row, pkt, side, idle):  # type: ignore[no-untyped-def]
    """Whether the flow of the row has ended, and this packet begins another one. side: of the sender, 0 or 1."""
    if idle and pkt.ts - row.last_ns > idle:
        return True
    if flags_of(pkt) & (SYN | ACK | RST) != SYN:
        return False
    if row._marks & KNOWN << side:
        return (pkt.tcp_seq + 1 - (row._seq_b if side else row._seq_a)) & MASK != 0
    return row.state >= CLOSING


@inlined
def _learn(row, pkt, flags, side):  # type: ignore[no-untyped-def]
    """Where the sender's stream begins, and of what is no TCP, how much it has sent."""
    seq = row._seq_b if side else row._seq_a
    if not is_tcp(pkt):
        seq = min(seq + pkt.payload_wirelen, FAR)
    elif row._marks & KNOWN << side or not (flags & SYN or (flags and pkt.payload_wirelen)):
        return
    else:
        row._marks |= KNOWN << side
        seq = (pkt.tcp_seq + (1 if flags & SYN else 0)) & MASK
    if side:
        row._seq_b = seq
    else:
        row._seq_a = seq


@inlined
def note(row, pkt, side, new):  # type: ignore[no-untyped-def]
    """Add a packet to what is known of its flow; the row's word `new`."""
    flags, now = flags_of(pkt), pkt.ts
    if new:
        row.first_ns = now
        # An answer was sent to the end that began.
        row._marks = BEGAN_B if (side == 1) != (flags & (SYN | ACK | RST) == SYN | ACK) else 0
    row.first_ns = min(row.first_ns, now)
    row.last_ns = max(row.last_ns, now)
    _learn(row, pkt, flags, side)
    marks = row._marks | SENT << side
    if flags & FIN:
        marks |= FINISHED << side
    if flags & RST:
        marks |= RESET
    row._marks = marks
    finished = marks & BOTH * FINISHED
    if marks & RESET or finished == BOTH * FINISHED:
        row.state = CLOSED
        row._closed = 1
    elif finished:
        row.state = CLOSING
    elif marks & BOTH * SENT == BOTH * SENT:
        row.state = ESTABLISHED
    forward = FORWARD if (marks & BEGAN_B != 0) == (side == 1) else 0
    return new | forward | (SECOND if side else 0)
