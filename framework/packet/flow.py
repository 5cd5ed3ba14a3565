"""The flow of a packet: a key that both directions have, from the innermost IP packet of a frame.

A flow is what is between two addresses, protocol and ports. Fragments have no ports, not even the first one: all
fragments of a protocol between two addresses are one flow, as they are for the rules of framework/share/. So is ICMP.
"""

from __future__ import annotations

from zcframe.framework.jit.compiler import inlined

from .decode import FRAGMENT, HAS_PORTS
from .tunnel import innermost
from .value import make_packet


@inlined
def inner_packet(pkt):  # type: ignore[no-untyped-def]
    """The innermost IP packet of a packet's frame; the packet itself where there is no tunnel."""
    offsets, facts, _ = innermost(pkt._data, pkt._offsets, pkt._facts)
    return make_packet(pkt._desc, pkt._data, offsets, facts)


@inlined
def flow_key(pkt):  # type: ignore[no-untyped-def]
    """(ports, a_hi, a_lo, b_hi, b_lo, proto, direction) of an IP packet, int64 each; ports: a's << 16 | b's.

    a is the end with the smaller address, then port, as signed numbers. direction: 1 where a sent it, 2 where b did.
    """
    whole = pkt._facts & (HAS_PORTS | FRAGMENT) == HAS_PORTS
    sport, dport = pkt.sport if whole else 0, pkt.dport if whole else 0
    src_hi, src_lo, dst_hi, dst_lo = pkt.src_hi, pkt.src_lo, pkt.dst_hi, pkt.dst_lo
    low = (src_lo < dst_lo) | ((src_lo == dst_lo) & (sport <= dport))
    forward = (src_hi < dst_hi) | ((src_hi == dst_hi) & low)
    # Which end sent is a coin toss for the branch predictor: each of these is a move.
    ports = sport << 16 | dport if forward else dport << 16 | sport
    a_hi, b_hi = src_hi if forward else dst_hi, dst_hi if forward else src_hi
    a_lo, b_lo = src_lo if forward else dst_lo, dst_lo if forward else src_lo
    return ports, a_hi, a_lo, b_hi, b_lo, pkt.proto, 1 if forward else 2
