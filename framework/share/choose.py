"""The share of a packet, in compiled code.

A rule makes a number of a packet that is the same for both directions; its upper 12 bits are the bucket. With the key's
four words K, `fold(a, b)` the two halves of the 128-bit product xored, and addresses as 128-bit numbers (IPv4 as
::ffff:a.b.c.d):

    end(address, port) = fold(high half ^ port << 48 ^ K[0], low half ^ K[1])
    ip-pair, inner       fold(end(source, 0) ^ end(destination, 0) ^ K[2], K[3])
    5-tuple              fold(end(source, port) ^ end(destination, port) ^ K[2], protocol ^ K[3])
    vlan                 fold(VLAN id ^ K[2], K[3])

`5-tuple` does as `ip-pair` where there are no ports, and with every fragment: of a datagram's fragments, only the first
has them. A packet without IP has two addresses of 0 by every rule that goes by addresses: all such packets go to one
share. With the rule `queue`, the bucket is the number of the receive queue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from zcframe.framework.jit.address import load_u8, mul_high, rx_load_be16, rx_load_be32, rx_load_be64, shift_right
from zcframe.framework.jit.compiler import inlined
from zcframe.framework.packet.address import MAPPED_IPV4
from zcframe.framework.packet.decode import FRAGMENT, HAS_PORTS
from zcframe.framework.packet.tunnel import innermost

from .table import BITS

# The first 256 bits behind the point of pi, as signed words: compiled code has no others.
K0: Final = 0x243F6A8885A308D3
K1: Final = 0x13198A2E03707344
K2: Final = 0xA4093822299F31D0 - (1 << 64)
K3: Final = 0x082EFA98EC4E6C89


@inlined
def _end(high, low):  # type: ignore[no-untyped-def]
    return mul_high(high ^ K0, low ^ K1)


@inlined
def _ends(l3, facts, sport, dport):  # type: ignore[no-untyped-def]
    """Number of both ends of the IP packet at address `l3`; 0 where there is none."""
    sport, dport = sport << 48, dport << 48
    if facts & 0xFF00 == 4 << 8:
        return _end(sport, MAPPED_IPV4 | rx_load_be32(l3 + 12)) ^ _end(dport, MAPPED_IPV4 | rx_load_be32(l3 + 16))
    if facts & 0xFF00 == 6 << 8:
        source = _end(rx_load_be64(l3 + 8) ^ sport, rx_load_be64(l3 + 16))
        return source ^ _end(rx_load_be64(l3 + 24) ^ dport, rx_load_be64(l3 + 32))
    return 0


@inlined
def _bucket(number, more):  # type: ignore[no-untyped-def]
    return shift_right(mul_high(number ^ K2, more ^ K3), 64 - BITS)


@inlined
def ip_pair_bucket(pkt, queue):  # type: ignore[no-untyped-def]
    return _bucket(_ends(pkt._data + (pkt._offsets & 0xFFFF), pkt._facts, 0, 0), 0)


@inlined
def five_tuple_bucket(pkt, queue):  # type: ignore[no-untyped-def]
    l3 = pkt._data + (pkt._offsets & 0xFFFF)
    if pkt._facts & (HAS_PORTS | FRAGMENT) != HAS_PORTS:
        return _bucket(_ends(l3, pkt._facts, 0, 0), 0)
    l4 = pkt._data + ((pkt._offsets >> 16) & 0xFFFF)
    return _bucket(_ends(l3, pkt._facts, rx_load_be16(l4), rx_load_be16(l4 + 2)), pkt._facts & 0xFF)


@inlined
def queue_bucket(pkt, queue):  # type: ignore[no-untyped-def]
    return queue


@inlined
def vlan_bucket(pkt, queue):  # type: ignore[no-untyped-def]
    return _bucket(pkt.vlan, 0)


@inlined
def inner_bucket(pkt, queue):  # type: ignore[no-untyped-def]
    offsets, facts, _ = innermost(pkt._data, pkt._offsets, pkt._facts)
    return _bucket(_ends(pkt._data + (offsets & 0xFFFF), facts, 0, 0), 0)


CHOOSERS: Final[dict[str, Any]] = {
    "ip-pair": ip_pair_bucket,
    "5-tuple": five_tuple_bucket,
    "queue": queue_bucket,
    "vlan": vlan_bucket,
    "inner": inner_bucket,
}


def share_by(rule: str) -> Callable[..., Any]:
    """The inlined function (pkt, queue, table) -> share of a rule; NOBODY where no share is alive.

    pkt: a decoded packet (packet/value.py); queue: its receive queue, below BUCKETS; table: int64 address of what
    `share_table` returned, which another process may write at any time.
    """
    bucket = CHOOSERS[rule]

    @inlined
    def share_of(pkt, queue, table):  # type: ignore[no-untyped-def]
        return load_u8(table + bucket(pkt, queue))

    return share_of
