"""The packet as a plugin sees it: an immutable value, four words in registers, each attribute loaded when it is read.

All attributes but views and addresses are int64. Lengths and offsets are in bytes, times in nanoseconds, numbers in
host order. An attribute that the packet does not have (ports of an ARP, flags of a UDP) reads 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba.core import cgutils, types
from numba.extending import (
    intrinsic,
    make_attribute_wrapper,
    models,
    overload,
    overload_attribute,
    overload_method,
    register_model,
)

from zcframe.framework import abi
from zcframe.framework.jit.address import (
    rx_load_be16,
    rx_load_be32,
    rx_load_be64,
    rx_load_u8,
    rx_load_u16,
    rx_load_u32,
    rx_load_u64,
)
from zcframe.framework.jit.part import FORCE

from . import search as _search  # noqa: F401 - registers what is asked of views with numba
from .address import MAPPED_IPV4, make_addr
from .decode import FRAGMENT, HAS_PORTS, HAS_TCP, LATER_FRAGMENT, l4_size, l4_size_on_wire
from .public import Packet
from .tunnel import PASSED, innermost
from .view import make_view

UNHASHED_BUCKET = abi.RETA_SIZE
# Where in `facts` the tunnels stand that were passed: of MAX_TUNNELS, in bits that the decoder leaves 0.
TUNNELS_AT = 20


class PacketType(types.Type):
    def __init__(self) -> None:
        super().__init__(name="zcframe.Packet")


packet_type = PacketType()
WORDS = ("desc", "data", "offsets", "facts")


@register_model(PacketType)
class _PacketModel(models.StructModel):  # type: ignore[misc]
    def __init__(self, manager: Any, fe_type: Any) -> None:
        super().__init__(manager, fe_type, [(word, types.int64) for word in WORDS])


for _word in WORDS:
    make_attribute_wrapper(PacketType, _word, "_" + _word)


@intrinsic
def make_packet(typingctx, desc, data, offsets, facts):  # type: ignore[no-untyped-def]
    """Packet of the descriptor and frame at these addresses, decoded to `offsets` and `facts` (see decode.py)."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        packet = cgutils.create_struct_proxy(packet_type)(context, builder)
        packet.desc, packet.data, packet.offsets, packet.facts = args
        return packet._getvalue()

    return packet_type(types.int64, types.int64, types.int64, types.int64), codegen


# Offsets and facts of the packet that is none.
NOTHING = 0

DOCS: dict[str, str] = {}


def _attribute(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make the decorated function of a packet the read-only attribute that public.py tells of."""
    DOCS[function.__name__] = str(getattr(Packet, function.__name__).__doc__)
    overload_attribute(PacketType, function.__name__, jit_options=FORCE)(lambda pkt: function)
    return function


@_attribute
def ts(pkt):  # type: ignore[no-untyped-def]
    return rx_load_u64(pkt._desc + abi.DESC_TIMESTAMP)


@_attribute
def caplen(pkt):  # type: ignore[no-untyped-def]
    return rx_load_u16(pkt._desc + abi.DESC_LEN)


@_attribute
def wirelen(pkt):  # type: ignore[no-untyped-def]
    return rx_load_u32(pkt._desc + abi.DESC_WIRE_LEN)


@_attribute
def iface(pkt):  # type: ignore[no-untyped-def]
    return rx_load_u16(pkt._desc + abi.DESC_PORT)


@_attribute
def rss_hash(pkt):  # type: ignore[no-untyped-def]
    return rx_load_u32(pkt._desc + abi.DESC_RSS_HASH)


@_attribute
def rss_type(pkt):  # type: ignore[no-untyped-def]
    return rx_load_u8(pkt._desc + abi.DESC_RSS_TYPE)


@_attribute
def bucket(pkt):  # type: ignore[no-untyped-def]
    if rx_load_u8(pkt._desc + abi.DESC_RSS_TYPE) == 0:
        return UNHASHED_BUCKET
    return rx_load_u32(pkt._desc + abi.DESC_RSS_HASH) & (abi.RETA_SIZE - 1)


@_attribute
def frame(pkt):  # type: ignore[no-untyped-def]
    return make_view(pkt._data, pkt._facts >> 48)


@_attribute
def payload(pkt):  # type: ignore[no-untyped-def]
    start, end = (pkt._offsets >> 32) & 0xFFFF, pkt._offsets >> 48
    if (pkt._offsets >> 16) & 0xFFFF:
        start += l4_size(pkt._data + start, end - start, pkt._facts & 255)
    return make_view(pkt._data + start, end - start)


@_attribute
def payload_wirelen(pkt):  # type: ignore[no-untyped-def]
    l3, l4 = pkt._offsets & 0xFFFF, (pkt._offsets >> 16) & 0xFFFF
    start, end = (pkt._offsets >> 32) & 0xFFFF, rx_load_u32(pkt._desc + abi.DESC_WIRE_LEN)
    version = (pkt._facts >> 8) & 255
    if version == 4:
        total = rx_load_be16(pkt._data + l3 + 2)
        end = min(l3 + total, end) if total >= 20 else end
    elif version == 6:
        claimed = rx_load_be16(pkt._data + l3 + 4)
        end = min(l3 + 40 + claimed, end) if claimed else end
    elif pkt._facts == NOTHING:
        end = 0
    if l4:
        start += l4_size_on_wire(pkt._data + l4, (pkt._offsets >> 48) - l4, pkt._facts & 255)
    return max(end - start, 0)


@_attribute
def l3(pkt):  # type: ignore[no-untyped-def]
    start = pkt._offsets & 0xFFFF
    return make_view(pkt._data + start, (pkt._offsets >> 48) - start if start else 0)


@_attribute
def l4(pkt):  # type: ignore[no-untyped-def]
    start = (pkt._offsets >> 16) & 0xFFFF
    return make_view(pkt._data + start, (pkt._offsets >> 48) - start if start else 0)


@_attribute
def eth_dst(pkt):  # type: ignore[no-untyped-def]
    return rx_load_be32(pkt._data) << 16 | rx_load_be16(pkt._data + 4) if pkt._offsets & 0xFFFF else 0


@_attribute
def eth_src(pkt):  # type: ignore[no-untyped-def]
    return rx_load_be16(pkt._data + 6) << 32 | rx_load_be32(pkt._data + 8) if pkt._offsets & 0xFFFF else 0


@_attribute
def ethertype(pkt):  # type: ignore[no-untyped-def]
    return (pkt._facts >> 32) & 0xFFFF


@_attribute
def vlan_count(pkt):  # type: ignore[no-untyped-def]
    stripped = rx_load_u16(pkt._desc + abi.DESC_STATUS) & abi.STATUS_VLAN
    return ((pkt._facts >> 24) & 255) + (1 if stripped else 0)


@_attribute
def vlan(pkt):  # type: ignore[no-untyped-def]
    if rx_load_u16(pkt._desc + abi.DESC_STATUS) & abi.STATUS_VLAN:
        return rx_load_u16(pkt._desc + abi.DESC_VLAN_TCI) & 0xFFF
    return rx_load_be16(pkt._data + 14) & 0xFFF if (pkt._facts >> 24) & 255 else 0


@_attribute
def vlan2(pkt):  # type: ignore[no-untyped-def]
    tags = (pkt._facts >> 24) & 255
    if rx_load_u16(pkt._desc + abi.DESC_STATUS) & abi.STATUS_VLAN:
        return rx_load_be16(pkt._data + 14) & 0xFFF if tags else 0
    return rx_load_be16(pkt._data + 18) & 0xFFF if tags > 1 else 0


@_attribute
def ip_version(pkt):  # type: ignore[no-untyped-def]
    return (pkt._facts >> 8) & 255


@_attribute
def proto(pkt):  # type: ignore[no-untyped-def]
    return pkt._facts & 255


@_attribute
def ttl(pkt):  # type: ignore[no-untyped-def]
    version = (pkt._facts >> 8) & 255
    if version == 0:
        return 0
    return rx_load_u8(pkt._data + (pkt._offsets & 0xFFFF) + (8 if version == 4 else 7))


@_attribute
def src_hi(pkt):  # type: ignore[no-untyped-def]
    return rx_load_be64(pkt._data + (pkt._offsets & 0xFFFF) + 8) if (pkt._facts >> 8) & 255 == 6 else 0


@_attribute
def src_lo(pkt):  # type: ignore[no-untyped-def]
    version = (pkt._facts >> 8) & 255
    l3 = pkt._data + (pkt._offsets & 0xFFFF)
    if version == 4:
        return MAPPED_IPV4 | rx_load_be32(l3 + 12)
    return rx_load_be64(l3 + 16) if version == 6 else 0


@_attribute
def dst_hi(pkt):  # type: ignore[no-untyped-def]
    return rx_load_be64(pkt._data + (pkt._offsets & 0xFFFF) + 24) if (pkt._facts >> 8) & 255 == 6 else 0


@_attribute
def dst_lo(pkt):  # type: ignore[no-untyped-def]
    version = (pkt._facts >> 8) & 255
    l3 = pkt._data + (pkt._offsets & 0xFFFF)
    if version == 4:
        return MAPPED_IPV4 | rx_load_be32(l3 + 16)
    return rx_load_be64(l3 + 32) if version == 6 else 0


@_attribute
def src(pkt):  # type: ignore[no-untyped-def]
    return make_addr(pkt.src_hi, pkt.src_lo)


@_attribute
def dst(pkt):  # type: ignore[no-untyped-def]
    return make_addr(pkt.dst_hi, pkt.dst_lo)


@_attribute
def sport(pkt):  # type: ignore[no-untyped-def]
    return rx_load_be16(pkt._data + ((pkt._offsets >> 16) & 0xFFFF)) if pkt._facts & HAS_PORTS else 0


@_attribute
def dport(pkt):  # type: ignore[no-untyped-def]
    return rx_load_be16(pkt._data + ((pkt._offsets >> 16) & 0xFFFF) + 2) if pkt._facts & HAS_PORTS else 0


@_attribute
def tcp_flags(pkt):  # type: ignore[no-untyped-def]
    return rx_load_u8(pkt._data + ((pkt._offsets >> 16) & 0xFFFF) + 13) if pkt._facts & HAS_TCP else 0


@_attribute
def tcp_seq(pkt):  # type: ignore[no-untyped-def]
    return rx_load_be32(pkt._data + ((pkt._offsets >> 16) & 0xFFFF) + 4) if pkt._facts & HAS_TCP else 0


@_attribute
def tcp_ack(pkt):  # type: ignore[no-untyped-def]
    return rx_load_be32(pkt._data + ((pkt._offsets >> 16) & 0xFFFF) + 8) if pkt._facts & HAS_TCP else 0


@_attribute
def tcp_window(pkt):  # type: ignore[no-untyped-def]
    return rx_load_be16(pkt._data + ((pkt._offsets >> 16) & 0xFFFF) + 14) if pkt._facts & HAS_TCP else 0


@_attribute
def icmp(pkt):  # type: ignore[no-untyped-def]
    l4 = (pkt._offsets >> 16) & 0xFFFF
    number = pkt._facts & 255
    if (number == 1 or number == 58) and l4 and l4 + 2 <= pkt._offsets >> 48:
        return rx_load_be16(pkt._data + l4)
    return 0


@_attribute
def is_fragment(pkt):  # type: ignore[no-untyped-def]
    return 1 if pkt._facts & FRAGMENT else 0


@_attribute
def is_later_fragment(pkt):  # type: ignore[no-untyped-def]
    return 1 if pkt._facts & LATER_FRAGMENT else 0


@_attribute
def l4_len(pkt):  # type: ignore[no-untyped-def]
    l4 = (pkt._offsets >> 16) & 0xFFFF
    return (pkt._offsets >> 48) - l4 if l4 else 0


@_attribute
def tunnels(pkt):  # type: ignore[no-untyped-def]
    return (pkt._facts >> TUNNELS_AT) & 15


@overload_method(PacketType, "inner", jit_options=FORCE)
def _inner(pkt):  # type: ignore[no-untyped-def]
    def inner(pkt):  # type: ignore[no-untyped-def]
        offsets, facts, told = innermost(pkt._data, pkt._offsets, pkt._facts)
        if 0 < told <= PASSED:
            return make_packet(pkt._desc, pkt._data, offsets, facts | told << TUNNELS_AT)
        return make_packet(pkt._desc, pkt._data, NOTHING, NOTHING)

    return inner


@overload(bool, jit_options=FORCE)
def _bool(pkt):  # type: ignore[no-untyped-def]
    if isinstance(pkt, PacketType):
        return lambda pkt: pkt._facts != NOTHING
